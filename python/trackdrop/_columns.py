"""Reads rows from the input types: files, arrays, data frames, dictionaries."""

from __future__ import annotations

from os import PathLike
from typing import Any, Dict, List, Optional, Sequence, Union

import numpy as np
from numpy.typing import NDArray

PathLikeStr = Union[str, "PathLike[str]"]


def is_path(given: object) -> bool:
    """Whether it names a file."""
    return isinstance(given, (str, PathLike))


def named(given: Any) -> Optional[Dict[str, NDArray[Any]]]:
    """The columns of a data frame, a table or a dictionary, by lower-case name. None for other types."""
    names: Any = given if isinstance(given, dict) else None
    for attribute in ("column_names", "columns"):
        if names is None:
            names = getattr(given, attribute, None)
    if names is None or isinstance(given, np.ndarray):
        return None
    # pyarrow's `columns` are the columns themselves, but it has `column_names`, too.
    return {str(name).lower(): np.asarray(given[name]) for name in names}


def first(columns: Dict[str, NDArray[Any]], names: Sequence[str]) -> Optional[NDArray[Any]]:
    """The first of these columns that is there."""
    return next((columns[name] for name in names if name in columns), None)


def needed(what: str, columns: Dict[str, NDArray[Any]], names: Sequence[str]) -> NDArray[Any]:
    """The first of these columns that is there.

    Raises
    ------
    ValueError
        There is none of them.
    """
    found = first(columns, names)
    if found is None:
        raise ValueError(f"{what}: there is no column {' or '.join(names)}; there are {', '.join(columns)}")
    return found


def frame_numbers(what: str, columns: Dict[str, NDArray[Any]]) -> NDArray[Any]:
    """Frame numbers from 1, from the column ``frame``, or from ``frame_index``, which counts from 0."""
    if "frame" not in columns and "frame_index" in columns:
        return np.asarray(columns["frame_index"]) + 1
    return needed(what, columns, ["frame", "frame_index"])


def stacked(what: str, columns: Dict[str, NDArray[Any]], names: Sequence[str]) -> NDArray[np.float64]:
    """Some columns as an array of shape [N, len(names)]."""
    return np.stack([np.asarray(needed(what, columns, [name]), dtype=np.float64) for name in names], axis=1)


def matrix(what: str, given: Any, least: int, names: str) -> NDArray[np.float64]:
    """An array of shape [N, at least ``least``]."""
    array = np.asarray(given, dtype=np.float64)
    if array.size == 0:
        return np.empty((0, least))
    if array.ndim != 2 or array.shape[1] < least:
        raise ValueError(f"{what}: an array must have the shape [N, {least} or more] with {names}, got {list(array.shape)}")
    return array


def column_list(columns: Dict[str, NDArray[Any]]) -> List[str]:
    """The names, for messages."""
    return list(columns)
