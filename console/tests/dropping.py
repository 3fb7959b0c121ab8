"""A video is dropped on the page and its objects are watched, whatever is killed meanwhile. A part of browser.py."""

import base64
import json
import os
import pathlib
import re
import shutil
import signal
import socket
import struct
import subprocess

import clips

MODEL = clips.ROOT / "cli/tests/fixtures/moments.onnx"
#: What is added to a clip, so that its upload takes a while: a box that every player passes over.
PADDING = 400 << 20
#: How often a clip is repeated for a video whose work takes seconds.
LONG_TIMES = 500
IS_LEFT = re.compile(r"(\d+ s|\d:\d\d) left")

DROP = """async (files) => {
  const moved = new DataTransfer();
  for (const {name, bytes, modified} of files) moved.items.add(new File([Uint8Array.from(atob(bytes), (c) => c.charCodeAt(0))], name, {type: "video/mp4", lastModified: modified}));
  for (const kind of ["dragover", "drop"]) document.querySelector("main").dispatchEvent(new DragEvent(kind, {dataTransfer: moved, bubbles: true, cancelable: true}));
}"""


#: Beyond the half nothing leaves the page, so that the upload can't be whole before it is killed. Inside the page: a route of the
#: driver's carries every piece to this process and back, which takes longer than the upload.
HOLD = """() => {
  const asked = window.fetch;
  window.fetch = (path, options) => (Number(options?.headers?.["Upload-Offset"] ?? 0) > HALF ? new Promise(() => {}) : asked(path, options));
}""".replace("HALF", str(PADDING // 2))


class Console:
    """`trackdrop console` on a port that it comes back to."""

    def __init__(self, command, data):
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.port = free.getsockname()[1]
        self.command, self.data, self.process = command, data, None

    def start(self, is_slow=False):
        """Its address. A slow one has one core, whatever the machine has."""
        arguments = [self.command, "--data", self.data, "console", "--port", self.port, "--no-open", "--model", MODEL]
        cores = os.sched_getaffinity(0)
        os.sched_setaffinity(0, {min(cores)} if is_slow else cores)
        try:
            self.process = subprocess.Popen(list(map(str, arguments)), stdout=subprocess.PIPE, text=True)
        finally:
            os.sched_setaffinity(0, cores)
        return self.process.stdout.readline().strip()

    def kill(self, how=signal.SIGKILL):
        self.process.send_signal(how)
        return self.process.wait(timeout=30)

    def run(self, *arguments):
        return subprocess.run(list(map(str, [self.command, "--data", self.data, *arguments])), check=True, stdout=subprocess.PIPE, text=True).stdout


def accessible(page, what):
    """axe-core finds nothing serious."""
    if not (axe := os.environ.get("AXE")):
        return
    page.evaluate(pathlib.Path(axe).read_text())
    found = page.evaluate("axe.run().then((r) => r.violations.filter((v) => ['serious', 'critical'].includes(v.impact)).map((v) => v.id + ': ' + v.nodes[0].html.slice(0, 160) + ' ' + v.nodes[0].failureSummary))")
    assert not found, f"{what}: " + "\n".join(found)


def row_of(page, name):
    return page.locator(".drops > li").filter(has_text=name)


def as_file(name, content):
    """What DROP takes."""
    return {"name": name, "bytes": base64.b64encode(content).decode(), "modified": 1_700_000_000_000}


def listed(page, name):
    """A video's row in the list of requests."""
    return page.locator("tbody tr").filter(has_text=name)


def takes_drops(page):
    """A page listens once it is drawn, when it asks for the list of requests, too."""
    page.locator("tbody tr").first.wait_for()


def done(page, name):
    row_of(page, name).locator(".state-done").wait_for()


def drop(browser, data, address):
    """The whole way: dropped, uploaded through kills of the server and of the page, tracked, watched, queried, deleted."""
    folder = data.folder / "dropped"
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir()
    console = Console(data.command, folder / "data")
    try:
        small(browser, data, console)
        two_at_once(browser, data, console)
        in_work(browser, data, console, folder)
        failing(browser, data, console)
        large(browser, data, console, folder)
        removed(browser, data, console)
        # No page asks a console that has ended.
        browser.page.goto("about:blank")
    finally:
        if console.process and console.process.poll() is None:
            assert console.kill(signal.SIGINT) == 0, "Ctrl-C ends it"


def small(browser, data, console):
    """A video that is dropped is a request, with the rows that `trackdrop run` gives."""
    page = browser.page
    page.goto(console.start())
    page.get_by_text("There are no requests yet").wait_for()
    page.get_by_text("Settings of the next videos").click()
    page.get_by_label("Classes").fill("unicorn")
    clip = data.clips / "constant.mp4"
    dropped = as_file("<b>dropped<b>.mp4", clip.read_bytes())
    page.evaluate(DROP, [dropped])
    page.locator(".drops .problem").get_by_text("unicorn").wait_for()
    assert len(browser.complaints) == 1 and "422" in browser.complaints[0], browser.complaints
    browser.complaints.clear()
    page.get_by_role("button", name="Dismiss").click()
    page.get_by_label("Classes").fill("")
    page.evaluate(DROP, [dropped])
    done(page, dropped["name"])
    page.screenshot(path=data.folder / "dropped.png", full_page=True)
    accessible(page, "a dropped video")
    assert page.locator("main b").count() == 0, "a name became markup"
    # The list below knows it, too, without being loaded again.
    page.locator("tbody tr").filter(has_text=dropped["name"]).locator(".state-done").wait_for()
    page.get_by_role("link", name="Watch its objects").click()
    browser.settled(0)
    assert page.locator(".lane").count() > 1
    sql = "SELECT frame_index, class_name, ROUND(x1, 2) AS x1, ROUND(y1, 2) AS y1 FROM tracks WHERE request_id = '{}' ORDER BY ALL"
    [request] = [json.loads(line)["request_id"] for line in console.run("requests", "--json").splitlines()]
    assert console.run("query", "--format", "csv", sql.format(request)) == data.run("query", "--format", "csv", sql.format(data.requests["constant.mp4"]))
    manifest = json.loads(console.run("show", "--json", request))
    wanted = json.loads(data.run("show", "--json", data.requests["constant.mp4"]))
    assert manifest["source"]["crc32c"] == wanted["source"]["crc32c"]


def two_at_once(browser, data, console):
    """Two videos that are dropped together are two requests."""
    page = browser.page
    page.goto(f"http://127.0.0.1:{console.port}/")
    dropped = {"first <i>.mp4": "late.mp4", "second.mp4": "turned.mp4"}
    takes_drops(page)
    page.evaluate(DROP, [as_file(name, (data.clips / clip).read_bytes()) for name, clip in dropped.items()])
    for name, clip in dropped.items():
        done(page, name)
        listed(page, name).locator(".state-done").wait_for()
        [request] = [one["request_id"] for one in map(json.loads, console.run("requests", "--json").splitlines()) if one["video"] == name]
        own, wanted = json.loads(console.run("show", "--json", request)), json.loads(data.run("show", "--json", data.requests[clip]))
        assert own["source"]["crc32c"] == wanted["source"]["crc32c"], name
        assert own["source"]["video"]["frame_count"] == wanted["source"]["video"]["frame_count"], name
    page.screenshot(path=data.folder / "two.png", full_page=True)


def endless(clip, path):
    """The clip again and again, so that its work takes long enough to be seen and stopped."""
    clips.ffmpeg("-stream_loop", LONG_TIMES - 1, "-i", clip, "-c", "copy", path)


def in_work(browser, data, console, folder):
    """How far each stage is, and how long it will take, is seen meanwhile; Cancel ends it, and Retry resumes it to its end."""
    page = browser.page
    video = folder / "long.mp4"
    endless(data.clips / "constant.mp4", video)
    assert console.kill(signal.SIGINT) == 0, "Ctrl-C ends it"
    page.goto(console.start(is_slow=True))
    page.get_by_text("Settings of the next videos").click()
    page.get_by_label("Annotated video").uncheck()
    page.locator("input[type=file]").set_input_files(video)
    row = row_of(page, "long.mp4")
    stage = row.locator(".stages li[data-stage=track]")
    stage.get_by_text(IS_LEFT).wait_for()
    # One reading of the page: what it says in words is what its bar shows.
    said, value, most = stage.evaluate("(one) => [one.innerText, one.querySelector('progress').value, one.querySelector('progress').max]")
    frames = re.search(r"([\d,]+) of ([\d,]+) frames", said)
    assert 0 < value < most and [int(part.replace(",", "")) for part in frames.groups()] == [value, most], (said, value, most)
    named = row.locator(".stages li").all_inner_texts()
    assert [one.split()[0] for one in named] == ["Cut", "Detect", "Track", "Load"], named
    assert "done" in named[0] and f"of {int(most):,} frames" in named[2], named
    page.screenshot(path=data.folder / "in-work.png", full_page=True)
    accessible(page, "a video in work")
    # The page of the request says the same, and how it goes on.
    row.get_by_role("link", name="long.mp4").click()
    progress = page.get_by_label("Progress")
    progress.locator(".stages li[data-stage=track]").get_by_text(f"of {int(most):,} frames").wait_for()
    page.go_back()
    row.get_by_role("button", name="Cancel long.mp4").click()
    problem = row.locator(".problem").get_by_text("it was cancelled on the console; Retry resumes from what is done")
    problem.wait_for()
    assert problem.inner_text().startswith("Failed in track."), problem.inner_text()
    listed(page, "long.mp4").locator(".state-failed").wait_for()
    listed(page, "long.mp4").locator(".error").get_by_text("it was cancelled on the console").wait_for()
    [request] = [one for one in map(json.loads, console.run("requests", "--json").splitlines()) if one["video"] == "long.mp4"]
    assert request["state"] == "failed", request
    page.screenshot(path=data.folder / "cancelled.png", full_page=True)
    row.get_by_role("button", name="Retry long.mp4").click()
    row.locator(".problem").wait_for(state="detached")
    row.locator(".stages li[data-stage=track]").wait_for()
    done(page, "long.mp4")
    listed(page, "long.mp4").locator(".state-done").wait_for()
    ledger = json.loads(console.run("show", "--json", request["request_id"]))["ledger"]
    assert ledger["frames"] == ledger["frames_whole"] == most, ledger
    assert console.kill(signal.SIGINT) == 0, "Ctrl-C ends it"
    page.goto(console.start())
    page.get_by_text("Settings of the next videos").click()
    page.get_by_label("Annotated video").check()


def spoiled(content):
    """The clip, whose description is whole, and most of whose pictures are not: bytes of each but the first are others."""
    packets = subprocess.run(
        ["ffprobe", "-v", "error", "-f", "mp4", "-select_streams", "v", "-show_entries", "packet=pos,size", "-of", "csv=p=0", "-"],
        input=content, check=True, stdout=subprocess.PIPE,
    ).stdout.decode()
    data = bytearray(content)
    for line in packets.split()[1:]:
        size, at = map(int, line.strip(",").split(","))
        # Behind the length and the kind of the first piece of the picture.
        for place in range(at + 6, at + size):
            data[place] ^= 0xA5
    return bytes(data)


def failing(browser, data, console):
    """What fails after its upload says in which stage, why, and what helps: in its row, in the list and on its page."""
    page = browser.page
    clip = (data.clips / "constant.mp4").read_bytes()
    wrong = {
        "diary.mp4": (b"Dear diary,\n" * 500, "split", "Provide an MP4, MOV, MKV, WebM, AVI or MPEG-TS file"),
        "spoiled <b>.mp4": (spoiled(clip), "merge", "provide it again, or allow more by --max-damaged-share"),
    }
    takes_drops(page)
    page.evaluate(DROP, [as_file(name, content) for name, (content, _, _) in wrong.items()])
    for name, (_, stage, remedy) in wrong.items():
        problem = row_of(page, name).locator(".problem")
        problem.get_by_text(remedy).wait_for()
        words = problem.inner_text()
        assert words.startswith(f"Failed in {stage}."), words
        listed(page, name).locator(".state-failed").wait_for()
        [request] = [one for one in map(json.loads, console.run("requests", "--json").splitlines()) if one["video"] == name]
        said = f"{request['error']['message']}"
        assert words == f"Failed in {stage}. {said}" and request["error"]["stage"] == stage, (words, request)
        assert said in listed(page, name).locator(".error").inner_text()
    row_of(page, "diary.mp4").get_by_role("button", name="Retry diary.mp4").wait_for()
    page.screenshot(path=data.folder / "failed.png", full_page=True)
    accessible(page, "videos that failed")
    listed(page, "diary.mp4").get_by_role("link", name="diary.mp4").click()
    alert = page.locator("main > .problem")
    alert.wait_for()
    assert alert.inner_text().startswith("Failed in split.") and "Provide an MP4" in alert.inner_text()
    page.screenshot(path=data.folder / "failed-page.png", full_page=True)


def padded(clip, path):
    """The clip, and after it a box that holds nothing."""
    with path.open("wb") as out:
        out.write(clip.read_bytes())
        out.write(struct.pack(">I4s", PADDING + 8, b"free"))
        for part in range(PADDING >> 20):
            out.write(bytes([part % 251]) * (1 << 20))


def share(page, name, least, polling="raf"):
    page.wait_for_function(
        """([name, least]) => [...document.querySelectorAll('.drops > li')].some((row) => {
          const bar = row.querySelector('.bar-row progress');
          return row.innerText.includes(name) && bar && bar.value >= least * bar.max && bar.value < bar.max;
        })""",
        arg=[name, least],
        polling=polling,
    )


def large(browser, data, console, folder):
    """An upload goes on by itself after the server was killed, and after the page was, by choosing the file again."""
    video = folder / "large.mp4"
    padded(data.clips / "ntsc.mp4", video)
    first = browser.page
    first.goto(f"http://127.0.0.1:{console.port}/")
    first.evaluate(HOLD)
    first.locator("input[type=file]").set_input_files(video)
    share(first, "large.mp4", 0.1)
    console.kill()
    first.get_by_text("The console does not answer").wait_for()
    first.screenshot(path=data.folder / "uploading.png", full_page=True)
    accessible(first, "an upload that waits")
    # The page of the new console brings the cookie of its token: the old page goes on.
    second = browser.opened()
    second.goto(console.start())
    share(first, "large.mp4", 0.4)
    second.locator(".drops > li").filter(has_text="large.mp4").get_by_text("This page does not send it").wait_for()
    browser.page = second
    first.close()
    console.kill()
    second.goto(console.start())
    row = row_of(second, "large.mp4")
    row.get_by_text("This page does not send it").wait_for()
    offset = float(row.locator(".bar-row progress").get_attribute("value"))
    assert 0.3 * PADDING < offset < PADDING, offset
    second.screenshot(path=data.folder / "broken-off.png", full_page=True)
    second.locator("input[type=file]").set_input_files(video)
    row.get_by_text("Comparing with the part").wait_for()
    done(second, "large.mp4")
    request = re.search(r"/request/(\w+)", row.get_by_role("link", name="large.mp4").get_attribute("href"))[1]
    # The same content is the same checksum: that of the file as the command reads it.
    by_run = subprocess.run(list(map(str, [data.command, "--data", folder / "other", "run", "--model", MODEL, "--json", "--no-video", video])), check=True, stdout=subprocess.PIPE, text=True)
    other = json.loads(pathlib.Path(json.loads(by_run.stdout)["manifest"]).read_text())
    own = json.loads(console.run("show", "--json", request))
    assert own["source"]["crc32c"] == other["source"]["crc32c"] and own["source"]["bytes"] == video.stat().st_size
    assert not list((folder / "data/.store/incoming").glob("*.data")), "what came is kept once"
    # What the browser itself says of a server that is gone.
    assert all("Failed to load resource" in one for one in browser.complaints), browser.complaints
    browser.complaints.clear()


def removed(browser, data, console):
    """Deleting says what it removes, and removes it."""
    page = browser.page
    row = row_of(page, "large.mp4")
    row.get_by_role("button", name="Delete large.mp4").click()
    dialog = page.get_by_role("dialog")
    dialog.get_by_text(re.compile(r"Its rows, and \d+ objects of")).wait_for()
    page.screenshot(path=data.folder / "delete.png")
    accessible(page, "what is deleted")
    dialog.get_by_label("The video, too").check()
    dialog.get_by_role("button", name="Delete", exact=True).click()
    row.wait_for(state="detached")
    page.locator("tbody tr").filter(has_text="large.mp4").wait_for(state="detached")
    assert "large.mp4" not in console.run("requests", "--json")
