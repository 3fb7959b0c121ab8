"""Objects of any class that have the fields of supervision's ``Detections``."""

from __future__ import annotations

import copy
from typing import Any, Optional

import numpy as np
from numpy.typing import NDArray

#: The fields that have one row per detection.
PER_ROW = ("xyxy", "confidence", "class_id", "mask", "tracker_id")


def select(
    detections: Any,
    places: NDArray[np.int64],
    ids: NDArray[np.int64],
    xyxy: Optional[NDArray[np.float64]],
) -> Any:
    """The detections at the indices ``places``, as an object of the same class, with ``tracker_id``.

    If boxes are given, they replace its boxes.
    """
    selected = detections[places] if hasattr(detections, "__getitem__") else _by_field(detections, places)
    selected.tracker_id = ids
    if xyxy is not None:
        selected.xyxy = xyxy
    return selected


def _by_field(detections: Any, places: NDArray[np.int64]) -> Any:
    selected = copy.copy(detections)
    for name in PER_ROW:
        values = getattr(detections, name, None)
        if values is not None:
            setattr(selected, name, np.asarray(values)[places])
    data = getattr(detections, "data", None)
    if isinstance(data, dict):
        selected.data = {name: np.asarray(values)[places] for name, values in data.items()}
    return selected
