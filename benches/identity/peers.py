"""Tracks of other libraries over the same detections, alone and with Trackdrop's refinements: peers.py TRACKDROP GOLDEN WORK.

Prints one table a set of sequences: HOTA / AssA / IDF1 / switches, pooled as TrackEval's COMBINED, by `trackdrop eval`.
"""

import collections
import csv
import gzip
import json
import pathlib
import subprocess
import sys
import warnings

warnings.simplefilter("ignore")

import numpy as np
import supervision as sv
import trackers

# Sequences with ground truth, and their frames per second.
SETS = {
    "MOT17": [("MOT17-02", 30), ("MOT17-05", 14), ("MOT17-09", 30), ("MOT17-10", 30)],
    "MOT15": [("MOT15-KITTI-17", 10), ("MOT15-PETS09-S2L1", 7), ("MOT15-TUD-Campus", 25)],
}
# Each with its own defaults. There are no pictures, so that BoT-SORT can't measure the camera.
PEERS = {
    "ByteTrack of `trackers`": lambda rate: trackers.ByteTrackTracker(frame_rate=rate),
    "OC-SORT of `trackers`": lambda rate: trackers.OCSORTTracker(frame_rate=rate),
    "BoT-SORT of `trackers`, no camera": lambda rate: trackers.BoTSORTTracker(frame_rate=rate, enable_cmc=False),
    "C-BIoU of `trackers`": lambda rate: trackers.CBIoUTracker(frame_rate=rate),
}

trackdrop, golden, work = sys.argv[1], pathlib.Path(sys.argv[2]), pathlib.Path(sys.argv[3])


def detections_of(name: str) -> dict[int, list[list[float]]]:
    frames = collections.defaultdict(list)
    with gzip.open(golden / "mot/inputs" / f"{name}.csv.gz", "rt") as file:
        for row in csv.DictReader(file):
            frames[int(row["frame"])].append([float(row[key]) for key in ("x1", "y1", "x2", "y2", "score")])
    return frames


def write_tracks(name: str, rate: float) -> None:
    frames = detections_of(name)
    truth = (golden / "gt" / f"{name}.txt").read_text().splitlines()
    last = max(max(frames), max(int(line.split(",")[0]) for line in truth))
    file = work / f"{name}.csv"
    rows = [",".join(map(repr, [frame, *seen])) for frame in sorted(frames) for seen in frames[frame]]
    file.write_text("\n".join(["frame,x1,y1,x2,y2,score", *rows]) + "\n")
    for number, make in enumerate(PEERS.values()):
        tracker, lines = make(rate), []
        for frame in range(1, last + 1):
            seen = np.array(frames.get(frame, [])).reshape(-1, 5)
            boxes = sv.Detections(xyxy=seen[:, :4], confidence=seen[:, 4], class_id=np.zeros(len(seen), int))
            tracked = tracker.update(boxes if len(seen) else sv.Detections.empty())
            if tracked.tracker_id is None:
                continue
            for (x1, y1, x2, y2), track, score in zip(tracked.xyxy, tracked.tracker_id, tracked.confidence):
                # Not yet confirmed.
                if track is not None and track >= 0:
                    lines.append(f"{frame},{track + 1},{x1},{y1},{x2 - x1},{y2 - y1},{score},-1,-1,-1")
        (work / f"{name}.{number}.txt").write_text("\n".join(lines) + "\n")
    for refine in ([], ["--refine"]):
        out = work / f"{name}.trackdrop{''.join(refine)}.txt"
        command = [trackdrop, "retrack", "--detections", file, "--frame-rate", str(rate), "--frames", str(last), *refine, "--out", out]
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL)


def measured(sequences: list, which: str, refine: bool) -> str:
    names = [name for name, _ in sequences]
    command = [trackdrop, "eval", "--json", "--gt", *(golden / "gt" / f"{name}.txt" for name in names)]
    command += ["--tracks", *(work / f"{name}.{which}.txt" for name in names)]
    if refine:
        command += ["--refine", "--detections", *(work / f"{name}.csv" for name in names)]
        command += ["--frame-rate", *(str(rate) for _, rate in sequences)]
    pooled = json.loads(subprocess.run(command, check=True, capture_output=True).stdout)["pooled"]
    return f"{pooled['HOTA']:.2f} / {pooled['AssA']:.2f} / {pooled['IDF1']:.2f} / {pooled['IDSW']}"


for group, sequences in SETS.items():
    for name, rate in sequences:
        write_tracks(name, rate)
    print(f"| {group} pooled | alone | with `--refine` |\n|---|---|---|")
    for number, peer in enumerate(PEERS):
        print(f"| {peer} | {measured(sequences, str(number), False)} | {measured(sequences, str(number), True)} |")
    alone, refined = (measured(sequences, f"trackdrop{which}", False) for which in ("", "--refine"))
    print(f"| Trackdrop | {alone} | {refined} |\n")
