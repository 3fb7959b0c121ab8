"""The script that a user would write without Trackdrop: OpenCV reads, ONNX Runtime detects, supervision tracks and draws,
libx264 encodes as Trackdrop does. Prints frames per second and where the time goes, as JSON.

    track.py MODEL.onnx VIDEO TRACKS.csv [ANNOTATED.mp4]
"""

import csv
import json
import sys
import time
from fractions import Fraction
from pathlib import Path

import av
import cv2
import numpy as np
import onnxruntime
import supervision as sv

THREADS = 2
STEPS = ("decode", "prepare", "infer", "post", "track", "draw", "encode")


def prepare(image, card, size):
    gain = min(size / image.shape[0], size / image.shape[1])
    width, height = round(image.shape[1] * gain), round(image.shape[0] * gain)
    left, top = (size - width) // 2, (size - height) // 2
    padded = np.zeros((size, size, 3), np.uint8)
    padded[top : top + height, left : left + width] = cv2.resize(image, (width, height))
    tensor = (padded.astype(np.float32) - np.float32(card["mean"])) / np.float32(card["std"])
    return np.ascontiguousarray(tensor.transpose(2, 0, 1)[None]), gain, left, top


def read(output, gain, left, top):
    scores = output[0][:, 4:].max(1)
    rows = np.flatnonzero(scores >= 0.1)
    boxes, scores, classes = output[0][rows, :4], scores[rows], output[0][rows, 4:].argmax(1)
    boxes = (boxes - [left, top, left, top]) / gain
    found = sv.Detections(xyxy=boxes.astype(np.float32), confidence=scores, class_id=classes)
    return found.with_nms(threshold=0.6)


def main():
    model, video, rows, *annotated = sys.argv[1:]
    card = json.loads(Path(model).with_suffix(".json").read_text())
    started = time.perf_counter()
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = THREADS
    session = onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])
    capture = cv2.VideoCapture(video)
    rate = capture.get(cv2.CAP_PROP_FPS)
    tracker = sv.ByteTrack(track_activation_threshold=card["track_thresh"], frame_rate=round(rate))
    painters = (sv.TraceAnnotator(), sv.BoxAnnotator(), sv.LabelAnnotator())
    container = stream = None
    if annotated:
        container = av.open(annotated[0], "w")
        stream = container.add_stream("libx264", Fraction(rate).limit_denominator(1001))
        stream.width, stream.height = (int(capture.get(p)) for p in (cv2.CAP_PROP_FRAME_WIDTH, cv2.CAP_PROP_FRAME_HEIGHT))
        stream.pix_fmt, stream.options = "yuv420p", {"preset": "veryfast", "crf": "23", "bf": "0"}
        stream.thread_count = THREADS
    spent, frames = dict.fromkeys(STEPS, 0.0), 0
    out = open(rows, "w", newline="")
    writer = csv.writer(out)

    def lap(step, since):
        now = time.perf_counter()
        spent[step] += now - since
        return now

    while True:
        clock = time.perf_counter()
        good, image = capture.read()
        clock = lap("decode", clock)
        if not good:
            break
        tensor, gain, left, top = prepare(image, card, 416)
        clock = lap("prepare", clock)
        (output,) = session.run(None, {"images": tensor})
        clock = lap("infer", clock)
        found = read(output, gain, left, top)
        clock = lap("post", clock)
        tracks = tracker.update_with_detections(found)
        for box, score, label, track in zip(tracks.xyxy, tracks.confidence, tracks.class_id, tracks.tracker_id):
            writer.writerow([frames, track, label, score, *box])
        clock = lap("track", clock)
        if container:
            names = card["class_names"]
            labels = [f"{names[c]} #{t} {s:.0%}" for c, t, s in zip(tracks.class_id, tracks.tracker_id, tracks.confidence)]
            painters[0].annotate(image, tracks)
            painters[1].annotate(image, tracks)
            painters[2].annotate(image, tracks, labels=labels)
            clock = lap("draw", clock)
            container.mux(stream.encode(av.VideoFrame.from_ndarray(image, format="bgr24")))
            lap("encode", clock)
        frames += 1
    if container:
        container.mux(stream.encode(None))
        container.close()
    out.close()
    seconds = time.perf_counter() - started
    each = {step: round(1000 * value / frames, 2) for step, value in spent.items()}
    print(json.dumps({"frames": frames, "seconds": seconds, "fps": frames / seconds, "ms": each}))


if __name__ == "__main__":
    main()
