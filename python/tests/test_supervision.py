"""The switches against supervision itself, where it is installed (scripts/checks/python installs it in a venv of its own)."""

import golden
import numpy as np
import pytest

import trackdrop

supervision = pytest.importorskip("supervision")
pytestmark = pytest.mark.filterwarnings("ignore")

PARAMETERS = [
    {},
    {"minimum_consecutive_frames": 3},
    {"track_activation_threshold": 0.5, "lost_track_buffer": 10, "minimum_matching_threshold": 0.9},
    {"track_activation_threshold": 0.6, "lost_track_buffer": 3},
    {"track_activation_threshold": 0.95},
]
#: Of several runs over the same detections one.
INPUTS = {run.name.split(".")[0]: run for run in golden.runs(golden.OWN)}


def made(name, frames):
    return golden.Run(name, {}, [(np.array(boxes, dtype=float), np.array(scores)) for boxes, scores in frames], np.empty((0, 8)))


def walker(x):
    return [x, 50, x + 40, 150]


ROW = [walker(100 * place) for place in range(10)]
BESIDE = ([walker(500), walker(2)], [0.9, 0.71])
#: What none of the golden runs in the repository has, and the parameters for it. Of the others, MOT17-09 has the first two. A cost
#: that equals the limit is in no golden run at all.
MADE = {
    "close_duplicates": (
        made("born_beside_a_lost_one", [([walker(0), walker(500)], [0.9, 0.9]), ([walker(500)], [0.9]), BESIDE, BESIDE]),
        {"track_activation_threshold": 0.6, "minimum_matching_threshold": 0.3},
    ),
    "births_in_set_order": (
        made("two_born_of_ten", [(ROW[:2] + ROW[3:9], [0.9] * 8), (ROW, [0.9] * 10), (ROW, [0.9] * 10)]),
        {"track_activation_threshold": 0.6},
    ),
    "pairs_at_limit": (
        made("moved_to_the_limit", [([[0, 0, 90, 80]], [1.0]), ([[30, 0, 120, 80]], [1.0])]),
        {"minimum_matching_threshold": 0.5},
    ),
}
CASES = [(run, parameters) for run in INPUTS.values() for parameters in PARAMETERS] + list(MADE.values())
#: The ways in which supervision differs from the reference, and what the reference has.
SWITCHES = {
    "thresh_is_high": False,
    "birth_thresh_capped": False,
    "plain_iou": False,
    "close_duplicates": False,
    "forgive_timeout": False,
    "ids_at_confirmation": False,
    "confirm_frames": 1,
    "pairs_at_limit": False,
    "single_precision": False,
    "births_in_set_order": False,
    "boxes": "tracker",
}
#: What supervision returned, by run, parameters and type of number.
FOUND = {}


def detections(boxes, scores, dtype):
    return supervision.Detections(
        xyxy=boxes.astype(dtype).reshape(-1, 4),
        confidence=scores.astype(dtype),
        class_id=np.arange(len(scores)),
        data={"place": np.arange(len(scores))},
    )


def supervisions(run, parameters, dtype):
    """What supervision gives for each frame: the detections given, and those returned."""
    key = (run.name, str(parameters), dtype)
    if key not in FOUND:
        theirs = supervision.ByteTrack(**parameters)
        given = [detections(boxes, scores, dtype) for boxes, scores in run.frames]
        FOUND[key] = [(frame, theirs.update_with_detections(frame)) for frame in given]
    return FOUND[key]


def is_same(found, expected):
    places = (found.data["place"].tolist(), expected.data["place"].tolist()) if len(expected) else ([], [])
    return found.tracker_id.tolist() == expected.tracker_id.tolist() and places[0] == places[1] and (found.xyxy == expected.xyxy).all()


@pytest.mark.parametrize("dtype", [np.float64, np.float32])
@pytest.mark.parametrize("run, parameters", CASES, ids=[f"{run.name}-{parameters}" for run, parameters in CASES])
def test_ids_and_boxes_are_those_of_supervision_0_30(run, parameters, dtype):
    ours = trackdrop.ByteTrack.like_supervision(**parameters)
    for number, (given, expected) in enumerate(supervisions(run, parameters, dtype), start=1):
        found = ours.update_with_detections(given)
        assert type(found) is type(expected)
        assert is_same(found, expected), f"frame {number}"


@pytest.mark.parametrize("switch", SWITCHES)
def test_without_one_switch_something_differs(switch):
    """So each switch is needed, and the comparison above would notice if it did nothing."""

    class Without(trackdrop.ByteTrack):
        def __new__(cls, **settings):
            return super().__new__(cls, **{**settings, switch: SWITCHES[switch]})

    # Where a run was made for the switch, it is that one which must show it.
    for run, parameters in [MADE[switch]] if switch in MADE else CASES:
        for dtype in (np.float64, np.float32):
            ours = Without.like_supervision(**parameters)
            frames = supervisions(run, parameters, dtype)
            if not all(is_same(ours.update_with_detections(given), expected) for given, expected in frames):
                return
    pytest.fail(f"every input gives the same without {switch}")
