"""Compares tracks with ground truth."""

from __future__ import annotations

import json
from typing import Any, Dict, Mapping, Optional, Tuple

import numpy as np

from . import _columns, _trackdrop
from ._data import request_or_file, result_file


class Evaluation(Dict[str, Any]):
    """The metrics by TrackEval's names, such as ``evaluation["HOTA"]``. Shares are in percent.

    ``print`` shows the command's table.
    """

    def __init__(self, metrics: Dict[str, Any], text: str) -> None:
        super().__init__(metrics)
        self._text = text

    def __str__(self) -> str:
        return self._text


def evaluate(
    gt: Any,
    tracks: Any,
    *,
    iou: float = 0.5,
    preprocessing: str = "auto",
    data: Optional[_columns.PathLikeStr] = None,
) -> Evaluation:
    """HOTA, CLEAR and identity metrics of one video, as TrackEval defines them.

    Parameters
    ----------
    gt, tracks
        One of: a file (MOTChallenge text, CSV, Parquet); a request as in :func:`frames`; an array of shape [N, 6 or
        more] with ``frame, id, x, y, w, h[, score[, class]]``; a data frame, table or dictionary with the columns
        ``frame`` (from 1, or ``frame_index`` from 0), ``id`` or ``track_id``, and ``x, y, w, h`` or ``x1, y1, x2, y2``
        (px). In ground truth a score of 0 means that the row does not count.
    iou
        The overlap that a match needs in CLEAR and identity metrics: above 0, at most 1. HOTA has its own 19
        thresholds.
    preprocessing
        ``"plain"``: the rules of MOT15. ``"mot17"``: only pedestrians count, and tracks of distractors are left out.
        ``"mot20"``: other vehicles are distractors, too. ``"auto"``: the rules of MOT17 if every row of ground truth
        has one of its classes, and not all are pedestrians; otherwise those of MOT15.
    data
        The data directory of a request; by default ``$TRACKDROP_DATA`` or ``trackdrop-data``.

    Raises
    ------
    ValueError
        A value is out of range, or an id occurs twice in a frame.
    OSError
        A file can't be read.
    """
    metrics, text = _trackdrop.evaluate(_source("gt", gt, data), _source("tracks", tracks, data), iou, preprocessing)
    return Evaluation(json.loads(metrics), text)


class Evaluations(Dict[str, Evaluation]):
    """The metrics of each video by its name, and :attr:`pooled`. ``print`` shows the command's tables."""

    pooled: Evaluation
    """All videos together, as TrackEval's ``COMBINED``: counts are added, and shares are computed from the sums."""

    def __init__(self, videos: Dict[str, Evaluation], pooled: Evaluation) -> None:
        super().__init__(videos)
        self.pooled = pooled

    def __str__(self) -> str:
        return "\n".join(f"{name}\n{one}" for name, one in [*self.items(), ("pooled", self.pooled)])


def evaluate_all(
    videos: Mapping[str, Tuple[Any, Any]],
    *,
    iou: float = 0.5,
    preprocessing: str = "auto",
    data: Optional[_columns.PathLikeStr] = None,
) -> Evaluations:
    """The metrics of several videos, and of all of them together. All cores read and evaluate the videos.

    Parameters
    ----------
    videos
        Name of a video -> ``(gt, tracks)``, each as in :func:`evaluate`.
    iou, preprocessing, data
        As in :func:`evaluate`. ``"auto"`` decides for each video.

    Raises
    ------
    ValueError, OSError
        The same as of :func:`evaluate`. The message names the video or the file.
    """
    given = [(name, _source(f"{name}: gt", gt, data), _source(f"{name}: tracks", tracks, data)) for name, (gt, tracks) in videos.items()]
    each, pooled = _trackdrop.evaluate_all(given, iou, preprocessing)
    found = {name: Evaluation(json.loads(metrics), text) for name, (metrics, text) in zip(videos, each)}
    return Evaluations(found, Evaluation(json.loads(pooled[0]), pooled[1]))


def _source(what: str, given: Any, data: Optional[_columns.PathLikeStr]) -> Any:
    request = request_or_file(given, data)
    if request is not None:
        return result_file(request, "tracks.parquet", data)
    if _columns.is_path(given):
        return given
    columns = _columns.named(given)
    if columns is None:
        array = _columns.matrix(what, given, 6, "frame, id, x, y, w, h")
        width = array.shape[1]
        score, kind = array[:, 6] if width > 6 else None, array[:, 7] if width > 7 else None
        return array[:, 0], array[:, 1], array[:, 2:6], score, kind
    if "w" in columns:
        tlwh = _columns.stacked(what, columns, ["x", "y", "w", "h"])
    else:
        tlwh = _columns.stacked(what, columns, ["x1", "y1", "x2", "y2"])
        tlwh = np.concatenate([tlwh[:, :2], tlwh[:, 2:] - tlwh[:, :2]], axis=1)
    identities = _columns.needed(what, columns, ["id", "track_id", "tracker_id"])
    result: Tuple[Any, ...] = (
        _columns.frame_numbers(what, columns),
        identities,
        tlwh,
        _columns.first(columns, ["score", "confidence", "conf"]),
        _columns.first(columns, ["class"]),
    )
    return result
