"""The console as a service, in a browser, as a member sees it. testing/e2e/tests/console.rs starts it, and what plays Identity-Aware Proxy.

    cloud.py ADDRESS FOLDER VIDEO ROWS     VIDEO is the name of a finished request's video, a file of FOLDER, which has so many rows of tracks
"""

import base64
import json
import os
import pathlib
import re
import struct
import sys
import urllib.error
import urllib.request

from playwright.sync_api import sync_playwright

from large_upload import crc32c, made

HANGS_MS = 120_000
CHROMIUM = ["--no-sandbox", "--disable-gpu", "--no-first-run", "--disable-background-networking", "--disable-component-update", "--disable-sync"]
#: The name of what the page sends: the video, and after it a box that holds nothing.
UPLOADED = "sent by the page.mp4"
SIZE = 20 * 10**6
#: What the page sends at a time, and what Cloud Storage takes a multiple of.
PIECE, UNIT = 8 << 20, 256 << 10
VIOLATIONS = "addEventListener('securitypolicyviolation', (e) => console.error('CSP', e.violatedDirective, e.blockedURI))"


def looked_at(page, address, folder, video, rows):
    """The list, a request with its player and its tracks, and a statement over all requests."""
    page.goto(address)
    row = page.locator("tbody tr").filter(has_text=video)
    row.locator(".state-done").wait_for()
    assert page.locator("main b").count() == 0, "a name became markup"
    page.screenshot(path=f"{folder}/cloud-requests.png", full_page=True)
    row.get_by_role("link", name=video).click()
    page.wait_for_selector('canvas[data-settled="0"]')
    assert page.locator(".lane").count() > 0, "no track has a row below the player"
    for frame in (57, 99, 3):
        page.locator("form input[placeholder^=frame]").fill(str(frame))
        page.locator("form input[placeholder^=frame]").press("Enter")
        page.wait_for_selector(f'canvas[data-settled="{frame}"]')
    page.screenshot(path=f"{folder}/cloud-request.png", full_page=True)
    # What is not offered here is not on the page.
    for what in ("Delete", "Retry"):
        assert page.get_by_role("button", name=what, exact=True).count() == 0, what
    assert page.locator("summary").get_by_text("Lines and zones").count() > 0, "the player has no foldable parts"
    assert page.locator("summary").get_by_text("Correct tracks").count() == 0, "a service can't correct tracks"
    page.goto(f"{address}/ask")
    page.get_by_label("One SELECT").fill("SELECT COUNT(*) AS all_rows FROM tracks")
    page.get_by_label("One SELECT").press("Control+Enter")
    page.wait_for_selector(".grid tbody tr")
    assert page.locator(".grid tbody tr").first.inner_text().split()[-1].replace(",", "") == rows, page.locator(".grid").inner_text()
    page.screenshot(path=f"{folder}/cloud-ask.png", full_page=True)


#: One piece never leaves the page, which is closed then. Inside the page: what a route of the driver's holds, it sends when the page closes.
HOLD = """(range) => {
  const asked = window.fetch;
  window.fetch = (path, options) => {
    if (options?.headers?.["Content-Range"] !== range) return asked(path, options);
    window.isHeld = true;
    return new Promise(() => {});
  };
}"""


class Sessions:
    """Between the page and the emulator: Cloud Storage's answers to a resumable session, as its documentation has them, which the emulator gives in part only.

    https://cloud.google.com/storage/docs/performing-resumable-uploads: how far a session is, is answered with 308 and `Range`, without it where nothing has
    come, and with the object once that is whole (the emulator: always 200). The bytes themselves go to the emulator and make its object. A call can be cut
    off, of which a part was taken; and a store can be played that keeps another content than it was sent.
    """

    def __init__(self):
        self.taken, self.objects, self.asked = {}, {}, []
        self.cut_at, self.spoils, self.shows_range = None, False, True

    def answer(self, route, request):
        url, headers = request.url, request.headers
        self.asked.append(headers["content-range"])
        first, last, size = re.fullmatch(r"bytes (?:(\d+)-(\d+)|\*)/(\d+)", headers["content-range"]).groups()
        cross = {"access-control-allow-origin": headers["origin"]} | ({"access-control-expose-headers": "Range"} if self.shows_range else {})
        if first is not None:
            content, taken = request.post_data_buffer or b"", self.taken.get(url, 0)
            assert len(content) == int(last) + 1 - int(first) and int(first) <= taken, (headers["content-range"], len(content), taken)
            # What has come already is passed over.
            content = content[taken - int(first) :]
            is_cut = self.cut_at is not None and taken + len(content) > self.cut_at
            if is_cut:
                content, self.cut_at = content[: self.cut_at - taken], None
            self.send(url, taken, content, int(size))
            if is_cut:
                return route.abort("connectionreset")
        if url in self.objects:
            return route.fulfill(status=200, headers=cross | {"content-type": "application/json"}, body=json.dumps(self.objects[url]))
        taken = self.taken.get(url, 0)
        route.fulfill(status=308, headers=cross | ({"range": f"bytes=0-{taken - 1}"} if taken > 0 else {}), body="")

    def send(self, url, taken, content, size):
        end = taken + len(content)
        assert end == size or end % UNIT == 0, "Cloud Storage takes multiples of 256 KiB"
        self.taken[url] = end
        if self.spoils:
            if end == size:
                self.objects[url] = {"name": "spoiled", "crc32c": base64.b64encode(struct.pack(">I", 1)).decode()}
            return
        put = urllib.request.Request(url, data=content, method="PUT", headers={"content-range": f"bytes {taken}-{end - 1}/{size}"})
        try:
            with urllib.request.urlopen(put) as answer:
                assert end == size, answer.status
                self.objects[url] = json.load(answer)
        except urllib.error.HTTPError as error:
            assert error.code == 308 and end < size, (error.code, error.read())


def uploaded(page, address, clip):
    """A video is sent straight to the store, through a connection that breaks off and a page that is closed; it ends as the file, and becomes a request."""
    folder, video = clip.parent, clip.parent / UPLOADED
    made(clip, video, SIZE)
    sessions, context = Sessions(), page.context
    context.route("**/upload/**", sessions.answer)
    page.goto(address)
    taken = PIECE + (1 << 20)
    third = f"bytes {taken}-{taken + PIECE - 1}/{SIZE}"
    sessions.cut_at = taken
    page.evaluate(HOLD, third)
    # The second piece breaks off when a mebibyte of it has come: the page asks, and continues there.
    page.locator("input[type=file]").set_input_files(video)
    page.wait_for_function("(taken) => document.querySelector('.drops progress')?.value === taken && window.isHeld", arg=taken)
    page.screenshot(path=f"{folder}/cloud-uploading.png", full_page=True)
    assert sessions.asked == [f"bytes 0-{PIECE - 1}/{SIZE}", f"bytes {PIECE}-{2 * PIECE - 1}/{SIZE}", f"bytes */{SIZE}"], sessions.asked
    # The page is closed, and another one is given the same file.
    other = context.new_page()
    page.close()
    sessions.asked.clear()
    other.goto(address)
    other.locator("input[type=file]").set_input_files(video)
    row = other.locator(".drops > li").filter(has_text=UPLOADED)
    row.get_by_text("is complete: its request begins within seconds").wait_for()
    assert sessions.asked == [f"bytes */{SIZE}", third, f"bytes {taken + PIECE}-{SIZE - 1}/{SIZE}"], sessions.asked
    [stored] = sessions.objects.values()
    wanted = crc32c(video)
    assert stored["crc32c"] == wanted, (stored, wanted)
    row.get_by_role("button", name="Dismiss").click()
    row.wait_for(state="detached")
    done = other.locator("tbody tr").filter(has_text=UPLOADED)
    done.locator(".state-done").wait_for()
    done.get_by_role("link", name=UPLOADED).click()
    other.wait_for_selector('canvas[data-settled="0"]')
    facts = other.locator(".card").filter(has_text="CRC32C").inner_text()
    assert wanted in facts and "20 MB" in facts, facts
    other.screenshot(path=f"{folder}/cloud-uploaded.png", full_page=True)
    return other, sessions


def compared(page, address, folder, sessions):
    """A store that has another content than the file is noticed; and a browser that shows no `Range` sends what has come once more."""
    video = pathlib.Path(folder) / "other.mp4"
    video.write_bytes(bytes(3 * UNIT))
    sessions.spoils, sessions.cut_at, sessions.shows_range = True, UNIT, False
    sessions.asked.clear()
    page.goto(address)
    page.locator("input[type=file]").set_input_files(video)
    row = page.locator(".drops > li").filter(has_text=video.name)
    row.locator(".problem").get_by_text("What was stored is not this file").wait_for()
    whole = f"bytes 0-{3 * UNIT - 1}/{3 * UNIT}"
    assert sessions.asked == [whole, f"bytes */{3 * UNIT}", whole], sessions.asked


def main():
    address, folder, video, rows = sys.argv[1:]
    complaints = []
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=os.environ.get("CHROMIUM", "/usr/bin/chromium"), args=CHROMIUM)
        context = browser.new_context(viewport={"width": 1280, "height": 900})
        context.set_default_timeout(HANGS_MS)
        context.add_init_script(VIOLATIONS)
        context.on("console", lambda message: message.type in ("error", "warning") and "willReadFrequently" not in message.text and complaints.append(message.text))
        context.on("weberror", lambda error: complaints.append(str(error.error)))
        page = context.new_page()
        try:
            looked_at(page, address, folder, video, rows)
            assert not complaints, "the page complained: " + "\n".join(complaints)
            page, sessions = uploaded(page, address, pathlib.Path(folder) / video)
            compared(page, address, folder, sessions)
            # What the browser itself says of a connection that breaks off.
            broken = [one for one in complaints if "ERR_CONNECTION_RESET" in one]
            assert len(broken) == 2, complaints
            complaints[:] = [one for one in complaints if one not in broken]
        except Exception:
            for at, one in enumerate(context.pages):
                one.screenshot(path=f"{folder}/cloud-failed-{at}.png", full_page=True)
            print(*complaints, sep="\n")
            raise
        finally:
            browser.close()
    assert not complaints, "the page complained: " + "\n".join(complaints)


main()
