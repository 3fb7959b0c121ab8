#!/usr/bin/env python3
"""Print which share of one file's sure detections (score 0.3 and above) another has, to 0.5 px and 0.005 score.

compare.py A/detections.parquet B/detections.parquet
"""

import sys
from collections import defaultdict

import numpy as np
import pyarrow.parquet

SCORE, PX, FLOOR = 0.005, 0.5, 0.3


def read(path):
    table = pyarrow.parquet.read_table(path).to_pydict()
    frames = defaultdict(list)
    keys = ("frame_index", "class_id", "x1", "y1", "x2", "y2", "score")
    for index, label, *numbers in zip(*(table[key] for key in keys)):
        frames[index, label].append(numbers)
    return {key: np.array(rows, np.float64) for key, rows in frames.items()}


def main():
    a, b = (read(path) for path in sys.argv[1:3])
    total = found = 0
    for key, rows in a.items():
        others = b.get(key, np.zeros((0, 5)))
        for row in rows[rows[:, 4] >= FLOOR]:
            near = (np.abs(others[:, :4] - row[:4]) <= PX).all(1) & (np.abs(others[:, 4] - row[4]) <= SCORE)
            total, found = total + 1, found + bool(near.any())
    print(f"{100 * found / max(total, 1):.2f}%")


if __name__ == "__main__":
    main()
