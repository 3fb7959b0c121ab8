"""The compiled half of the package."""

from os import PathLike
from typing import Any, Dict, List, Literal, Optional, Tuple, TypeVar, Union, overload

import numpy as np
from numpy.typing import ArrayLike, NDArray

_Path = Union[str, "PathLike[str]"]
_Detections = TypeVar("_Detections")
_Columns = Tuple[ArrayLike, ArrayLike, ArrayLike, Optional[ArrayLike], Optional[ArrayLike]]

class Tracks:
    """The objects that were seen in one frame, in the order in which they became tracked. N can be 0."""

    @property
    def ids(self) -> NDArray[np.int64]:
        """Identities, from 1. Shape [N]."""
    @property
    def xyxy(self) -> NDArray[np.float64]:
        """Left, top, right and bottom, px. Shape [N, 4]."""
    @property
    def scores(self) -> NDArray[np.float64]:
        """Score of the detection that each object was matched with. Shape [N]."""
    @property
    def class_ids(self) -> Optional[NDArray[Any]]:
        """Class of that detection. None if no classes were given. Shape [N]."""
    @property
    def detections(self) -> NDArray[np.int64]:
        """Index of that detection in the given arrays. Shape [N]."""
    def __len__(self) -> int: ...

class ByteTrack:
    def __init__(
        self,
        track_thresh: float = 0.6,
        match_thresh: float = 0.9,
        track_buffer: int = 30,
        frame_rate: float = 30.0,
        score_fusion: bool = True,
        *,
        boxes: Literal["tracker", "detections"] = "tracker",
        thresh_is_high: bool = False,
        birth_thresh_capped: bool = False,
        plain_iou: bool = False,
        close_duplicates: bool = False,
        forgive_timeout: bool = False,
        ids_at_confirmation: bool = False,
        confirm_frames: int = 1,
        pairs_at_limit: bool = False,
        single_precision: bool = False,
        births_in_set_order: bool = False,
    ) -> None: ...
    @overload
    def update(self, xyxy: ArrayLike, scores: ArrayLike, class_ids: Optional[ArrayLike] = None) -> Tracks:
        """Take the detections of the next frame, and return the tracks that were seen in it.

        ``xyxy`` has the shape [N, 4] (left, top, right, bottom, px), ``scores`` and ``class_ids`` [N]. A frame without
        detections is a step, too: give arrays of length 0. Classes are passed on and not looked at.
        """
    @overload
    def update(self, xyxy: _Detections) -> _Detections:
        """Take an object with the fields ``xyxy`` and ``confidence``, such as supervision's ``Detections``.

        Returns an object of the same kind that holds the tracked rows only, with ``tracker_id``.
        """
    def reset(self) -> None:
        """Start again, for the next video."""
    @property
    def frame_count(self) -> int:
        """How many frames were processed so far."""
    @property
    def refused(self) -> int:
        """How many detections were left out so far, because they have no size, or values that are not finite."""

class Table:
    """Rows in Arrow format.

    ``polars.DataFrame(table)``, ``pyarrow.table(table)`` and DuckDB use them without a copy.
    """

    def __arrow_c_stream__(self, requested_schema: Optional[object] = None) -> object: ...
    def __arrow_c_schema__(self) -> object: ...
    def __len__(self) -> int: ...
    @property
    def column_names(self) -> List[str]:
        """Names of the columns, in order."""
    def __contains__(self, name: str) -> bool: ...
    def __getitem__(self, name: str) -> NDArray[Any]:
        """One column as a NumPy array. Text, and columns with nulls, are arrays of objects."""

def track_sequence(
    frames: ArrayLike,
    xyxy: ArrayLike,
    scores: ArrayLike,
    class_ids: Optional[ArrayLike],
    tracker: Tuple[float, float, int, float, bool],
    appearance: Optional[Tuple[bool, NDArray[np.uint8]]],
    options: Dict[str, Any],
) -> Table: ...
def evaluate(
    ground_truth: Union[_Path, _Columns], tracks: Union[_Path, _Columns], iou: float, preprocessing: str
) -> Tuple[str, str]: ...
def evaluate_all(
    videos: List[Tuple[str, Union[_Path, _Columns], Union[_Path, _Columns]]], iou: float, preprocessing: str
) -> Tuple[List[Tuple[str, str]], Tuple[str, str]]: ...
def read_parquet(path: _Path) -> Table: ...
def read_tracks(path: _Path) -> Table: ...
def read_detections(
    path: _Path,
) -> Tuple[NDArray[np.int64], NDArray[np.float64], NDArray[np.float64], Optional[NDArray[np.int64]]]: ...
def read_appearances(path: _Path) -> NDArray[np.uint8]: ...
def planned_frames(manifest: _Path) -> Tuple[NDArray[np.int64], int, int, int]: ...
def request_meant(
    asked: str, planned: List[Tuple[_Path, Optional[int]]], uploads: List[Tuple[str, int, int]], deleted: List[str]
) -> str: ...
def requests_table(rows: List[str]) -> Table: ...
def duckdb_schema() -> Tuple[str, str, List[Tuple[str, str]]]: ...
def scene_rows(text: str) -> str: ...
def scene_schema() -> Tuple[str, List[str]]: ...
