"""Times, by turns in one run, on one video: ONNX Runtime alone (the limit), `trackdrop run`, and the script
of a user. Prints Markdown: the medians of the rounds, and ratios that are medians of the rounds' ratios.

    compare.py TRACKDROP MODEL.onnx VIDEO PART... [--int8 MODEL.onnx] [--rounds N] [--before TRACKDROP]

PART: "fp32 limit", "fp32 lanes", "fp32 run [OPTION...]", "fp32 script", "fp32 script, no video", and the first three with int8. "before run
[OPTION...]" is another build of Trackdrop, in fp32. The limit is one session on all threads; the lanes are as many sessions of one thread each.
"""

import argparse
import json
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import cv2
import onnxruntime

from track import THREADS, prepare

SCRIPT = Path(__file__).with_name("track.py")
SIDE = 416


class Limit:
    """ONNX Runtime alone, on tensors of the video, with the settings of Trackdrop's session."""

    def __init__(self, model, card, video, sessions, count=32):
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = THREADS // sessions
        options.add_session_config_entry("session.force_spinning_stop", "1")
        providers = ["CPUExecutionProvider"]
        self.sessions = [onnxruntime.InferenceSession(model, options, providers=providers) for _ in range(sessions)]
        capture, self.tensors = cv2.VideoCapture(str(video)), []
        while len(self.tensors) < count:
            good, image = capture.read()
            if not good:
                break
            self.tensors.append(prepare(image, card, SIDE)[0])
        self.frames = int(capture.get(cv2.CAP_PROP_FRAME_COUNT))
        for session in self.sessions:
            session.run(None, {"images": self.tensors[0]})

    def fps(self):
        turn = iter(range(self.frames))

        def work(session):
            # A number is taken by one thread only: the interpreter's lock is held meanwhile, and given up while ONNX Runtime works.
            for frame in turn:
                session.run(None, {"images": self.tensors[frame % len(self.tensors)]})

        started = time.perf_counter()
        with ThreadPoolExecutor(len(self.sessions)) as pool:
            list(pool.map(work, self.sessions))
        return self.frames / (time.perf_counter() - started)


def call(*command):
    """The last line of what it prints, as JSON, and the most memory that it had, in MiB."""
    child = subprocess.Popen([str(part) for part in command], stdout=subprocess.PIPE, text=True)
    peak, ended = [0.0], threading.Event()

    def watch():
        # What the system states is the most so far, so a late look misses nothing but the last moment.
        while not ended.wait(0.05):
            try:
                status = Path(f"/proc/{child.pid}/status").read_text()
            except OSError:
                return
            for line in status.splitlines():
                if line.startswith("VmHWM:"):
                    peak[0] = max(peak[0], int(line.split()[1]) / 1024)

    watcher = threading.Thread(target=watch)
    watcher.start()
    out, _ = child.communicate()
    ended.set()
    watcher.join()
    if child.returncode:
        sys.exit(f"{command} failed")
    return json.loads(out.splitlines()[-1]), peak[0]


def main():
    parser = argparse.ArgumentParser()
    for name in ("trackdrop", "model", "video"):
        parser.add_argument(name)
    parser.add_argument("parts", nargs="+")
    parser.add_argument("--int8")
    parser.add_argument("--before")
    parser.add_argument("--rounds", type=int, default=3)
    arguments = parser.parse_args()
    models = {"fp32": arguments.model, "int8": arguments.int8, "before": arguments.model if arguments.before else None}
    card = json.loads(Path(arguments.model).with_suffix(".json").read_text())
    work = Path(tempfile.mkdtemp())
    where, peaks, turn = {}, {}, iter(range(10**6))

    def run(name, *options):
        command = arguments.before if name.startswith("before ") else arguments.trackdrop
        started = time.perf_counter()
        data = work / str(next(turn))
        found, peak = call(command, "--data", data, "run", "--json", *options, "--", arguments.video)
        # From start to end of the process, what it loads included.
        seconds = time.perf_counter() - started
        peaks[name] = max(peaks.get(name, 0), peak)
        subprocess.run(["rm", "-rf", data], check=True)
        return found["ledger"]["frames"] / seconds

    def script(name, model, *video):
        found, peak = call(sys.executable, SCRIPT, model, arguments.video, work / "rows.csv", *video)
        where[name] = found["ms"]
        peaks[name] = max(peaks.get(name, 0), peak)
        # Without Python's imports, in the script's favour.
        return found["fps"]

    def thing(name):
        kind, what = name.split(" ", 1)
        model = models.get(kind)
        if model is None:
            sys.exit(f"there is no model for {name!r}")
        if what in ("limit", "lanes"):
            limit = Limit(model, card, arguments.video, 1 if what == "limit" else THREADS)
            return limit.fps
        precision = ("--precision", "int8") if kind == "int8" else ()
        if what.split()[0] == "run":
            return lambda: run(name, *what.split()[1:], *precision)
        things = {
            "script": lambda: script(name, model, work / "script.mp4"),
            "script, no video": lambda: script(name, model),
        }
        if what not in things:
            sys.exit(f"what is {name!r}?")
        return things[what]

    things = {name: thing(name) for name in arguments.parts}
    found = {name: [] for name in things}
    for round_ in range(arguments.rounds):
        # Turned by one each round, so that nothing always runs behind the same.
        order = list(things)
        shift = round_ % len(order)
        for name in order[shift:] + order[:shift]:
            found[name].append(things[name]())
            print(f"{name}: {found[name][-1]:.2f}", file=sys.stderr)

    def ratio(name, other):
        if name not in found or other not in found:
            return ""
        return f"{statistics.median(a / b for a, b in zip(found[name], found[other])):.3f}"

    print(f"### {Path(arguments.video).name}, {arguments.rounds} rounds by turns, {THREADS} threads\n")
    print("| | frames/s, median | ratio to one session | ratio to lanes | times the fp32 script | times the build before | most memory, MiB |")
    print("|---|---|---|---|---|---|---|")
    for name, values in found.items():
        kind = name.split()[0]
        without_video = name.endswith("no video") or "--no-video" in name
        beside = ratio(name, "fp32 script, no video" if without_video else "fp32 script")
        before = ratio(name, "before run --no-video" if without_video else "before run")
        if name.endswith(("limit", "lanes")):
            beside = before = ""
        of = [ratio(name, f"{kind} {limit}") for limit in ("limit", "lanes")]
        memory = f"{peaks[name]:.0f}" if name in peaks else ""
        print(f"| {name} | {statistics.median(values):.2f} | {of[0]} | {of[1]} | {beside} | {before} | {memory} |")
    if where:
        print("\nMilliseconds a frame, of the last round:\n")
        for name, ms in where.items():
            print(f"- {name}: " + ", ".join(f"{step} {value}" for step, value in ms.items()))
    print()


if __name__ == "__main__":
    main()
