"""Times the Python package compared with supervision's last ByteTrack and TrackEval, in one run on the same arrays."""

import contextlib
import io
import subprocess
import sys
import tempfile
import time
import warnings
from pathlib import Path

import numpy as np
import supervision
import trackeval

import trackdrop

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "python" / "tests"))
import golden  # noqa: E402

warnings.filterwarnings("ignore")


def crowd(objects: int, frames: int) -> list:
    """A random walk at constant density, 5 % of the detections missed: boxes [N, 4] and scores [N] of each frame."""
    rng = np.random.default_rng(objects)
    side = 100 * np.sqrt(objects)
    place, speed = rng.uniform(0, side, (objects, 2)), rng.normal(0, 1, (objects, 2))
    size = rng.uniform([25, 60], [45, 110], (objects, 2))
    made = []
    for _ in range(frames):
        place += speed + rng.normal(0, 0.3, place.shape)
        seen = rng.uniform(size=objects) > 0.05
        made.append((np.hstack([place, place + size])[seen], rng.uniform(0.3, 1, objects)[seen]))
    return made


def seconds_a_frame(step, frames: list) -> float:
    start = time.perf_counter()
    for frame in frames:
        step(*frame)
    return (time.perf_counter() - start) / len(frames)


def trackers() -> None:
    print("| objects | supervision 0.30.9 | trackdrop, arrays | | trackdrop, Detections | |\n|---|---|---|---|---|---|")
    for objects in (10, 50, 200):
        frames = crowd(objects, 60 if objects > 100 else 150)
        given = [supervision.Detections(xyxy=boxes, confidence=scores) for boxes, scores in frames]
        theirs = supervision.ByteTrack()
        slow = seconds_a_frame(lambda one: theirs.update_with_detections(one), [(one,) for one in given])
        arrays, fields = [], []
        for _ in range(7):
            ours = trackdrop.ByteTrack.like_supervision()
            arrays.append(seconds_a_frame(ours.update, frames))
            ours.reset()
            fields.append(seconds_a_frame(ours.update, [(one,) for one in given]))
        array, field = np.median(arrays), np.median(fields)
        cells = [f"{1e3 * slow:.2f} ms"]
        cells += [f"{1e6 * array:.1f} µs", f"{slow / array:.0f} times", f"{1e6 * field:.1f} µs", f"{slow / field:.0f} times"]
        print(f"| {objects} | {' | '.join(cells)} |")


def evaluation() -> None:
    if not golden.REFERENCE.is_dir():
        print("evaluation: SKIPPED, TRACKDROP_GOLDEN names no folder of golden runs")
        return
    sequences = list(golden.tracks_with_truth())
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        lengths = {}
        for name, truth, rows in sequences:
            (root / "gt" / name / "gt").mkdir(parents=True)
            (root / "gt" / name / "gt" / "gt.txt").write_bytes(truth.read_bytes())
            lengths[name] = int(max(rows[:, 0].max(), np.loadtxt(truth, delimiter=",", usecols=0).max()))
            (root / "trackers" / "ours" / "data").mkdir(parents=True, exist_ok=True)
            lines = (",".join(map(repr, [int(row[0]), int(row[1]), *row[2:], -1, -1, -1])) for row in rows.tolist())
            (root / "trackers" / "ours" / "data" / f"{name}.txt").write_text("\n".join(lines))
        config = {
            "GT_FOLDER": str(root / "gt"),
            "TRACKERS_FOLDER": str(root / "trackers"),
            "SEQ_INFO": lengths,
            "SKIP_SPLIT_FOL": True,
            "BENCHMARK": "MOT15",
            "DO_PREPROC": False,
            "PRINT_CONFIG": False,
        }
        quiet = {"PRINT_RESULTS": False, "PRINT_CONFIG": False, "TIME_PROGRESS": False, "DISPLAY_LESS_PROGRESS": True,
                 "OUTPUT_SUMMARY": False, "OUTPUT_DETAILED": False, "PLOT_CURVES": False, "OUTPUT_EMPTY_CLASSES": False}
        printed = io.StringIO()
        with contextlib.redirect_stdout(printed):
            start = time.perf_counter()
            dataset = trackeval.datasets.MotChallenge2DBox(config)
            metrics = [trackeval.metrics.HOTA(), trackeval.metrics.CLEAR({"PRINT_CONFIG": False}),
                       trackeval.metrics.Identity({"PRINT_CONFIG": False})]
            results, _ = trackeval.Evaluator(quiet).evaluate([dataset], metrics)
            slow = time.perf_counter() - start
        files = {name: (truth, root / "trackers" / "ours" / "data" / f"{name}.txt") for name, truth, _ in sequences}
        times: dict = {"evaluate": [], "evaluate_all": []}
        for _ in range(15):
            start = time.perf_counter()
            one_by_one = {name: trackdrop.evaluate(*pair, preprocessing="plain") for name, pair in files.items()}
            middle = time.perf_counter()
            found = trackdrop.evaluate_all(files, preprocessing="plain")
            times["evaluate"].append(middle - start)
            times["evaluate_all"].append(time.perf_counter() - middle)
        assert found == one_by_one
        largest = 0.0
        for name, ours in [*found.items(), ("COMBINED_SEQ", found.pooled)]:
            theirs = results["MotChallenge2DBox"]["ours"][name]["pedestrian"]
            for group, metric, scale in [
                *[("HOTA", metric, 100) for metric in ("HOTA", "DetA", "AssA", "DetRe", "DetPr", "AssRe", "AssPr", "LocA")],
                *[("CLEAR", metric, 100) for metric in ("MOTA", "MOTP")],
                *[("CLEAR", metric, 1) for metric in ("IDSW", "Frag", "MT", "PT", "ML")],
                *[("Identity", metric, 100) for metric in ("IDF1", "IDP", "IDR")],
            ]:
                difference = abs(ours[metric] - scale * float(np.mean(theirs[group][metric])))
                largest = max(largest, difference)
                assert difference <= 1e-4, (name, metric, ours[metric], theirs[group][metric])
        print(f"evaluation of {len(sequences)} sequences, files included: TrackEval {trackeval_version()} {slow:.2f} s")
        for name, seconds in times.items():
            fast = float(np.median(seconds))
            print(f"  {name}: {1e3 * fast:.1f} ms, {slow / fast:.0f} times")
        print(f"  largest difference of 16 metrics, pooled ones included: {largest:.1e}")


def trackeval_version() -> str:
    from importlib.metadata import version

    return version("trackeval")


def importing() -> None:
    def seconds(code: str) -> float:
        timed = f"import time; t = time.perf_counter(); {code}; print(time.perf_counter() - t)"
        runs = [subprocess.run([sys.executable, "-c", timed], capture_output=True, text=True) for _ in range(15)]
        return min(float(run.stdout) for run in runs)

    alone, both = seconds("import numpy"), seconds("import numpy; import trackdrop")
    print(f"import: numpy {1e3 * alone:.0f} ms, trackdrop {1e3 * (both - alone):.1f} ms more")


if __name__ == "__main__":
    trackers()
    evaluation()
    importing()
