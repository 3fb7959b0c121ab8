"""What is drawn over the picture, by its control and by its key, read from the canvas. A part of browser.py."""

import itertools

import clips
from canvas import becomes, colour

FRAME = 30
#: Each with the word of its control and its key; the first five are on at first.
OPTIONS = {
    "boxes": ("Boxes", "b"), "ids": ("Ids", "i"), "classes": ("Classes", "c"), "trails": ("Trails", "t"), "dim": ("Dim others", "d"), "scores": ("Scores", "s"),
    "blur": ("Blur", "u"),
}
AT_FIRST = {"boxes", "ids", "classes", "trails", "dim"}
#: Frames of the trail behind an object.
TRAIL = 30

BARE = """() => {
  const {width, height} = document.querySelector("canvas");
  return document.querySelector("canvas").getContext("2d").getImageData(0, 0, width, height);
}"""

# Of each track: how much of its colour is over the bare picture along its box and its trail (0 to 1), and which of the texts is at its box, and how strong.
SEEN = """([bare, tracks, texts]) => {
  const canvas = document.querySelector("canvas");
  const {width, height} = canvas;
  const now = canvas.getContext("2d").getImageData(0, 0, width, height);
  const [sx, sy] = [width / WIDTH, height / HEIGHT];
  const middle = (list) => list.sort((a, b) => a - b)[list.length >> 1] ?? -1;
  // The strongest one of the pixels around a point: a line's own middle is between two of them.
  const share = (colour, x, y) => {
    let most = 0;
    for (let v = Math.floor(y) - 2; v <= Math.floor(y) + 2; v++) for (let u = Math.floor(x) - 2; u <= Math.floor(x) + 2; u++) {
      if (u < 0 || v < 0 || u >= width || v >= height) continue;
      const at = 4 * (v * width + u);
      let [along, whole] = [0, 0];
      for (let part = 0; part < 3; part++) {
        const way = colour[part] - bare.data[at + part];
        along += way * (now.data[at + part] - bare.data[at + part]);
        whole += way * way;
      }
      most = Math.max(most, along / whole);
    }
    return most;
  };
  const size = Math.max(11, Math.round(height / 42));
  const drawn = (colour, text, [left, top], [x, y], [across, down], alpha) => {
    const sheet = new OffscreenCanvas(across, down);
    const pen = sheet.getContext("2d", {alpha: false});
    pen.putImageData(bare, -left, -top);
    if (text === "") return pen.getImageData(0, 0, across, down).data;
    pen.translate(-left, -top);
    pen.globalAlpha = alpha;
    pen.font = `600 ${size}px system-ui, sans-serif`;
    pen.textBaseline = "middle";
    pen.fillStyle = `rgb(${colour})`;
    pen.fillRect(x, y, pen.measureText(text).width + size * 0.6, size * 1.4);
    pen.fillStyle = 0.299 * colour[0] + 0.587 * colour[1] + 0.114 * colour[2] > 140 ? "#000" : "#fff";
    pen.fillText(text, x + size * 0.3, y + size * 0.72);
    return pen.getImageData(0, 0, across, down).data;
  };
  return tracks.map(({colour, box: [x1, y1, x2, y2], trail}) => {
    const edges = [];
    for (let part = 3; part <= 9; part++) {
      const [x, y] = [(x1 + ((x2 - x1) * part) / 12) * sx, (y1 + ((y2 - y1) * part) / 12) * sy];
      edges.push(share(colour, x1 * sx, y), share(colour, x2 * sx, y), share(colour, x, y2 * sy));
    }
    // The label, without the line of the box below it.
    const place = [x1 * sx - Math.max(2, Math.round(height / 360)) / 2, y1 * sy - size * 1.4];
    const from = [Math.floor(place[0]) - 2, Math.floor(place[1]) - 2];
    const area = [Math.min(size * 12, width - from[0]), Math.floor(y1 * sy) - 5 - from[1]];
    const part = canvas.getContext("2d").getImageData(...from, ...area).data;
    let best = {off: Infinity};
    for (const alpha of [1, 0.22]) for (const text of texts) {
      const other = drawn(colour, text, from, place, area, alpha);
      const off = part.reduce((sum, value, at) => sum + Math.abs(value - other[at]), 0) / part.length;
      if (off < best.off) best = {off, text, alpha: text === "" ? 0 : alpha};
    }
    return {box: middle(edges), trail: middle(trail.map(([x, y]) => share(colour, x * sx, y * sy))), label: best};
  });
}""".replace("WIDTH", str(clips.WIDTH)).replace("HEIGHT", str(clips.HEIGHT))

# How many colours there are in each box, and how many pixels outside of all boxes are others than those of the bare picture.
DETAIL = """([bare, boxes]) => {
  const canvas = document.querySelector("canvas");
  const {width, height} = canvas;
  const now = canvas.getContext("2d").getImageData(0, 0, width, height).data;
  const [sx, sy] = [width / WIDTH, height / HEIGHT];
  const inside = boxes.map(() => new Set());
  let changed = 0;
  for (let v = 0; v < height; v++) for (let u = 0; u < width; u++) {
    const at = 4 * (v * width + u);
    let isNear = false;
    boxes.forEach(([x1, y1, x2, y2], which) => {
      const margin = 0.1 * (y2 - y1);
      const [x, y] = [(u + 0.5) / sx, (v + 0.5) / sy];
      if (x > x1 && x < x2 && y > y1 && y < y2) inside[which].add((now[at] << 16) | (now[at + 1] << 8) | now[at + 2]);
      isNear ||= x > x1 - margin && x < x2 + margin && y > y1 - margin && y < y2 + margin;
    });
    if (!isNear && (now[at] !== bare.data[at] || now[at + 1] !== bare.data[at + 1] || now[at + 2] !== bare.data[at + 2])) changed++;
  }
  return [inside.map((colours) => colours.size), changed];
}""".replace("WIDTH", str(clips.WIDTH)).replace("HEIGHT", str(clips.HEIGHT))
#: Cells of a box that is blurred, each of one colour; and colours that a box has at least that is not.
CELLS, MANY = 64, 200


def strength(share):
    """Whether a line is drawn in full, dimmed or not at all; the share itself where it is neither."""
    for name, least, most in (("none", -1e-3, 0.04), ("dim", 0.08, 0.42), ("full", 0.6, 1.2)):
        if least <= share <= most:
            return name
    return share


def rows_of(data, request):
    """The boxes of the frame, and the points of each trail that no box is near."""
    of = f"FROM tracks WHERE request_id = '{request}' AND frame_index"
    rows = data.ask(f"SELECT track_id, class_name, score, x1, y1, x2, y2 {of} = {FRAME} ORDER BY track_id")
    for row in rows:
        row["box"] = [row[side] for side in ("x1", "y1", "x2", "y2")]
    is_free = lambda x, y: all(not (one["x1"] - 3 < x < one["x2"] + 3 and one["y1"] - 8 < y < one["y2"] + 3) for one in rows)
    for row in rows:
        points = data.ask(f"SELECT (x1 + x2) / 2 AS x, y2 AS y {of} BETWEEN {FRAME - TRAIL} AND {FRAME} AND track_id = {row['track_id']} ORDER BY frame_index")
        row["trail"] = [[one["x"], one["y"]] for one in points if is_free(one["x"], one["y"])]
        assert len(row["trail"]) >= 5, (row["track_id"], points)
    return rows


def wanted_of(rows, on, chosen):
    """What is to be seen of each track: its box, its trail, its label and how strong that is."""
    found = []
    for row in rows:
        is_dim = "dim" in on and chosen is not None and chosen != row["track_id"]
        drawn = "dim" if is_dim else "full"
        parts = [(f"#{row['track_id']}", "ids"), (row["class_name"], "classes"), (f"{row['score']:.2f}", "scores")]
        label = " ".join(text for text, option in parts if option in on)
        found.append(("" if label == "" else drawn, label, drawn if "boxes" in on else "none", drawn if "trails" in on else "none"))
    return found


def looks(browser, data, address):
    """Each option draws what it says, by its control and by its key, and nothing else; the still is the frame that is shown."""
    page = browser.page
    request = data.requests["constant.mp4"]
    rows = rows_of(data, request)
    page.goto(f"{address}/request/{request}?frame={FRAME}")
    browser.settled(FRAME)
    page.locator(".lane").first.wait_for()
    page.locator(".stage").focus()
    box = lambda option: page.get_by_label(OPTIONS[option][0], exact=True)
    on, chosen = set(AT_FIRST), None
    assert {option for option in OPTIONS if box(option).is_checked()} == on

    for option in AT_FIRST:
        page.keyboard.press(OPTIONS[option][1])
    becomes(page, lambda: [option for option in OPTIONS if box(option).is_checked()], [], "all is off")
    bare = page.evaluate_handle(BARE)
    believed = browser.read([row["track_id"] for row in rows])
    assert believed["number"] == FRAME and not any(believed["edges"].values()), f"the bare picture has boxes: {believed}"
    for option in AT_FIRST:
        page.keyboard.press(OPTIONS[option][1])

    names, scores = sorted({row["class_name"] for row in rows}), sorted({f"{row['score']:.2f}" for row in rows} | {"0.10", "0.99"})
    parts = [[""] + [f"#{row['track_id']}" for row in rows], [""] + names, [""] + scores]
    texts = [" ".join(filter(None, each)) for each in itertools.product(*parts)]
    tracks = [{"colour": colour(row["track_id"]), "box": row["box"], "trail": row["trail"]} for row in rows]
    alphas = {0: "", 1: "full", 0.22: "dim"}

    def seen():
        found = page.evaluate(SEEN, [bare, tracks, texts])
        return [(alphas[one["label"]["alpha"]], one["label"]["text"], strength(one["box"]), strength(one["trail"])) for one in found]

    check = lambda what: becomes(page, seen, wanted_of(rows, on, chosen), what)

    def flipped(option):
        """By the key and back, then by the control and back; what is seen follows each time."""
        for does in (lambda: page.keyboard.press(OPTIONS[option][1]), lambda: box(option).click()):
            for _ in range(2):
                does()
                on.symmetric_difference_update({option})
                check(f"{option} {'on' if option in on else 'off'}, with {chosen} chosen")
                assert box(option).is_checked() == (option in on), option

    check("at first")
    for option in ("boxes", "ids", "classes", "scores", "trails"):
        flipped(option)
    # The object that is clicked on is chosen, and the others are dimmed.
    chosen = rows[0]["track_id"]
    place = page.locator("canvas").bounding_box()
    x, y = (rows[0]["x1"] + rows[0]["x2"]) / 2, (rows[0]["y1"] + rows[0]["y2"]) / 2
    page.mouse.click(place["x"] + place["width"] * x / clips.WIDTH, place["y"] + place["height"] * y / clips.HEIGHT)
    page.locator(".chosen").get_by_text(f"#{chosen} ").wait_for()
    check("one is chosen")
    page.screenshot(path=data.folder / "dimmed.png")
    flipped("dim")
    page.locator(".stage").focus()
    page.keyboard.press("Escape")
    chosen = None
    check("none is chosen")
    blurred(page, data, rows, bare, box)
    still(browser, data, request)


def blurred(page, data, rows, bare, box):
    """Inside of each box there are some cells of one colour each, and outside nothing is another."""
    boxes = [row["box"] for row in rows]
    for option in ("boxes", "ids", "classes", "trails"):
        box(option).uncheck()

    def read():
        colours, changed = page.evaluate(DETAIL, [bare, boxes])
        return ["blurred" if count <= CELLS else "clear" if count >= MANY else count for count in colours], changed

    for does in (lambda: page.keyboard.press("u"), lambda: box("blur").click()):
        for is_blurred in (True, False):
            does()
            becomes(page, read, (["blurred" if is_blurred else "clear"] * len(rows), 0), "the blurred view")
            if is_blurred:
                page.screenshot(path=data.folder / "blurred.png")
    for option in ("boxes", "ids", "classes", "trails"):
        box(option).check()


def still(browser, data, request):
    """The picture that is saved is the one of the frame that is shown."""
    page = browser.page
    truth = clips.numbers(data.clips / "constant.mp4")
    for frame in (FRAME, FRAME + 7):
        page.get_by_label("Go to").fill(str(frame))
        page.get_by_label("Go to").press("Enter")
        browser.settled(frame)
        becomes(page, lambda: page.get_by_role("link", name="Still as PNG").get_attribute("download"), f"frame-{frame}.png", "the still's name")
        with page.expect_download() as saved:
            page.get_by_role("link", name="Still as PNG").click()
        assert saved.value.suggested_filename == f"frame-{frame}.png"
        path = data.folder / "still.png"
        saved.value.save_as(path)
        assert path.read_bytes().startswith(b"\x89PNG") and clips.numbers(path) == [truth[frame]], (frame, clips.numbers(path))
