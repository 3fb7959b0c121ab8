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
]
#: Of several runs over the same detections one.
INPUTS = {run.name.split(".")[0]: run for run in golden.runs(golden.OWN)}
SWITCHES = [
    "thresh_is_high",
    "birth_thresh_capped",
    "plain_iou",
    "close_duplicates",
    "forgive_timeout",
    "ids_at_confirmation",
    "pairs_at_limit",
    "single_precision",
    "births_in_set_order",
]


def detections(boxes, scores, dtype):
    return supervision.Detections(
        xyxy=boxes.astype(dtype).reshape(-1, 4),
        confidence=scores.astype(dtype),
        class_id=np.arange(len(scores)),
        data={"place": np.arange(len(scores))},
    )


@pytest.mark.parametrize("dtype", [np.float64, np.float32])
@pytest.mark.parametrize("parameters", PARAMETERS, ids=str)
@pytest.mark.parametrize("run", INPUTS.values(), ids=INPUTS.keys())
def test_ids_and_boxes_are_those_of_supervision_0_30(run, parameters, dtype):
    theirs = supervision.ByteTrack(**parameters)
    ours = trackdrop.ByteTrack.like_supervision(**parameters)
    for number, (boxes, scores) in enumerate(run.frames, start=1):
        given = detections(boxes, scores, dtype)
        expected, found = theirs.update_with_detections(given), ours.update_with_detections(given)
        assert type(found) is type(expected)
        assert found.tracker_id.tolist() == expected.tracker_id.tolist(), f"frame {number}"
        if len(expected):
            assert (found.xyxy == expected.xyxy).all() and (found.data["place"] == expected.data["place"]).all()
