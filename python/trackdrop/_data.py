"""Reads results of requests from the data directory of ``trackdrop run``."""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import TYPE_CHECKING, Any, Dict, Iterable, Iterator, List, Mapping, NamedTuple, Optional, Sequence, Tuple, Union

import numpy as np
from numpy.typing import NDArray

from . import _trackdrop
from ._columns import PathLikeStr
from ._trackdrop import Table

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection

#: A scene: its file, or what is in it.
Scene = Union[PathLikeStr, Mapping[str, Any]]

_REQUEST = re.compile(r"req_[0-9A-Za-z]{8}_[0-9]{8}T[0-9]{6}")
#: What the names of files with rows end with.
_ENDINGS = (".csv", ".parquet", ".txt")


def is_request(given: object) -> bool:
    """Whether it is the id of a request."""
    return isinstance(given, str) and _REQUEST.fullmatch(given) is not None


def request_meant(asked: str, data: Optional[PathLikeStr]) -> str:
    """The id of the request that a word names: an id, the unique beginning of an id, the name of its video, or
    ``latest``.

    A whole id is returned unchanged, also if there is no such request.

    Raises
    ------
    FileNotFoundError
        No request is meant.
    ValueError
        The word names several requests.
    """
    return asked if is_request(asked) else Data(data_directory(data))._request_meant(asked)


def request_or_file(given: object, data: Optional[PathLikeStr]) -> Optional[str]:
    """The id of the request that ``given`` names. None if it is not text, or if it is a file: by its ending, or because
    no request has that name.

    The name of a video names its request, also if the video itself is in the current folder.

    Raises
    ------
    FileNotFoundError
        No request is meant, and there is no such file.
    ValueError
        Several requests are meant.
    """
    if not isinstance(given, str):
        return None
    if is_request(given):
        return given
    if given.lower().endswith(_ENDINGS) or os.path.isdir(given):
        return None
    try:
        return request_meant(given, data)
    except FileNotFoundError as error:
        if os.path.exists(given):
            return None
        raise FileNotFoundError(f"{given!r} is no file that exists, and {error}") from None


def data_directory(data: Optional[PathLikeStr]) -> Path:
    """The given data directory, or the command's default."""
    return Path(data if data is not None else os.environ.get("TRACKDROP_DATA") or "trackdrop-data")


def result_file(request: str, name: str, data: Optional[PathLikeStr]) -> Path:
    """A file among the results of a request.

    Raises
    ------
    FileNotFoundError
        There is none.
    """
    results = data_directory(data) / "results"
    path = results / request / name
    if not path.is_file():
        lack = f"has no {name}" if (results / request).is_dir() else "is not there"
        raise FileNotFoundError(f"{path}: the request {lack} (trackdrop requests lists them; data= names the data directory)")
    return path


class Rows(NamedTuple):
    """The objects in one frame, in the tracker's order. N can be 0."""

    #: Identities over the whole video. Shape [N].
    track_id: NDArray[np.int64]
    #: Left, top, right and bottom, px of the upright picture. Shape [N, 4].
    xyxy: NDArray[np.float32]
    #: Scores of the detections. Shape [N].
    score: NDArray[np.float32]
    #: Class index of the model. Shape [N].
    class_id: NDArray[np.int32]
    #: Class name of the model. Shape [N].
    class_name: NDArray[np.object_]
    #: False where the tracker did not return the row: a refinement or detect_every added it. Shape [N].
    observed: NDArray[np.bool_]


class Frame(NamedTuple):
    """One frame of a request's video."""

    #: Index in the whole video, from 0.
    frame_index: int
    #: Presentation timestamp, in ticks of the video's time base.
    pts: int
    #: Presentation time, seconds.
    time_s: float
    #: The objects in it.
    rows: Rows


def read(path_or_request: PathLikeStr, *, table: str = "tracks", data: Optional[PathLikeStr] = None) -> Table:
    """Read results as Arrow.

    Parameters
    ----------
    path_or_request
        A Parquet file, a text file of tracks or ground truth (MOTChallenge or CSV), a folder of results, or a request
        as in :func:`frames`. If a folder of that name exists, it is the folder. A name that ends in ``.parquet``,
        ``.csv`` or ``.txt`` is always a file.
    table
        Of a request: ``"tracks"`` or ``"detections"``.
    data
        The data directory of a request; by default ``$TRACKDROP_DATA`` or ``trackdrop-data``.

    Raises
    ------
    ValueError
        The file does not have the format of its ending, or several requests match.
    OSError
        The file can't be read, or there is no such request.
    """
    if table not in ("tracks", "detections"):
        raise ValueError(f'table must be "tracks" or "detections", got {table!r}')
    request = request_or_file(path_or_request, data)
    if request is not None:
        return _trackdrop.read_parquet(result_file(request, f"{table}.parquet", data))
    path = Path(path_or_request)
    if path.is_dir():
        return _trackdrop.read_parquet(path / f"{table}.parquet")
    return _trackdrop.read_parquet(path) if path.suffix.lower() == ".parquet" else _trackdrop.read_tracks(path)


def frames(request: str, *, data: Optional[PathLikeStr] = None) -> Iterator[Frame]:
    """Every frame of a request's video, in order, with its rows. Frames without an object are included.

    To draw on the frames, decode the video in the same loop, one picture per :class:`Frame`.

    Parameters
    ----------
    request
        The same forms as for the command: an id, or at least 4 first characters of it, if they are unique; the name of
        its video; or ``"latest"``.
    data
        The data directory; by default ``$TRACKDROP_DATA`` or ``trackdrop-data``.

    Raises
    ------
    ValueError
        Several requests match. The message names them.
    FileNotFoundError
        There is no such request.
    """
    request = request_meant(request, data)
    pts, numerator, denominator, origin = _trackdrop.planned_frames(result_file(request, "manifest.json", data))
    table = read(request, data=data)
    index = table["frame_index"]
    columns = [table[name] for name in ("track_id", "score", "class_id", "class_name", "observed")]
    boxes = np.stack([table[name] for name in ("x1", "y1", "x2", "y2")], axis=1)
    ends = np.searchsorted(index, np.arange(len(pts) + 1))
    for number, ticks in enumerate(pts.tolist()):
        part = slice(ends[number], ends[number + 1])
        identity, score, kind, name, observed = (column[part] for column in columns)
        time_s = (ticks - origin) * numerator / denominator
        yield Frame(number, ticks, time_s, Rows(identity, boxes[part], score, kind, name, observed))


def _rows(lines: str) -> List[Dict[str, Any]]:
    import json

    return [json.loads(line) for line in lines.splitlines()]


def _scene_rows(scene: Scene) -> List[Dict[str, Any]]:
    """A scene as rows of the table ``scenes``."""
    import json

    if isinstance(scene, Mapping):
        return _rows(_trackdrop.scene_rows(json.dumps(scene)))
    path = Path(scene)
    text = path.read_text(encoding="utf-8")
    try:
        return _rows(_trackdrop.scene_rows(text))
    except ValueError as error:
        raise ValueError(f"{path}: {error}") from None


def _insert(connection: DuckDBPyConnection, table: str, columns: str, rows: Sequence[Mapping[str, Any]]) -> None:
    """Inserts rows as text. DuckDB casts each value to its column's type."""
    import json

    def text(value: Any) -> Optional[str]:
        return value if value is None or isinstance(value, str) else json.dumps(value)

    names = [column.split()[0] for column in columns.split(", ")]
    if rows:
        marks = ", ".join("?" for _ in names)
        connection.executemany(f"INSERT INTO {table} VALUES ({marks})", [[text(row.get(name)) for name in names] for row in rows])


def open_data(data: Optional[PathLikeStr] = None) -> Data:
    """Open a data directory of ``trackdrop run``. The default is ``$TRACKDROP_DATA`` or ``trackdrop-data``.

    Raises
    ------
    FileNotFoundError
        There is no data directory in the folder.
    """
    return Data(data_directory(data))


class Data:
    """A data directory. It is only read, and other processes can use it at the same time."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._catalog = path / ".store" / "catalog.db"
        if not self._catalog.is_file():
            raise FileNotFoundError(f"{path}: there is no data directory of trackdrop here (trackdrop run makes one)")

    def __repr__(self) -> str:
        return f"<trackdrop.Data in {self.path}>"

    @property
    def requests(self) -> Table:
        """One row per finished request: the table ``requests`` of ``trackdrop query``."""
        return _trackdrop.requests_table(self._request_rows())

    def tracks(self, request: str) -> Table:
        """The tracks of a request. Name it as in :func:`frames`."""
        return read(request_meant(request, self.path), data=self.path)

    def detections(self, request: str) -> Table:
        """The detections of a request. Name it as in :func:`frames`."""
        return read(request_meant(request, self.path), table="detections", data=self.path)

    def frames(self, request: str) -> Iterator[Frame]:
        """The same as :func:`frames`, for this data directory."""
        return frames(request, data=self.path)

    @property
    def scenes(self) -> List[Dict[str, Any]]:
        """The scenes that ``trackdrop scene add`` stored, by name."""
        import json

        return [json.loads(rows[0]["definition"]) for rows in self._stored_scenes()]

    def connect(self, *, scenes: Optional[Iterable[Scene]] = None) -> DuckDBPyConnection:
        """An in-memory DuckDB connection with the tables and views of ``trackdrop query``: ``tracks``, ``requests``,
        ``scenes``, ``track_summary``, ``objects_per_second``, ``tracking_results``, and those about lines and zones:
        ``line_crossings``, ``line_counts``, ``zone_visits``, ``zone_occupancy``, ``flows``, ``track_speeds``,
        ``heatmap``, ``encounters``. It needs the package ``duckdb``.

        Parameters
        ----------
        scenes
            The scenes of the views: files, or dictionaries with the content of such files. The default is the scenes
            that ``trackdrop scene add`` stored. ``connect`` stores nothing.

        Raises
        ------
        ValueError
            A scene has errors. The message has every error, its place, and how to correct it.
        """
        asked = self._stored_scenes() if scenes is None else [_scene_rows(scene) for scene in scenes]
        try:
            import duckdb
        except ImportError as error:
            raise ImportError("connect() needs DuckDB: pip install duckdb") from error
        tracks, requests, views = _trackdrop.duckdb_schema()
        connection = duckdb.connect()
        connection.execute("SET TimeZone = 'UTC'")
        files = self._loaded_files()
        if files:
            listed = ", ".join("'" + str(file).replace("'", "''") + "'" for file in files)
            connection.execute(f"CREATE VIEW tracks AS SELECT * FROM read_parquet([{listed}])")
        else:
            connection.execute(f"CREATE TABLE tracks ({tracks})")
        connection.execute(f"CREATE TABLE requests ({requests})")
        _insert(connection, "requests", requests, self._request_values())
        for name, sql in views:
            connection.execute(f"CREATE VIEW {name} AS {sql}")
        columns, statements = _trackdrop.scene_schema()
        connection.execute(f"CREATE TABLE scenes ({columns})")
        _insert(connection, "scenes", columns, [row for rows in asked for row in rows])
        for statement in statements:
            connection.execute(statement)
        return connection

    def _request_meant(self, asked: str) -> str:
        def named(bucket: str, names: str, columns: str, also: str = "") -> List[Tuple[Any, ...]]:
            name = "CAST(name AS TEXT)"
            return self._query(f"SELECT {name}, {columns} FROM objects WHERE bucket = '{bucket}' AND {name} GLOB '{names}' {also}")

        asked_at = {name.split("/")[1]: created for name, created in named("work", "tracked/*", "created")}
        planned: List[Tuple[PathLikeStr, Optional[int]]] = []
        for name, generation in named("results", "req_*/manifest.json", "generation"):
            file = self.path / "results" / name
            planned.append((file if file.is_file() else self._blob(generation), asked_at.get(name.split("/")[0])))
        ended = named("work", "ended/*", "1", "AND metadata LIKE '%\"trackdrop-deleted\"%'")
        deleted = [name.split("/")[1] for name, _ in ended]
        uploads = [(name, generation, created) for name, generation, created in named("uploads", "*", "generation, created")]
        return _trackdrop.request_meant(asked, planned, uploads, deleted)

    def _request_rows(self) -> List[str]:
        return [row for (row,) in self._query("SELECT row FROM request_rows ORDER BY request")]

    def _request_values(self) -> List[Dict[str, Any]]:
        import json

        return [json.loads(row) for row in self._request_rows()]

    def _stored_scenes(self) -> List[List[Dict[str, Any]]]:
        """The rows of each stored scene."""
        stored = self._query(
            "SELECT generation FROM objects WHERE bucket = 'results' AND CAST(name AS TEXT) GLOB 'scenes/*.ndjson' AND bytes > 0 "
            "ORDER BY name"
        )
        return [_rows(self._blob(generation).read_text(encoding="utf-8")) for (generation,) in stored]

    def _loaded_files(self) -> List[Path]:
        loaded = self._query("SELECT generation FROM loaded_tracks ORDER BY request")
        return [self._blob(generation) for (generation,) in loaded]

    def _blob(self, generation: int) -> Path:
        return (self.path / ".store" / "blobs" / str(generation)).absolute()

    def _query(self, sql: str) -> List[Tuple[Any, ...]]:
        import sqlite3

        def rows(how: str) -> List[Tuple[Any, ...]]:
            connection = sqlite3.connect(f"{self._catalog.absolute().as_uri()}?{how}", uri=True)
            try:
                return connection.execute(sql).fetchall()
            finally:
                connection.close()

        try:
            return rows("mode=ro")
        except sqlite3.OperationalError:
            # Readers share a file beside the catalog, which a read-only folder does not take: there nobody writes either.
            if os.access(self._catalog.parent, os.W_OK):
                raise
            return rows("immutable=1")
