"""The list, the filters and the facts of a request, compared with what the command says. A part of browser.py."""

import json

from canvas import becomes
from dropping import MODEL
from versions import version


def sorts(page, data, address):
    """A column sorts the list by what it shows, down and up."""
    # One that has fewer objects than the others.
    with version(data, data.requests["constant.mp4"], "delete 2"):
        page.goto(address)
        page.wait_for_selector("tbody tr")
        asked = data.ask("SELECT *, epoch_us(uploaded_at) AS uploaded_us, width_px * height_px AS pixels FROM requests")
        rows = {row["request_id"]: row for row in asked}
        for request, row in rows.items():
            video = json.loads(data.run("show", "--json", request))["source"]["video"]
            ticks = video["end_pts"] - video["start_pts"]
            num, den = map(int, video["time_base"].split("/"))
            summary = json.loads((data.data / "results" / request / "summary.json").read_text())
            row |= {"name": row["video"].lower(), "seconds": ticks * num / den, "usd": summary["cost"]["usd"] if summary.get("cost") else -1}
        columns = {
            "Video": "name", "State": "state", "Uploaded": "uploaded_us", "Picture": "pixels", "Length": "seconds", "Frames": "frames",
            "Objects": "track_count", "Cost": "usd",
        }
        heads = page.locator("thead th")
        assert [name.rstrip(" ↓↑") for name in heads.all_inner_texts()] == list(columns)
        shown = lambda: [text.split(",")[0] for text in page.locator("tbody td:first-child .id").all_inner_texts()]
        several = 0
        for at, (name, key) in enumerate(columns.items()):
            head = heads.nth(at)
            ways = {}
            for _ in range(2):
                before = head.get_attribute("aria-sort")
                head.get_by_role("button").click()
                is_sorted = lambda: head.get_attribute("aria-sort") not in (None, before)
                becomes(page, is_sorted, True, f"sorted by {name}")
                way = head.get_attribute("aria-sort")
                listed = shown()
                values = [rows[request][key] for request in listed]
                assert sorted(listed) == sorted(rows) and values == sorted(values, reverse=way == "descending"), (name, way, values)
                ways[way] = listed
            assert sorted(ways) == ["ascending", "descending"], (name, ways)
            if len(set(values)) > 1:
                several += 1
                assert ways["ascending"] != ways["descending"], name
        assert several >= 6, "most columns have several values"


def plays_at_speed(browser, data, address):
    """The video plays at the speed that is chosen and written, in the other video, too."""
    page = browser.page
    page.goto(f"{address}/request/{data.requests['constant.mp4']}")
    browser.settled(0)
    speed = page.get_by_label("Speed")
    read = lambda: [page.evaluate("() => document.querySelector('video').playbackRate"), speed.evaluate("(one) => one.selectedOptions[0].text")]
    becomes(page, read, [1, "1×"], "the speed at first")
    for text in ("0.25×", "4×"):
        speed.select_option(label=text)
        becomes(page, read, [float(text[:-1]), text], "the speed")
    page.locator("select.which").select_option("annotated")
    page.wait_for_function("() => document.querySelector('video').src.endsWith('/annotated') && document.querySelector('video').readyState >= 2")
    browser.settled(0)
    becomes(page, read, [4, "4×"], "the speed of the other video")
    speed.select_option(label="1×")
    becomes(page, read, [1, "1×"], "the speed at last")


def chosen_by_key(browser, data, address):
    """Down and up go to the track after and before, at its first frame."""
    page = browser.page
    request = data.requests["constant.mp4"]
    tracks = data.ask(f"SELECT track_id, class_name, first_frame FROM track_summary WHERE request_id = '{request}' ORDER BY first_frame, track_id")
    assert len(tracks) > 2
    page.goto(f"{address}/request/{request}?frame=20")
    browser.settled(20)
    page.locator(".lane").first.wait_for()
    page.locator(".stage").focus()
    last = len(tracks) - 1
    chosen = lambda: [text.split(",")[0] for text in page.locator(".chosen").all_inner_texts()]
    # Down beyond the last one stays there.
    down = [("ArrowDown", min(last, 1 + more)) for more in range(last + 1)]
    for key, at in [("ArrowDown", 0), ("ArrowDown", 1), ("ArrowUp", 0), *down, ("ArrowUp", last - 1)]:
        page.keyboard.press(key)
        wanted = tracks[at]
        becomes(page, chosen, [f"#{wanted['track_id']} {wanted['class_name']}"], key)
        browser.settled(wanted["first_frame"])


def filters(browser, data, address):
    """The tracks that a filter leaves are those of `trackdrop query`, in the list and on the picture."""
    page = browser.page
    # Tracks of several lengths, of which one has a gap: #3 is not seen from frame 20 to 39.
    edits = ["split 1 30", "split 2 45", "split 3 20", "split 6 40", "delete 6", "merge 3 7"]
    with version(data, data.requests["constant.mp4"], *edits) as request:
        of = f"WHERE request_id = '{request}'"
        tracks = data.ask(f"SELECT track_id, class_name, dwell_s, mean_score FROM track_summary {of}")
        lengths = sorted({row["dwell_s"] for row in tracks})
        least, frame = round((lengths[0] + lengths[1]) / 2, 3), 30
        page.goto(f"{address}/request/{request}?frame={frame}")
        browser.settled(frame)
        page.locator(".lane").first.wait_for()
        listed = lambda: sorted(page.locator(".lane .name").all_inner_texts())
        count = lambda: page.locator(".trackbar h2 .id").inner_text()

        def boxes():
            """The tracks that have a box in the picture, by its pixels."""
            edges = browser.read([row["track_id"] for row in tracks])["edges"]
            return sorted(int(track) for track, edge in edges.items() if edge is not None)

        here = f"track_id IN (SELECT track_id FROM tracks {of} AND frame_index = {frame})"
        for label in ("Ids", "Classes", "Trails"):
            page.get_by_label(label, exact=True).uncheck()
        of_class = page.locator(".trackbar label").filter(has_text="Class").locator("select")
        controls = {
            "class": ("class_name = 'red'", lambda: of_class.select_option(label="red")),
            "length": (f"dwell_s >= {least}", lambda: page.get_by_label("At least").fill(str(least))),
            "score": ("mean_score >= 0.5", lambda: page.get_by_label("Score from").fill("0.5")),
            "high score": ("mean_score >= 0.95", lambda: page.get_by_label("Score from").fill("0.95")),
            "here": (here, lambda: page.get_by_label("In this frame only").check()),
        }
        undone = {
            "class": lambda: of_class.select_option(label="all"),
            "length": lambda: page.get_by_label("At least").fill("0"),
            "score": lambda: page.get_by_label("Score from").fill("0"),
            "high score": lambda: page.get_by_label("Score from").fill("0"),
            "here": lambda: page.get_by_label("In this frame only").uncheck(),
        }
        # The detector is as sure of each thing: a score leaves all of them or none.
        counts = {("class",): 2, ("length",): 4, ("score",): 5, ("high score",): 0, ("here",): 2, ("length", "here"): 2, ("class", "score", "here"): 1}
        for names, passes in counts.items():
            for name in names:
                controls[name][1]()
            passing = " AND ".join(controls[name][0] for name in names)
            wanted = data.ask(f"SELECT track_id, class_name FROM track_summary {of} AND {passing}")
            assert len(wanted) == passes, (names, wanted, tracks)
            becomes(page, listed, sorted(f"#{row['track_id']} {row['class_name']}" for row in wanted), f"tracks filtered by {names}")
            becomes(page, count, f"{len(wanted)} of {len(tracks)}", f"tracks counted by {names}")
            seen = data.ask(f"SELECT track_id FROM track_summary {of} AND {passing} AND {here} ORDER BY 1")
            becomes(page, boxes, [row["track_id"] for row in seen], f"boxes filtered by {names}")
            page.screenshot(path=data.folder / "filtered.png", full_page=True)
            for name in names:
                undone[name]()
        becomes(page, count, f"{len(tracks)} of {len(tracks)}", "no filter")


def damaged(browser, data, address):
    """A video with a damaged frame says so in its list and on its page, with the numbers of `trackdrop query`."""
    page = browser.page
    clip = bytearray((data.clips / "constant.mp4").read_bytes())
    at = clip.index(b"mdat")
    middle = at + int.from_bytes(clip[at - 4 : at], "big") // 2
    clip[middle : middle + 60] = bytes(byte ^ 0x5A for byte in clip[middle : middle + 60])
    video = data.folder / "damaged.mp4"
    video.write_bytes(clip)
    data.run("run", "--model", MODEL, "--no-video", video)
    [row] = data.ask("SELECT request_id, frames, frames_damaged FROM requests WHERE video = 'damaged.mp4'")
    try:
        assert row["frames_damaged"] == 1, row
        page.goto(address)
        page.locator("tbody tr").filter(has_text="damaged.mp4").get_by_text("1 damaged frame", exact=True).wait_for()
        page.get_by_role("link", name="damaged.mp4").click()
        browser.settled(0)
        [warning] = page.locator(".warnings li").all_inner_texts()
        assert warning == f"1 of {row['frames']} frames is damaged: decoded with errors, or not at all, so objects may be missing there.", warning
        assert f"{row['frames'] - 1} whole, 1 damaged" in page.locator(".card dd").filter(has_text="whole").inner_text()
        page.screenshot(path=data.folder / "damaged.png", full_page=True)
    finally:
        data.run("delete", row["request_id"])


def facts(browser, data, address):
    """The ledger, the stages' times and the warnings are those of `trackdrop show`."""
    page = browser.page
    request = data.requests["two-tracks.mp4"]
    page.goto(f"{address}/request/{request}")
    browser.settled(0)
    shown = json.loads(data.run("show", "--json", request))
    ledger = shown["ledger"]
    [row] = data.ask(f"SELECT frames, frames_damaged FROM requests WHERE request_id = '{request}'")
    assert row == {"frames": ledger["frames"], "frames_damaged": ledger["frames_damaged"]}
    names, values = page.locator(".card dt").all_inner_texts(), page.locator(".card dd").all_inner_texts()
    said = dict(zip(names, values))["Ledger"]
    assert said == f"{row['frames']} frames: {ledger['frames_whole']} whole, {row['frames_damaged']} damaged", said
    timeline = json.loads(data.run("show", "--timeline", "--json", request))
    texts = page.locator(".timeline g").all()
    drawn = [tuple(text.text_content() for text in group.locator("> text").all()) for group in texts]
    assert drawn == [(one["stage"], f"{one['clock_s']:.2f} s") for one in timeline["stages"]] and len(drawn) > 3, (drawn, timeline["stages"])
    assert page.locator(".timeline rect.piece").count() == sum(one["pieces"] for one in timeline["stages"])
    [warning] = shown["source"]["video"]["warnings"]
    assert page.locator(".warnings li").all_inner_texts() == [warning]
    assert "2 video" in warning or "two" in warning, warning
    page.screenshot(path=data.folder / "facts.png", full_page=True)
