import json
import shutil
import sqlite3
from pathlib import Path
from typing import Any, Optional

import numpy as np
import pytest

import trackdrop
from trackdrop import _data, _track


def test_a_request_is_read_by_its_id_its_folder_or_its_file(data: Path, request_id: str) -> None:
    folder = data / "results" / request_id
    by_id = trackdrop.read(request_id, data=data)
    assert len(by_id) == 614 and by_id.column_names[:2] == ["request_id", "video"]
    for other in (folder, str(folder), folder / "tracks.parquet"):
        assert (trackdrop.read(other)["track_id"] == by_id["track_id"]).all()
    assert len(trackdrop.read(request_id, table="detections", data=data)) == 5602
    assert by_id["uploaded_at"].dtype == "datetime64[us]" and by_id["class_name"].dtype == object
    assert "x1" in by_id and "mask" not in by_id
    with pytest.raises(KeyError, match="there is no column 'mask'|no column \"mask\""):
        by_id["mask"]


def test_the_data_directory_is_the_environments_where_none_is_given(
    data: Path, request_id: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TRACKDROP_DATA", str(data))
    assert len(trackdrop.read(request_id)) == 614 and len(trackdrop.open_data().requests) == 1


def test_every_frame_comes_once_in_order_with_its_rows(data: Path, request_id: str) -> None:
    table = trackdrop.read(request_id, data=data)
    frames = list(trackdrop.frames(request_id, data=data))
    assert [frame.frame_index for frame in frames] == list(range(80))
    assert [frame.pts for frame in frames] == list(range(0, 80 * 1024, 1024))
    assert frames[15].time_s == pytest.approx(1.5)
    assert (np.concatenate([frame.rows.track_id for frame in frames]) == table["track_id"]).all()
    assert (np.concatenate([frame.rows.xyxy for frame in frames])[:, 2] == table["x2"]).all()
    assert set(frames[-1].rows.class_name) == {"person", "car"}


def test_tracking_a_requests_detections_again_gives_the_commands_tracks(data: Path, request_id: str) -> None:
    stored = trackdrop.read(request_id, data=data)
    again = trackdrop.track(request_id, data=data, track_thresh=0.45)  # As the card of its model says.
    assert (again["frame"] == stored["frame_index"] + 1).all() and (again["id"] == stored["track_id"]).all()
    assert (again["x1"].astype(np.float32) == stored["x1"]).all()
    assert (again["class_id"] == stored["class_id"]).all()
    same = trackdrop.evaluate(again, request_id, data=data)
    assert same["IDF1"] == 100 and same["MOTA"] == 100


@pytest.mark.parametrize("setting", ["color", {"network": "/models/people.onnx"}])
def test_the_appearance_that_a_request_stored_is_used_for_links(
    data: Path, request_id: str, tmp_path: Path, setting: object, monkeypatch: pytest.MonkeyPatch
) -> None:
    pyarrow, parquet = pytest.importorskip("pyarrow"), pytest.importorskip("pyarrow.parquet")
    copied = shutil.copytree(data, tmp_path / "data") / "results" / request_id
    table = parquet.read_table(copied / "detections.parquet")
    directions = np.random.default_rng(1).normal(size=(table.num_rows, 32))
    halves = (directions / np.linalg.norm(directions, axis=1, keepdims=True)).astype("<f2")
    column = pyarrow.array([row.tobytes() for row in halves], pyarrow.binary(64))
    table = table.append_column(pyarrow.field("appearance", pyarrow.binary(64), nullable=False), column)
    parquet.write_table(table, copied / "detections.parquet")
    given = []
    monkeypatch.setattr(_track._trackdrop, "track_sequence", lambda *arguments: given.append(arguments[5]))
    trackdrop.track(request_id, data=tmp_path / "data", refine=True)
    assert given.pop() is None, "its settings ask for none"
    manifest = json.loads((copied / "manifest.json").read_text())
    manifest["settings"] = {**(manifest.get("settings") or {}), "appearance": setting}
    (copied / "manifest.json").write_text(json.dumps(manifest))
    trackdrop.track(request_id, data=tmp_path / "data", refine=True)
    by_network, stored = given.pop()
    assert by_network == (setting != "color")
    assert (stored == halves.view(np.uint8)).all()
    trackdrop.track(request_id, data=tmp_path / "data", refine=True, appearance=False)
    assert given.pop() is None
    # Vectors of one's own are stored in the same way.
    trackdrop.track(request_id, data=tmp_path / "data", refine=True, appearance=3 * directions)
    assert (given[0][1] == stored).all()
    monkeypatch.undo()
    assert len(trackdrop.track(request_id, data=tmp_path / "data", refine=True)) > 0


def test_finished_requests_are_a_table(data: Path, request_id: str) -> None:
    opened = trackdrop.open_data(data)
    requests = opened.requests
    assert requests["request_id"].tolist() == [request_id]
    assert (requests["frames"][0], requests["state"][0], requests["retrack_of"][0]) == (80, "done", None)
    assert len(opened.tracks(request_id)) == 614 and len(list(opened.frames(request_id))) == 80


def test_a_folder_that_can_only_be_read_is_opened(
    data: Path, request_id: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Root may write anywhere, so the catalog is opened as on a medium that refuses the shared file beside it."""
    copied = shutil.copytree(data, tmp_path / "data")
    connect = sqlite3.connect

    def refusing(address: str, **options: bool) -> sqlite3.Connection:
        if "immutable" not in address:
            raise sqlite3.OperationalError("unable to open database file")
        return connect(address, **options)

    monkeypatch.setattr(sqlite3, "connect", refusing)
    monkeypatch.setattr("os.access", lambda *_: False)
    assert trackdrop.open_data(copied).requests["request_id"].tolist() == [request_id]


def test_what_is_not_there_is_told_with_its_place(data: Path, tmp_path: Path) -> None:
    for match, call in [
        ("req_aaaaaaaa_20260101T000000.*is not there", lambda: trackdrop.read("req_aaaaaaaa_20260101T000000", data=data)),
        ("there is no data directory of trackdrop here", lambda: trackdrop.open_data(tmp_path)),
        ("nowhere.parquet", lambda: trackdrop.read("nowhere.parquet")),
        ("nowhere.txt", lambda: trackdrop.read("nowhere.txt")),
    ]:
        with pytest.raises(FileNotFoundError, match=match):
            call()
    damaged = tmp_path / "damaged.parquet"
    damaged.write_bytes(b"PAR1 not really PAR1")
    with pytest.raises(ValueError, match="damaged.parquet"):
        trackdrop.read(damaged)


def add_request(data: Path, like: str, request: str, video: str, asked_at: Optional[int] = None, **changes: Any) -> None:
    """Another request of the data directory, with the results of one that is there."""
    folder = shutil.copytree(data / "results" / like, data / "results" / request)
    manifest = json.loads((folder / "manifest.json").read_text())
    manifest["source"].update(uri=f"uploads/{video}", **changes.pop("source", {}))
    (folder / "manifest.json").write_text(json.dumps({**manifest, "request_id": request, **changes}))
    with sqlite3.connect(data / ".store" / "catalog.db") as catalog:
        last = catalog.execute("SELECT max(generation) FROM objects").fetchone()[0]
        objects = [("results", f"{request}/manifest.json", 0)] + ([("work", f"tracked/{request}", asked_at)] if asked_at else [])
        for place, (bucket, name, created) in enumerate(objects, start=last + 1):
            catalog.execute("INSERT INTO objects VALUES (?, ?, ?, ?, 1, 0, '', '{}')", (bucket, name.encode(), place, created))


def test_a_request_is_named_as_the_command_takes_it(data: Path, request_id: str, tmp_path: Path) -> None:
    copied = shutil.copytree(data, tmp_path / "data")
    add_request(copied, request_id, "req_bbbbbbbb_20261130T100000", "north/door.mp4", source={"uploaded_at": "2026-11-30T10:00:00.5Z"})
    for word, meant in [
        (request_id, request_id),
        (request_id[:10], request_id),
        (request_id[4:8], request_id),
        ("street.mp4", request_id),
        ("door.mp4", "req_bbbbbbbb_20261130T100000"),
        ("north/door.mp4", "req_bbbbbbbb_20261130T100000"),
        ("latest", "req_bbbbbbbb_20261130T100000"),
    ]:
        assert _data.request_meant(word, copied) == meant
    opened = trackdrop.open_data(copied)
    for calls in (
        lambda word: [trackdrop.read(word, data=copied), opened.tracks(word)],
        lambda word: [trackdrop.read(word, table="detections", data=copied), opened.detections(word)],
        lambda word: [list(trackdrop.frames(word, data=copied)), list(opened.frames(word))],
        lambda word: [trackdrop.track(word, data=copied)],
    ):
        assert [len(found) for word in ("street.mp4", "latest", request_id[:9]) for found in calls(word)] == [
            len(found) for _ in range(3) for found in calls(request_id)
        ]
    assert trackdrop.evaluate("latest", "street.mp4", data=copied)["MOTA"] == 100
    # Another version of the first one's tracks, which was asked for later.
    later = 1_795_971_500_000_000 + 86_400_000_000
    add_request(copied, request_id, "req_cccccccc_20261129T165643", "street.mp4", asked_at=later, retrack_of=request_id)
    assert _data.request_meant("latest", copied) == "req_cccccccc_20261129T165643"
    with pytest.raises(ValueError, match='"street.mp4" means 2 requests, the latest first: req_cccccccc_.*; req_V4j2dFlj_'):
        trackdrop.read("street.mp4", data=copied)


def test_a_word_that_means_no_request_is_refused_in_the_words_of_the_command(
    data: Path, request_id: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for word in ("mine", request_id[4:7], "reet.mp4"):
        refused = f'there is no request "{word}": give an id or its first 4 characters or more, the name of a video, or "latest"'
        with pytest.raises(FileNotFoundError, match=refused):
            list(trackdrop.frames(word, data=data))
        with pytest.raises(FileNotFoundError, match=f"'{word}' is no file that exists, and {refused}"):
            trackdrop.read(word, data=data)
    with pytest.raises(FileNotFoundError, match="no data directory of trackdrop"):
        list(trackdrop.frames("latest", data=tmp_path))
    copied = shutil.copytree(data, tmp_path / "data")
    with sqlite3.connect(copied / ".store" / "catalog.db") as catalog:
        catalog.execute("DELETE FROM objects WHERE bucket = 'results'")
    # An upload that waits to be planned is a request, too, and has no results yet.
    assert _data.request_meant("street.mp4", copied) == request_id
    with sqlite3.connect(copied / ".store" / "catalog.db") as catalog:
        ended = "bucket = 'work' AND CAST(name AS TEXT) LIKE 'ended/%'"
        catalog.execute(f"UPDATE objects SET metadata = '{{\"trackdrop-deleted\":\"true\"}}' WHERE {ended}")
    with pytest.raises(FileNotFoundError, match='there is no request "latest": there are none yet; trackdrop run VIDEO'):
        list(trackdrop.frames("latest", data=copied))
    monkeypatch.chdir(tmp_path)
    (tmp_path / "street.mp4").write_bytes(b"a video")
    assert len(trackdrop.read("street.mp4", data=data)) == 614, "the video beside is no file of rows"
    shutil.copy(data / "results" / request_id / "tracks.parquet", tmp_path / "street.parquet")
    assert len(trackdrop.read("street.parquet", data=data)) == 614
    (tmp_path / "tracks").write_text("1,1,0,0,40,90,1")
    assert len(trackdrop.read("tracks", data=data)) == 1
    shutil.copytree(data / "results" / request_id, tmp_path / "latest")
    assert len(trackdrop.read("latest", data=copied)) == 614, "a folder of that name comes first"


def test_arrow_libraries_take_a_table_without_a_copy(data: Path, request_id: str) -> None:
    pyarrow = pytest.importorskip("pyarrow")
    table = trackdrop.read(request_id, data=data)
    one, other = pyarrow.table(table), pyarrow.table(table)

    def address(of: object) -> int:
        return of["x1"].chunk(0).buffers()[1].address  # type: ignore[index]

    assert one.num_rows == 614 and address(one) == address(other)
    assert one.schema.field("uploaded_at").type == pyarrow.timestamp("us", "UTC")
    polars = pytest.importorskip("polars")
    assert polars.DataFrame(table).height == 614
    assert trackdrop.evaluate(polars.DataFrame(table), one)["MOTA"] == 100
    pandas = pytest.importorskip("pandas")
    frame = pandas.DataFrame.from_arrow(table) if hasattr(pandas.DataFrame, "from_arrow") else one.to_pandas()
    assert trackdrop.evaluate(frame, table)["MOTA"] == 100


@pytest.mark.parametrize("name", ["tracks.parquet", "detections.parquet"])
def test_the_files_themselves_are_read_by_what_people_open_them_with(data: Path, request_id: str, name: str) -> None:
    """Every value of every row, as the package reads it."""
    pyarrow, parquet = pytest.importorskip("pyarrow"), pytest.importorskip("pyarrow.parquet")
    polars, pandas, duckdb = (pytest.importorskip(library) for library in ("polars", "pandas", "duckdb"))
    file = data / "results" / request_id / name
    table = trackdrop.read(file)
    expected = pyarrow.table(table).to_pylist()
    assert len(expected) == len(table) > 600
    assert parquet.read_table(file).to_pylist() == expected
    assert polars.read_parquet(file).to_dicts() == expected
    assert pandas.read_parquet(file).to_dict("records") == expected
    with duckdb.connect() as connection:
        connection.execute("SET TimeZone = 'UTC'")
        found = connection.execute(f"FROM '{file}'")
        columns = [column[0] for column in found.description]
        assert [dict(zip(columns, row)) for row in found.fetchall()] == expected


def test_duckdb_takes_a_table_by_its_name_through_arrows_interface(data: Path, request_id: str) -> None:
    """It asks for the stream, whose memory is the table's (see the test of addresses above), and for nothing else."""
    duckdb = pytest.importorskip("duckdb")
    ours = trackdrop.read(request_id, data=data)
    asked = []

    class Watched:
        def __arrow_c_stream__(self, requested_schema: object = None) -> object:
            asked.append(requested_schema)
            return ours.__arrow_c_stream__(requested_schema)

    tracks = Watched()
    question = "SELECT count(*), sum(frame_index), min(x1), max(class_name) FROM"
    expected = (614, int(ours["frame_index"].sum()), float(ours["x1"].min()), max(ours["class_name"]))
    assert duckdb.sql(f"{question} tracks").fetchall() == [expected] and asked and tracks
    assert duckdb.sql(f"{question} ours").fetchall() == [expected]


def test_a_connection_has_the_tables_and_views_of_the_command(data: Path, request_id: str, tmp_path: Path) -> None:
    pytest.importorskip("duckdb")
    connection = trackdrop.open_data(data).connect()
    count = connection.execute("SELECT count(*), min(class_name) FROM tracks").fetchone()
    assert count == (614, "car")
    longest = "SELECT request_id, frames_seen FROM track_summary ORDER BY dwell_s DESC LIMIT 1"
    assert connection.execute(longest).fetchone() == (request_id, 80)
    assert connection.execute("SELECT frames, state FROM requests").fetchone() == (80, "done")
    assert connection.execute("SELECT max(objects) FROM objects_per_second").fetchone()[0] > 1
    assert connection.execute("SELECT box.x2 > box.x1 FROM tracking_results LIMIT 1").fetchone() == (True,)
    empty = tmp_path / "empty"
    shutil.copytree(data / ".store", empty / ".store")
    with sqlite3.connect(empty / ".store" / "catalog.db") as catalog:
        catalog.execute("DELETE FROM loaded_tracks")
        catalog.execute("DELETE FROM request_rows")
    nothing = trackdrop.open_data(empty).connect()
    assert nothing.execute("SELECT count(*) FROM track_summary").fetchone() == (0,)


ROAD = {
    "name": "road",
    "videos": ["*.mp4"],
    "picture": {"width_px": 768, "height_px": 576},
    "lines": [{"name": "road", "points": [[430, 560], [430, 150]], "in": "right", "out": "left"}],
    "zones": [{"name": "pavement", "points": [[0, 330], [430, 330], [430, 575], [0, 575]]}],
}


def test_a_connection_is_asked_about_lines_and_zones(data: Path, request_id: str, tmp_path: Path) -> None:
    pytest.importorskip("duckdb")
    opened = trackdrop.open_data(data)
    assert opened.scenes == []
    assert opened.connect().execute("SELECT count(*) FROM line_crossings").fetchone() == (0,), "nothing is drawn"
    ask = "SELECT line, direction, track_id, round(time_s, 2), near_birth_or_end FROM line_crossings ORDER BY time_s"
    # What `trackdrop query` says of the same scene.
    expected = [("road", "left", 5, 1.22, False), ("road", "left", 1, 4.46, False), ("road", "left", 9, 7.15, True)]
    assert opened.connect(scenes=[ROAD]).execute(ask).fetchall() == expected
    file = tmp_path / "road.json"
    file.write_text(json.dumps(ROAD))
    connection = opened.connect(scenes=[file, {**ROAD, "name": "again"}])
    assert connection.execute(ask).fetchall() == sorted(expected * 2, key=lambda row: row[3])
    assert connection.execute("SELECT DISTINCT scene FROM zone_visits ORDER BY scene").fetchall() == [("again",), ("road",)]
    for view in ("line_counts", "zone_occupancy", "flows", "track_speeds", "heatmap"):
        assert connection.execute(f"SELECT count(*) > 0 FROM {view}").fetchone() == (True,), view
    with pytest.raises(ValueError, match='zone "pavement", point 4.*outside of the picture of 768x576'):
        opened.connect(scenes=[{**ROAD, "zones": [{"name": "pavement", "points": [[0, 0], [9, 0], [9, 9], [0, 600]]}]}])
    file.write_text("{")
    with pytest.raises(ValueError, match="road.json: "):
        opened.connect(scenes=[file])


def test_stored_scenes_are_those_of_the_command(data: Path, tmp_path: Path) -> None:
    pytest.importorskip("duckdb")
    copied = shutil.copytree(data, tmp_path / "data")
    # As `trackdrop scene add` stores it: an object of its rows.
    (copied / ".store" / "blobs" / "7").write_text(trackdrop._trackdrop.scene_rows(json.dumps(ROAD)))
    with sqlite3.connect(copied / ".store" / "catalog.db") as catalog:
        row = ("results", b"scenes/road.ndjson", 7, 0, 1, 0, "application/x-ndjson", "{}")
        catalog.execute("INSERT INTO objects VALUES (?, ?, ?, ?, ?, ?, ?, ?)", row)
    opened = trackdrop.open_data(copied)
    assert [scene["name"] for scene in opened.scenes] == ["road"] and opened.scenes[0]["picture"] == ROAD["picture"]
    assert opened.connect().execute("SELECT count(*) FROM line_crossings").fetchone() == (3,)
