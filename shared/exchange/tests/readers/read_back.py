"""Reads an export with the reader that its users have, and compares every row with what went in.

    read_back.py FORMAT EXPORT EXPECTED.json

Coordinates and scores are compared as 32-bit floats, and must be equal to the bit; times to the last bit of 64. Where a
reader itself rounds, its rows are compared to its precision, and the file's numbers to the bit.
"""

import csv
import json
import sys
from datetime import timedelta
from fractions import Fraction
from xml.etree import ElementTree

try:
    import numpy as np

    f32 = np.float32
except ImportError:
    # The environment of the services' classes has none; its readers do not compare to a precision.
    import ctypes

    def f32(value):
        return ctypes.c_float(value).value


def mot(path, expected):
    import motmetrics

    frame = motmetrics.io.load_motchallenge(path)
    rows = []
    for (number, track_id), row in frame.iterrows():
        # motmetrics takes the boxes for 1-based, as the challenge's pages say, and subtracts 1: see the README.
        rows.append((number - 1, track_id, f32(row.X + 1), f32(row.Y + 1), f32(row.Width), f32(row.Height),
                     f32(row.Confidence)))
    compare(rows, [(r["frame_index"], r["track_id"], *xywh(r), f32(r["score"])) for r in expected["rows"]])


def mot_ground_truth(path, expected):
    from datumaro.components.annotation import AnnotationType
    from datumaro.components.dataset import Dataset

    data = Dataset.import_from(path, "mot_seq")
    labels = data.categories()[AnnotationType.label]
    rows = []
    for item in data:
        for box in item.annotations:
            compare(box.attributes["ignored"], False)
            rows.append((int(item.id) - 1, box.attributes["track_id"], *map(f32, box.get_bbox()[:2]),
                         labels[box.label].name, not box.attributes["occluded"]))
    with open(f"{path}/gt/gt.txt", encoding="utf-8") as file:
        boxes = [tuple(map(f32, line.split(",")[2:6])) for line in file]
    compare(boxes, [xywh(r) for r in expected["rows"]])
    # datumaro rounds edges to hundredths.
    written = [(r["frame_index"], r["track_id"], f32(r["x1"]), f32(r["y1"]), r["class_name"], r["observed"])
               for r in expected["rows"]]
    compare([(*row[:2], *row[4:]) for row in rows], [(*row[:2], *row[4:]) for row in written])
    for read, wrote in zip(rows, written):
        if np.abs(np.subtract(read[2:4], wrote[2:4])).max() > 0.0101:
            sys.exit(f"read    {read}\nwritten {wrote}")


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


def part_of_picture(row, meta):
    """Left, top, right and bottom from 0 to 1."""
    def part(edge, whole):
        return f32(min(max(f32(edge) / whole, 0.0), 1.0))

    width, height = meta["width"], meta["height"]
    return part(row["x1"], width), part(row["y1"], height), part(row["x2"], width), part(row["y2"], height)


def seconds(pts, meta):
    return Fraction(pts - meta["origin_pts"], meta["time_base"])


def nanos(pts, meta):
    return round(seconds(pts, meta) * 10**9)


def of_message(text, kind):
    """The message, which must hold all that the text does: written again it is the same but for what has its default value."""
    from google.protobuf import json_format

    message = json_format.Parse(text, kind.pb()())
    compare(json_format.MessageToDict(message), without_defaults(json.loads(text)))
    return kind.wrap(message)


def without_defaults(value):
    if isinstance(value, dict):
        kept = {key: without_defaults(child) for key, child in value.items()}
        return {key: child for key, child in kept.items() if child not in (0, "", [])}
    return [without_defaults(child) for child in value] if isinstance(value, list) else value


def google_box(box):
    return tuple(map(f32, (box.left, box.top, box.right, box.bottom)))


def google_nanos(offset):
    # proto-plus gives microseconds; the message has them all.
    return offset.seconds * 10**9 + offset.nanos


def video_intelligence(path, expected):
    from google.cloud import videointelligence_v1 as service

    with open(path, encoding="utf-8") as file:
        answer = of_message(file.read(), service.AnnotateVideoResponse)
    result, = answer.annotation_results
    meta = expected["meta"]
    compare(result.input_uri, "/" + meta["uri"])
    compare(google_nanos(service.VideoSegment.pb(result.segment).end_time_offset), nanos(meta["end_pts"], meta))
    compare(len(result.segment_label_annotations) + len(result.shot_annotations), 0)
    compare(isinstance(result.object_annotations[0].frames[0].time_offset, timedelta), True)
    by_track = {}
    for row in sorted(expected["rows"], key=lambda row: (row["track_id"], row["frame_index"])):
        by_track.setdefault(row["track_id"], []).append(row)
    compare(len(result.object_annotations), len(by_track))
    found, written = [], []
    for annotation, (track_id, rows) in zip(result.object_annotations, by_track.items()):
        pb = service.ObjectTrackingAnnotation.pb(annotation)
        compare(pb.WhichOneof("track_info"), "segment")
        for frame in pb.frames:
            found.append((pb.entity.description, google_nanos(frame.time_offset), *google_box(frame.normalized_bounding_box)))
        written += [(rows[0]["class_name"], nanos(row["pts"], meta), *part_of_picture(row, meta)) for row in rows]
        # A track that came or went by a frame, which the boxes alone would not tell.
        found.append((google_nanos(pb.segment.start_time_offset), google_nanos(pb.segment.end_time_offset), pb.confidence))
        mean = f32(sum(f32(row["score"]) for row in rows) / len(rows))
        written.append((nanos(rows[0]["pts"], meta), nanos(rows[-1]["pts"], meta), mean))
    compare(found, written)


def video_intelligence_streaming(path, expected):
    from google.cloud import videointelligence_v1p3beta1 as service

    meta, rows = expected["meta"], []
    with open(path, encoding="utf-8") as file:
        lines = file.read().split("\n")[:-1]
    compare(len(lines), len({row["frame_index"] for row in expected["rows"]}))
    for line in lines:
        answer = of_message(line, service.StreamingAnnotateVideoResponse)
        for annotation in service.StreamingAnnotateVideoResponse.pb(answer).annotation_results.object_annotations:
            compare(annotation.WhichOneof("track_info"), "track_id")
            frame, = annotation.frames
            rows.append((annotation.track_id, annotation.entity.description, f32(annotation.confidence),
                         google_nanos(frame.time_offset), *google_box(frame.normalized_bounding_box)))
    compare(rows, [(r["track_id"], r["class_name"], f32(r["score"]), nanos(r["pts"], meta), *part_of_picture(r, meta))
                   for r in expected["rows"]])


def rekognition_persons(path, expected):
    import botocore.session
    from botocore.parsers import create_parser
    from botocore.validate import ParamValidator

    model = botocore.session.Session().get_service_model("rekognition")
    shape = model.operation_model("GetPersonTracking").output_shape
    meta, rows = expected["meta"], []
    with open(path, encoding="utf-8") as file:
        pages = file.read().split("\n")[:-1]
    for number, page in enumerate(pages):
        answer = create_parser(model.metadata["protocol"]).parse(
            {"status_code": 200, "headers": {}, "body": page.encode()}, shape)
        del answer["ResponseMetadata"]
        # Its parser drops what the shape does not know: nothing may be missing.
        compare(answer, json.loads(page))
        errors = ParamValidator().validate(answer, shape)
        compare(errors.has_errors(), False)
        compare(answer["JobStatus"], "SUCCEEDED")
        compare(answer.get("NextToken"), str(number + 1) if number + 1 < len(pages) else None)
        compare(answer["JobId"], meta["request"])
        compare(answer["VideoMetadata"], {
            "Codec": meta["codec"], "Format": meta["container"], "FrameWidth": meta["width"], "FrameHeight": meta["height"],
            "DurationMillis": round(seconds(meta["end_pts"], meta) * 1000),
            "FrameRate": answer["VideoMetadata"]["FrameRate"]})
        compare(f32(answer["VideoMetadata"]["FrameRate"]), f32(meta["fps"]))
        for person in answer["Persons"]:
            box = person["Person"]["BoundingBox"]
            rows.append((person["Timestamp"], person["Person"]["Index"],
                         *(f32(box[key]) for key in ("Left", "Top", "Width", "Height"))))
    written = []
    for row in expected["rows"]:
        if row["class_name"] == "person":
            left, top, right, bottom = part_of_picture(row, meta)
            written.append((round(seconds(row["pts"], meta) * 1000), row["track_id"],
                            left, top, f32(right - left), f32(bottom - top)))
    compare(rows, written)


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
    readers = {"mot": mot, "mot-ground-truth": mot_ground_truth, "coco": coco, "cvat": cvat, "csv": csv_text,
               "ndjson": ndjson, "video-intelligence": video_intelligence, "video-intelligence-streaming": video_intelligence_streaming,
               "rekognition-persons": rekognition_persons}
    readers[format_name](export, expected)


main()
