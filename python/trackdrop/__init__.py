"""Exact, fast ByteTrack; HOTA, CLEAR and identity metrics; results of Trackdrop as Arrow.

- :class:`ByteTrack` tracks frame by frame. :func:`track` tracks a whole sequence, with refinements.
- :func:`evaluate` compares tracks with ground truth, as TrackEval does. :func:`evaluate_all` does it for many videos.
- :func:`read` and :func:`open_data` return results as Arrow. :func:`frames` returns them frame by frame.

Boxes are in pixels. Everything is computed in ``float64``, except with ``single_precision``. The interpreter's lock
(GIL) is released during the computation. Bad values raise :class:`ValueError`. Files that can't be read raise
:class:`OSError`, or a subclass of it.
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
