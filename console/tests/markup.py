"""Names that are markup are shown as text, in every view: those of videos, of a model and of its classes. A part of browser.py."""

import ast
import json
import urllib.parse

import clips

MODEL = clips.ROOT / "cli/tests/fixtures/moments.onnx"
VIDEO = "classes <i data-injected>.mp4"
#: A path has no slash in a name.
MODEL_NAME = "<img src=x onerror=alert(3)>"
CLASSES = ["<img src=x onerror=alert(1)>", "<b data-injected>\"it's\" &amp; more</b>", "</option></select><script>alert(2)</script>"]
SCENE = "marked"


def varint(number):
    written = bytearray()
    while number > 127:
        written.append(number & 127 | 128)
        number >>= 7
    return bytes([*written, number])


def fields(data):
    """Number, content and all bytes of each field of a message of protocol buffers that has whole numbers and bytes only."""
    at = 0

    def read():
        nonlocal at
        number = shift = 0
        while True:
            byte, at = data[at], at + 1
            number |= (byte & 127) << shift
            shift += 7
            if byte < 128:
                return number

    while at < len(data):
        begin, tag = at, read()
        assert tag & 7 in (0, 2), tag
        length = read()
        content = b""
        if tag & 7 == 2:
            content, at = data[at : at + length], at + length
        yield tag >> 3, content, data[begin:at]


def named(model, classes):
    """The model with other names of its classes, which are in its metadata (field 14 of ONNX's ModelProto: pairs of key and value)."""
    part = lambda number, content: varint(number << 3 | 2) + varint(len(content)) + content
    is_names = lambda number, content: number == 14 and dict((key, value) for key, value, _ in fields(content))[1] == b"names"
    found = list(fields(model))
    [old] = [content for number, content, _ in found if is_names(number, content)]
    assert len(ast.literal_eval(dict((key, value) for key, value, _ in fields(old))[2].decode())) == len(classes)
    rest = b"".join(whole for number, content, whole in found if not is_names(number, content))
    return rest + part(14, part(1, b"names") + part(2, repr(dict(enumerate(classes))).encode()))


def text_only(page, view, names):
    """Each name is in the view as it is written, and none of them is an element."""
    text = page.evaluate("() => document.body.textContent")
    missing = [name for name in names if name not in text]
    assert not missing, f"{view}: {missing} not in {text[:3000]}"
    made = page.evaluate("() => [...document.querySelectorAll('[onerror], [data-injected], body script, img[src=x]')].map((one) => one.outerHTML.slice(0, 200))")
    assert not made, f"{view}: a name became markup: {made}"


def names_are_data(browser, data, address):
    """A video, a model and classes that are named as markup are shown as they are named."""
    page = browser.page
    [hostile] = [video for video in data.requests if video.startswith("<")]
    page.goto(address)
    page.get_by_role("link", name=hostile).click()
    browser.settled(0)
    assert page.locator("h1").inner_text() == hostile
    text_only(page, "a video's name", [hostile])

    folder = data.folder / "marked"
    folder.mkdir(exist_ok=True)
    model, video, scene = folder / f"{MODEL_NAME}.onnx", folder / VIDEO, folder / "scene.json"
    model.write_bytes(named(MODEL.read_bytes(), CLASSES))
    video.write_bytes((data.clips / "constant.mp4").read_bytes())
    picture = {"width_px": clips.WIDTH, "height_px": clips.HEIGHT}
    shapes = {"lines": [{"name": "middle", "points": [[90, 18], [90, 100]]}], "zones": [{"name": "left", "points": [[10, 20], [90, 20], [90, 105], [10, 105]]}]}
    scene.write_text(json.dumps({"name": SCENE, "videos": [VIDEO], "picture": picture, **shapes}))
    summary = json.loads(data.run("run", "--model", model, "--crops", "--json", "--", video))
    request = summary["request_id"]
    try:
        data.run("scene", "add", scene)
        ask = lambda sql: [json.loads(line) for line in data.run("query", "--format", "json", sql).splitlines()]
        of = {row["class_name"]: row["track_id"] for row in ask(f"SELECT class_name, MIN(track_id) AS track_id FROM track_summary WHERE request_id = '{request}' GROUP BY ALL")}
        assert set(of) == set(CLASSES), of
        every_view(browser, data, address, request, of, ask)
    finally:
        data.run("scene", "remove", SCENE)
        data.run("delete", "--upload", request)


def every_view(browser, data, address, request, of, ask):
    page = browser.page
    page.goto(address)
    page.get_by_role("link", name=VIDEO).wait_for()
    text_only(page, "the list", [VIDEO])
    page.goto(f"{address}/request/{request}")
    browser.settled(0)
    page.locator(".lane").nth(2).wait_for()
    text_only(page, "a request", [VIDEO, MODEL_NAME, *CLASSES])
    shown = page.locator(".lane .name").all_inner_texts()
    assert sorted(shown) == sorted(f"#{track} {name}" for name, track in of.items()), shown
    page.get_by_text("Best pictures").click()
    pictures = page.locator(".gallery li span").all_inner_texts()
    assert sorted(pictures) == sorted(shown), pictures
    classes = page.locator(".trackbar label").filter(has_text="Class").locator("select")
    for name, track in of.items():
        classes.select_option(label=name)
        page.wait_for_function("() => document.querySelectorAll('.lane').length === 1")
        assert page.locator(".lane .name").inner_text() == f"#{track} {name}"
        page.locator(".lane .name").click()
        page.locator(".chosen").get_by_text(name, exact=False).wait_for()
    classes.select_option(label="all")
    page.locator(".mend summary").click()
    for name in CLASSES:
        page.locator(".mend select").select_option(label=name)
    planned = page.locator(".mend ol li").all_inner_texts()
    assert [one.split(" is a ", 1)[1] for one in planned] == CLASSES, planned
    text_only(page, "edits that are planned", CLASSES)
    lines_of(browser, data, request, ask)
    page.goto(f"{address}/request/{request}?plots=1")
    page.wait_for_function("() => document.querySelectorAll('.plot .chart').length === 4 && document.querySelector('.heat .cell') && !document.querySelector('.plots [role=status]')")
    for plot in ("objects-per-second", "new-objects", "crossings"):
        legend = " ".join(page.locator(f".plot[data-plot={plot}] .legend li").all_inner_texts())
        crossing = {row["class_name"] for row in ask(f"SELECT DISTINCT class_name FROM line_crossings WHERE request_id = '{request}' AND scene = '{SCENE}'")}
        assert all(name in legend for name in (crossing if plot == "crossings" else CLASSES)), (plot, legend)
    text_only(page, "plots", CLASSES)
    page.screenshot(path=data.folder / "marked-plots.png", full_page=True)
    for name, track in of.items():
        page.goto(f"{address}/request/{request}/track/{track}")
        page.locator("[data-part=path] .path").wait_for()
        assert page.locator("h1").inner_text() == f"#{track} {name}"
        text_only(page, "a track's page", [name, VIDEO])
    asked(page, data, address, request)


def lines_of(browser, data, request, ask):
    """What the lines and zones of a stored scene count, by class."""
    page = browser.page
    page.get_by_text("Lines and zones").click()
    page.get_by_label("Stored").select_option(label=SCENE)
    of_scene = f"WHERE scene = '{SCENE}' AND request_id = '{request}' GROUP BY ALL"
    crossings = ask(f"SELECT direction, class_name, SUM(crossings)::BIGINT AS n FROM line_counts {of_scene}")
    visits = ask(f"SELECT class_name, COUNT(*) AS n FROM zone_visits {of_scene}")
    assert crossings and visits
    page.wait_for_function("() => document.querySelector('.counts')?.innerText.includes('visits')")
    counts = page.locator(".counts").inner_text()
    for row in crossings:
        assert f"{row['direction']}: {row['n']} {row['class_name']}" in counts, (row, counts)
    for row in visits:
        assert f"{row['n']} visits of {row['class_name']}" in counts, (row, counts)
    text_only(page, "lines and zones", [row["class_name"] for row in visits])
    page.screenshot(path=data.folder / "marked.png", full_page=True)


def asked(page, data, address, request):
    """A statement whose rows, columns and text are markup."""
    column = "<u data-injected>objects"
    sql = f"""SELECT class_name, COUNT(*) AS "{column}", '<img src=x onerror=alert(4)>' AS text FROM track_summary WHERE request_id = '{request}' GROUP BY ALL ORDER BY ALL"""
    page.goto(f"{address}/ask?{urllib.parse.urlencode({'sql': sql})}")
    page.wait_for_function("() => document.querySelectorAll('.grid tbody tr:not(.gap)').length === 3")
    rows = [row.locator("td").first.inner_text() for row in page.locator(".grid tbody tr:not(.gap)").all()]
    assert rows == sorted(CLASSES), rows
    page.get_by_role("button", name="Plot").click()
    plot = page.locator("[data-plot=answer]")
    plot.get_by_label("Up").select_option(label=column)
    plot.get_by_label("Across").select_option(label="class_name")
    page.wait_for_function("() => document.querySelectorAll('[data-plot=answer] rect').length === 3")
    titles = [title.rsplit(": ", 1)[0] for title in page.locator("[data-plot=answer] rect title").all_text_contents()]
    assert sorted(titles) == sorted(CLASSES), titles
    text_only(page, "an answer", [*CLASSES, column])
    page.screenshot(path=data.folder / "marked-answer.png", full_page=True)
