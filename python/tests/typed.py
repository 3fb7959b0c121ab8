"""Checked by mypy in strict mode and never run: what people write has the types that they expect."""

from typing import List

import numpy as np
from numpy.typing import NDArray

import trackdrop


class Detections:
    xyxy: NDArray[np.float32]
    confidence: NDArray[np.float32]


def people_write(boxes: NDArray[np.float32], scores: NDArray[np.float32], detections: Detections) -> None:
    tracker = trackdrop.ByteTrack(track_thresh=0.5, boxes="detections")
    tracks: trackdrop.Tracks = tracker.update(boxes, scores)
    ids: NDArray[np.int64] = tracks.ids
    corners: NDArray[np.float64] = tracks.xyxy
    same_kind: Detections = tracker.update(detections)
    moved: trackdrop.ByteTrack = trackdrop.ByteTrack.like_supervision(frame_rate=25)
    same_kind = moved.update_with_detections(same_kind)
    trackdrop.open_data().connect(scenes=["gate.yaml", {"name": "yard", "videos": ["*"]}]).sql("SELECT 1")
    names_of_scenes: List[str] = [scene["name"] for scene in trackdrop.open_data().scenes]
    print(names_of_scenes)
    table: trackdrop.Table = trackdrop.track("det.txt", fill_gaps=18)
    evaluation: trackdrop.Evaluation = trackdrop.evaluate("gt.txt", table, preprocessing="mot17")
    together: trackdrop.Evaluation = trackdrop.evaluate_all({"street": ("gt.txt", table)}, iou=0.5).pooled
    names: List[str] = table.column_names + list(together)
    for frame in trackdrop.frames("req_0aZ9bY8c_20261123T182501"):
        first: float = frame.time_s
        print(frame.rows.class_name, first, ids, corners, evaluation["HOTA"], names)
