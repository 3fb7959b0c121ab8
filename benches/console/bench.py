"""The console's page in a browser: the first view of an hour with 5.4 million rows, jumps, what lines count, an overlay of 200 boxes, memory.

    bench.py COMMAND FOLDER [--fiftyone]     scripts/bench/console calls this

The video is a short clip that is repeated for an hour. Its request is made by the command, with a tiny detector. Then its rows are replaced by 50 objects
in every frame: the bench is about the page, and not about the detector. That boxes are drawn is read from the canvas. Which frame they are of is the page's
word, which scripts/checks/console compares with the pixels.
"""

import contextlib
import json
import os
import pathlib
import random
import shutil
import sqlite3
import statistics
import subprocess
import sys
import time

import duckdb
from playwright.sync_api import sync_playwright

ROOT = pathlib.Path(__file__).resolve().parents[2]
MODEL = ROOT / "cli/tests/fixtures/moments.onnx"
CHROMIUM = ["--no-sandbox", "--disable-gpu", "--no-first-run", "--disable-background-networking", "--disable-component-update", "--disable-sync"]
HOUR = {"name": "hour.mp4", "fps": 30, "seconds": int(os.environ.get("SECONDS_OF_VIDEO", "3600")), "objects": 50}
MINUTE = {"name": "minute.mp4", "fps": 30, "seconds": 60, "objects": 50}
CROWD = {"name": "crowd.mp4", "fps": 60, "seconds": 10, "objects": 200}
RUNS = int(os.environ.get("RUNS", "5"))
JUMPS = 20
HANGS_MS = 180_000
#: How often a page is looked at, ours and FiftyOne's.
POLLED_MS = 50
#: Whether a box is drawn: a pixel that is far from the picture, which is grey.
IS_DRAWN = """() => {
  const canvas = document.querySelector("canvas");
  if (canvas === null || canvas.width === 0 || !(Number(canvas.dataset.frame) >= 0)) return false;
  const {data} = canvas.getContext("2d").getImageData(0, 0, canvas.width, canvas.height);
  for (let at = 0; at < data.length; at += 4) if (Math.max(data[at], data[at + 1], data[at + 2]) - Math.min(data[at], data[at + 1], data[at + 2]) > 90) return true;
  return false;
}"""


def clip(path, made):
    """A grey picture that moves, repeated without encoding it again."""
    piece = path.with_suffix(".piece.mp4")
    size, fps = "1280x720", made["fps"]
    source = f"gradients=s={size}:r={fps}:d=10:c0=gray:c1=dimgray:n=2:speed=0.02"
    ffmpeg = ["ffmpeg", "-nostdin", "-v", "error", "-y"]
    subprocess.run([*ffmpeg, "-f", "lavfi", "-i", source, "-vf", "hue=s=0,format=yuv420p", "-c:v", "libx264", "-preset", "veryfast", "-crf", "30", "-g", str(fps), "-bf", "2", piece], check=True)
    repeats = made["seconds"] // 10 - 1
    subprocess.run([*ffmpeg, "-stream_loop", str(repeats), "-i", piece, "-c", "copy", "-movflags", "+faststart", path], check=True)
    piece.unlink()


class Data:
    """A data directory with the two requests."""

    def __init__(self, command, folder):
        self.command, self.data = command, folder / "data"
        mark = folder / "made"
        if not mark.is_file():
            shutil.rmtree(self.data, ignore_errors=True)
            for made in (HOUR, MINUTE, CROWD):
                video = folder / made["name"]
                clip(video, made)
                # Every 100th frame: the rows are replaced.
                self.run("run", "--model", MODEL, "--no-video", "--detect-every", "100", "--", video)
                self.fill(self.requests()[made["name"]], made["objects"])
            mark.touch()
        self.of = self.requests()

    def run(self, *arguments):
        command = [str(one) for one in (self.command, "--data", self.data, *arguments)]
        ended = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        if ended.returncode:
            sys.exit(f"bench: error: {' '.join(command)}: {ended.stderr}")
        return ended.stdout

    def requests(self):
        return {one["video"]: one["request_id"] for one in map(json.loads, self.run("requests", "--json").splitlines())}

    def frames(self, video):
        return json.loads(self.run("show", "--json", self.of[video]))["ledger"]["frames"]

    def fill(self, request, objects):
        """So many objects in every frame, each for ten seconds, at steady speed."""
        path = self.data / "results" / request / "tracks.parquet"
        manifest = json.loads(self.run("show", "--json", request))
        frames, fps = manifest["ledger"]["frames"], manifest["source"]["video"]["frame_rate"].split("/")
        fps = int(fps[0]) / int(fps[1])
        columns = {row[0]: row[1] for row in duckdb.sql(f"DESCRIBE SELECT * FROM '{path}'").fetchall()}
        life = int(10 * fps)
        values = {
            "request_id": f"'{request}'", "frame_index": "f", "track_id": f"(f // {life}) * {objects} + k + 1", "time_s": f"f / {fps}", "pts": "f",
            "x1": f"(k * 61 + (f % {life}) * 0.7) % 1200", "y1": "(k * 37) % 640", "x2": f"(k * 61 + (f % {life}) * 0.7) % 1200 + 48", "y2": "(k * 37) % 640 + 64",
            "score": "0.5 + (k % 50) / 100.0", "class_id": "k % 3", "class_name": "['person', 'car', 'bicycle'][k % 3 + 1]", "observed": "true",
            "uploaded_at": f"'{manifest['source']['uploaded_at']}'", "video": f"'{manifest['source']['uri']}'",
        }
        rows = ", ".join(f"CAST({values.get(name, 'NULL')} AS {kind}) AS {name}" for name, kind in columns.items())
        made = path.with_suffix(".made")
        duckdb.sql(f"COPY (SELECT {rows} FROM range({frames}) AS a(f), range({objects}) AS b(k) ORDER BY f, k) TO '{made}' (FORMAT parquet)")
        # Into the same file: the store has it under another name, too.
        path.chmod(0o644)
        path.write_bytes(made.read_bytes())
        made.unlink()
        # The store knows how large its objects are.
        with contextlib.closing(sqlite3.connect(self.data / ".store/catalog.db")) as connection, connection:
            connection.execute("UPDATE objects SET bytes = ? WHERE name = ?", (path.stat().st_size, f"{request}/tracks.parquet".encode()))


@contextlib.contextmanager
def served(data):
    """The console as a process, and its address."""
    process = subprocess.Popen([data.command, "--data", str(data.data), "console", "--port", "0", "--no-open"], stdout=subprocess.PIPE, text=True)
    try:
        yield process, process.stdout.readline().strip()
    finally:
        process.terminate()
        process.wait(timeout=20)


def resident_mb(pid, key="VmRSS"):
    for line in open(f"/proc/{pid}/status", encoding="utf-8"):
        if line.startswith(key):
            return int(line.split()[1]) / 1000
    return float("nan")


class Browser:
    """A browser of its own for each measurement: nothing is cached."""

    def __init__(self, playwright):
        self.browser = playwright.chromium.launch(executable_path=os.environ["CHROMIUM"], args=CHROMIUM)
        self.page = self.browser.new_page(viewport={"width": 1280, "height": 900})
        self.page.set_default_timeout(HANGS_MS)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.browser.close()

    def memory_mb(self):
        """What the page's process has for itself, and what of it are JavaScript's objects."""
        processes = self.browser.new_browser_cdp_session().send("SystemInfo.getProcessInfo")["processInfo"]
        renderers = [resident_mb(one["id"], "RssAnon") for one in processes if one["type"] == "renderer"]
        session = self.page.context.new_cdp_session(self.page)
        session.send("HeapProfiler.collectGarbage")
        session.send("Performance.enable")
        metrics = {one["name"]: one["value"] for one in session.send("Performance.getMetrics")["metrics"]}
        return max(renderers), metrics["JSHeapUsedSize"] / 1e6


def opened(browser, address, request):
    """Milliseconds from the address to the first picture with boxes and the lanes below it."""
    host, token = address.split("/?")
    # The cookie, and nothing of the page: its files are loaded within the measured time.
    browser.page.request.get(f"{host}/?{token}", max_redirects=0)
    began = time.monotonic()
    browser.page.goto(f"{host}/request/{request}", wait_until="commit")
    browser.page.wait_for_function(IS_DRAWN, polling=POLLED_MS)
    first = (time.monotonic() - began) * 1000
    browser.page.wait_for_selector(".lanes")
    return first


def jumps(browser, frames):
    """Milliseconds from a jump to another place to its picture with its boxes."""
    chance, took = random.Random(7), []
    for _ in range(JUMPS):
        frame = chance.randrange(frames)
        took.append(
            browser.page.evaluate(
                """async (frame) => {
                  const input = document.querySelector("form input[placeholder^=frame]");
                  const canvas = document.querySelector("canvas");
                  const setter = Object.getOwnPropertyDescriptor(HTMLInputElement.prototype, "value").set;
                  setter.call(input, String(frame));
                  input.dispatchEvent(new Event("input", { bubbles: true }));
                  await new Promise((done) => requestAnimationFrame(done));
                  const began = performance.now();
                  input.form.requestSubmit();
                  await new Promise((done) => {
                    const look = () => (canvas.dataset.settled === String(frame) ? done() : requestAnimationFrame(look));
                    look();
                  });
                  return performance.now() - began;
                }""",
                frame,
            )
        )
    return took


def counts(browser):
    """Milliseconds from the last click until what is counted is on the page: of a first line, of a zone beside it, and of the line after it was dragged."""
    page = browser.page

    def took(do):
        """Until the answer is there and a picture of the page with it was made."""
        with page.expect_response(lambda answer: answer.url.endswith("/count")) as answered:
            began = time.monotonic()
            do()
        answered.value.finished()
        page.evaluate("() => new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done)))")
        return (time.monotonic() - began) * 1000

    def at(x, y):
        place = page.locator("canvas").bounding_box()
        return place["x"] + place["width"] * x, place["y"] + place["height"] * y

    page.get_by_text("Lines and zones").click()
    page.locator("canvas").scroll_into_view_if_needed()
    page.get_by_role("button", name="Draw a line").click()
    page.mouse.click(*at(0.5, 0.1))
    line = took(lambda: page.mouse.click(*at(0.5, 0.9)))
    assert page.locator(".counts strong").count() > 0, "the line counts nothing"
    page.get_by_role("button", name="Draw a zone").click()
    for corner in ((0.2, 0.2), (0.4, 0.2), (0.4, 0.6), (0.2, 0.6)):
        page.mouse.click(*at(*corner))
    zone = took(lambda: page.get_by_role("button", name="Done").click())
    page.get_by_text("visits of").first.wait_for()
    page.locator("canvas").scroll_into_view_if_needed()
    page.mouse.move(*at(0.5, 0.1))
    page.mouse.down()
    page.mouse.move(*at(0.7, 0.1), steps=4)
    dragged = took(page.mouse.up)
    return line, zone, dragged


def playing(browser, seconds=5):
    """Frames a second that are on the canvas with their boxes while the video plays: from the first picture that moves, which comes after a seek."""
    return browser.page.evaluate(
        """async (seconds) => {
          const canvas = document.querySelector("canvas");
          document.querySelector("button.main[aria-label=Play]").click();
          const first = canvas.dataset.frame;
          while (canvas.dataset.frame === first) await new Promise((done) => requestAnimationFrame(done));
          const seen = new Set();
          const began = performance.now();
          let ticks = 0;
          while (performance.now() - began < seconds * 1000) {
            await new Promise((done) => requestAnimationFrame(done));
            ticks++;
            seen.add(canvas.dataset.frame);
          }
          const took = (performance.now() - began) / 1000;
          const all = [...seen].map(Number);
          return { frames: seen.size / took, ticks: ticks / took, missed: Math.max(...all) - Math.min(...all) + 1 - seen.size };
        }""",
        seconds,
    )


def spread(values):
    ordered = sorted(values)
    return statistics.median(ordered), ordered[min(len(ordered) - 1, int(len(ordered) * 0.95))]


def main():
    command, folder = sys.argv[1], pathlib.Path(sys.argv[2])
    data = Data(command, folder)
    firsts, took, drawn, page, server, counting = [], [], [], [], [], []
    with sync_playwright() as playwright:
        for _ in range(RUNS):
            with served(data) as (process, address), Browser(playwright) as browser:
                firsts.append(opened(browser, address, data.of[HOUR["name"]]))
                took += jumps(browser, data.frames(HOUR["name"]))
                page.append(browser.memory_mb())
                server.append(resident_mb(process.pid, "VmHWM"))
                drawn.append(counts(browser))
                counting.append(resident_mb(process.pid, "VmHWM"))
        with served(data) as (process, address), Browser(playwright) as browser:
            opened(browser, address, data.of[CROWD["name"]])
            rate = playing(browser)
            browser.page.reload()
            browser.page.wait_for_function(IS_DRAWN)
            browser.page.get_by_role("checkbox", name="Boxes").uncheck()
            bare = playing(browser)
        ours, theirs = [], []
        if "--fiftyone" in sys.argv[3:]:
            import beside

            for _ in range(RUNS):
                with served(data) as (process, address), Browser(playwright) as browser:
                    ours.append(opened(browser, address, data.of[MINUTE["name"]]))
            rows = data.data / "results" / data.of[MINUTE["name"]] / "tracks.parquet"
            theirs = beside.measured(lambda: Browser(playwright), folder / MINUTE["name"], rows, MINUTE["fps"], RUNS, POLLED_MS)
    first, jump = spread(firsts), spread(took)
    print(f"\n| measured, {RUNS} runs | bound | median | 95th of 100 |\n|---|---|---|---|")
    print(f"| first picture with boxes, an hour with 5.4 million rows | 1500 ms | {first[0]:.0f} ms | {first[1]:.0f} ms |")
    print(f"| jump to any frame with its boxes | 150 ms | {jump[0]:.0f} ms | {jump[1]:.0f} ms |")
    for what, times in zip(("a first line", "a zone beside it", "the line, dragged"), zip(*drawn)):
        print(f"| what it counts in the hour: {what} | 1000 ms | {spread(times)[0]:.0f} ms | {spread(times)[1]:.0f} ms |")
    print(f"| frames a second with 200 boxes each, of a 60 fps video | 60 | {rate['frames']:.1f} | {bare['frames']:.1f} without boxes; the display has {rate['ticks']:.1f} and {bare['ticks']:.1f} |")
    print(f"| memory of the page's process, of it JavaScript's objects | 300 MB | {spread([one[0] for one in page])[0]:.0f} MB, {spread([one[1] for one in page])[0]:.0f} MB | |")
    print(f"| memory of the server at most | 150 MB | {spread(server)[0]:.0f} MB | {spread(server)[1]:.0f} MB |")
    print(f"| and while it counts | | {spread(counting)[0]:.0f} MB | {spread(counting)[1]:.0f} MB |")
    if theirs:
        (here, most_here), (there, most_there) = spread(ours), spread(theirs)
        print(f"| first picture with boxes, one minute with 90,000 rows | | {here:.0f} ms | {most_here:.0f} ms |")
        print(f"| the same in FiftyOne's app | | {there:.0f} ms | {most_there:.0f} ms |\n\nFiftyOne takes {there / here:.1f} times as long.")


main()
