"""The cases of docs/analytics.md, beside supervision's LineZone where it is installed."""

import shutil
import sqlite3
from pathlib import Path

import line_cases
import pytest

import trackdrop

SCENE = {
    "name": "cases",
    "videos": ["*"],
    "picture": {"width_px": 200, "height_px": 100},
    "lines": [{"name": "gate", "points": [list(point) for point in line_cases.LINE]}],
}
CASES = pytest.mark.parametrize("case", line_cases.CASES, ids=lambda case: case[0])


@CASES
def test_supervision_counts_what_the_docs_say(case) -> None:
    supervision = pytest.importorskip("supervision")
    _, points, _, theirs = case
    assert line_cases.by_supervision(supervision, points) == theirs


def test_trackdrop_counts_what_the_docs_say(data: Path, tmp_path: Path) -> None:
    pytest.importorskip("duckdb")
    shutil.copytree(data / ".store", tmp_path / ".store")
    with sqlite3.connect(tmp_path / ".store" / "catalog.db") as catalog:
        catalog.execute("DELETE FROM loaded_tracks")
        catalog.execute("DELETE FROM request_rows")
    connection = trackdrop.open_data(tmp_path).connect(scenes=[SCENE])
    names = [name for name, *_ in connection.execute("DESCRIBE requests").fetchall()]
    given = {"request_id": "'r'", "video": "'a.mp4'", "uploaded_at": "now()", "finished_at": "now()", "state": "'done'"}
    given.update({"version": "'x'", "width_px": "200", "height_px": "100"})
    needed = [name for name, _, null, *_ in connection.execute("DESCRIBE requests").fetchall() if null == "NO" or name in given]
    assert set(given) <= set(names)
    values = ", ".join(f"{given.get(name, '0')} AS {name}" for name in needed)
    connection.execute(f"INSERT INTO requests BY NAME SELECT {values}")
    for track, (_, points, _, _) in enumerate(line_cases.CASES):
        for frame, point in enumerate(points):
            if point is None:
                continue
            x1, y1, x2, y2 = line_cases.box(point)
            connection.execute(
                f"""INSERT INTO tracks BY NAME SELECT 'r' AS request_id, 'a.mp4' AS video, now() AS uploaded_at, {frame} AS frame_index,
                    {frame} AS pts, 1 AS time_base_num, 25 AS time_base_den, {frame / 25} AS time_s, {track} AS track_id,
                    0 AS class_id, 'person' AS class_name, 0.9 AS score, {x1} AS x1, {y1} AS y1, {x2} AS x2, {y2} AS y2, true AS observed"""
            )
    counted = dict(connection.execute("SELECT track_id, count(*) FROM line_crossings GROUP BY track_id").fetchall())
    for track, (what, _, ours, _) in enumerate(line_cases.CASES):
        assert counted.get(track, 0) == ours, what
