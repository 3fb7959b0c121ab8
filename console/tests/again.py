"""A request is exported and tracked again on its page, as the command does both. A part of browser.py."""

import json
import pathlib

import clips
from dropping import MODEL, accessible

#: Seconds for which the red thing is gone: its track is in two pieces, which are linked.
GONE = "between(t,1,1.4)"


def again(browser, data, address):
    """Files of other tools, then a version by a form, with the links that it made: each compared with the command."""
    page = browser.page
    video = data.folder / "gap.mp4"
    clips.ffmpeg("-filter_complex", clips.scene().replace("[one]", f":enable='not({GONE})'[one]", 1), *clips.X264, video)
    [made] = map(json.loads, data.run("run", "--model", MODEL, "--crops", "--boxes", "none", "--json", "--", video).splitlines())
    request = made["request_id"]
    page.goto(f"{address}/request/{request}")
    browser.settled(0)
    exported(page, data, request)
    version = tracked(browser, data, request)
    weakest(browser, data, version)
    data.run("delete", version)
    data.run("delete", request, "--upload")


def exported(page, data, request):
    """The menu gives the bytes of `trackdrop export`."""
    menu = page.locator(".menu")
    menu.locator("summary").click()
    assert menu.locator("a").count() == 9, menu.inner_text()
    page.screenshot(path=data.folder / "export.png")
    accessible(page, "formats to export")
    menu.locator("summary").press("Escape")
    assert menu.get_attribute("open") is None, "Escape closes it"
    for title, format, name in [("CSV", "csv", "tracks.csv"), ("COCO JSON", "coco", "coco.json"), ("CVAT MOT 1.1", "cvat-mot", "cvat-mot.zip")]:
        menu.locator("summary").click()
        with page.expect_download() as saved:
            menu.get_by_role("link", name=title, exact=True).click()
        out = data.folder / "exported"
        data.run("export", request, "--format", format, "--out", out)
        assert saved.value.suggested_filename == name, saved.value.suggested_filename
        assert pathlib.Path(saved.value.path()).read_bytes() == out.read_bytes() != b"", format
        assert menu.get_attribute("open") is None, "a chosen line closes it"


def tracked(browser, data, request):
    """What the command refuses is refused in its words; what is made is the version that the command makes. Its id."""
    page = browser.page
    page.get_by_role("button", name="Track again…").click()
    form = page.get_by_role("dialog")
    form.get_by_text("Nothing differs yet").wait_for()
    assert form.get_by_label("Match up to a cost of").get_attribute("placeholder") == "0.9"
    form.get_by_label("Smooth").fill("nonsense")
    form.get_by_role("button", name="Make a version").click()
    form.locator(".problem").get_by_text("neither rts nor a number of frames").wait_for()
    assert len(browser.complaints) == 1 and "422" in browser.complaints[0], browser.complaints
    browser.complaints.clear()
    form.get_by_label("Smooth").fill("1.5")
    form.get_by_label("All that is best").check()
    form.get_by_label("Tracked from").fill("0.3")
    form.get_by_label("Annotated video").uncheck()
    assert not form.get_by_label("Best pictures").is_checked(), "they are made with the video"
    wanted = {
        "Tracked from: model's, or 0.6, now 0.3", "All that is best: no, now yes", "Smooth: off, now 1.5",
        "Annotated video: yes, now no", "Best pictures: yes, now no",
    }
    assert set(form.locator(".differs li").all_inner_texts()) == wanted, form.locator(".differs").inner_text()
    page.screenshot(path=data.folder / "again.png")
    accessible(page, "a form of settings")
    form.get_by_role("button", name="Make a version").click()
    page.wait_for_function("(request) => !location.pathname.endsWith(request)", arg=request)
    version = page.url.split("/request/")[1].split("?")[0]
    page.locator(".bar .state-done").wait_for()
    browser.settled(0)
    page.get_by_role("link", name=request).wait_for()
    [same] = map(json.loads, data.run("retrack", request, "--track-thresh", "0.3", "--refine", "--smooth", "1.5", "--no-video", "--json").splitlines())
    assert same["request_id"] == version, (same, version)
    return version


def weakest(browser, data, version):
    """The links of the version are those of the command, and each leads to its frame."""
    page = browser.page
    links = [json.loads(line) for line in data.run("links", version, "--json").splitlines()]
    page.get_by_text("Weakest identities", exact=True).click()
    page.locator(".links tbody tr").first.wait_for()
    lines = [row.locator("td").all_inner_texts() for row in page.locator(".links tbody tr").all()]
    wanted = [
        [f"{link['identity_margin']:.2f}", f"#{link['track_id']}", f"frame {link['last_frame_index']}", f"frame {link['first_frame_index']}",
         f"{link['first_time_s'] - link['last_time_s']:.2f} s"]
        for link in links
    ]
    assert lines == wanted != [], (lines, wanted)
    page.locator(".links").screenshot(path=data.folder / "links.png")
    accessible(page, "weak identities")
    page.locator(".links tbody tr").first.get_by_role("button").nth(1).click()
    browser.settled(links[0]["first_frame_index"])
    assert f"#{links[0]['track_id']}" in page.locator(".chosen").inner_text()
