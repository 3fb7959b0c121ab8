"""Lines, zones and points without a pointer, as addresses and as stored scenes; the files of a request. Parts of browser.py."""

import json
import pathlib
import urllib.parse

import clips
from dropping import accessible

#: What is focused is called so by a screen reader, nearly.
NAME = "() => { const one = document.activeElement; return (one.ariaLabel ?? one.labels?.[0]?.innerText ?? one.innerText ?? '').trim() }"
#: More than the page has of what can be focused.
MOST_TABS = 400
LINE = [(90, 18), (90, 100)]
ZONE = [(40, 60), (90, 60), (90, 105), (40, 105)]
GROUND = [((10, 20), (1, 8.8)), ((180, 20), (18, 8.8)), ((180, 100), (18, 0.8)), ((10, 100), (1, 0.8))]
HOSTILE = '<img src=x onerror=alert(1)> & 100%: a*b_c+d "q" #1'


def tab_to(page, name):
    """Presses Tab until what is called so has the focus."""
    for _ in range(MOST_TABS):
        page.keyboard.press("Tab")
        if page.evaluate(NAME).startswith(name):
            return
    raise AssertionError(f"no Tab comes to {name!r}")


def press(page, name, key="Enter"):
    tab_to(page, name)
    page.keyboard.press(key)


def typed(page, *values):
    """Into the field that has the focus, and those after it."""
    for value in values:
        page.keyboard.press("Control+A")
        page.keyboard.type(str(value))
        page.keyboard.press("Tab")


def focused(page, name):
    page.wait_for_function(f"(name) => ({NAME})() === name", arg=name)


def points_typed(page, shape, points):
    """The points of a shape that was put in the middle: its first field has the focus."""
    focused(page, f"Point 1 of {shape}, x in pixels")
    for at, point in enumerate(points, 1):
        if at > 1:
            tab_to(page, f"Point {at} of {shape}, x in pixels")
        typed(page, *point)


def asked(data, sql):
    return [json.loads(line) for line in data.run("query", "--format", "json", sql).splitlines()]


def counts_of(data, request, scene):
    """What the page writes of a stored scene's line and zone, from the rows of `trackdrop query`."""
    of = f"WHERE scene = '{scene}' AND request_id = '{request}' GROUP BY ALL ORDER BY ALL"
    crossings = asked(data, f"SELECT direction, class_name, SUM(crossings)::BIGINT AS n FROM line_counts {of}")
    visits = asked(data, f"SELECT class_name, COUNT(*) AS n FROM zone_visits {of}")
    assert crossings, "nothing crosses the line: nothing is compared"
    return [f"{row['direction']}: {row['n']} {row['class_name']}" for row in crossings] + [f"{row['n']} visits of {row['class_name']}" for row in visits]


def counted(page):
    """What the panel shows, once it is there."""
    page.locator(".counts .crossings button").first.wait_for()
    return page.locator(".counts td:nth-child(2)").all_inner_texts()


def by_keys(browser, data, address):
    """A line, a zone and a calibration made by keyboard alone count what `trackdrop query` counts; plots and paths are read by keys, too."""
    page = browser.page
    request = data.requests["constant.mp4"]
    page.goto(f"{address}/request/{request}")
    browser.settled(0)
    press(page, "Lines and zones")
    press(page, "Draw a line")
    press(page, "Put it in the middle")
    points_typed(page, "line-1", LINE)
    press(page, "Draw a zone")
    press(page, "Put it in the middle")
    points_typed(page, "zone-1", ZONE)
    # A point more, and it is taken out again: the counts are those of before.
    page.wait_for_function("() => document.querySelector('.counts').innerText.includes('visits')")
    before = counted(page)
    press(page, "Add a point after point 4 of zone-1")
    assert [field.input_value() for field in page.get_by_label("Point 5 of zone-1").all()[:2]] == ["40", "82.5"]
    press(page, "Remove point 5 of zone-1")
    assert page.get_by_role("button", name="Remove point 1 of line-1", exact=True).is_disabled(), "a line has two points at least"
    assert page.locator(".drawing .handle").count() == len(LINE) + len(ZONE)
    press(page, "Calibrate")
    press(page, "Put it in the middle")
    for at, (pixel, metre) in enumerate(GROUND, 1):
        focused(page, f"Point {at}, x in pixels")
        typed(page, *pixel, *metre)
        if at < len(GROUND):
            press(page, "Add a point")
    page.get_by_text("m/s at most").wait_for()
    assert "The points fit to 0.00 m." in page.locator(".calibration").inner_text()
    assert counted(page) == before
    page.screenshot(path=data.folder / "keys.png", full_page=True)
    accessible(page, "shapes as numbers")
    tab_to(page, "Scene")
    page.keyboard.type("typed")
    page.keyboard.press("Enter")
    page.get_by_text("Saved: ").wait_for()
    shown = " ".join(before)
    for wanted in counts_of(data, request, "typed"):
        assert wanted in shown, (wanted, shown)
    assert asked(data, f"SELECT DISTINCT unit FROM track_speeds WHERE scene = 'typed' AND request_id = '{request}'") == [{"unit": "m/s"}]
    data.run("scene", "remove", "typed")
    # What is no number changes nothing, and what is beyond the picture is its edge.
    field = page.get_by_label("Point 1 of line-1, x in pixels")
    field.fill("")
    field.press("Tab")
    assert field.input_value() == "90"
    field.fill("9999")
    field.press("Tab")
    assert field.input_value() == str(clips.WIDTH)
    plots_by_keys(page, data, address, request)
    path_by_keys(browser, data, address, request)


def plots_by_keys(page, data, address, request):
    """Arrow keys read the cells of the heatmap and the values of a chart."""
    page.goto(f"{address}/request/{request}?plots=1")
    page.wait_for_function("() => document.querySelectorAll('.plot .chart').length >= 3 && document.querySelector('.heat .cell')")
    chart = page.locator(".plot[data-plot=objects-per-second]")
    press(page, "Objects in each second", "End")
    page.keyboard.press("ArrowLeft")
    page.keyboard.press("ArrowLeft")
    first = asked(data, f"SELECT class_name, objects FROM objects_per_second WHERE request_id = '{request}' AND second = 0")
    read = chart.locator(".read").inner_text()
    assert first and read.startswith("0 to 1 s: ") and all(f"{row['objects']} {row['class_name']}" in read for row in first), (read, first)
    figure = page.locator(".plot[data-plot=heatmap]")
    cells = {}
    for row in asked(data, figure.locator("pre").text_content()):
        key = (row["cell_x"], row["cell_y"])
        cells[key] = cells.get(key, 0) + row["seconds"]
    size = clips.WIDTH / 32
    said = lambda x, y: f"around {round((x + 0.5) * size)}, {round((y + 0.5) * size)}: {cells.get((x, y), 0):.2f} s"
    (x, y), _ = max(cells.items(), key=lambda one: one[1])
    press(page, "Where objects spent their time", "ArrowRight")
    read = figure.locator(".read").inner_text()
    assert any(read == said(*cell) for cell, seconds in cells.items() if abs(seconds - cells[x, y]) < 1e-9), (read, said(x, y))
    place = [int(float(figure.locator(".read-cell").get_attribute(axis)) / size + 0.5) for axis in "xy"]
    for key, (across, down) in {"ArrowLeft": (-1, 0), "ArrowUp": (0, -1), "ArrowRight": (1, 0), "ArrowDown": (0, 1), "Home": (-place[0], 0)}.items():
        page.keyboard.press(key)
        place = [max(0, place[0] + across), max(0, place[1] + down)]
        page.wait_for_function("(said) => document.querySelector('[data-plot=heatmap] .read').innerText === said", arg=said(*place))


def path_by_keys(browser, data, address, request):
    """The keys walk along the path of a track, and show the frame that they come to."""
    page = browser.page
    page.goto(f"{address}/request/{request}/track/2")
    page.locator("[data-part=path] .path").wait_for()
    path = asked(data, f"SELECT frame_index, (x1 + x2) / 2 AS x, y2 AS y FROM tracks WHERE request_id = '{request}' AND track_id = 2 ORDER BY frame_index")
    last = path[-2]
    press(page, "Along it", "End")
    page.keyboard.press("ArrowLeft")
    dot = page.locator("[data-part=path] .read-cell")
    assert abs(float(dot.get_attribute("cx")) - last["x"]) < 1e-3 and abs(float(dot.get_attribute("cy")) - last["y"]) < 1e-3
    accessible(page, "a place on a path")
    press(page, f"Show frame {last['frame_index']}")
    browser.settled(last["frame_index"])
    assert "#2" in page.locator(".chosen").inner_text()


def drawn(page, address, request, **more):
    """The page with a line, a zone and a calibration that only the address has."""
    flat = lambda points: "_".join(str(value) for point in points for value in point)
    given = [("line", f"gate*{flat(LINE)}"), ("polygon", f"hall*{flat(ZONE)}"), *(("ground", flat(pair)) for pair in GROUND), *more.items()]
    page.goto(f"{address}/request/{request}?{urllib.parse.urlencode(given, safe='*')}")


def shared(browser, data, address):
    """What is drawn is in the address: another page shows the same shapes, the same counts and the same filter."""
    request = data.requests["constant.mp4"]
    page = browser.page
    drawn(page, address, request, zone="hall")
    browser.settled(0)
    counts = counted(page)
    scene = data.folder / "shared.json"
    picture = {"width_px": clips.WIDTH, "height_px": clips.HEIGHT}
    text = {"name": "shared", "videos": ["constant.mp4"], "picture": picture}
    text |= {"lines": [{"name": "gate", "points": LINE}], "zones": [{"name": "hall", "points": ZONE}]}
    scene.write_text(json.dumps(text))
    data.run("scene", "add", scene)
    for wanted in counts_of(data, request, "shared"):
        assert wanted in " ".join(counts), (wanted, counts)
    different = lambda table, more="": asked(data, f"SELECT COUNT(DISTINCT track_id) AS n FROM {table} WHERE request_id = '{request}'{more}")[0]["n"]
    inside, everyone = different("zone_visits", " AND scene = 'shared'"), different("tracks")
    data.run("scene", "remove", "shared")
    listed = f"{inside} of {everyone}"
    assert 0 < inside < everyone, "the filter shows: it takes some of the tracks"
    page.locator(".trackbar h2 .id").get_by_text(listed, exact=True).wait_for()
    # A point is moved, and the address follows.
    page.get_by_text("Points of gate").click()
    field = page.get_by_label("Point 1 of gate, x in pixels")
    field.fill("110")
    field.press("Tab")
    page.wait_for_function("() => location.search.includes('line=gate*110_18_90_100')")
    other = browser.opened()
    other.goto(page.url)
    other.wait_for_selector('canvas[data-settled="0"]')
    other.locator(".trackbar h2 .id").get_by_text(listed, exact=True).wait_for()
    other.get_by_text("m/s at most").wait_for()
    moved = counted(other)
    assert moved != counts, "the moved point changes when the line is crossed"
    is_shown = "(wanted) => [...document.querySelectorAll('.counts td:nth-child(2)')].every((cell, at) => cell.innerText === wanted[at])"
    page.wait_for_function(is_shown, arg=moved)
    shapes = lambda one: one.locator(".drawing").inner_html()
    assert shapes(other) == shapes(page)
    assert other.locator(".calibration").inner_text() == page.locator(".calibration").inner_text()
    # What was not drawn is not in the address any more.
    for name in ("gate", "hall"):
        page.get_by_role("button", name=f"Remove {name}", exact=True).click()
    page.wait_for_function("() => !location.search.includes('line=') && !location.search.includes('polygon=') && location.search.includes('ground=')")
    other.close()
    names_in_addresses(browser, data, address)
    stored_scenes(browser, data, address)


def names_in_addresses(browser, data, address):
    """A name with markup and with the address's own marks is that name on another page; what can't be read is said."""
    request = data.requests["constant.mp4"]
    page = browser.page
    drawn(page, address, request)
    browser.settled(0)
    counted(page)
    page.get_by_label("Name of gate").fill(HOSTILE)
    page.get_by_label("Name of gate").press("Tab")
    page.locator(".scene .problem").get_by_text("is not a name").wait_for()
    other = browser.opened()
    other.goto(page.url)
    for one in (page, other):
        one.locator(".scene .problem").get_by_text("is not a name").wait_for()
        assert one.locator(".counts input[size]").first.input_value() == HOSTILE
        assert HOSTILE in one.locator(".drawing .line text").all_text_contents()
        assert one.locator("main img[src=x]").count() == 0
    other.close()
    # The browser itself writes a line for each answer that is no success.
    assert browser.complaints and all("422" in one for one in browser.complaints), browser.complaints
    browser.complaints.clear()
    for wrong in ("line=gate", "line=gate*1_2_3", "polygon=hall*1_2_3_4", "ground=1_2_x_4", "rules=%7B", "line=%25*1_2_3_4", "line=a*1_2__4"):
        page.goto(f"{address}/request/{request}?line=good*90_18_90_100&{wrong}")
        browser.settled(0)
        page.get_by_text("The address contains something").wait_for()
        assert page.locator(".counts .points").count() == 1, wrong
        counted(page)
    # More than an address takes is said, too, and is not cut.
    points = "_".join(f"{x}.25_{20 + 60 * (x % 2)}.25" for x in range(1, 180) for _ in range(4))
    page.goto(f"{address}/request/{request}?line=long*{points}")
    browser.settled(0)
    page.get_by_text("more points than an address can hold").wait_for()
    assert "line=" not in page.url
    browser.complaints.clear()


def stored_scenes(browser, data, address):
    """A scene of a larger picture is loaded as it is stored, its address shows the same, and it is removed after a question."""
    request = data.requests["constant.mp4"]
    page = browser.page
    scene = data.folder / "loaded.json"
    twice = [[2 * x, 2 * y] for x, y in LINE]
    text = {
        "name": "loaded", "videos": ["constant.mp4", "nothing else*"], "hysteresis": 0.75,
        "picture": {"width_px": 2 * clips.WIDTH, "height_px": 2 * clips.HEIGHT},
        "lines": [{"name": "door", "points": twice, "in": "come", "out": "go"}],
    }
    scene.write_text(json.dumps(text))
    data.run("scene", "add", scene)
    page.goto(f"{address}/request/{request}")
    browser.settled(0)
    page.get_by_text("Lines and zones").click()
    page.get_by_label("Stored").select_option("loaded")
    counts = counted(page)
    assert [page.get_by_label(f"Point 1 of door, {axis} in pixels").input_value() for axis in "xy"] == [str(value) for value in LINE[0]]
    wanted = counts_of(data, request, "loaded")
    assert any(one.startswith(("come", "go")) for one in wanted) and all(one in " ".join(counts) for one in wanted), (wanted, counts)
    other = browser.opened()
    other.goto(page.url)
    assert counted(other) == counts
    other.close()
    # Saved again, it says what it said.
    shown = lambda: json.loads(data.run("scene", "show", "loaded"))
    before = shown()
    page.get_by_role("button", name="Save", exact=True).click()
    page.get_by_text("Saved: ").wait_for()
    after = shown()
    assert after["lines"] == [{"name": "door", "points": [list(point) for point in LINE], "in": "come", "out": "go"}], after
    assert {key: after[key] for key in after if key not in ("lines", "picture")} == {key: before[key] for key in before if key not in ("lines", "picture")}
    page.get_by_role("button", name="Remove the stored scene loaded").click()
    accessible(page, "the question of a scene")
    page.screenshot(path=data.folder / "scene-removal.png")
    page.get_by_role("button", name="Keep it").click()
    assert "loaded: " in data.run("scene", "list")
    page.get_by_role("button", name="Remove the stored scene loaded").click()
    page.get_by_role("dialog").get_by_role("button", name="Remove", exact=True).click()
    page.get_by_text("Removed: loaded").wait_for()
    assert data.run("scene", "list") == ""
    assert page.get_by_label("Stored").count() == 0 and counted(page) == counts, "what is drawn stays"


def files(browser, data, address):
    """Each file of a request is saved as it is in the results."""
    page = browser.page
    request = data.requests["constant.mp4"]
    page.goto(f"{address}/request/{request}")
    browser.settled(0)
    stored = {path.name: path for path in (data.data / "results" / request).iterdir() if path.is_file() and not path.name.startswith(".")}
    links = page.locator(".files a")
    assert sorted(links.all_inner_texts()) == sorted(stored) and "tracks.parquet" in stored
    for name, path in stored.items():
        with page.expect_download() as saved:
            page.get_by_role("link", name=name, exact=True).click()
        assert saved.value.suggested_filename == name
        assert pathlib.Path(saved.value.path()).read_bytes() == path.read_bytes(), name
