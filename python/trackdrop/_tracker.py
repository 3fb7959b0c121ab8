"""Tracks frame by frame."""

from __future__ import annotations

from typing import Any, TypeVar

from . import _trackdrop

_Detections = TypeVar("_Detections")


class ByteTrack(_trackdrop.ByteTrack):
    """ByteTrack (Zhang et al., ECCV 2022), with the same rows as the authors' reference implementation.

    Parameters
    ----------
    track_thresh
        Detections with a score above this are high. Those between 0.1 and this are low. From 0 to 1.
    match_thresh
        Cost limit of the first association, ``1 - IoU * score``. Above 0, at most 1.
    track_buffer
        For how many frames a lost track can be found again, at 30 frames per second.
    frame_rate
        Frames per second of the input. It scales ``track_buffer``. The reference's evaluator always uses 30.
    score_fusion
        Whether the cost multiplies the IoU by the detection's score. False is the reference's mode for MOT20.
    boxes
        ``"tracker"``: return the tracker's estimate for every object, as the reference does. ``"detections"``: return
        the detections that overlap such an estimate by an IoU of at least 0.5, unchanged.
    thresh_is_high, birth_thresh_capped, plain_iou, close_duplicates, forgive_timeout, ids_at_confirmation, \
confirm_frames, pairs_at_limit, single_precision, births_in_set_order
        The differences of supervision's tracker from the reference. ``docs/how-to/python.md`` describes each.
        :meth:`like_supervision` sets them all.

    Raises
    ------
    ValueError
        A parameter is out of its range.
    """

    @classmethod
    def like_supervision(
        cls,
        track_activation_threshold: float = 0.25,
        lost_track_buffer: int = 30,
        minimum_matching_threshold: float = 0.8,
        frame_rate: float = 30,
        minimum_consecutive_frames: int = 1,
    ) -> ByteTrack:
        """The same as the last ``ByteTrack`` of supervision (0.30): the same parameters, defaults, ids and boxes."""
        return cls(
            track_thresh=track_activation_threshold,
            match_thresh=minimum_matching_threshold,
            track_buffer=lost_track_buffer,
            frame_rate=frame_rate,
            boxes="detections",
            thresh_is_high=True,
            birth_thresh_capped=True,
            plain_iou=True,
            close_duplicates=True,
            forgive_timeout=True,
            ids_at_confirmation=True,
            confirm_frames=minimum_consecutive_frames,
            pairs_at_limit=True,
            single_precision=True,
            births_in_set_order=True,
        )

    def update_with_detections(self, detections: _Detections) -> _Detections:
        """The same as :meth:`update` of one object. supervision's tracker has this name for it."""
        updated: Any = self.update(detections)
        return updated  # type: ignore[no-any-return]
