import json
from pathlib import Path
from types import SimpleNamespace
from typing import Any, Dict, List, Tuple

import golden
import numpy as np
import pytest

import trackdrop

RUN = next(run for run in golden.runs(golden.OWN) if run.name == "synth10.eval")


def array(run: golden.Run) -> np.ndarray:
    """frame, x1, y1, x2, y2, score"""
    frames = [np.full(len(scores), float(number)) for number, (_, scores) in enumerate(run.frames, start=1)]
    boxes, scores = zip(*run.frames)
    return np.column_stack([np.concatenate(frames), np.concatenate(boxes), np.concatenate(scores)])


NAMES = ["frame", "x1", "y1", "x2", "y2", "score"]


def rows(table: trackdrop.Table) -> np.ndarray:
    return np.column_stack([table[name] for name in ("frame", "id", "x1", "y1", "x2", "y2", "score")])


def test_a_sequence_has_the_rows_of_the_reference_from_whatever_holds_its_detections(tmp_path: Path) -> None:
    given = array(RUN)
    expected = rows(trackdrop.track(given, **RUN.settings, frame_count=len(RUN.frames)))
    assert (expected[:, :2] == RUN.rows[:, :2]).all()
    assert np.abs(expected[:, 2:4] - RUN.rows[:, 2:4]).max() <= 1e-6
    csv = tmp_path / "detections.csv"
    csv.write_text("\n".join([",".join(NAMES), *(",".join(map(repr, row)) for row in given.tolist())]))
    named = {name: given[:, place] for place, name in enumerate(NAMES)}
    from_zero = {"frame_index": named["frame"] - 1, **{name: named[name] for name in NAMES[1:]}}
    objects = [SimpleNamespace(xyxy=boxes, confidence=scores, class_id=None) for boxes, scores in RUN.frames]
    for other in (csv, str(csv), named, from_zero, objects, np.asfortranarray(given)):
        assert (rows(trackdrop.track(other, **RUN.settings)) == expected).all()


def test_a_gap_is_filled_and_boxes_smoothed_and_first_boxes_found_on_request() -> None:
    seen = [frame for frame in range(1, 41) if not 20 <= frame < 25]
    wobble = {frame: 100 + 4.0 * frame + (frame % 2) for frame in seen}
    walk = np.array([[frame, x, 50, x + 40, 150, 0.9, 2] for frame, x in wobble.items()])
    late = walk[10:] + np.array([0, 500, 0, 500, 0, 0, 1])
    given = np.concatenate([walk, late])
    plain = trackdrop.track(given)
    assert plain["observed"].all() and set(plain["class_id"]) == {2, 3}
    filled = trackdrop.track(given, fill_gaps=5)
    assert len(filled) == len(plain) + 10 and (~filled["observed"]).sum() == 10
    assert (filled["score"][~filled["observed"]] == 0).all()
    kept = rows(filled)[filled["observed"]]
    assert (kept == rows(plain)).all(), "rows that a refinement does not change keep every bit"
    smoothed = trackdrop.track(given, smooth=2.0)
    assert len(smoothed) == len(plain) and np.abs(smoothed["x1"] - plain["x1"]).max() > 0
    begun = trackdrop.track(given, backfill=True)
    assert len(begun) == len(plain) + 1
    added = rows(begun)[~begun["observed"]][0]
    assert (added[0], added[2]) == (11, late[0, 1])


def test_a_walker_behind_a_pillar_is_linked_recovered_and_smoothed_on_request() -> None:
    frames = [frame for frame in range(1, 121) if not 50 <= frame < 95]
    walk = np.array([[frame, 100 + 4 * frame, 50, 140 + 4 * frame, 150, 0.9] for frame in frames], dtype=float)
    plain = trackdrop.track(walk, track_buffer=5)
    assert set(plain["id"]) == {1, 2}
    assert set(trackdrop.track(walk, track_buffer=5, link=3.0)["id"]) == {1}
    refined = trackdrop.track(walk, track_buffer=5, refine=True)
    assert set(refined["id"]) == {1} and len(refined) >= len(plain)
    recovered = trackdrop.track(walk, recover=True)
    assert recovered["frame"][~recovered["observed"]].tolist() == [95], "the box that the second track was born from"


def one_behind_a_wall() -> Tuple[np.ndarray, np.ndarray]:
    """Detections of one who goes behind a wall, and of two who come out: a stranger where the first one would be, and the first one
    a little further on. Each has a vector. Thirty passers-by, each with a direction of its own, tell what vectors mean in this video."""
    rows, vectors = [], []
    random = np.random.default_rng(1)
    directions = random.normal(size=(32, 8))
    for frame in range(60):
        boxes = []
        for person in range(30):
            shaken = random.uniform(-5, 5, size=2)
            boxes.append((4.0 * frame + shaken[0], 150.0 + 70 * person + shaken[1], person + 2))
        if frame < 20:
            boxes += [(10.0 * frame, 10.0, 0)]
        elif frame >= 36:
            boxes += [(10.0 * frame - 8, 10.0, 1), (10.0 * frame + 22, 10.0, 0)]
        for x, y, person in boxes:
            rows.append((frame + 1, x, y, x + 40, y + 60, 0.9))
            vectors.append((1 + frame % 3) * (directions[person] + 0.05 * random.normal(size=8)))
    return np.array(rows), np.array(vectors)


def ids_from_left(table: trackdrop.Table, frame: int) -> List[int]:
    shown = (table["frame"] == frame) & (table["y1"] < 100)
    return table["id"][shown][np.argsort(table["x1"][shown])].tolist()


def test_vectors_of_a_network_tell_who_came_out_from_behind_a_wall() -> None:
    rows, vectors = one_behind_a_wall()
    options: Dict[str, Any] = {"frame_rate": 10, "track_buffer": 5}

    def place_of_the_first(table: trackdrop.Table) -> int:
        (first,) = ids_from_left(table, 15)
        return ids_from_left(table, 50).index(first)

    by_motion, by_looks = 0, 1
    for refinement in ({"link": 3.0}, {"refine": True}):
        assert place_of_the_first(trackdrop.track(rows, **options, **refinement)) == by_motion
        for given in (vectors, vectors.astype(np.float32), 1e300 * vectors, 1e-300 * vectors, (vectors / 4).tolist()):
            assert place_of_the_first(trackdrop.track(rows, **options, **refinement, appearance=given)) == by_looks
        # In another order, as vectors belong to their detections.
        order = np.argsort(-rows[:, 2], kind="stable")
        seen = trackdrop.track(rows[order], **options, **refinement, appearance=vectors[order])
        assert place_of_the_first(seen) == by_looks
        # Of those that are left when some are filtered out.
        scores = np.where(rows[:, 2] > 2000, 0.3, rows[:, 5])
        many = np.column_stack([rows[:, :5], scores])
        filtered = trackdrop.track(many, **options, **refinement, min_score=0.5, appearance=vectors)
        assert place_of_the_first(filtered) == by_looks and len(filtered) < len(seen)
        for says_nothing in (np.zeros_like(vectors), False):
            blind = trackdrop.track(rows, **options, **refinement, appearance=says_nothing)
            assert place_of_the_first(blind) == by_motion
    plain = trackdrop.track(rows, **options)
    assert trackdrop.track(rows, **options, appearance=vectors)["id"].tolist() == plain["id"].tolist(), "it is for links only"


def test_vectors_that_can_not_be_those_of_the_detections_are_refused() -> None:
    rows, vectors = one_behind_a_wall()
    odd = vectors.copy()
    odd[7, 2] = np.nan
    for given, problem in [
        (vectors[:-1], rf"appearance has {len(rows) - 1} values, but there are {len(rows)} rows"),
        (vectors[:, 0], r"appearance must have the shape \[N, D\]"),
        (np.ones((len(rows), 2049)), r"D from 1 to 2048"),
        (odd, r"appearance must be finite numbers, got nan for detection 7"),
    ]:
        for min_score in (None, 0.1):
            with pytest.raises(ValueError, match=problem):
                trackdrop.track(rows, refine=True, appearance=given, min_score=min_score)


def test_classes_are_filtered_and_associated_by_themselves_on_request() -> None:
    turns = np.array([[frame, 100 + frame, 0, 150 + frame, 80, 0.9, (frame - 1) // 2 % 2] for frame in range(1, 7)])
    assert trackdrop.track(turns)["id"].tolist() == [1] * 6
    apart = trackdrop.track(turns, per_class=True)
    assert list(zip(apart["class_id"], apart["id"])) == [(0, 1), (0, 1), (1, 2), (0, 1), (0, 1)]
    assert set(trackdrop.track(turns, classes=[0])["frame"]) == {1, 2, 5, 6}
    assert len(trackdrop.track(turns, min_score=0.95)) == 0


def test_frames_that_start_at_0_and_too_few_of_them_are_refused() -> None:
    box = [0, 0, 40, 90, 0.9]
    for match, given, options in [
        (r"detection 0 is in frame 0; frames are numbered from 1 to 20000000, so add 1", [[0, *box]], {}),
        (r"frame_count|frames", [[7, *box]], {"frame_count": 3}),
        (r"frames must be whole numbers, got 1.5", [[1.5, *box]], {}),
        (r"must have the shape \[N, 6 or more\]", [[1, *box[:3]]], {}),
        (r"per_class needs the classes", [[1, *box]], {"per_class": True}),
        (r'smooth must be "rts" or a number of frames, got "mine"', [[1, *box]], {"smooth": "mine"}),
        (r"linking over -1 s: it must be above 0", [[1, *box]], {"link": -1.0}),
        (r"smoothing over 0 frames: it must be above 0 and at most 1,000", [[1, *box]], {"smooth": 0.0}),
        (r"there is no column score or confidence or conf; there are frame, x1", {n: [1] for n in NAMES[:5]}, {}),
    ]:
        with pytest.raises(ValueError, match=match):
            trackdrop.track(given, **options)
    with pytest.raises(FileNotFoundError, match="nowhere.csv"):
        trackdrop.track("nowhere.csv")


def truth_and_tracks() -> Any:
    truth = np.array([[f, i, 200 * i + f, 5, 40, 90] for f in range(1, 41) for i in (1, 2, 3)], dtype=float)
    tracks = truth[truth[:, 0] % 9 != 0] + np.array([0, 4, 1.5, 0, 0, 0])
    return truth, tracks


def test_an_evaluation_is_the_same_from_arrays_files_and_frames_of_data(tmp_path: Path) -> None:
    truth, tracks = truth_and_tracks()
    expected = trackdrop.evaluate(truth, tracks)
    assert expected["IDSW"] == 0 and 80 < expected["HOTA"] < 100 and "MOTA" in str(expected)
    names = ["frame", "id", "x", "y", "w", "h"]
    files = []
    for name, rows_ in (("gt.txt", truth), ("tracks.txt", tracks)):
        files.append(tmp_path / name)
        files[-1].write_text("".join(",".join(map(repr, [int(r[0]), int(r[1]), *r[2:], 1.0])) + "\n" for r in rows_.tolist()))
    assert trackdrop.evaluate(*files) == expected

    def named(rows_: np.ndarray) -> Any:
        return {name: rows_[:, place] for place, name in enumerate(names)}

    corners = named(tracks)
    corners = {"frame_index": corners["frame"] - 1, "track_id": corners["id"], "x1": corners["x"], "y1": corners["y"],
               "x2": corners["x"] + corners["w"], "y2": corners["y"] + corners["h"]}
    assert trackdrop.evaluate(named(truth), corners)["HOTA"] == pytest.approx(expected["HOTA"], abs=1e-9)


def test_many_videos_are_measured_as_one_by_one_and_pooled_as_one_after_the_other(tmp_path: Path) -> None:
    truth, tracks = truth_and_tracks()
    short = (truth[truth[:, 0] <= 11], tracks[(tracks[:, 0] <= 11) & (tracks[:, 1] != 5)])
    file = tmp_path / "gt.txt"
    file.write_text("".join(",".join(map(repr, [int(r[0]), int(r[1]), *r[2:], 1.0])) + "\n" for r in truth.tolist()))
    found = trackdrop.evaluate_all({"long": (file, tracks), "short": short})
    assert list(found) == ["long", "short"]
    assert (found["long"], found["short"]) == (trackdrop.evaluate(truth, tracks), trackdrop.evaluate(*short))
    assert found["long"]["HOTA"] != found["short"]["HOTA"]
    later = np.array([1000, 100, 0, 0, 0, 0])
    joined = trackdrop.evaluate(np.concatenate([truth, short[0] + later]), np.concatenate([tracks, short[1] + later]))
    for metric in ("HOTA", "AssA", "MOTA", "IDF1", "IDSW", "FN", "objects"):
        assert found.pooled[metric] == pytest.approx(joined[metric], abs=1e-9), metric
    assert str(found).splitlines()[0] == "long" and "\npooled\n" in str(found)
    assert trackdrop.evaluate_all({}).pooled["HOTA"] == 0
    with pytest.raises(ValueError, match=r"bad: tracks, row 0: frame 0"):
        trackdrop.evaluate_all({"good": (truth, tracks), "bad": (truth, tracks - np.array([1, 0, 0, 0, 0, 0]))})


def test_what_can_not_be_evaluated_is_refused() -> None:
    truth, tracks = truth_and_tracks()
    twice = np.concatenate([tracks, tracks[:1]])
    from_zero = tracks - np.array([1, 0, 0, 0, 0, 0])
    for match, call in [
        (r"tracks, row \d+: id 5 appears twice in frame 1", lambda: trackdrop.evaluate(truth, twice)),
        (r"tracks, row 0: frame 0: frames start at 1 here", lambda: trackdrop.evaluate(truth, from_zero)),
        (r"iou 0 is not above 0", lambda: trackdrop.evaluate(truth, tracks, iou=0)),
        (r'preprocessing must be "auto"', lambda: trackdrop.evaluate(truth, tracks, preprocessing="mine")),
        (r"gt: there is no column h", lambda: trackdrop.evaluate({"frame": [1], "id": [1], "x": [1], "y": [1], "w": [1]}, tracks)),
    ]:
        with pytest.raises(ValueError, match=match):
            call()
    with pytest.raises(FileNotFoundError, match="nowhere.txt"):
        trackdrop.evaluate("nowhere.txt", tracks)


@pytest.mark.skipif(not golden.REFERENCE.is_dir(), reason="TRACKDROP_GOLDEN names no folder of golden runs")
def test_numbers_are_those_of_trackeval() -> None:
    expected = json.loads((golden.REFERENCE / "metrics.json").read_text())["metrics"]
    checked = 0
    for name, truth, tracks in golden.tracks_with_truth():
        found = trackdrop.evaluate(truth, tracks, preprocessing="plain")
        for metric, value in expected.get(name, {}).items():
            assert found[metric] == pytest.approx(value, abs=1e-4), f"{name}, {metric}"
            checked += 1
    assert checked == 3 * 11
