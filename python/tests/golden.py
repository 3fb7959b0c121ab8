"""Golden runs: detections, settings, and what the reference returned for them."""

import csv
import gzip
import json
import os
from pathlib import Path
from typing import Any, Dict, Iterator, List, NamedTuple, Tuple

import numpy as np

import trackdrop

CHECKOUT = Path(__file__).resolve().parents[2]
#: Runs on our own test sequences, which are in the repository.
OWN = CHECKOUT / "shared" / "tracker" / "tests" / "fixtures"
#: Runs of MOTChallenge data, which may not be copied into it: the folder that TRACKDROP_GOLDEN names.
REFERENCE = Path(os.environ.get("TRACKDROP_GOLDEN", "/no golden runs"))


class Run(NamedTuple):
    name: str
    settings: Dict[str, Any]
    #: For each frame boxes [N, 4] and scores [N].
    frames: List[Tuple[np.ndarray, np.ndarray]]
    #: frame, id, x, y, w, h, score, kept
    rows: np.ndarray


def _table(path: Path) -> np.ndarray:
    with gzip.open(path, "rt") as file:
        lines = list(csv.reader(file))[1:]
    return np.array(lines, dtype=np.float64).reshape(len(lines), -1)


def runs(folder: Path) -> Iterator[Run]:
    for run in json.loads((folder / "manifest.json").read_text())["runs"]:
        if run["set"] == "f32":
            continue  # What the reference makes of rounded input is checked by the tracker's own tests.
        parameters = run["params"]
        detections = _table(folder / run["input"]).reshape(-1, 6)
        frames = []
        for number in range(1, run["frames"] + 1):
            of_frame = detections[detections[:, 0] == number]
            if run["set"] == "bursts" and number > 6 and 3 <= number % 11 <= 8:
                of_frame = of_frame[:0]
            frames.append((of_frame[:, 1:5], of_frame[:, 5]))
        settings = {
            "track_thresh": parameters["track_thresh"],
            "match_thresh": parameters["match_thresh"],
            "track_buffer": parameters["track_buffer"],
            "frame_rate": run["frame_rate"],
            "score_fusion": not parameters["mot20"],
        }
        yield Run(f"{run['seq']}.{run['set']}", settings, frames, _table(folder / run["output"]).reshape(-1, 8))


def tracks_with_truth() -> Iterator[Tuple[str, Path, np.ndarray]]:
    """Of each sequence with ground truth: its name, the ground truth's file, and rows of frame, id, x, y, w, h, score.

    The rows are those that the reference would write; where its own are not there, they are tracked here.
    """
    for file in sorted((REFERENCE / "gt").glob("*.txt")):
        output = REFERENCE / "mot" / "out" / f"{file.stem}.eval.csv.gz"
        if output.is_file():
            rows = _table(output)
            yield file.stem, file, rows[rows[:, 7] == 1][:, :7]
            continue
        table = trackdrop.track(_table(REFERENCE / "mot" / "inputs" / f"{file.stem}.csv.gz"))
        rows = np.column_stack([table[name] for name in ("frame", "id", "x1", "y1", "x2", "y2", "score")])
        rows[:, 4:6] -= rows[:, 2:4]
        yield file.stem, file, rows
