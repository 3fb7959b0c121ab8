"""Lines and zones: what the page says of them is what `trackdrop query` says. A part of browser.py."""

import contextlib
import decimal
import json

import clips
from canvas import becomes
from rows import same_rows
from versions import version

#: The line and the zone, which the blue thing goes through; and a ground with ten pixels a metre.
LINE = [[90, 18], [90, 100]]
ZONE = [[40, 60], [90, 60], [90, 105], [40, 105]]
GROUND = [[10, 20], [180, 20], [180, 100], [10, 100]]


@contextlib.contextmanager
def stored(data, name):
    """A scene with a line, a zone and a calibration, while it is asked about."""
    file = data.folder / f"{name}.json"
    file.write_text(json.dumps({
        "name": name, "videos": ["*"], "picture": {"width_px": clips.WIDTH, "height_px": clips.HEIGHT}, "lines": [{"name": "middle", "points": LINE}],
        "zones": [{"name": "corner", "points": ZONE}], "calibration": [{"pixel": [x, y], "metre": [x / 10, (clips.HEIGHT - y) / 10]} for x, y in GROUND],
    }))
    data.run("scene", "add", file)
    try:
        yield
    finally:
        data.run("scene", "remove", name)


def fixed(number, digits):
    """As the page rounds: halves go up."""
    return str(decimal.Decimal(number).quantize(decimal.Decimal(1).scaleb(-digits), decimal.ROUND_HALF_UP))


def clock(seconds):
    """`0:01.2`."""
    tenths = int(decimal.Decimal(fixed(seconds, 1)) * 10)
    return f"{tenths // 600}:{tenths // 10 % 60:02}.{tenths % 10}"


def counted(page):
    """What the page says of each line and zone, what flows from one to another, and how fast objects are."""
    found = {}
    for row in page.locator(".counts > tbody > tr").all():
        cell = row.locator("> td").nth(1)
        name = row.locator("> td").first.locator("input").first.input_value()
        found[name] = (cell.locator("> div:not(.crossings)").all_inner_texts(), cell.locator(".crossings button").all_inner_texts())
    flows = page.locator(".scene p").filter(has_text="Flows").all_inner_texts()
    return found, [one for text in flows for one in text.split("): ", 1)[1].split("; ")]


def wanted_of(data, request, scene, names):
    """The same, by `trackdrop query` of the stored scene."""
    of = f"WHERE scene = '{scene}' AND request_id = '{request}'"
    found = {name: ([], []) for name in names}
    for row in data.ask(f"SELECT line, direction, class_name, SUM(crossings)::BIGINT AS n FROM line_counts {of} GROUP BY ALL ORDER BY ALL"):
        found[row["line"]][0].append(f"{row['direction']}: {row['n']} {row['class_name']}")
    for row in data.ask(f"SELECT line, time_s FROM line_crossings {of} ORDER BY time_s, track_id"):
        found[row["line"]][1].append(clock(row["time_s"]))
    visits = f"SELECT zone, class_name, COUNT(*) AS n, AVG(dwell_s) AS mean_s, MAX(dwell_s) AS most_s FROM zone_visits {of} GROUP BY ALL ORDER BY ALL"
    for row in data.ask(visits):
        found[row["zone"]][0].append(f"{row['n']} visits of {row['class_name']}, {fixed(row['mean_s'], 1)} s on average, {fixed(row['most_s'], 1)} s at most")
    flows = data.ask(f"SELECT origin, destination, class_name, identities::BIGINT AS n FROM flows {of} AND identities > 0 ORDER BY ALL")
    return found, [f"{row['origin']} → {row['destination']}: {row['n']} {row['class_name']}" for row in flows]


def drawn_and_dragged(browser, data, request, at):
    """What was drawn and saved counts as the stored scene does; a point that is dragged, and a name that is changed, are in what is saved then."""
    page = browser.page
    first = wanted_of(data, request, "drawn", ["line-1", "zone-1"])
    assert first[1] and all(texts for texts, _ in first[0].values()), first
    becomes(page, lambda: counted(page), first, "what was drawn")
    speeds = data.ask(f"""SELECT class_name, COUNT(*) AS n, MEDIAN(median_speed) AS middle, MAX(max_speed) AS most
                          FROM track_speeds WHERE scene = 'drawn' AND request_id = '{request}' GROUP BY ALL ORDER BY ALL""")
    said = page.locator(".calibration [role=status]").inner_text()
    for row in speeds:
        assert f"{row['n']} {row['class_name']}: {fixed(row['middle'], 2)} m/s in the middle, {fixed(row['most'], 2)} m/s at most." in said, (row, said)
    page.locator("canvas").scroll_into_view_if_needed()
    page.mouse.move(*at(90, 18))
    page.mouse.down()
    page.mouse.move(*at(90, 60), steps=4)
    page.mouse.up()
    for old, new in (("line-1", "gate-north"), ("zone-1", "yard")):
        page.get_by_label(f"Name of {old}", exact=True).fill(new)
        page.get_by_label(f"Name of {old}", exact=True).press("Tab")
        page.get_by_label(f"Name of {new}", exact=True).wait_for()
    page.get_by_label("Scene", exact=True).fill("dragged")
    page.get_by_role("button", name="Save", exact=True).click()
    page.get_by_text("WHERE scene = 'dragged'").wait_for()
    try:
        names = [row["name"] for row in data.ask("SELECT DISTINCT name FROM scenes WHERE scene = 'dragged' AND kind IN ('line', 'zone') ORDER BY ALL")]
        assert names == ["gate-north", "yard"], names
        [line] = data.ask("SELECT ax, ay, zx, zy FROM scenes WHERE scene = 'dragged' AND kind = 'line'")
        ends = sorted([(line["ax"], line["ay"]), (line["zx"], line["zy"])])
        assert all(abs(one - two) < 0.6 for end, place in zip(ends, [(90, 60), (90, 100)]) for one, two in zip(end, place)), line
        wanted = wanted_of(data, request, "dragged", names)
        assert [] != wanted[0]["gate-north"][0] != first[0]["line-1"][0], "the drag changes what is counted"
        becomes(page, lambda: counted(page), wanted, "what was dragged")
        assert page.locator(".drawing text").filter(has_text="gate-north").count() == 1
        page.screenshot(path=data.folder / "dragged.png", full_page=True)
    finally:
        data.run("scene", "remove", "dragged")


def several_visits(browser, data, address, at):
    """Two objects of a class are in a zone for different times: the mean and the longest are those of `trackdrop query`."""
    page = browser.page
    with version(data, data.requests["constant.mp4"], "split 3 20") as request:
        page.goto(f"{address}/request/{request}")
        browser.settled(0)
        page.get_by_text("Lines and zones").click()
        page.get_by_role("button", name="Draw a zone").click()
        for point in [at(x, y) for x, y in ZONE]:
            page.mouse.click(*point)
        page.get_by_role("button", name="Done").click()
        page.locator(".counts").get_by_text("visits of blue").wait_for()
        page.get_by_label("Scene", exact=True).fill("again")
        page.get_by_role("button", name="Save", exact=True).click()
        page.get_by_text("WHERE scene = 'again'").wait_for()
        wanted = wanted_of(data, request, "again", ["zone-1"])
        mean, longest = [part.split()[0] for part in wanted[0]["zone-1"][0][0].split(", ")[1:]]
        assert mean != longest, wanted
        becomes(page, lambda: counted(page), wanted, "two visits")
    data.run("scene", "remove", "again")


def on_its_page(browser, data, address):
    """The page of a track lists the crossings, visits and speeds that `trackdrop query` has of it."""
    page = browser.page
    request = data.requests["constant.mp4"]
    with stored(data, "kept"):
        both = f"SELECT DISTINCT track_id FROM zone_visits JOIN line_crossings USING (request_id, track_id) WHERE request_id = '{request}' ORDER BY ALL"
        [row, *_] = data.ask(both)
        of = f"WHERE request_id = '{request}' AND track_id = {row['track_id']}"
        page.goto(f"{address}/request/{request}/track/{row['track_id']}")
        for part, sql in {
            "Crossings": f"SELECT scene, line, direction, frame_index, ROUND(time_s, 2) AS time_s FROM line_crossings {of} ORDER BY ALL",
            "Visits of zones": f"SELECT scene, zone, enter_frame, exit_frame, ROUND(dwell_s, 2) AS dwell_s FROM zone_visits {of} ORDER BY ALL",
            "Speeds by scene": f"""SELECT scene, ROUND(median_speed, 2) AS median, ROUND(max_speed, 2) AS most, unit, ROUND(median_error, 2) AS error
                                   FROM track_speeds {of} ORDER BY ALL""",
        }.items():
            grid = page.locator(f'[data-part="{part}"] .grid')
            grid.locator("tbody tr").first.wait_for()
            same_rows(grid, data.run("query", "--format", "csv", sql), is_whole=True)
        assert "m/s" in page.locator('[data-part="Speeds by scene"] .grid').inner_text()
        page.screenshot(path=data.folder / "track-in-scene.png", full_page=True)
