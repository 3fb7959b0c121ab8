import copy
import subprocess
import sys
import threading
from dataclasses import dataclass
from typing import Any, Optional

import golden
import numpy as np
import pytest

import trackdrop

RUNS = list(golden.runs(golden.OWN)) + (list(golden.runs(golden.REFERENCE)) if golden.REFERENCE.is_dir() else [])


@pytest.mark.parametrize("run", RUNS, ids=lambda run: run.name)
def test_ids_order_and_coordinates_are_those_of_the_reference(run: golden.Run) -> None:
    tracker = trackdrop.ByteTrack(**run.settings)
    rows = [np.empty((0, 7))]
    for number, (boxes, scores) in enumerate(run.frames, start=1):
        tracks = tracker.update(boxes, scores)
        frame = np.full(len(tracks), float(number))
        assert (tracks.scores == scores[tracks.detections]).all()
        rows.append(np.column_stack([frame, tracks.ids, tracks.xyxy, tracks.scores]))
    found = np.concatenate(rows)
    assert (found[:, :2] == run.rows[:, :2]).all()
    assert (found[:, 6] == run.rows[:, 6]).all()
    tlwh = np.column_stack([found[:, 2:4], found[:, 4:6] - found[:, 2:4]])
    assert np.abs(tlwh - run.rows[:, 2:6]).max(initial=0) <= 1e-6


@dataclass
class Detections:
    """The fields of supervision's class, and nothing of its code."""

    xyxy: np.ndarray
    confidence: Optional[np.ndarray]
    class_id: Optional[np.ndarray] = None
    tracker_id: Optional[np.ndarray] = None
    data: Any = None


class Indexed(Detections):
    def __getitem__(self, places: np.ndarray) -> "Indexed":
        picked = copy.copy(self)
        picked.xyxy, picked.class_id = self.xyxy[places], self.class_id[places]
        picked.confidence = self.confidence[places]
        return picked


def walker(x: float, kind: type = Detections) -> Any:
    boxes = np.array([[500.0, 5, 540, 95], [x, 50, x + 40, 150]])
    names = {"name": np.array(["faint", "walker"])}
    return kind(boxes, np.array([0.05, 0.9]), np.array([3, 7]), data=names)


@pytest.mark.parametrize("kind", [Detections, Indexed])
def test_an_object_with_the_fields_of_detections_comes_back_as_the_same_kind_with_tracker_id(kind: type) -> None:
    tracker = trackdrop.ByteTrack()
    given = walker(100, kind)
    tracked = tracker.update(given)
    assert type(tracked) is kind
    assert given.tracker_id is None and len(given.xyxy) == 2
    assert tracked.tracker_id.tolist() == [1] and tracked.class_id.tolist() == [7]
    assert tracker.update(walker(110, kind)).xyxy[0, 0] != 110, "the tracker's estimate"
    as_given = trackdrop.ByteTrack(boxes="detections")
    as_given.update(walker(100, kind))
    assert as_given.update(walker(110, kind)).xyxy[0, 0] == 110


def test_classes_are_passed_on_with_the_detection_that_was_matched() -> None:
    tracks = trackdrop.ByteTrack().update([[0, 0, 9, 9], [50, 0, 90, 90]], [0.05, 0.9], class_ids=[3, 7])
    assert (tracks.class_ids.tolist(), tracks.detections.tolist(), len(tracks)) == ([7], [1], 1)


def test_nothing_is_rounded_to_float32() -> None:
    box = np.array([[100.1234567890123, 50.1, 140.9876543210987, 150.3]])
    tracks = trackdrop.ByteTrack().update(box, np.array([0.9000000001]))
    assert tracks.xyxy.dtype == np.float64 and np.abs(tracks.xyxy - box).max() < 1e-12
    assert tracks.scores[0] == 0.9000000001


@pytest.mark.parametrize("dtype", [np.float32, np.int64, np.uint8, np.float16])
def test_arrays_of_any_numbers_and_layouts_are_taken(dtype: type) -> None:
    boxes = np.array([[10, 20, 50, 90], [100, 20, 140, 90]])
    expected = trackdrop.ByteTrack().update(boxes.astype(np.float64), [1, 1])
    for given in (boxes.astype(dtype), np.asfortranarray(boxes.astype(dtype)), boxes.astype(dtype).tolist()):
        assert (trackdrop.ByteTrack().update(given, np.ones(2, dtype=dtype)).xyxy == expected.xyxy).all()


@pytest.mark.parametrize("boxes", [np.empty((0, 4)), np.array([]), []])
def test_a_frame_without_detections_is_a_step(boxes: Any) -> None:
    tracker = trackdrop.ByteTrack()
    tracks = tracker.update(boxes, [])
    assert (len(tracks), tracks.xyxy.shape, tracker.frame_count) == (0, (0, 4), 1)


def test_bad_input_is_refused_with_the_value_and_leaves_the_tracker_as_it_was() -> None:
    tracker = trackdrop.ByteTrack()
    for match, arguments in [
        (r"boxes must have the shape \[N, 4\], got \[1, 5\]", ([[0, 0, 1, 1, 1]], [0.5])),
        (r"scores has 2 values, but there are 1 rows", ([[0, 0, 1, 1]], [0.5, 0.5])),
        (r"class_ids has 3 values, but there are 1 rows", ([[0, 0, 1, 1]], [0.5], [1, 2, 3])),
        (r"scores must have the shape \[N\], got \[1, 1\]", ([[0, 0, 1, 1]], [[0.5]])),
        (r"the detections have no confidence", (Detections(np.empty((0, 4)), None),)),
    ]:
        with pytest.raises(ValueError, match=match):
            tracker.update(*arguments)
    with pytest.raises(TypeError, match="got ndarray without scores"):
        tracker.update(np.empty((0, 4)))
    with pytest.raises(ValueError, match=r"track_thresh must be between 0 and 1, got 1.5"):
        trackdrop.ByteTrack(track_thresh=1.5)
    with pytest.raises(ValueError, match='boxes must be "tracker" or "detections", got "mine"'):
        trackdrop.ByteTrack(boxes="mine")
    assert tracker.frame_count == 0


def test_detections_without_a_size_or_a_number_are_left_out_and_counted() -> None:
    tracker = trackdrop.ByteTrack()
    tracks = tracker.update([[0, 0, np.nan, 9], [9, 9, 9, 20], [0, 0, 40, 90]], [0.9, 0.9, 0.9])
    assert (tracks.detections.tolist(), tracker.refused) == ([2], 2)


def test_reset_forgets_everything() -> None:
    tracker = trackdrop.ByteTrack(track_thresh=0.5)
    first = tracker.update([[0, 0, 40, 90]], [0.9]).ids
    tracker.update([[500, 0, 540, 90]], [0.9])
    tracker.reset()
    assert (tracker.update([[0, 0, 40, 90]], [0.9]).ids == first).all()


def test_other_threads_run_while_a_frame_is_tracked() -> None:
    """A pile of identical boxes takes long enough for the lock to be seen released: the other thread ends first."""
    count = 2_000
    rng = np.random.default_rng(1)
    pile = np.concatenate([rng.uniform(0, 20, (count, 2)), rng.uniform(100, 120, (count, 2))], axis=1)
    tracker, order = trackdrop.ByteTrack(), []
    tracker.update(pile, np.full(count, 0.9))
    entered = threading.Event()

    def work() -> None:
        entered.set()
        tracker.update(pile[::-1] + 3, np.full(count, 0.9))
        order.append("tracked")

    interval = sys.getswitchinterval()
    sys.setswitchinterval(1e3)  # Nobody is made to release the lock.
    try:
        thread = threading.Thread(target=work)
        thread.start()
        entered.wait()
        order.append("other")
        thread.join()
    finally:
        sys.setswitchinterval(interval)
    assert order == ["other", "tracked"]


def test_importing_it_imports_neither_an_engine_nor_a_plotting_library() -> None:
    code = "import sys, trackdrop; print([m for m in ('sqlite3', 'duckdb', 'json', 'pandas', 'pyarrow') if m in sys.modules])"
    allowed = subprocess.run([sys.executable, "-c", code.replace("trackdrop;", "numpy;")], capture_output=True, text=True)
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert found.stdout in (allowed.stdout, "['json']\n"), found.stdout + found.stderr
