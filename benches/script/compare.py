"""Times, by turns in one run, on one video: ONNX Runtime alone (the limit), `trackdrop run`, and the script
beside it. Prints Markdown: the medians of the rounds, and ratios that are medians of the rounds' ratios.

    compare.py TRACKDROP MODEL.onnx VIDEO [--int8 MODEL.onnx] [--rounds N] [--parts "fp32 limit,fp32 run,..."]
"""

import argparse
import json
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import cv2
import onnxruntime

from track import THREADS, prepare

SCRIPT = Path(__file__).with_name("track.py")


class Limit:
    """ONNX Runtime alone, on tensors of the video, with the settings of Trackdrop's session."""

    def __init__(self, model, card, video, count=64):
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = THREADS
        options.add_session_config_entry("session.force_spinning_stop", "1")
        self.session = onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])
        capture, self.tensors = cv2.VideoCapture(str(video)), []
        while len(self.tensors) < count:
            good, image = capture.read()
            if not good:
                break
            self.tensors.append(prepare(image, card, 416)[0])
        self.frames = int(capture.get(cv2.CAP_PROP_FRAME_COUNT))

    def fps(self):
        started = time.perf_counter()
        for frame in range(self.frames):
            self.session.run(None, {"images": self.tensors[frame % len(self.tensors)]})
        return self.frames / (time.perf_counter() - started)


def call(*command):
    """The last line of what it prints, as JSON."""
    done = subprocess.run([str(part) for part in command], stdout=subprocess.PIPE, text=True)
    if done.returncode:
        sys.exit(f"{command} failed")
    return json.loads(done.stdout.splitlines()[-1])


def main():
    parser = argparse.ArgumentParser()
    for name in ("trackdrop", "model", "video"):
        parser.add_argument(name)
    parser.add_argument("--int8")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--parts", default="")
    arguments = parser.parse_args()
    models = {"fp32": arguments.model} | ({"int8": arguments.int8} if arguments.int8 else {})
    card = json.loads(Path(arguments.model).with_suffix(".json").read_text())
    limits = {name: Limit(model, card, arguments.video) for name, model in models.items()}
    work = Path(tempfile.mkdtemp())
    where, turn = {}, iter(range(10**6))

    def run(*options):
        started = time.perf_counter()
        found = call(
            arguments.trackdrop, "--data", work / str(next(turn)), "run", "--json", *options, "--", arguments.video
        )
        # From start to end of the process, what it loads included.
        return found["ledger"]["frames"] / (time.perf_counter() - started)

    def script(name, model, *video):
        found = call(sys.executable, SCRIPT, model, arguments.video, work / "rows.csv", *video)
        where[name] = found["ms"]
        # Without Python's imports, in the script's favour.
        return found["fps"]

    things = {}
    for name in models:
        int8 = ("--precision", "int8") if name == "int8" else ()
        things |= {
            f"{name} limit": lambda n=name: limits[n].fps(),
            f"{name} run --no-video": lambda o=int8: run("--no-video", *o),
            f"{name} run": lambda o=int8: run(*o),
        }
    things |= {
        "fp32 script, no video": lambda: script("fp32 script, no video", models["fp32"]),
        "fp32 script": lambda: script("fp32 script", models["fp32"], work / "script.mp4"),
    }
    if arguments.parts:
        wanted = arguments.parts.split(",")
        things = {name: thing for name, thing in things.items() if name in wanted}
    found = {name: [] for name in things}
    for limit in limits.values():
        limit.session.run(None, {"images": limit.tensors[0]})
    for _ in range(arguments.rounds):
        for name, thing in things.items():
            found[name].append(thing())
            print(f"{name}: {found[name][-1]:.2f}", file=sys.stderr)

    def ratio(name, other):
        if name not in found or other not in found:
            return ""
        return f"{statistics.median(a / b for a, b in zip(found[name], found[other])):.3f}"

    print(f"Video: {Path(arguments.video).name}. Rounds: {arguments.rounds}. Threads: {THREADS}.\n")
    print("| | frames/s, median | of its limit | times the fp32 script |\n|---|---|---|---|")
    for name, values in found.items():
        of_limit = ratio(name, f"{name.split()[0]} limit")
        beside = ratio(name, "fp32 script, no video" if "no" in name else "fp32 script")
        print(f"| {name} | {statistics.median(values):.2f} | {of_limit} | {beside} |")
    print("\nMilliseconds a frame, of the last round:\n")
    for name, ms in where.items():
        print(f"- {name}: " + ", ".join(f"{step} {value}" for step, value in ms.items()))


if __name__ == "__main__":
    main()
