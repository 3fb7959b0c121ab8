"""Tracks against ground truth, files of other programs, and predictions, each compared with the command. A part of browser.py."""

import json
import pathlib

from canvas import becomes
from dropping import accessible
from versions import version

#: Reads the pixel of the canvas at a place of the picture, in shares of its size.
PIXEL = """([x, y]) => {
  const canvas = document.querySelector("canvas");
  return [...canvas.getContext("2d").getImageData(Math.floor(x * canvas.width), Math.floor(y * canvas.height), 1, 1).data].slice(0, 3);
}"""
#: An object that no track follows, where the clip has nothing but its ground.
ALONE, PLACE = 900, (3, 84, 10, 18)


def evaluating(browser, data, address):
    """A request against a file and against another version, two files, files that are tracked, and a plan."""
    request = data.requests["constant.mp4"]
    truth = ground_truth(data, request)
    browser.page.goto(f"{address}/request/{request}")
    browser.settled(0)
    compared(browser, data, request, truth)
    drawn(browser, data, request)
    refused(browser, data)
    one_class(browser, data, request, truth)
    with version(data, request, "delete 2") as other:
        versions_compared(browser, data, request, other, address)
    files_compared(browser, data, truth, address)
    files_tracked(browser, data, request)
    predicted(browser, data, address)


def ground_truth(data, request):
    """The request's own tracks, but two of them swapped from frame 30 on, one without some frames, and an object that nothing follows."""
    data.run("export", request, "--format", "mot", "--out", data.folder / "own.txt")
    rows = [line.split(",") for line in (data.folder / "own.txt").read_text().split()]
    first, second = sorted({int(row[1]) for row in rows})[:2]
    swapped = {first: second, second: first}
    kept = []
    for frame, track, *rest in rows:
        frame, track = int(frame), int(track)
        if track == first and 11 <= frame <= 15:
            continue
        kept.append([frame, swapped.get(track, track) if frame > 30 else track, *rest])
    kept += [[frame, ALONE, *PLACE, 1, -1, -1, -1] for frame in range(1, 21)]
    path = data.folder / "gt.txt"
    path.write_text("".join(",".join(map(str, row)) + "\n" for row in kept))
    return path


def evaluated(data, truth, tracks):
    return json.loads(data.run("eval", "--gt", truth, "--tracks", tracks, "--mistakes", "200", "--json"))


def shown(place):
    """The metrics of the page, by their names."""
    rows = place.locator(".compared > .scroll tbody tr")
    rows.first.wait_for()
    return {name: value.replace(",", "") for name, value, _ in (row.locator("td").all_inner_texts() for row in rows.all())}


def wanted(metrics):
    whole = ("IDSW", "Frag", "MT", "PT", "ML", "FP", "FN", "objects", "tracks")
    return {name: str(metrics[name]) for name in whole} | {name: f"{metrics[name]:.2f}" for name in ("HOTA", "DetA", "AssA", "IDF1", "MOTA", "MOTP")}


def tracks_of(data, request):
    return data.data / "results" / request / "tracks.parquet"


def panel(page):
    return page.locator("details.panel").filter(has_text="Compare with ground truth")


def compared(browser, data, request, truth):
    page = browser.page
    page.get_by_text("Compare with ground truth", exact=True).click()
    place = panel(page)
    assert place.get_by_role("button", name="Compare").is_disabled(), "there is no file yet"
    place.get_by_label("Ground truth", exact=True).set_input_files(truth)
    place.get_by_role("button", name="Compare").click()
    metrics = evaluated(data, truth, tracks_of(data, request))
    assert shown(place) == wanted(metrics)
    assert (metrics["IDSW"], metrics["FN"], metrics["FP"]) == (2, 20, 5), metrics
    cells = lambda title: [row.locator("td").all_inner_texts() for row in place.get_by_role("group", name=title).locator("tbody tr").all()]
    frame = lambda number: f"frame {number - 1}"
    mistakes = metrics["mistakes"]
    assert cells("Switches") == [
        [str(one["object"]), f"#{one['old_track']}", frame(one["last_frame"]), f"#{one['new_track']}", frame(one["frame"])] for one in mistakes["switches"]
    ]
    for title, name, sign in [("Missed objects", "missed", ""), ("False alarms", "false_alarms", "#")]:
        assert cells(title) == [
            [f"{sign}{one['id']}", frame(one["first_frame"]), frame(one["last_frame"]), str(one["rows"])] for one in mistakes[name]
        ], title
    place.screenshot(path=data.folder / "compare.png")
    accessible(page, "a comparison with ground truth")
    switch = mistakes["switches"][0]
    place.get_by_role("group", name="Switches").get_by_role("button").nth(1).click()
    browser.settled(switch["frame"] - 1)
    assert f"#{switch['new_track']}" in page.locator(".chosen").inner_text()


def drawn(browser, data, request):
    """The object that nothing follows is drawn where the file has it, in its frames only."""
    page = browser.page
    video = json.loads(data.run("show", "--json", request))["source"]["video"]
    x, y, width, height = PLACE
    edge = [[x / video["width_px"], (y + height * part / 20) / video["height_px"]] for part in range(3, 17)]
    colours = lambda: [page.evaluate(PIXEL, place) for place in edge]

    def is_drawn():
        """Black and white where the dashes are, and grey, the colour of the ground, without them. Between two dashes it is neither."""
        extreme = sum(max(colour) < 40 or min(colour) > 215 for colour in colours())
        return True if extreme > len(edge) / 2 else False if extreme == 0 else None

    place = panel(page)
    place.get_by_role("group", name="Missed objects").get_by_role("button").first.click()
    browser.settled(0)
    assert page.locator(".chosen").count() == 0, "no track is of this object"
    becomes(page, is_drawn, True, "the edge of the object")
    page.locator(".stage").screenshot(path=data.folder / "ground-truth.png")
    place.get_by_label("Draw the ground truth").uncheck()
    becomes(page, is_drawn, False, "without the ground truth")
    place.get_by_label("Draw the ground truth").check()
    becomes(page, is_drawn, True, "the edge of the object again")
    page.locator(".stage").focus()
    page.get_by_label("Go to").fill("25")
    page.get_by_label("Go to").press("Enter")
    browser.settled(25)
    becomes(page, is_drawn, False, "the object is gone by then")


def refused(browser, data):
    """A wrong file is refused with its name, its line and the value."""
    page = browser.page
    wrong = data.folder / "<b>wrong.txt"
    wrong.write_text("1,7,0,0,-10,20,1\n")
    place = panel(page)
    place.get_by_label("Ground truth", exact=True).set_input_files(wrong)
    place.get_by_role("button", name="Compare").click()
    place.get_by_role("alert").get_by_text("<b>wrong.txt, line 1: w is -10").wait_for()
    assert len(browser.complaints) == 1 and "422" in browser.complaints[0], browser.complaints
    browser.complaints.clear()


def one_class(browser, data, request, truth):
    """The tracks of one class, as the command compares them."""
    page = browser.page
    place = panel(page)
    place.get_by_label("Ground truth", exact=True).set_input_files(truth)
    place.get_by_label("Tracks of").select_option("green")
    place.get_by_role("button", name="Compare").click()
    metrics = json.loads(data.run("eval", "--gt", truth, "--tracks", tracks_of(data, request), "--classes", "Green", "--json"))
    becomes(page, lambda: shown(place), wanted(metrics), "the metrics of one class")
    assert metrics["tracks"] == 1


def versions_compared(browser, data, request, other, address):
    page = browser.page
    page.goto(f"{address}/request/{other}")
    browser.settled(0)
    page.get_by_text("Compare with ground truth", exact=True).click()
    place = panel(page)
    place.get_by_label("Compare with").select_option(request)
    place.get_by_role("button", name="Compare").click()
    metrics = evaluated(data, tracks_of(data, request), tracks_of(data, other))
    assert shown(place) == wanted(metrics)
    assert metrics["FN"] > 0 == metrics["FP"], "a track was deleted"


def files_compared(browser, data, truth, address):
    page = browser.page
    page.goto(address)
    page.get_by_role("link", name="Files").click()
    place = page.get_by_role("region", name="Compare tracks")
    place.get_by_label("Ground truth").set_input_files(truth)
    place.get_by_label("Tracks", exact=True).set_input_files(data.folder / "own.txt")
    place.get_by_role("button", name="Compare").click()
    metrics = evaluated(data, truth, data.folder / "own.txt")
    assert shown(place) == wanted(metrics)
    [alarm] = metrics["mistakes"]["false_alarms"]
    line = place.get_by_role("group", name="False alarms").locator("tbody td").all_inner_texts()
    assert line == [f"#{alarm['id']}", str(alarm["first_frame"]), str(alarm["last_frame"]), str(alarm["rows"])], line


def files_tracked(browser, data, request):
    """Detections are tracked and tracks refined as the command does, to the byte."""
    page = browser.page
    rows = data.ask(f"SELECT frame_index + 1 AS frame, x1, y1, x2, y2, score FROM tracks WHERE request_id = '{request}' AND observed ORDER BY ALL")
    detections = data.folder / "det.csv"
    names = ("frame", "x1", "y1", "x2", "y2", "score")
    detections.write_text("\n".join([",".join(names), *(",".join(str(row[name]) for name in names) for row in rows if row["frame"] % 7)]) + "\n")
    place = page.get_by_role("region", name="Track detections")
    place.get_by_label("Detections", exact=True).set_input_files(detections)
    place.get_by_label("Frames per second").fill("25")
    place.get_by_label("Tracked from").fill("0.3")
    out = data.folder / "tracks.csv"
    saved(page, place, "Track", out, lambda: data.run("retrack", "--detections", detections, "--frame-rate", "25", "--track-thresh", "0.3", "--out", out))
    page.screenshot(path=data.folder / "files.png", full_page=True)
    accessible(page, "files of other programs")
    tracks = data.folder / "plain.csv"
    tracks.write_bytes(out.read_bytes())
    place.get_by_label("Tracks to refine").set_input_files(tracks)
    place.get_by_label("Tracked from").fill("")
    place.get_by_label("All that is best").check()
    place.get_by_label("Result as").select_option("txt")
    out = data.folder / "refined" / "tracks.txt"
    out.parent.mkdir(exist_ok=True)
    command = ["retrack", "--tracks", tracks, "--detections", detections, "--frame-rate", "25", "--refine", "--out", out]
    saved(page, place, "Refine", out, lambda: data.run(*command))
    place.get_by_label("Smooth").fill("nonsense")
    place.get_by_role("button", name="Refine", exact=True).click()
    place.get_by_role("alert").get_by_text("neither rts nor a number of frames").wait_for()
    assert len(browser.complaints) == 1 and "422" in browser.complaints[0], browser.complaints
    browser.complaints.clear()


def saved(page, place, button, out, command):
    place.get_by_role("button", name=button, exact=True).click()
    with page.expect_download() as download:
        place.get_by_role("button", name=f"Save {out.name}").click()
    assert download.value.suggested_filename == out.name
    command()
    assert pathlib.Path(download.value.path()).read_bytes() == out.read_bytes() != b"", out


def predicted(browser, data, address):
    """A plan has the numbers of the command; what it refuses is refused in its words."""
    page = browser.page
    page.goto(address)
    page.get_by_text("Predict time and cost before a video is processed").click()
    place = page.locator("details.panel").filter(has_text="Predict time and cost")
    video = data.clips / "constant.mp4"
    place.get_by_label("The video's path").fill(str(video) + "x")
    place.get_by_label("Frames per second of one GPU").fill("300")
    place.get_by_label("GPU instances").fill("4")
    place.get_by_role("button", name="Predict").click()
    place.get_by_role("alert").get_by_text("constant.mp4x").wait_for()
    assert len(browser.complaints) == 1 and "422" in browser.complaints[0], browser.complaints
    browser.complaints.clear()
    place.get_by_label("The video's path").fill(str(video))
    place.get_by_label("Detect every").fill("2")
    place.get_by_role("button", name="Predict").click()
    place.locator("dl").wait_for()
    plan = json.loads(data.run("plan", video, "--fps-per-gpu", "300", "--max-instances", "4", "--detect-every", "2", "--json"))
    said = place.locator("dl").inner_text()
    for text in [f"{plan['frames']} in 1 segment;", f"looks at {plan['looks']}, every 2 frames", plan["cost"]["formula"]]:
        assert text in said, (text, said)
    place.screenshot(path=data.folder / "plan.png")
    accessible(page, "a prediction")
