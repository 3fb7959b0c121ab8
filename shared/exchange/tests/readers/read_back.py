"""Reads an export with the reader that its users have, and compares every row with what went in.

    read_back.py FORMAT EXPORT EXPECTED.json

Coordinates and scores are compared as 32-bit floats, and must be equal to the bit; times to the last bit of 64. Where a
reader itself rounds, its rows are compared to its precision, and the file's numbers to the bit.
"""

import csv
import json
import sys
from xml.etree import ElementTree

import numpy as np

f32 = np.float32


def mot(path, expected):
    import motmetrics

    frame = motmetrics.io.load_motchallenge(path)
    rows = []
    for (number, track_id), row in frame.iterrows():
        # motmetrics takes the boxes for 1-based, as the challenge's pages say, and subtracts 1: see the README.
        rows.append((number - 1, track_id, f32(row.X + 1), f32(row.Y + 1), f32(row.Width), f32(row.Height),
                     f32(row.Confidence)))
    compare(rows, [(r["frame_index"], r["track_id"], *xywh(r), f32(r["score"])) for r in expected["rows"]])


def coco(path, expected):
    from pycocotools.coco import COCO

    data = COCO(path)
    video, = data.dataset["videos"]
    meta = expected["meta"]
    compare([video[key] for key in ("id", "name", "width", "height", "fps", "length")],
            [1, meta["name"], meta["width"], meta["height"], meta["fps"], meta["frame_count"]])
    images = data.loadImgs(sorted(data.getImgIds()))
    compare([(i["frame_index"], i["frame_id"], i["id"], i["video_id"], i["width"], i["height"]) for i in images],
            [(n, n, n + 1, 1, meta["width"], meta["height"]) for n in range(meta["frame_count"])])
    compare(len({i["file_name"] for i in images}), meta["frame_count"])
    rows = []
    for a in data.loadAnns(sorted(data.getAnnIds())):
        image, = data.loadImgs(a["image_id"])
        category, = data.loadCats(a["category_id"])
        compare((a["instance_id"], a["video_id"], a["iscrowd"]), (a["track_id"], 1, 0))
        compare(f32(a["area"]), f32(a["bbox"][2]) * f32(a["bbox"][3]))
        rows.append((image["frame_index"], a["track_id"], *map(f32, a["bbox"]), f32(a["score"]), a["category_id"] - 1,
                     category["name"], a["observed"]))
    compare(rows, [(r["frame_index"], r["track_id"], *xywh(r), f32(r["score"]), r["class_id"], r["class_name"],
                    r["observed"]) for r in expected["rows"]])
    # The index by image and by category, which users ask through.
    first = expected["rows"][0]
    found = data.getAnnIds(imgIds=[first["frame_index"] + 1], catIds=data.getCatIds(catNms=[first["class_name"]]))
    compare(len(found) > 0, True)


def cvat(path, expected):
    from datumaro.components.annotation import AnnotationType
    from datumaro.components.dataset import Dataset

    data = Dataset.import_from(path, "cvat")
    labels = data.categories()[AnnotationType.label]
    rows, outside = [], set()
    for item in data:
        for box in item.annotations:
            row = (item.attributes["frame"], box.attributes["track_id"])
            compare(box.attributes["keyframe"], True)
            if box.attributes["outside"]:
                outside.add(row)
            else:
                rows.append((*row, *map(f32, box.points), labels[box.label].name, not box.attributes["occluded"]))
    names = expected["cvat_labels"]
    rows.sort()
    written = sorted((r["frame_index"], r["track_id"], f32(r["x1"]), f32(r["y1"]), f32(r["x2"]), f32(r["y2"]),
                      names[str(r["track_id"])], r["observed"]) for r in expected["rows"])
    # datumaro rounds left, top, width and height to hundredths.
    compare([(*row[:2], *row[6:]) for row in rows], [(*row[:2], *row[6:]) for row in written])
    for read, wrote in zip(rows, written):
        if np.abs(np.subtract(read[2:6], wrote[2:6])).max() > 0.0101:
            sys.exit(f"read    {read}\nwritten {wrote}")
    edges = [(int(box.get("frame")), int(track.get("id")), *(f32(box.get(key)) for key in ("xtl", "ytl", "xbr", "ybr")))
             for track in ElementTree.parse(path).iter("track") for box in track if box.get("outside") == "0"]
    compare(sorted(edges), [row[:6] for row in written])
    # A track leaves in the first frame without it, but not after the end of the video.
    here = {(r["frame_index"], r["track_id"]) for r in expected["rows"]}
    compare(outside, {(f + 1, t) for f, t in here if (f + 1, t) not in here and f + 1 < expected["meta"]["frame_count"]})


def rows_of_text(rows, expected):
    compare([list(row) for row in rows], [expected["columns"]] * len(expected["rows"]))
    typed = []
    for row in rows:
        values = dict(row)
        for key in ("frame_index", "pts", "track_id", "class_id"):
            values[key] = int(values[key])
        for key in ("score", "x1", "y1", "x2", "y2"):
            values[key] = f32(values[key])
        values["time_s"] = float(values["time_s"])
        values["observed"] = {"true": True, "false": False}.get(values["observed"], values["observed"])
        typed.append(values)
    for row in expected["rows"]:
        row.update({key: f32(row[key]) for key in ("score", "x1", "y1", "x2", "y2")})
    compare(typed, expected["rows"])


def csv_text(path, expected):
    with open(path, newline="", encoding="utf-8") as file:
        rows_of_text(list(csv.DictReader(file)), expected)


def ndjson(path, expected):
    with open(path, encoding="utf-8") as file:
        rows_of_text([json.loads(line) for line in file.read().split("\n")[:-1]], expected)


def xywh(row):
    x1, y1, x2, y2 = (f32(row[key]) for key in ("x1", "y1", "x2", "y2"))
    return x1, y1, x2 - x1, y2 - y1


def compare(found, expected):
    if found == expected:
        return
    if isinstance(found, list) and len(found) == len(expected):
        found, expected = next((f, e) for f, e in zip(found, expected) if f != e)
    sys.exit(f"read    {found}\nwritten {expected}")


def main():
    format_name, export, expected = sys.argv[1:]
    with open(expected, encoding="utf-8") as file:
        expected = json.load(file)
    readers = {"mot": mot, "coco": coco, "cvat": cvat, "csv": csv_text, "ndjson": ndjson}
    readers[format_name](export, expected)


main()
