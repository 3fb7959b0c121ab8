#!/usr/bin/env python3
"""The console in a real browser: the frame in the picture is the frame of the boxes, and the page is safe, quiet and readable.

    browser.py TRACKDROP FOLDER [PART]...     the command, where clips, data and screenshots go, and which parts to run [default: all]

The frame is read from the pixels of the canvas: its number from the blocks that are burned into the clip, and the boxes' frame from where their edges are
drawn, by the rows that `trackdrop query` gives. The page's own belief is only compared with these. scripts/checks/console calls this.
"""

import contextlib
import csv
import hashlib
import http.client
import io
import json
import os
import pathlib
import random
import shutil
import subprocess
import sys
import time
import traceback
import urllib.parse

from playwright.sync_api import sync_playwright

import asks
import clips
from again import again
from canvas import HANGS_S, READ, becomes, colour
from demo_clip import demo_clip
from dropping import accessible, drop
from evaluating import evaluating
from large_upload import large_upload
from looks import looks
from many import many
from markup import names_are_data
from shapes import by_keys, files, shared
import mending
import scenes
import using

HERE = pathlib.Path(__file__).resolve().parent
MODEL = clips.ROOT / "cli/tests/fixtures/moments.onnx"
CHROMIUM = [
    "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking", "--disable-component-update", "--disable-sync",
    "--autoplay-policy=no-user-gesture-required",
]
SEEKS, STEPS = 8, 5
LEAST_WHILE_PLAYING = 0.99
#: Milliseconds that no step takes, on a busy machine either: 20,000 were too few on one that built and tested beside.
HANGS_MS = 1000 * HANGS_S

SAMPLE = """(tracks) => new Promise((done, hangs) => {
  const read = (READ);
  const video = document.querySelector("video");
  setTimeout(() => hangs(new Error(`playing hangs: ${JSON.stringify({
    at: video.currentTime, is: [video.paused, video.ended, video.seeking, video.readyState], saw: seen.length, button: button.ariaLabel,
  })}`)), HANGS_MS);
  const seen = [];
  const button = document.querySelector("button.main");
  const look = () => {
    const one = read(tracks);
    if (one.believed >= 0 && seen.at(-1)?.believed !== one.believed) seen.push(one);
    button.ariaLabel === "Play" && seen.length > 1 ? done(seen) : requestAnimationFrame(look);
  };
  button.click();
  requestAnimationFrame(look);
})""".replace("READ", READ).replace("HANGS_MS", str(HANGS_MS))


def say(*words):
    print("console:", *words, flush=True)


class Data:
    """A data directory with a request for each clip."""

    def __init__(self, command, folder):
        self.command, self.folder, self.data = command, folder, folder / "data"
        made_by = [HERE / "clips.py", MODEL, clips.ROOT / "scripts/mp4-edit", pathlib.Path(command)]
        version = hashlib.sha256(b"".join(path.read_bytes() for path in made_by)).hexdigest()
        mark = folder / "made-by"
        self.clips = folder / "clips"
        if not mark.is_file() or mark.read_text() != version:
            shutil.rmtree(folder, ignore_errors=True)
            self.clips.mkdir(parents=True)
            videos = clips.make(self.clips)
            self.run("run", "--model", MODEL, "--segment-seconds", "1", "--crops", "--boxes", "none", "--", *videos)
            mark.write_text(version)
        self.clean()
        self.requests = {one["video"]: one["request_id"] for one in map(json.loads, self.run("requests", "--json").splitlines())}

    def clean(self):
        """Removes the versions and scenes that a part leaves which fails."""
        for row in self.ask("SELECT request_id FROM requests WHERE retrack_of IS NOT NULL"):
            self.run("delete", row["request_id"])
        for row in self.ask("SELECT DISTINCT scene FROM scenes"):
            self.run("scene", "remove", row["scene"])

    def run(self, *arguments):
        command = [self.command, "--data", self.data, *arguments]
        ended = subprocess.run(list(map(str, command)), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        if ended.returncode:
            sys.exit(f"console: error: {' '.join(map(str, command))}: {ended.stderr}")
        return ended.stdout

    def ask(self, sql):
        """The rows of `trackdrop query`."""
        return [json.loads(line) for line in self.run("query", "--format", "json", sql).splitlines()]

    def rows(self, video):
        """x1 as a share of the picture's width, by track and frame."""
        sql = f"""SELECT track_id, frame_index, x1 / width_px AS x1 FROM tracks JOIN requests USING (request_id)
                  WHERE request_id = '{self.requests[video]}' ORDER BY ALL"""
        found = {}
        for row in map(json.loads, self.run("query", "--format", "json", sql).splitlines()):
            found.setdefault(row["track_id"], {})[row["frame_index"]] = row["x1"]
        return found


@contextlib.contextmanager
def served(data):
    """The console as a process; its address."""
    process = subprocess.Popen([data.command, "--data", str(data.data), "console", "--port", "0", "--no-open"], stdout=subprocess.PIPE, text=True)
    try:
        yield process.stdout.readline().strip()
    finally:
        process.terminate()
        process.wait(timeout=20)


class Browser:
    """A page that keeps all that it complains of, and what it was refused, which says more. What it waits for is a function: the page's policy lets nothing evaluate a text again and again."""

    def __init__(self, playwright, folder):
        self.complaints, self.refused = [], []
        self.context = playwright.chromium.launch_persistent_context(
            str(folder / "profile"), executable_path=os.environ.get("CHROMIUM", "/usr/bin/chromium"), args=CHROMIUM, viewport={"width": 1280, "height": 900}
        )
        self.context.set_default_timeout(HANGS_MS)
        self.context.add_init_script(
            "addEventListener('securitypolicyviolation', (e) => console.error('CSP', e.violatedDirective, e.blockedURI, e.sourceFile, e.lineNumber))"
        )
        self.page = self.opened()

    def opened(self):
        """Another page, which complains to the same list."""
        page = self.context.new_page()
        page.on("console", lambda message: message.type in ("error", "warning") and "willReadFrequently" not in message.text and self.complaints.append(message.text))
        page.on("response", lambda response: response.status >= 400 and self.refused.append(f"{response.url} of {response.request.post_data}"))
        page.on("pageerror", lambda error: self.complaints.append(str(error)))
        page.on("dialog", lambda dialog: (self.complaints.append(f"dialog {dialog.message}"), dialog.dismiss()))
        return page

    def settled(self, frame):
        self.page.wait_for_selector(f'canvas[data-settled="{frame}"]')

    def read(self, tracks):
        return self.page.evaluate(READ, {str(track): colour(track) for track in tracks})


def boxes_frame(rows, edges):
    """The frame at which the boxes are, and how far they are off, in frames: by the track in the middle, since things cover each other's edges."""
    measured = {}
    for track, by_frame in rows.items():
        frames = sorted(by_frame)
        step = abs(by_frame[frames[-1]] - by_frame[frames[0]]) / max(1, frames[-1] - frames[0])
        if edges.get(str(track)) is not None and step > 0:
            measured[track] = step

    def off(frame):
        offs = sorted(abs(rows[track][frame] - edges[str(track)]) / step for track, step in measured.items() if frame in rows[track])
        return offs[len(offs) // 2] if len(offs) > 1 else float("inf")

    best = min({frame for by_frame in rows.values() for frame in by_frame}, key=off)
    return (best, off(best)) if off(best) < float("inf") else (None, None)


def exactness(browser, data, address):
    """Seeks, steps and playing on every clip: what is on the canvas is one frame."""
    chance = random.Random(23)
    failures, table = [], []
    for path in sorted(data.clips.iterdir()):
        video = path.name
        if video not in data.requests or video.startswith("<") or os.environ.get("CLIP", "") not in video:
            continue
        rows = data.rows(video)
        truth = clips.numbers(path, 1 if video.startswith("two") else 0)
        manifest = json.loads(data.run("show", "--json", data.requests[video]))
        for which in ("source", "annotated"):
            browser.page.goto(f"{address}/request/{data.requests[video]}?video={which}")
            browser.settled(0)
            for label in ("Ids", "Classes", "Trails"):
                browser.page.get_by_label(label, exact=True).uncheck()
            took = browser.page.locator("select.which").input_value()
            wrong, froms, started = [], {}, time.monotonic()

            def check(one, wanted, what):
                froms[one["from"]] = froms.get(one["from"], 0) + 1
                frame, off = boxes_frame(rows, one["edges"])
                number = truth[wanted] if wanted is not None else None
                picture = truth.index(one["number"]) if one["number"] in truth else None
                is_right = frame == picture and off is not None and off < 0.5 and (wanted is None or one["number"] == number)
                if not is_right:
                    wrong.append(f"{what}: picture {one['number']} (frame {picture}), boxes of {frame} (off {off}), wanted {wanted} ({number}), from {one['from']}")
                return is_right

            if len(truth) != manifest["source"]["video"]["frame_count"]:
                failures.append(f"{video}: ffmpeg shows {len(truth)} frames, the manifest has {manifest['source']['video']['frame_count']}")
                continue
            last = len(truth) - 1
            wanted = [last, 0, *(chance.randrange(len(truth)) for _ in range(SEEKS))]
            for frame in wanted:
                browser.page.evaluate("(n) => { const i = document.querySelector('.scrub'); i.value = n; i.dispatchEvent(new Event('input', {bubbles: true})) }", frame)
                browser.settled(frame)
                check(browser.read(rows), frame, f"seek {frame}")
            browser.page.locator(".stage").focus()
            at = wanted[-1]
            for key, by in [("ArrowRight", 1)] * STEPS + [("ArrowLeft", -1)] * STEPS:
                browser.page.keyboard.press(key)
                at = max(0, min(last, at + by))
                browser.settled(at)
                check(browser.read(rows), at, f"step {at}")
            exact, seeks = len(wanted) + 2 * STEPS - len(wrong), len(wanted) + 2 * STEPS
            browser.page.keyboard.press("Home")
            browser.settled(0)
            failures += [f"{video} ({which}): {one}" for one in wrong]
            wrong = []
            seen = browser.page.evaluate(SAMPLE, {str(track): colour(track) for track in rows})
            right = sum(check(one, None, "playing") for one in seen)
            if right < LEAST_WHILE_PLAYING * len(seen):
                failures += [f"{video} ({which}): {one}" for one in wrong]
            table.append((video, which, took, f"{exact}/{seeks}", f"{right}/{len(seen)}", froms.get("still", 0), time.monotonic() - started))
            say(*table[-1][:-1], f"{table[-1][-1]:.1f} s")
    assert not failures, "\n".join(failures)


def safety(browser, data, address):
    """Nobody comes in without the token, from another page, or by another name."""
    host = urllib.parse.urlsplit(address).netloc
    any_request = next(iter(data.requests.values()))

    def status(path, headers, method="GET"):
        connection = http.client.HTTPConnection(host)
        connection.request(method, path, headers={"Host": host} | headers)
        answer = connection.getresponse()
        answer.read()
        return answer.status

    cookies = {cookie["name"]: cookie for cookie in browser.context.cookies()}
    [(name, cookie)] = [(name, cookie) for name, cookie in cookies.items() if name.startswith("trackdrop_console_")]
    assert cookie["httpOnly"] and cookie["sameSite"] == "Strict", cookie
    ours = {"Cookie": f"{name}={cookie['value']}"}
    for path in ["/", "/api/requests", f"/api/requests/{any_request}", f"/api/requests/{any_request}/video/source", f"/api/requests/{any_request}/stills/0.jpg"]:
        assert status(path, ours) == 200, path
        assert status(path, {}) == 401, path
        assert status(path, ours | {"Host": "evil.example"}) == 403, path
        assert status(path, ours | {"Origin": "http://evil.example"}) == 403, path
        assert status(path, ours, "POST") in (403, 405), path
    own = ours | {"Origin": f"http://{host}"}
    for headers, wanted in [(own, 400), (ours, 403), ({"Origin": own["Origin"]}, 401), (own | {"Origin": "http://evil.example"}, 403), (own | {"Host": "evil.example"}, 403)]:
        assert status("/api/ask", headers, "POST") == wanted, (headers, wanted)
    assert "token" not in browser.page.url, browser.page.url


def use(browser, data, address):
    """What people do: search, choose a track, go to a time, share the address."""
    page = browser.page
    page.goto(address)
    page.get_by_label("Search").fill("constant")
    page.wait_for_function("() => document.querySelectorAll('tbody tr').length === 1")
    summary = json.loads((data.data / "results" / data.requests["constant.mp4"] / "summary.json").read_text())
    cells = dict(zip(page.locator("thead th").all_inner_texts(), page.locator("tbody td").all_inner_texts()))
    assert cells["Picture"] == f"{clips.WIDTH} × {clips.HEIGHT}" and int(cells["Objects"]) == 3, cells
    assert abs(float(cells["Cost"].removeprefix("$")) / summary["cost"]["usd"] - 1) < 0.06, (cells, summary["cost"])
    page.get_by_role("link", name="constant.mp4").click()
    browser.settled(0)
    assert summary["cost"]["formula"] in page.locator(".card").get_by_text("on Google Cloud").inner_text()
    go_to = page.get_by_label("Go to")
    go_to.fill("0:01.0")
    go_to.press("Enter")
    browser.settled(25)
    go_to.fill("#2")
    go_to.press("Enter")
    page.wait_for_selector('.lane[aria-pressed="true"]')
    assert "#2" in page.locator(".chosen").inner_text()
    page.keyboard.press("p")
    last = int(data.run("query", "--format", "csv", f"SELECT MAX(frame_index) FROM tracks WHERE track_id = 2 AND request_id = '{data.requests['constant.mp4']}'").split()[1])
    browser.settled(last)
    page.wait_for_function("() => location.search.includes('track=2')")
    shared = page.url
    page.goto(address)
    page.goto(shared)
    browser.settled(last)
    assert "#2" in page.locator(".chosen").inner_text()
    zoomed(page, int(data.run("query", "--format", "csv", f"SELECT frames FROM requests WHERE request_id = '{data.requests['constant.mp4']}'").split()[1]))
    page.get_by_label("At least").fill("0.5")
    page.get_by_label("In this frame only").check()
    page.wait_for_function("() => location.search.includes('least=0.5') && location.search.includes('here=1')")
    listed = page.locator(".trackbar h2").inner_text()
    shown = int(page.locator("canvas").get_attribute("data-frame"))
    page.goto(page.url)
    browser.settled(shown)
    page.locator(".trackbar h2").get_by_text(listed.split(" ", 1)[1].strip()).wait_for()
    assert page.get_by_label("At least").input_value() == "0.5" and page.get_by_label("In this frame only").is_checked()
    page.get_by_label("At least").fill("0")
    page.get_by_label("In this frame only").uncheck()
    page.wait_for_function("() => !location.search.includes('least=') && !location.search.includes('here=')")
    go_to.fill("nonsense")
    go_to.press("Enter")
    assert "neither a frame" in page.locator(".notes").inner_text()
    page.get_by_text("Best pictures").click()
    page.wait_for_function("() => [...document.querySelectorAll('.gallery img')].length > 1 && [...document.querySelectorAll('.gallery img')].every((i) => i.complete && i.naturalWidth > 0)")
    using.sorts(page, data, address)
    using.plays_at_speed(browser, data, address)
    using.chosen_by_key(browser, data, address)
    using.filters(browser, data, address)
    using.facts(browser, data, address)
    using.damaged(browser, data, address)


def calibrated(page, at, data):
    """Four corners of a ground of 19.2 by 10.8 m make ten pixels a metre; the form of the scene keeps them."""
    page.get_by_role("button", name="Calibrate").click()
    for x, y in ((10, 20), (180, 20), (180, 100), (10, 100)):
        page.mouse.click(*at(x, y))
    page.get_by_role("button", name="Done").click()
    page.get_by_text("Give each point its place.").wait_for()
    for point, place in enumerate(((1.0, 8.8), (18.0, 8.8), (18.0, 0.8), (1.0, 0.8)), 1):
        for axis, value in zip(("to the right", "away"), place):
            page.get_by_label(f"Point {point}, metres {axis}").fill(str(value))
    page.get_by_text("m/s at most").wait_for()
    assert "The points fit to 0.00 m." in page.locator(".calibration").inner_text()
    page.screenshot(path=data.folder / "calibration.png", full_page=True)
    accessible(page, "a calibration")


def lines(browser, data, address):
    """A line drawn by mouse counts what `trackdrop query` counts of the scene that it is saved as."""
    page = browser.page
    page.goto(f"{address}/request/{data.requests['constant.mp4']}")
    browser.settled(0)
    page.get_by_text("Lines and zones").click()

    def at(x, y):
        place = page.locator("canvas").bounding_box()
        return place["x"] + place["width"] * x / clips.WIDTH, place["y"] + place["height"] * y / clips.HEIGHT

    page.get_by_role("button", name="Draw a line").click()
    for point in (at(90, 18), at(90, 100)):
        page.mouse.click(*point)
    page.wait_for_selector(".counts strong")
    page.get_by_role("button", name="Draw a zone").click()
    for point in (at(40, 60), at(90, 60), at(90, 105), at(40, 105)):
        page.mouse.click(*point)
    page.get_by_role("button", name="Done").click()
    page.wait_for_function("() => document.querySelector('.counts').innerText.includes('visits')")
    shown = page.locator(".counts").inner_text()
    # Only those that were in the zone are listed.
    zone = page.locator(".trackbar label").filter(has_text="Zone").locator("select")
    zone.select_option("zone-1")
    inside = page.locator(".trackbar h2 .id").inner_text()
    page.screenshot(path=data.folder / "zone.png", full_page=True)
    zone.select_option("")
    calibrated(page, at, data)
    page.get_by_label("Scene", exact=True).fill("drawn")
    page.get_by_role("button", name="Save").click()
    page.get_by_text("Saved: ").wait_for()
    request = data.requests["constant.mp4"]
    of_scene = f"WHERE scene = 'drawn' AND request_id = '{request}' GROUP BY ALL"
    ask = lambda sql: [json.loads(line) for line in data.run("query", "--format", "json", sql).splitlines()]
    crossings = ask(f"SELECT direction, class_name, SUM(crossings)::BIGINT AS n FROM line_counts {of_scene}")
    visits = ask(f"SELECT class_name, COUNT(*) AS n FROM zone_visits {of_scene}")
    assert crossings and visits
    visitors = f"SELECT COUNT(DISTINCT track_id) AS n FROM zone_visits WHERE scene = 'drawn' AND request_id = '{request}'"
    assert inside.split()[0] == str(ask(visitors)[0]["n"]), inside
    units = ask(f"SELECT DISTINCT unit FROM track_speeds WHERE scene = 'drawn' AND request_id = '{request}'")
    assert units == [{"unit": "m/s"}], units
    for row in crossings:
        assert f"{row['direction']}: {row['n']} {row['class_name']}" in shown, (row, shown)
    for row in visits:
        assert f"{row['n']} visits of {row['class_name']}" in shown, (row, shown)
    page.screenshot(path=data.folder / "lines.png")
    scenes.drawn_and_dragged(browser, data, request, at)
    page.locator(".crossings button").first.click()
    page.wait_for_selector('.lane[aria-pressed="true"]')
    data.run("scene", "remove", "drawn")
    scenes.several_visits(browser, data, address, at)


def grid(page):
    """What is on the screen of the answer's rows, by column."""
    names = page.locator(".grid thead th").all_inner_texts()
    rows = page.locator(".grid tbody tr:not(.gap)").all()
    return [dict(zip(names, row.locator("td").all_inner_texts())) for row in rows]


def plotted(page, wanted, query):
    """An answer as a plot: bars of what was answered, and a line over a number for each kind; which columns is part of the address."""
    page.get_by_role("button", name="Plot").click()
    plot = page.locator("[data-plot=answer]")
    plot.get_by_label("Up").select_option(label="objects")
    plot.get_by_label("Across").select_option(label="class_name")
    by_class = {}
    for one in wanted:
        by_class[one["class_name"]] = by_class.get(one["class_name"], 0) + one["objects"]
    page.wait_for_function("(bars) => document.querySelectorAll('[data-plot=answer] rect').length === bars", arg=len(by_class))
    bars = {bar.locator("title").text_content().rsplit(": ", 1)[0]: float(bar.get_attribute("height")) for bar in plot.locator("rect").all()}
    most = max(by_class.values())
    assert bars.keys() == by_class.keys() and all(abs(bars[name] / max(bars.values()) - by_class[name] / most) < 0.01 for name in bars), (bars, by_class)
    assert "plot=1.2.-1" in page.url, page.url
    accessible(page, "an answer that is plotted")
    sql = "SELECT frame_index, class_name, COUNT(*) AS objects FROM tracks WHERE frame_index < 30 GROUP BY ALL ORDER BY ALL"
    page.get_by_label("One SELECT").fill(sql)
    page.get_by_label("One SELECT").press("Control+Enter")
    page.wait_for_function("() => document.querySelector('.grid th')?.innerText === 'frame_index'")
    plot.get_by_label("Across").select_option(label="frame_index")
    plot.get_by_label("A line each").select_option(label="class_name")
    rows = [json.loads(line) for line in query("json", sql).splitlines()]
    counts = sorted(sum(row["class_name"] == name for row in rows) for name in {row["class_name"] for row in rows})
    page.wait_for_function("(lines) => document.querySelectorAll('[data-plot=answer] .chart path').length === lines", arg=len(counts))
    assert sorted(1 + path.get_attribute("d").count("L") for path in plot.locator(".chart path").all()) == counts
    page.screenshot(path=pathlib.Path(os.environ["SHOTS"]) / "plotted.png", full_page=True)
    # Whoever is sent the address sees the same.
    page.reload()
    page.wait_for_function("(lines) => document.querySelectorAll('[data-plot=answer] .chart path').length === lines", arg=len(counts))
    page.get_by_role("button", name="Plot").click()
    plot.wait_for(state="detached")
    page.go_back()
    page.wait_for_function("() => document.querySelector('.grid th')?.innerText === 'video'")


def zoomed(page, frames):
    """The timeline shows fewer frames, of which the shown one is one; a click on a lane is a frame of these."""
    shown = lambda: [int(part.replace(",", "")) for part in page.locator(".span > span").inner_text().split() if part.replace(",", "").isdigit()]
    bar = lambda: page.evaluate("() => { const [bar, rail] = [document.querySelector('.lane[aria-pressed=true] .bar'), document.querySelector('.rail')]; return bar.getBoundingClientRect().width / rail.getBoundingClientRect().width }")
    assert shown() == [0, frames - 1]
    frame, wide = int(page.locator("canvas").get_attribute("data-frame")), bar()
    page.get_by_role("button", name="Closer").click()
    page.wait_for_function("() => document.querySelector('.span input[type=range]')")
    first, last = shown()
    assert last - first + 1 == (frames + 1) // 2 and first <= frame <= last, (first, last, frame)
    assert abs(bar() / wide - frames / (last - first + 1)) < 0.1, (bar(), wide)
    page.screenshot(path=pathlib.Path(os.environ["SHOTS"]) / "zoomed.png")
    page.locator('.lane[aria-pressed="true"]').scroll_into_view_if_needed()
    whole = page.locator('.lane[aria-pressed="true"] .rail').bounding_box()
    # In the middle of a frame's place: the browser's coordinates are whole pixels.
    wanted = (first + last) // 2
    page.mouse.click(whole["x"] + (wanted - first + 0.5) / (last - first + 1) * whole["width"], whole["y"] + whole["height"] / 2)
    page.wait_for_selector(f'canvas[data-settled="{wanted}"]')
    page.get_by_role("button", name="All frames").click()
    page.wait_for_function("() => !document.querySelector('.span input[type=range]')")
    assert shown() == [0, frames - 1]


def ask(browser, data, address):
    """SQL that is typed answers as `trackdrop query` does; a row shows its frame; what is refused says why."""
    page = browser.page
    query = lambda form, sql: data.run("query", "--format", form, sql)
    request = data.requests["constant.mp4"]

    def typed(sql):
        page.get_by_label("One SELECT").fill(sql)
        page.get_by_label("One SELECT").press("Control+Enter")

    page.goto(f"{address}/ask")
    page.get_by_role("heading", name="Ask", exact=True).wait_for()
    sql = "SELECT video, class_name, COUNT(*) AS objects, AVG(dwell_s) AS mean_s FROM track_summary GROUP BY ALL ORDER BY ALL"
    typed(sql)
    page.wait_for_selector(".grid tbody tr")
    shown, wanted = grid(page), [json.loads(line) for line in query("json", sql).splitlines()]
    assert len(shown) > 1 and page.get_by_text(f"{len(wanted)} rows,").count() == 1
    for row, one in zip(shown, wanted):
        assert (row["video"], row["class_name"], int(row["objects"])) == (one["video"], one["class_name"], one["objects"]), (row, one)
        assert abs(float(row["mean_s"]) - one["mean_s"]) < 1e-9, (row, one)
    assert page.locator("main img[src=x]").count() == 0, "a name became markup"
    plotted(page, wanted, query)
    # The colours lie exactly below the words: the same text, broken into lines at the same places.
    below = page.evaluate("""() => {
      const [box, pre] = [document.querySelector("#sql"), document.querySelector(".highlight")];
      const place = (one) => { const {x, y, width, height} = one.getBoundingClientRect(); return [x, y, width, height].map(Math.round).join(); };
      return [pre.textContent === box.value + " ", place(box) === place(pre), box.scrollHeight === pre.scrollHeight, pre.querySelectorAll(".sql-keyword").length];
    }""")
    assert below[:3] == [True, True, True] and below[3] >= 8, below
    with page.expect_download() as saved:
        page.get_by_role("button", name="Save as CSV").click()
    assert pathlib.Path(saved.value.path()).read_text() == query("csv", sql)
    # The statement is in the address, and back is the one before.
    typed("SELECT 1 AS one, '' AS empty, NULL AS nothing")
    page.wait_for_function("() => document.querySelector('.grid th')?.innerText === 'one'")
    assert "sql=SELECT+1" in page.url, page.url
    page.go_back()
    page.wait_for_function("() => document.querySelector('.grid th')?.innerText === 'video'")
    assert page.get_by_label("One SELECT").input_value() == sql
    # Many rows: those on the screen are in the document, and the last one is where scrolling ends.
    typed("SELECT range AS n FROM range(20000)")
    page.get_by_text("The first 10,000 rows").wait_for()
    assert 0 < len(grid(page)) < 100
    page.evaluate("() => { const grid = document.querySelector('.grid'); grid.scrollTop = grid.scrollHeight }")
    page.wait_for_function("() => [...document.querySelectorAll('.grid tbody tr:not(.gap)')].at(-1).innerText.trim() === '9999'")
    # What is refused; the browser itself writes a line for each answer that is no success, and the page none.
    browser.complaints.clear()
    for wrong, words in [
        ("SELECT tack_id FROM tracks", "LINE 1: SELECT tack_id FROM tracks"), ("DROP VIEW tracks", "only one SELECT"),
        ("SELECT * FROM read_text('/etc/hostname')", "Permission Error"), ("SELECT 1; SELECT 2", "only one SELECT"),
    ]:
        typed(wrong)
        page.locator("pre.problem").get_by_text(words).wait_for()
    assert len(browser.complaints) == 4 and all("status of 400" in one for one in browser.complaints), browser.complaints
    browser.complaints.clear()
    # One that has no end is stopped by the button, and the next one is answered.
    typed("SELECT COUNT(*) FROM range(1000000) AS a, range(1000000) AS b, range(1000000) AS c WHERE (a.range + b.range + c.range) % 7 = 3")
    page.get_by_role("button", name="Stop").click()
    page.get_by_text("Stopped.").wait_for()
    # A name of the list is written where the cursor is.
    page.get_by_label("One SELECT").fill("SELECT COUNT(*) AS n FROM ")
    page.get_by_label("One SELECT").press("End")
    page.locator(".tables summary").filter(has_text="objects_per_second").click()
    page.get_by_role("button", name="Insert objects_per_second").click()
    page.get_by_role("button", name="Run", exact=True).click()
    page.get_by_text("1 row,").wait_for()
    assert grid(page)[0]["n"] == query("csv", "SELECT COUNT(*) FROM objects_per_second").splitlines()[1]
    # Names are completed: columns of the table, by key, and nothing in a text.
    box = page.get_by_label("One SELECT")
    box.fill("SELECT COUNT(*) AS n FROM track_su")
    page.get_by_role("option", name="track_summary").wait_for()
    box.press("Tab")
    box.press_sequentially(" AS s WHERE s.dw")
    box.press("ArrowDown")
    assert box.get_attribute("aria-activedescendant") == page.get_by_role("option", name="dwell_s").get_attribute("id")
    page.screenshot(path=data.folder / "completion.png")
    box.press("Enter")
    box.press_sequentially(" > 0 AND s.class_name <> 'tra")
    assert box.input_value() == "SELECT COUNT(*) AS n FROM track_summary AS s WHERE s.dwell_s > 0 AND s.class_name <> 'tra"
    assert page.get_by_role("option").count() == 0, "nothing is completed in a text"
    box.press_sequentially("'")
    box.press("Control+Enter")
    page.get_by_text("1 row,").wait_for()
    assert grid(page)[0]["n"] == query("csv", "SELECT COUNT(*) FROM track_summary WHERE dwell_s > 0").splitlines()[1]
    # A row shows its frame: another view's, by a click, and this player's, by key.
    sql = f"SELECT request_id, frame_index, track_id FROM tracks WHERE request_id = '{request}' AND track_id = 2 ORDER BY frame_index DESC LIMIT 5"
    rows = [json.loads(line) for line in query("json", sql).splitlines()]
    typed(sql)
    page.wait_for_function("() => document.querySelectorAll('.grid tbody tr.goes').length === 5")
    page.locator(".grid tbody tr").nth(1).locator("td").nth(2).click()
    browser.settled(rows[1]["frame_index"])
    assert "#2" in page.locator(".chosen").inner_text()
    page.get_by_text("Ask in SQL").click()
    typed(sql)
    page.wait_for_function("() => document.querySelectorAll('.grid tbody tr.goes').length === 5")
    page.screenshot(path=data.folder / "panel.png", full_page=True)
    page.get_by_role("link", name=f"Show frame {rows[4]['frame_index']} with track 2").press("Enter")
    browser.settled(rows[4]["frame_index"])
    shared = page.url
    page.goto(address)
    page.goto(shared)
    browser.settled(rows[4]["frame_index"])
    page.wait_for_function("() => document.querySelectorAll('.grid tbody tr.goes').length === 5")
    asks.examples(browser, data, address)


def saved_csv(page, figure):
    """What the button of a plot saves."""
    with page.expect_download() as saved:
        figure.get_by_role("button", name="CSV").click()
    return pathlib.Path(saved.value.path()).read_text()


def heat_and_flows(page, data, request, number):
    """The heatmap has the seconds of the view `heatmap`, and the matrix has the numbers of `flows`; each is saved as what its statement gives."""
    figure = page.locator(".plot[data-plot=heatmap]")
    figure.locator(".heat .cell").first.wait_for()
    figure.locator("summary").click()
    own = [line.split(",") for line in data.run("query", "--format", "csv", figure.locator("pre").inner_text()).splitlines()[1:]]
    view = data.run("query", "--format", "csv", f"SELECT class_name, cell_x, cell_y, seconds FROM heatmap WHERE request_id = '{request}' AND scene = 'plotted' ORDER BY ALL")
    other = [line.split(",") for line in view.splitlines()[1:]]
    assert [one[:3] for one in own] == [one[:3] for one in other] and len(own) > 10
    assert all(abs(float(one[3]) - float(two[3])) < 1e-6 for one, two in zip(own, other))
    cells = {(one[1], one[2]) for one in own}
    assert figure.locator(".heat .cell").count() == len(cells)
    page.wait_for_function("async () => { const image = new Image(); image.src = document.querySelector('.heat image').href.baseVal; await image.decode(); return image.naturalWidth > 0 }")
    matrix = page.locator(".plot[data-plot=flows]")
    columns = matrix.locator("thead th").all_inner_texts()[1:]
    for count in ("identities", "moves"):
        matrix.get_by_label("Count").select_option(count)
        shown = {}
        for row in matrix.locator("tbody tr").all():
            shown |= {(row.locator("th").inner_text(), to): int(cell or 0) for to, cell in zip(columns[:-1], row.locator("td").all_inner_texts())}
        sql = f"SELECT origin, destination, SUM({count})::BIGINT FROM flows WHERE request_id = '{request}' AND scene = 'plotted' GROUP BY ALL"
        wanted = {tuple(line.split(",")[:2]): int(line.split(",")[2]) for line in data.run("query", "--format", "csv", sql).splitlines()[1:]}
        assert {key: value for key, value in shown.items() if value} == {key: value for key, value in wanted.items() if value} != {}, (count, shown, wanted)
    saved = lambda of: csv.reader(io.StringIO(saved_csv(page, of)))
    matrix.locator("summary").click()
    assert saved_csv(page, matrix) == data.run("query", "--format", "csv", matrix.locator("pre").inner_text())
    # Sums of seconds have as many last digits as there are orders to add in.
    names, *rows = saved(figure)
    assert names == ["class_name", "cell_x", "cell_y", "seconds"] and [one[:3] for one in rows] == [one[:3] for one in own]
    assert all(abs(float(one[3]) - float(two[3])) < 1e-6 for one, two in zip(rows, own))


def track(browser, data, address):
    """The page of a track says what `trackdrop query` says of it."""
    page = browser.page
    request = data.requests["constant.mp4"]
    page.goto(f"{address}/request/{request}?track=2")
    browser.settled(0)
    page.get_by_role("link", name="Its page").click()
    page.locator("[data-part=path] .path").wait_for()
    page.locator("[data-part=speed] .chart").wait_for()
    of = f"WHERE request_id = '{request}' AND track_id = 2"
    [row] = [json.loads(line) for line in data.run("query", "--format", "json", f"SELECT dwell_s, first_frame FROM track_summary {of}").splitlines()]
    assert f"{row['dwell_s']:.2f} s" in page.locator(".card dl").first.inner_text()
    points = page.locator("[data-part=path] .path").get_attribute("points").split()
    path = [json.loads(line) for line in data.run("query", "--format", "json", f"SELECT (x1 + x2) / 2 AS x, y2 AS y FROM tracks {of} ORDER BY frame_index").splitlines()]
    drawn = [tuple(map(float, point.split(","))) for point in points]
    assert len(drawn) == len(path) and all(abs(x - one["x"]) < 1e-3 and abs(y - one["y"]) < 1e-3 for (x, y), one in zip(drawn, path))
    page.get_by_text("It crossed no line").wait_for()
    page.screenshot(path=data.folder / "track.png", full_page=True)
    shared = page.url
    page.goto(address)
    page.goto(shared)
    page.get_by_role("link", name="Show in the player").click()
    browser.settled(row["first_frame"])
    assert "#2" in page.locator(".chosen").inner_text()
    scenes.on_its_page(browser, data, address)


def mend(browser, data, address):
    """Two tracks are merged, one is split and one is taken out: the version has the rows, and undoing gives the first request back."""
    page = browser.page
    request = data.requests["constant.mp4"]
    page.goto(f"{address}/request/{request}?frame=30&track=1")
    browser.settled(30)
    page.locator(".mend summary").click()
    page.get_by_role("button", name="Split at frame 30").click()
    page.locator(".mend li").get_by_text("#1 is another object from frame 30 on").wait_for()
    # What can't be is refused, and nothing is made.
    page.get_by_label("is also #").fill("2")
    page.get_by_role("button", name="Merge").click()
    page.get_by_role("button", name="Make a version").click()
    page.locator(".mend .problem").get_by_text("both tracks are in frame 0").wait_for()
    assert len(browser.complaints) == 1 and "422" in browser.complaints[0], browser.complaints
    browser.complaints.clear()
    page.get_by_role("button", name="Take the last back").click()
    page.locator(".lane").nth(1).locator(".name").click()
    browser.settled(0)
    page.get_by_role("button", name="It is no object").click()
    page.screenshot(path=data.folder / "mend.png", full_page=True)
    accessible(page, "edits that are planned")
    page.get_by_role("button", name="Make a version").click()
    page.wait_for_function("(request) => !location.pathname.endsWith(request)", arg=request)
    version = page.url.split("/request/")[1].split("?")[0]
    page.locator(".bar .state-done").wait_for(timeout=60_000)
    page.locator(".lane").nth(2).wait_for()
    count = lambda of: [json.loads(line) for line in data.run("query", "--format", "json", f"SELECT track_id, COUNT(*) AS n, MIN(frame_index) AS first FROM tracks WHERE request_id = '{of}' GROUP BY ALL ORDER BY ALL").splitlines()]
    before, after = {row["track_id"]: row for row in count(request)}, {row["track_id"]: row for row in count(version)}
    assert set(before) == {1, 2, 3} and set(after) == {1, 3, 4}, (before, after)
    assert after[1]["n"] == 30 and after[4] == {"track_id": 4, "n": before[1]["n"] - 30, "first": 30} and after[3] == before[3]
    page.locator(".mend summary").click()
    page.get_by_role("button", name="Undo the last").click()
    page.wait_for_function("(version) => !location.pathname.endsWith(version)", arg=version)
    page.locator(".bar .state-done").wait_for(timeout=60_000)
    page.locator(".mend summary").click()
    page.get_by_role("button", name="Undo the last").click()
    page.wait_for_function("(request) => location.pathname.endsWith(request)", arg=request)
    for one in [json.loads(line) for line in data.run("requests", "--json").splitlines()]:
        if one["request_id"] not in data.requests.values():
            data.run("delete", one["request_id"])
    mending.merged_back(browser, data, address)


def plots(browser, data, address):
    """What is drawn adds up to what `trackdrop query` gives for the plot's own statement, and for another one."""
    page = browser.page
    request = data.requests["constant.mp4"]
    scene = data.folder / "plotted.json"
    picture = {"width_px": clips.WIDTH, "height_px": clips.HEIGHT}
    scene.write_text(json.dumps({"name": "plotted", "videos": ["constant.mp4"], "picture": picture, "lines": [{"name": "middle", "points": [[90, 18], [90, 100]]}, {"name": "right", "points": [[110, 18], [110, 100]]}]}))
    data.run("scene", "add", scene)
    page.goto(f"{address}/request/{request}?plots=1")
    page.wait_for_function("() => document.querySelectorAll('.plot .chart').length === 4")
    number = lambda sql: float(data.run("query", "--format", "csv", sql).splitlines()[1])
    others = {
        "objects-per-second": f"SELECT SUM(objects) FROM objects_per_second WHERE request_id = '{request}'",
        "new-objects": f"SELECT COUNT(DISTINCT track_id) FROM tracks WHERE request_id = '{request}'",
        "crossings": f"SELECT SUM(crossings) FROM line_counts WHERE request_id = '{request}' AND scene = 'plotted'",
        "dwell": f"SELECT COUNT(*) FROM track_summary WHERE request_id = '{request}'",
    }
    for name, other in others.items():
        figure = page.locator(f".plot[data-plot={name}]")
        figure.locator("summary").click()
        sql = figure.locator("pre").inner_text()
        own = data.run("query", "--format", "csv", sql)
        wanted = sum(float(line.rsplit(",", 1)[1]) for line in own.splitlines()[1:])
        if name == "dwell":
            drawn = sum(int(title.split(": ")[1].split()[0]) for title in figure.locator("rect title").all_text_contents())
            heights = [float(bar.get_attribute("height")) for bar in figure.locator("rect").all()]
            counts = [int(title.split(": ")[1].split()[0]) for title in figure.locator("rect title").all_text_contents()]
            assert all(abs(height / max(heights) - count / max(counts)) < 0.01 for height, count in zip(heights, counts)), (heights, counts)
        else:
            # From the lines' heights, in units of the highest number that is written at the axis.
            paths = [[float(part.split("H")[0]) for part in path.get_attribute("d").split("V")[1:]] for path in figure.locator(".chart path").all()]
            marks = [(float(text.get_attribute("y")) - 4, int(text.text_content())) for text in figure.locator(".chart g text").all()]
            (zero, _), (one, most) = marks[0], marks[-1]
            drawn = sum(round((zero - y) / (zero - one) * most) for ys in paths for y in ys)
        assert drawn == wanted == number(other) > 0, (name, drawn, wanted, number(other))
        assert figure.locator(".chart").get_attribute("aria-label").startswith(figure.locator("figcaption").inner_text())
        with page.expect_download() as saved:
            figure.get_by_role("button", name="CSV").click()
        assert pathlib.Path(saved.value.path()).read_text() == own, name
    near, crossings = (number(f"SELECT SUM({what}) FROM line_counts WHERE request_id = '{request}'") for what in ("near_birth_or_end", "crossings"))
    note = page.locator(".plot[data-plot=crossings] .note").inner_text()
    assert note.startswith(f"Of {crossings:.0f} crossings, {near:.0f} ({round(100 * near / crossings)} %) are within a second"), note
    heat_and_flows(page, data, request, number)
    page.screenshot(path=data.folder / "plots.png", full_page=True)
    # The statement is asked further where all are asked.
    page.locator(".plot[data-plot=crossings]").get_by_role("link", name="Open under Ask").click()
    page.wait_for_selector(".grid tbody tr")
    assert "plotted: middle" in grid(page)[0]["crossing"]
    data.run("scene", "remove", "plotted")


def views(data):
    """An address of each view; two of one address differ by what is opened there."""
    sql = "SELECT request_id, video, track_id, class_name, first_frame, dwell_s FROM track_summary ORDER BY dwell_s DESC"
    request = f"/request/{data.requests['constant.mp4']}"
    return {
        "list": "/", "request": request, "gallery": request, "calibration": request, "plots": f"{request}?plots=1", "track": f"{request}/track/2",
        "ask": "/ask?" + urllib.parse.urlencode({"sql": sql}),
    }


def open_view(browser, name, url):
    page = browser.page
    page.goto(url)
    if name == "track":
        page.locator("[data-part=speed] .chart").wait_for()
    elif "/request/" in url:
        browser.settled(0)
    else:
        page.wait_for_selector("tbody tr")
    if name == "plots":
        page.wait_for_function("() => document.querySelectorAll('.plot .chart').length >= 3 && !document.querySelector('.plots [role=status]')")
    if name == "ask":
        page.locator(".tables details").first.wait_for()
        page.locator(".tables summary").first.click()
    if name == "gallery":
        page.get_by_text("Best pictures").click()
        page.wait_for_function("() => [...document.querySelectorAll('.gallery img')].some((one) => one.complete && one.naturalWidth > 0)")
    if name == "calibration":
        page.get_by_text("Lines and zones").click()
        page.get_by_role("button", name="Calibrate").click()
        place = page.locator("canvas").bounding_box()
        for x, y in ((0.1, 0.3), (0.9, 0.3), (0.9, 0.9), (0.1, 0.9)):
            page.mouse.click(place["x"] + x * place["width"], place["y"] + y * place["height"])
        page.get_by_role("button", name="Done").click()
        page.get_by_text("Give each point its place.").wait_for()


def readable(browser, data, address):
    """axe-core finds nothing serious, in light and in dark; neither a screen of 1280 nor a phone needs sideways scrolling."""
    page = browser.page
    wide = lambda: page.evaluate("document.documentElement.scrollWidth")
    for scheme in ("light", "dark"):
        page.emulate_media(color_scheme=scheme)
        for name, path in views(data).items():
            open_view(browser, name, address + path)
            page.screenshot(path=data.folder / f"{name}-{scheme}.png", full_page=True)
            accessible(page, f"{scheme} {name}")
            assert wide() <= 1280, (name, wide())
    page.emulate_media(color_scheme="light")
    page.set_viewport_size({"width": 390, "height": 844})
    for name, path in views(data).items():
        open_view(browser, name, address + path)
        assert wide() <= 390, (name, wide())
        page.screenshot(path=data.folder / f"{name}-phone.png")
    page.screenshot(path=data.folder / "phone.png")
    page.set_viewport_size({"width": 1280, "height": 900})


PARTS = {part.__name__: part for part in (
    use, looks, names_are_data, lines, by_keys, shared, files, ask, plots, track, mend, again, evaluating, exactness, readable, safety, drop, many, demo_clip,
)}
#: What takes too long, or too much of the disk, to run each time.
BY_HAND = {large_upload.__name__: large_upload}


def main():
    command, folder, *chosen = sys.argv[1:]
    data = Data(command, pathlib.Path(folder).resolve())
    os.environ["SHOTS"] = str(data.folder)
    with served(data) as opened, sync_playwright() as playwright:
        address = opened.split("/?")[0]
        shutil.rmtree(data.folder / "profile", ignore_errors=True)
        browser = Browser(playwright, data.folder)
        failed = []
        try:
            browser.page.goto(opened)
            for name in chosen or PARTS:
                started = time.monotonic()
                try:
                    (PARTS | BY_HAND)[name](browser, data, address)
                    assert not browser.complaints, "the page complained: " + "\n".join(browser.complaints)
                    say(f"{name}: passed in {time.monotonic() - started:.1f} s")
                except Exception as error:  # Each part says what it found, and the others run.
                    browser.page.screenshot(path=data.folder / f"failed-{name}.png")
                    place = [frame for frame in traceback.extract_tb(error.__traceback__) if str(HERE) in frame.filename][-1]
                    say(f"{name}: FAILED in {pathlib.Path(place.filename).name}, line {place.lineno}: {place.line}: {error}")
                    say(*browser.complaints, *browser.refused)
                    failed.append(name)
                    data.clean()
                browser.complaints.clear()
                browser.refused.clear()
        finally:
            browser.context.close()
        if failed:
            sys.exit("console: failed: " + ", ".join(failed))


main()
