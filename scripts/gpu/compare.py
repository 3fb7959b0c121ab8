#!/usr/bin/env python3
"""Print which share of either file's sure detections (score 0.3 and above) the other has: the smaller of the two shares, so that
detections too many count as those that are lacking do.

compare.py A/detections.parquet B/detections.parquet PX SCORE       within this many pixels and this much score
"""

import sys
from collections import defaultdict

import numpy as np
import pyarrow.parquet

FLOOR = 0.3


def read(path):
    table = pyarrow.parquet.read_table(path).to_pydict()
    frames = defaultdict(list)
    keys = ("frame_index", "class_id", "x1", "y1", "x2", "y2", "score")
    for index, label, *numbers in zip(*(table[key] for key in keys)):
        frames[index, label].append(numbers)
    return {key: np.array(rows, np.float64) for key, rows in frames.items()}


def share(some, others, px, score):
    """Which percentage of the sure ones of `some` is in `others`."""
    total = found = 0
    for key, rows in some.items():
        there = others.get(key, np.zeros((0, 5)))
        for row in rows[rows[:, 4] >= FLOOR]:
            near = (np.abs(there[:, :4] - row[:4]) <= px).all(1) & (np.abs(there[:, 4] - row[4]) <= score)
            total, found = total + 1, found + bool(near.any())
    return 100 * found / max(total, 1)


def main():
    a, b = (read(path) for path in sys.argv[1:3])
    px, score = map(float, sys.argv[3:])
    print(f"{min(share(a, b, px, score), share(b, a, px, score)):.2f}%")


if __name__ == "__main__":
    main()
