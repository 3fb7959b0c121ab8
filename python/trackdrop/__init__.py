"""Exact, fast ByteTrack; HOTA, CLEAR and identity metrics; results of Trackdrop as Arrow.

- :class:`ByteTrack` tracks frame by frame; :func:`track` a whole sequence, with refinements.
- :func:`evaluate` measures tracks against ground truth as TrackEval does, and :func:`evaluate_all` those of many videos.
- :func:`read` and :func:`open_data` give results as Arrow, :func:`frames` frame by frame.

Boxes are in pixels, everything is computed in ``float64``, and the interpreter's lock is released meanwhile. Bad values raise
:class:`ValueError`, files that can't be read :class:`OSError` (or the class of it that fits).
"""

from __future__ import annotations

from ._data import Data, Frame, Rows, frames, open_data, read
from ._evaluate import Evaluation, Evaluations, evaluate, evaluate_all
from ._track import track
from ._trackdrop import Table, Tracks
from ._tracker import ByteTrack

__all__ = [
    "ByteTrack",
    "Data",
    "Evaluation",
    "Evaluations",
    "Frame",
    "Rows",
    "Table",
    "Tracks",
    "evaluate",
    "evaluate_all",
    "frames",
    "open_data",
    "read",
    "track",
]
