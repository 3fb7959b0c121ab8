#!/usr/bin/env python3
"""Quantise a detector to int8 (static QDQ), calibrated on frames of video clips, and say what it gains and loses.

    quantise.py MODEL.onnx OUT.onnx --calibrate CLIP... [--measure CLIP]

MODEL.json, the model's card, says how pictures are prepared; only decoded NanoDet is known here. Convolutions become int8,
the rest stays as it is: on processors with VNNI the rest in int8 too gained 3 % and cost precision.

Printed with --measure: the speed of both models, interleaved on the same tensors, and the average precision of the int8
model's persons where the fp32 model's persons (score 0.45 and above) are the truth: at an overlap of 0.5, of 0.75, and on average over
0.5, 0.55, ... 0.95, as COCO defines AP. All frames count. Give a clip that is not calibrated on.
"""

import argparse
import json
import os
import statistics
import time
from pathlib import Path

import cv2
import numpy as np
import onnx
import onnxruntime
from onnx import numpy_helper
from onnxruntime.quantization import CalibrationDataReader, CalibrationMethod, QuantFormat, QuantType, quantize_static

TRUTH = 0.45
METHODS = {
    "minmax": CalibrationMethod.MinMax,
    "entropy": CalibrationMethod.Entropy,
    "percentile": CalibrationMethod.Percentile,
}


def frames(clip, step=1):
    capture, index = cv2.VideoCapture(str(clip)), 0
    while True:
        good, image = capture.read()
        if not good:
            return
        if index % step == 0:
            yield image
        index += 1


def prepare(image, card, size=416):
    """f32 [1, 3, size, size] by the card, and what takes boxes back."""
    gain = min(size / image.shape[0], size / image.shape[1])
    width, height = round(image.shape[1] * gain), round(image.shape[0] * gain)
    left, top = (size - width) // 2, (size - height) // 2
    padded = np.zeros((size, size, 3), np.float32)
    padded[:] = card["pad_color"][::-1]
    padded[top : top + height, left : left + width] = cv2.resize(image, (width, height), interpolation=cv2.INTER_LINEAR)
    padded = (padded - card["mean"]) / card["std"]
    return np.ascontiguousarray(padded.transpose(2, 0, 1)[None], np.float32)


def with_scales(model):
    """The model with Resize by a factor for each dimension instead of sizes for some: where ONNX Runtime 1.26 moves a
    transposition through a Resize beside quantised tensors, it takes it that all dimensions are there."""
    shapes = {}
    inferred = onnx.shape_inference.infer_shapes(model, data_prop=True).graph
    for value in [*inferred.value_info, *inferred.input]:
        shapes[value.name] = [side.dim_value for side in value.type.tensor_type.shape.dim]
    sizes = {tensor.name: numpy_helper.to_array(tensor) for tensor in model.graph.initializer}
    for node in model.graph.node:
        if node.op_type == "Resize" and len(node.input) == 4:
            axes = next(attribute for attribute in node.attribute if attribute.name == "axes")
            factors = [1.0] * len(shapes[node.input[0]])
            for size, axis in zip(sizes[node.input[3]], axes.ints):
                factors[axis] = size / shapes[node.input[0]][axis]
            node.attribute.remove(axes)
            name = f"{node.name}_scales"
            model.graph.initializer.append(numpy_helper.from_array(np.float32(factors), name))
            source = node.input[0]
            del node.input[:]
            node.input.extend([source, "", name])
    return model


class Frames(CalibrationDataReader):
    def __init__(self, tensors):
        self.tensors = iter(tensors)

    def get_next(self):
        tensor = next(self.tensors, None)
        return None if tensor is None else {"images": tensor}


def session(model, threads):
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    return onnxruntime.InferenceSession(str(model), options, providers=["CPUExecutionProvider"])


def persons(output, iou=0.6):
    """Boxes and scores of class 0 with suppression, best first."""
    boxes, scores = output[0][:, :4], output[0][:, 4]
    best = output[0][:, 4:].argmax(1) == 0
    chosen = np.flatnonzero(best & (scores >= 0.1))
    sized = np.concatenate([boxes[chosen, :2], boxes[chosen, 2:] - boxes[chosen, :2]], 1)
    kept = [chosen[i] for i in cv2.dnn.NMSBoxes(sized.tolist(), scores[chosen].tolist(), 0.1, iou)]
    return boxes[kept], scores[kept]


def overlaps(a, b):
    low, high = np.maximum(a[:, None, :2], b[None, :, :2]), np.minimum(a[:, None, 2:], b[None, :, 2:])
    common = (high - low).clip(0).prod(2)
    area = [(boxes[:, 2:] - boxes[:, :2]).prod(1) for boxes in (a, b)]
    return common / (area[0][:, None] + area[1][None] - common + 1e-9)


def average_precision(pairs, iou):
    """Area under the interpolated curve of precision over recall. `pairs`: (truth, boxes, scores) of each frame."""
    hits, total = [], 0
    for truth, boxes, scores in pairs:
        total += len(truth)
        free = np.ones(len(truth), bool)
        for box, score in zip(boxes, scores):
            over = overlaps(box[None], truth)[0] * free if len(truth) else np.zeros(0)
            match = int(over.argmax()) if len(over) else -1
            good = match >= 0 and over[match] >= iou
            if good:
                free[match] = False
            hits.append((score, good))
    hits.sort(key=lambda hit: -hit[0])
    good = np.cumsum([hit[1] for hit in hits])
    precision = good / np.arange(1, len(hits) + 1)
    precision = np.maximum.accumulate(precision[::-1])[::-1]
    recall = good / max(total, 1)
    return float(np.sum(np.diff(np.concatenate([[0], recall])) * precision))


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model", type=Path)
    parser.add_argument("out", type=Path)
    parser.add_argument("--calibrate", type=Path, nargs="+", required=True)
    parser.add_argument("--measure", type=Path)
    parser.add_argument("--method", choices=METHODS, default="minmax")
    parser.add_argument("--keep", nargs="*", default=[], help="names of convolutions that stay in fp32")
    parser.add_argument("--threads", type=int, default=os.cpu_count())
    arguments = parser.parse_args()
    card = json.loads(arguments.model.with_suffix(".json").read_text())

    calibration = [prepare(image, card) for clip in arguments.calibrate for image in frames(clip, 16)]
    quantize_static(
        with_scales(onnx.load(arguments.model)),
        str(arguments.out),
        Frames(calibration),
        quant_format=QuantFormat.QDQ,
        op_types_to_quantize=["Conv"],
        per_channel=True,
        activation_type=QuantType.QUInt8,
        weight_type=QuantType.QInt8,
        calibrate_method=METHODS[arguments.method],
        nodes_to_exclude=arguments.keep,
    )

    if arguments.measure:
        measure(arguments, card, len(calibration))


def measure(arguments, card, calibration_frames):
    sessions = {"fp32": session(arguments.model, arguments.threads), "int8": session(arguments.out, arguments.threads)}
    seconds, found = {name: [] for name in sessions}, {name: [] for name in sessions}
    for image in frames(arguments.measure):
        tensor = prepare(image, card)
        for name, one in sessions.items():
            start = time.perf_counter()
            (output,) = one.run(None, {"images": tensor})
            seconds[name].append(time.perf_counter() - start)
            found[name].append(persons(output))
    middle = {name: statistics.median(values) for name, values in seconds.items()}
    least = {name: min(values) for name, values in seconds.items()}
    truth = [boxes[scores >= TRUTH] for boxes, scores in found["fp32"]]
    pairs = {name: [(t, *one) for t, one in zip(truth, found[name])] for name in sessions}
    # At the overlaps 0.5, 0.55, ... 0.95.
    overlaps_needed = [0.5 + 0.05 * i for i in range(10)]
    precisions = {name: [100 * average_precision(pairs[name], iou) for iou in overlaps_needed] for name in sessions}
    moved, scored, matched = [], [], 0
    for (a, a_scores), (b, b_scores) in zip(found["fp32"], found["int8"]):
        sure = a_scores >= TRUTH
        over = overlaps(a[sure], b) if len(b) else np.zeros((int(sure.sum()), 0))
        for i, row in enumerate(over):
            if len(row) and row.max() >= 0.5:
                j = row.argmax()
                moved.append(np.abs(a[sure][i] - b[j]).mean())
                scored.append(abs(a_scores[sure][i] - b_scores[j]))
                matched += 1
    print(
        json.dumps(
            {
                "calibration_frames": calibration_frames,
                "measured_frames": len(truth),
                "persons": int(sum(len(t) for t in truth)),
                "matched": matched,
                "median_ms": {name: round(value * 1000, 2) for name, value in middle.items()},
                "least_ms": {name: round(value * 1000, 2) for name, value in least.items()},
                "speed_ratio_median": round(middle["fp32"] / middle["int8"], 3),
                "speed_ratio_least": round(least["fp32"] / least["int8"], 3),
                "ap50": {name: round(precisions[name][0], 2) for name in sessions},
                "ap75": {name: round(precisions[name][5], 2) for name in sessions},
                "ap50_95": {name: round(statistics.mean(precisions[name]), 2) for name in sessions},
                "mean_box_shift_px": round(float(np.mean(moved)), 3),
                "mean_score_shift": round(float(np.mean(scored)), 4),
                "bytes": {"fp32": arguments.model.stat().st_size, "int8": arguments.out.stat().st_size},
            },
            indent=1,
        )
    )


if __name__ == "__main__":
    main()
