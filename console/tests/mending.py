"""Tracks that are split and merged back, and a class that is changed. A part of browser.py."""

from canvas import becomes


def rows(data, request, but=""):
    return data.ask(f"SELECT * EXCLUDE (request_id{but}) FROM tracks WHERE request_id = '{request}' ORDER BY track_id, frame_index")


def made(browser, before):
    """The request of the version that the page makes; its tracks are listed."""
    page = browser.page
    page.get_by_role("button", name="Make a version").click()
    page.wait_for_function("(before) => !location.pathname.endsWith(before)", arg=before)
    version = page.url.split("/request/")[1].split("?")[0]
    page.locator(".bar .state-done").wait_for()
    page.locator(".lane").first.wait_for()
    return version


def choose(browser, data, request, track):
    page = browser.page
    page.locator(".lane").filter(has_text=f"#{track} ").locator(".name").click()
    page.locator(".chosen").get_by_text(f"#{track} ").wait_for()
    [row] = data.ask(f"SELECT first_frame FROM track_summary WHERE request_id = '{request}' AND track_id = {track}")
    browser.settled(row["first_frame"])


def merged_back(browser, data, address):
    """A track that is split in one version and merged in the next one has its rows again; an object of another class has that class in all of its rows."""
    page = browser.page
    request = data.requests["constant.mp4"]
    first = rows(data, request)
    try:
        page.goto(f"{address}/request/{request}?frame=30&track=1")
        browser.settled(30)
        page.locator(".mend summary").click()
        page.get_by_role("button", name="Split at frame 30").click()
        split = made(browser, request)
        becomes(page, lambda: page.locator(".lane").count(), 4, "tracks of the version that is split")
        assert rows(data, split) != first and len(rows(data, split)) == len(first)
        choose(browser, data, split, 1)
        page.locator(".mend summary").click()
        page.get_by_label("is also #").fill("#4")
        page.get_by_role("button", name="Merge").click()
        page.locator(".mend li").get_by_text("#4 is #1").wait_for()
        merged = made(browser, split)
        becomes(page, lambda: page.locator(".lane").count(), 3, "tracks of the version that is merged")
        assert rows(data, merged) == first, "what was split and merged is what it was"
        choose(browser, data, merged, 2)
        [old] = data.ask(f"SELECT DISTINCT class_name FROM tracks WHERE request_id = '{merged}' AND track_id = 2")
        new = next(name for name in ("red", "green", "blue") if name != old["class_name"])
        page.locator(".mend summary").click()
        page.locator(".mend select").select_option(label=new)
        page.locator(".mend li").get_by_text(f"#2 is a {new}").wait_for()
        changed = made(browser, merged)
        named = [f"#{row['track_id']} {new if row['track_id'] == 2 else row['class_name']}" for row in first if row["frame_index"] == 0]
        becomes(page, lambda: page.locator(".lane .name").all_inner_texts(), named, "the tracks' classes")
        classes = data.ask(f"SELECT track_id, class_name, COUNT(*) AS n FROM tracks WHERE request_id = '{changed}' GROUP BY ALL ORDER BY ALL")
        assert [row["class_name"] for row in classes if row["track_id"] == 2] == [new], classes
        others = lambda found: [row for row in found if row["track_id"] != 2]
        assert others(rows(data, changed)) == others(first) and rows(data, changed, ", class_name, class_id") == rows(data, request, ", class_name, class_id")
    finally:
        for row in data.ask("SELECT request_id FROM requests WHERE retrack_of IS NOT NULL"):
            data.run("delete", row["request_id"])
