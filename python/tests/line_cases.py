"""Tracks at a line, what Trackdrop counts of each, and what supervision's LineZone does: the table of docs/analytics.md.

``shared/scenes/tests/lines.rs`` has the same tracks."""

from typing import Any, List, Optional, Tuple

import numpy as np

Point = Optional[Tuple[float, float]]
#: The line, from its first point to its last one; the anchor is the middle of a box's lower side.
LINE = ((100, 85), (100, 15))
#: What happens, where the anchor is in each frame (nowhere: not seen), Trackdrop's count and supervision's.
CASES: List[Tuple[str, List[Point], int, int]] = [
    ("over the line", [(70, 22), (90, 24), (110, 26), (130, 28)], 1, 1),
    ("touches the line and returns", [(80, 40), (100, 42), (80, 44)], 0, 2),
    ("over the line by 1 px and returns", [(90, 50), (101, 50), (90, 50)], 0, 2),
    ("jitters on the line and returns", [(90, 55), (99, 56), (101, 57), (99, 58), (101, 59), (99, 60), (90, 62)], 0, 4),
    ("jitters on the line and goes over", [(90, 55), (99, 56), (101, 57), (99, 58), (101, 59), (120, 60)], 1, 3),
    ("goes around the end of the line", [(90, 50), (90, 95), (110, 95), (110, 50)], 0, 1),
    ("begins on the line, leaves to the left", [(100, 30), (80, 30), (50, 30)], 0, 1),
    ("over the line from beyond its end", [(80, 95), (120, 65), (150, 60)], 1, 0),
    ("over the line while it is not seen", [(60, 50), None, None, (140, 50)], 1, 0),
]


def box(point: Tuple[float, float]) -> List[float]:
    """The box of an anchor: 10 wide and 20 high."""
    x, y = point
    return [x - 5.0, y - 20.0, x + 5.0, y]


def by_supervision(supervision: Any, points: List[Point]) -> int:
    """What its LineZone counts in both directions together."""
    line = supervision.LineZone(
        *(supervision.Point(x, y) for x, y in LINE), triggering_anchors=[supervision.Position.BOTTOM_CENTER]
    )
    for point in points:
        seen = supervision.Detections.empty()
        if point is not None:
            seen = supervision.Detections(xyxy=np.array([box(point)]), tracker_id=np.array([1]))
        line.trigger(seen)
    return int(line.in_count + line.out_count)
