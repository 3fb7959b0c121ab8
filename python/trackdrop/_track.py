"""Tracks a whole sequence."""

from __future__ import annotations

import json
from typing import Any, Dict, List, Literal, Optional, Sequence, Tuple, Union

import numpy as np
from numpy.typing import ArrayLike, NDArray

from . import _columns, _trackdrop
from ._data import request_or_file, result_file
from ._trackdrop import Table

_Arrays = Tuple[Any, Any, Any, Optional[Any]]

#: Whether a network computed it, and the bytes of each detection, as they are stored.
_Appearance = Tuple[bool, NDArray[np.uint8]]

#: The most numbers in a vector, as in the files of a request.
_MOST_NUMBERS = 2048
_VECTORS_AT_ONCE = 65_536


def track(
    detections: Any,
    *,
    track_thresh: float = 0.6,
    match_thresh: float = 0.9,
    track_buffer: int = 30,
    frame_rate: float = 30.0,
    score_fusion: bool = True,
    per_class: bool = False,
    classes: Optional[Sequence[int]] = None,
    min_score: Optional[float] = None,
    refine: bool = False,
    link: Optional[float] = None,
    recover: bool = False,
    backfill: bool = False,
    fill_gaps: Optional[int] = None,
    smooth: Union[None, float, Literal["rts"]] = None,
    appearance: Union[None, Literal[False], ArrayLike] = None,
    frame_count: Optional[int] = None,
    size_px: Optional[Tuple[float, float]] = None,
    data: Optional[_columns.PathLikeStr] = None,
) -> Table:
    """Track all detections of a sequence, as ``trackdrop retrack`` does.

    Parameters
    ----------
    detections
        One of: a file (CSV with ``frame,x1,y1,x2,y2,score``, MOTChallenge text, ``detections.parquet``); a request as
        in :func:`frames`; an array of shape [N, 6] or [N, 7] with ``frame, x1, y1, x2, y2, score[, class]``; a data
        frame, table or dictionary with such columns; or a list that has, for each frame, an object with ``xyxy`` and
        ``confidence``. Frames count from 1; a column ``frame_index`` counts from 0. Boxes are in px. The order within a
        frame matters, because new ids are given in this order.
    track_thresh, match_thresh, track_buffer, frame_rate, score_fusion
        As in :class:`ByteTrack`. The card of a request's model can name another ``track_thresh`` than 0.6 (0.45 for the
        default model, nanodet-g-416). The results do not contain it. To reproduce the request's tracks, pass it here.
    per_class
        Associate each class separately.
    classes, min_score
        Use only detections of these class ids, and with at least this score.
    refine
        The recommended refinements: ``link=3``, ``recover=True`` and ``smooth="rts"``. If you also pass one of these,
        your value is used.
    link
        Cut tracks at each missing frame, and link these pieces again over the whole sequence. Linked pieces are at most
        this many seconds apart. This changes ids. ``frame_rate`` should be that of the video. Objects are linked by their
        motion, and by their appearance if it is known.
    recover
        Add detections that belong to no track to the tracks that pass there.
    backfill
        Begin a track with its first detection, one frame before the tracker returns it.
    fill_gaps
        Fill gaps of up to this many frames with straight lines, for ids with at least 6 rows.
    smooth
        Smooth boxes over time. A number is the standard deviation of a Gaussian, in frames. ``"rts"`` uses the motion
        and the noise of the video, and also fills gaps of up to 18 frames or one second, whichever is longer.
    appearance
        What each detection looks like, for ``link`` and ``refine``. An array of shape [N, D], in the order of the
        detections: the vectors of a re-identification network, of at most 2048 numbers. Their length does not matter; a
        vector of zeros means that nothing is known. For a list of frames: the vectors of all frames, one after the other.
        For a file: in the order of its frames.
        By default it is what the request stored (``trackdrop run --appearance``). False: it is not used.
    frame_count
        How many frames the sequence has. The default is up to the last detection.
    size_px
        Width and height of the picture, which linking uses. The default is the area that the boxes cover.
    data
        The data directory of a request; by default ``$TRACKDROP_DATA`` or ``trackdrop-data``.

    Returns
    -------
    Table
        One row per object per frame: ``frame`` (from 1), ``id``, ``x1, y1, x2, y2`` (px), ``score``, ``class_id`` (if
        the detections have classes: the one for which an id's detections vote), ``observed`` (False in rows that a
        refinement added).

    Raises
    ------
    ValueError
        A parameter or a value is out of range.
    OSError
        A file can't be read.
    """
    request = request_or_file(detections, data)
    frames, xyxy, scores, class_ids = _arrays(detections, request, data)
    seen = None
    if appearance is not None and appearance is not False:
        seen = _vectors(appearance)
    elif appearance is None and request is not None:
        seen = _stored_appearance(request, data)
    if classes is not None or min_score is not None:
        shown = np.ones(len(scores), dtype=bool)
        if classes is not None:
            if class_ids is None:
                raise ValueError("classes needs the classes of the detections")
            shown &= np.isin(class_ids, np.asarray(classes))
        if min_score is not None:
            shown &= np.asarray(scores) >= min_score
        frame_count = frame_count if frame_count is not None else int(np.max(frames, initial=0))
        frames, xyxy, scores = np.asarray(frames)[shown], np.asarray(xyxy)[shown], np.asarray(scores)[shown]
        class_ids = None if class_ids is None else np.asarray(class_ids)[shown]
        seen = None if seen is None else (seen[0], _of_same_length(seen[1], shown)[shown])
    tracker = (track_thresh, match_thresh, track_buffer, frame_rate, score_fusion)
    options: Dict[str, Any] = {
        "frame_count": frame_count,
        "per_class": per_class,
        "link": 3.0 if refine and link is None else link,
        "recover": recover or refine,
        "backfill": backfill,
        "fill_gaps": fill_gaps,
        "smooth": "rts" if refine and smooth is None else smooth,
        "size_px": size_px,
    }
    return _trackdrop.track_sequence(frames, xyxy, scores, class_ids, tracker, seen, options)


def _vectors(given: ArrayLike) -> _Appearance:
    """The directions of vectors, as a request stores them: numbers of 16 bits, the lower byte first."""
    vectors = np.asarray(given)
    if vectors.ndim != 2 or not 1 <= vectors.shape[1] <= _MOST_NUMBERS:
        raise ValueError(f"appearance must have the shape [N, D] with D from 1 to {_MOST_NUMBERS}, got {list(vectors.shape)}")
    stored = np.zeros(vectors.shape, dtype="<f2")
    # In parts, because a long video has gigabytes of vectors.
    for start in range(0, len(vectors), _VECTORS_AT_ONCE):
        part = vectors[start : start + _VECTORS_AT_ONCE].astype(np.float64)
        for row, column in np.argwhere(~np.isfinite(part))[:1]:
            raise ValueError(f"appearance must be finite numbers, got {part[row, column]} for detection {start + row}")
        # By the largest number first, so that squares neither overflow nor vanish.
        largest = np.abs(part).max(axis=1, keepdims=True)
        np.divide(part, largest, out=part, where=largest > 0)
        lengths = np.linalg.norm(part, axis=1, keepdims=True)
        np.divide(part, lengths, out=part, where=lengths > 0)
        stored[start : start + len(part)] = part
    return True, stored.view(np.uint8)


def _stored_appearance(request: str, data: Optional[_columns.PathLikeStr]) -> Optional[_Appearance]:
    """What a request's settings asked for, and its file of detections has."""
    manifest = json.loads(result_file(request, "manifest.json", data).read_bytes())
    asked = (manifest.get("settings") or {}).get("appearance")
    if asked is None:
        return None
    stored = _trackdrop.read_appearances(result_file(request, "detections.parquet", data))
    return (asked != "color", stored) if stored.shape[1] > 0 else None


def _of_same_length(values: NDArray[np.uint8], shown: NDArray[np.bool_]) -> NDArray[np.uint8]:
    if len(values) != len(shown):
        raise ValueError(f"appearance has {len(values)} values, but there are {len(shown)} rows")
    return values


def _arrays(given: Any, request: Optional[str], data: Optional[_columns.PathLikeStr]) -> _Arrays:
    what = "detections"
    if request is not None:
        return _trackdrop.read_detections(result_file(request, "detections.parquet", data))
    if _columns.is_path(given):
        return _trackdrop.read_detections(given)
    columns = _columns.named(given)
    if columns is not None:
        return (
            _columns.frame_numbers(what, columns),
            _columns.stacked(what, columns, ["x1", "y1", "x2", "y2"]),
            _columns.needed(what, columns, ["score", "confidence", "conf"]),
            _columns.first(columns, ["class_id", "class"]),
        )
    if isinstance(given, (list, tuple)) and given and all(hasattr(one, "xyxy") for one in given):
        return _of_frames(given)
    array = _columns.matrix(what, given, 6, "frame, x1, y1, x2, y2, score")
    return array[:, 0], array[:, 1:5], array[:, 5], array[:, 6] if array.shape[1] > 6 else None


def _of_frames(frames: Sequence[Any]) -> _Arrays:
    numbers: List[NDArray[np.int64]] = []
    for number, one in enumerate(frames, start=1):
        if one.confidence is None:
            raise ValueError(f"the detections of frame {number} have no confidence, which tracking needs")
        numbers.append(np.full(len(one.xyxy), number, dtype=np.int64))
    classes = [getattr(one, "class_id", None) for one in frames]
    with_classes = all(ids is not None or len(one.xyxy) == 0 for ids, one in zip(classes, frames))
    return (
        np.concatenate(numbers),
        np.concatenate([np.asarray(one.xyxy, dtype=np.float64).reshape(-1, 4) for one in frames]),
        np.concatenate([np.asarray(one.confidence, dtype=np.float64) for one in frames]),
        np.concatenate([np.asarray(ids if ids is not None else [], dtype=np.int64) for ids in classes])
        if with_classes
        else None,
    )
