"""A request with 18,000 tracks: what is on the screen is in the document, and all of it is reached. A part of browser.py."""

import contextlib
import json
import shutil
import signal
import sqlite3

import duckdb

from dropping import MODEL, Console, accessible

TRACKS, LIFE, CROPS = 18_000, 5, 180
#: Rows of the lists that may be in the document: those on the screen, and some beside them.
MOST_SHOWN = 60


def replaced(data, request, name, sql):
    """The rows of a result, by other ones, in the same file, since the store has it under another name, too."""
    path = data / "results" / request / name
    made = path.with_suffix(".made")
    duckdb.sql(f"COPY ({sql.format(path)}) TO '{made}' (FORMAT parquet)")
    path.chmod(0o644)
    path.write_bytes(made.read_bytes())
    made.unlink()
    # The store knows how large its objects are.
    with contextlib.closing(sqlite3.connect(data / ".store/catalog.db")) as connection, connection:
        changed = connection.execute("UPDATE objects SET bytes = ? WHERE name = ?", (path.stat().st_size, f"{request}/{name}".encode())).rowcount
        assert changed == 1, (name, changed)


def made(console, video, data):
    """A request whose rows are replaced by those of many tracks, each in a few frames, the later ones in later frames."""
    console.run("run", "--model", MODEL, "--crops", "--", video)
    [one] = [json.loads(line) for line in console.run("requests", "--json").splitlines()]
    request = one["request_id"]
    frames = json.loads(console.run("show", "--json", request))["ledger"]["frames"]
    first = f"k * {frames - LIFE + 1} // {TRACKS}"
    with_columns = f"""SELECT rows.* REPLACE (
        ({first} + f)::BIGINT AS frame_index, (k + 1)::BIGINT AS track_id, ({first} + f) / 25.0 AS time_s, (k * 7 % 180)::FLOAT AS x1, (18 + k * 11 % 80)::FLOAT AS y1,
        (k * 7 % 180 + 8)::FLOAT AS x2, (18 + k * 11 % 80 + 8)::FLOAT AS y2, (0.5 + k % 50 / 100.0)::FLOAT AS score)
      FROM (SELECT * FROM '{{0}}' LIMIT 1) AS rows, range({TRACKS}) AS a(k), range({LIFE}) AS b(f) ORDER BY {first} + f, k"""
    replaced(data, request, "tracks.parquet", with_columns)
    with_pictures = f"""SELECT rows.* REPLACE ((k + 1)::BIGINT AS track_id, rows.jpeg || encode(' track ' || (k + 1) || ';') AS jpeg)
      FROM (SELECT * FROM '{{0}}' LIMIT 1) AS rows, range({CROPS}) AS a(k) ORDER BY k"""
    replaced(data, request, "crops.parquet", with_pictures)
    return request


def many(browser, data, address):
    """The lanes of many tracks, scrolled to their end, and by key; the gallery shows more than its first pictures."""
    folder = data.folder / "many"
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir()
    console = Console(data.command, folder / "data")
    try:
        request = made(console, data.clips / "constant.mp4", folder / "data")
        browser.page.goto(console.start())
        lanes(browser, data, console, request)
        gallery(browser, data, console, request)
        # No page asks a console that has ended.
        browser.page.goto("about:blank")
    finally:
        if console.process and console.process.poll() is None:
            assert console.kill(signal.SIGINT) == 0, "Ctrl-C ends it"


def lanes(browser, data, console, request):
    page = browser.page
    of = f"FROM tracks WHERE request_id = '{request}' GROUP BY track_id ORDER BY first, track_id"
    listed = [tuple(map(int, line.split(","))) for line in console.run("query", "--format", "csv", f"SELECT track_id, MIN(frame_index) AS first {of}").splitlines()[1:]]
    assert len(listed) == TRACKS and len({first for _, first in listed}) > 20
    page.goto(f"http://127.0.0.1:{console.port}/request/{request}")
    browser.settled(0)
    page.locator(".trackbar h2 .id").get_by_text(f"{TRACKS:,} of {TRACKS:,}").wait_for()
    shown = lambda: [int(name.split()[0].removeprefix("#")) for name in page.locator(".lane .name").all_inner_texts()]
    at_first = shown()
    assert at_first == [track for track, _ in listed[: len(at_first)]] and 5 < len(at_first) <= MOST_SHOWN, at_first
    # To the end: the last one is the last of the list, and in sight.
    page.evaluate("() => { const lanes = document.querySelector('.lanes'); lanes.scrollTop = lanes.scrollHeight }")
    page.locator(".lane .name").get_by_text(f"#{listed[-1][0]} ").wait_for()
    at_last = shown()
    assert at_last == [track for track, _ in listed[-len(at_last) :]] and 5 < len(at_last) <= MOST_SHOWN, at_last
    inside = page.evaluate("() => { const [lane, box] = [[...document.querySelectorAll('.lane')].at(-1), document.querySelector('.lanes')].map((one) => one.getBoundingClientRect()); return lane.bottom <= box.bottom + 1 && lane.top >= box.top }")
    assert inside, "the last lane is not in sight"
    page.locator(".lane").last.locator(".name").click()
    browser.settled(listed[-1][1])
    assert f"#{listed[-1][0]} " in page.locator(".chosen").inner_text()
    page.screenshot(path=data.folder / "many.png", full_page=True)
    # One before it by key, and one in the middle by its number: its lane comes into sight.
    page.locator(".stage").focus()
    page.keyboard.press("ArrowUp")
    page.locator('.lane[aria-pressed="true"] .name').get_by_text(f"#{listed[-2][0]} ").wait_for()
    track, first = listed[TRACKS // 2]
    page.get_by_label("Go to").fill(f"#{track}")
    page.get_by_label("Go to").press("Enter")
    browser.settled(first)
    page.locator('.lane[aria-pressed="true"] .name').get_by_text(f"#{track} ").wait_for()
    assert len(shown()) <= MOST_SHOWN
    # Those of a frame only.
    page.get_by_label("In this frame only").check()
    [here] = console.run("query", "--format", "csv", f"SELECT COUNT(DISTINCT track_id) FROM tracks WHERE request_id = '{request}' AND frame_index = {first}").splitlines()[1:]
    page.locator(".trackbar h2 .id").get_by_text(f"{int(here):,} of {TRACKS:,}").wait_for()
    page.get_by_label("In this frame only").uncheck()


def gallery(browser, data, console, request):
    """Sixty pictures at first, and sixty more by the button, twice: each is that of its track."""
    page = browser.page
    page.get_by_text("Best pictures").click()
    numbers = lambda: [int(name.split()[0].removeprefix("#")) for name in page.locator(".gallery li span").all_inner_texts()]
    for count in range(60, CROPS + 1, 60):
        page.wait_for_function("(count) => document.querySelectorAll('.gallery li').length === count", arg=count)
        assert numbers() == list(range(1, count + 1)), count
        page.locator(".gallery .id").get_by_text(f"{count} of {TRACKS:,}").wait_for()
        if count < CROPS:
            page.get_by_role("button", name="60 more").click()
    last = page.locator(".gallery li img").last
    last.scroll_into_view_if_needed()
    page.wait_for_function("() => { const last = [...document.querySelectorAll('.gallery img')].at(-1); return last.complete && last.naturalWidth > 0 }")
    # What follows a JPEG's end is not looked at by decoders, and says whose it is.
    for track in (1, 61, CROPS):
        ends = page.evaluate("async (at) => [...new Uint8Array(await (await fetch(document.querySelectorAll('.gallery img')[at].src)).arrayBuffer())].slice(-12)", track - 1)
        assert bytes(ends).decode("latin-1").endswith(f"track {track};"), (track, bytes(ends))
    page.screenshot(path=data.folder / "gallery.png", full_page=True)
    accessible(page, "the gallery")
    last.click()
    page.locator(".chosen").get_by_text(f"#{CROPS} ").wait_for()
