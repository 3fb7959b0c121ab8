#!/usr/bin/env bash
# The evaluator of roboflow's trackers counts no ground truth whose class column is -1, the form of MOT15 and of the package's own writer.
#
# Input: two objects in five frames as MOTChallenge text with ten columns, the last three of them -1: the form of MOT15's gt.txt, and the one that
# `trackers track` writes. It is ground truth and tracks at once. Then the same rows without these columns.
# Expected of trackers.eval.evaluate_mot_sequence, whose documentation promises parity with TrackEval: MOTA, HOTA and IDF1 of 1 for both, as
# TrackEval gives for the benchmark MOT15, or an error.
# Seen with trackers==2.6.1: for ten columns all three are 0, and all ten boxes are false alarms: it takes ground truth of class 1 only, whatever the
# benchmark, and no row has it. There is no warning. Without the class column each row counts as class 1, and the result is 1.
# TrackEval (trackeval==1.3.0, benchmark MOT15) gives 1 for the ten columns.
set -euo pipefail
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
cd "$dir"
python3 -m venv venv
venv/bin/pip -q install --disable-pip-version-check trackers==2.6.1 supervision==0.31.2 opencv-python-headless==5.0.0.93
python3 -m venv reference
reference/bin/pip -q install --disable-pip-version-check trackeval==1.3.0
mkdir -p gt/S/gt tracks/T/data
python3 - <<'PY'
rows = [(frame, id, 10 * id + frame, 20, 30, 60, 1) for frame in range(1, 6) for id in (1, 2)]
text = lambda tail: "".join(",".join(map(str, row)) + tail + "\n" for row in rows)
for name, tail in [("ten.txt", ",-1,-1,-1"), ("seven.txt", ""), ("gt/S/gt/gt.txt", ",-1,-1,-1"), ("tracks/T/data/S.txt", ",-1,-1,-1")]:
    open(name, "w").write(text(tail))
PY
cat >package.py <<'PY'
from trackers.eval import evaluate_mot_sequence

seen = {}
for name in ("ten", "seven"):
    one = evaluate_mot_sequence(f"{name}.txt", f"{name}.txt", metrics=["CLEAR", "HOTA", "Identity"])
    seen[name] = [float(one.CLEAR.MOTA), float(one.HOTA.HOTA), float(one.Identity.IDF1), int(one.CLEAR.CLR_FP)]
    print("trackers", name, "columns: MOTA, HOTA, IDF1, false alarms:", *seen[name])
assert seen == {"ten": [0, 0, 0, 10], "seven": [1, 1, 1, 0]}, seen
PY
cat >reference.py <<'PY'
import contextlib
import io

import trackeval

with contextlib.redirect_stdout(io.StringIO()):
    data = trackeval.datasets.MotChallenge2DBox({
        "GT_FOLDER": "gt", "TRACKERS_FOLDER": "tracks", "BENCHMARK": "MOT15", "SKIP_SPLIT_FOL": True, "SEQ_INFO": {"S": 5}, "PRINT_CONFIG": False,
    })
    evaluator = trackeval.Evaluator({"PRINT_RESULTS": False, "PRINT_CONFIG": False, "OUTPUT_SUMMARY": False, "OUTPUT_DETAILED": False, "PLOT_CURVES": False})
    found, _ = evaluator.evaluate([data], [trackeval.metrics.HOTA(), trackeval.metrics.CLEAR(), trackeval.metrics.Identity()])
one = found["MotChallenge2DBox"]["T"]["S"]["pedestrian"]
seen = [float(one["CLEAR"]["MOTA"]), float(one["HOTA"]["HOTA"].mean()), float(one["Identity"]["IDF1"])]
print("TrackEval ten columns: MOTA, HOTA, IDF1:", *seen)
assert seen == [1, 1, 1], seen
PY
venv/bin/python package.py
reference/bin/python reference.py
echo "as seen"
