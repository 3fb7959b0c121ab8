#!/usr/bin/env python3
"""Make one small model per family whose output depends on the picture, with known weights.

    make_models.py        writes *.onnx and *.json beside itself; needs numpy and onnx

Each cell of a grid looks at its mean colour through a random linear map, so a wrong colour order, scale, padding or
position moves its box and its scores. The maps are scaled to the numbers that the family's convention feeds.
"""

import json
from pathlib import Path

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

HERE = Path(__file__).parent
SIDE = 128
CLASSES = 3
NAMES = ["person", "bicycle", "car"]
# What the model sees of a grey picture (mean) and of a change by 255 (span), per plane.
PLAIN = ([114.0] * 3, [255.0] * 3)
UNIT = ([114 / 255] * 3, [1.0] * 3)
IMAGENET_BGR = ([0.18, -0.04, -0.17], [4.44, 4.46, 4.37])
IMAGENET_RGB = ([-0.17, -0.04, 0.18], [4.37, 4.46, 4.44])


class Graph:
    """Nodes and constants of a model under construction."""

    def __init__(self, rng, convention):
        self.rng, self.nodes, self.constants = rng, [], {}
        self.mean, self.span = (np.array(side, np.float32) for side in convention)

    def add(self, kind, inputs, name, **attributes):
        self.nodes.append(helper.make_node(kind, inputs, [name], **attributes))
        return name

    def constant(self, name, value):
        self.constants[name] = np.asarray(value)
        return name

    def head(self, name, columns, stride, spread, bias):
        """[1, columns, cells] of the mean colours of the cells: about `bias`, moved by up to `spread` by the colours."""
        pooled = self.add("AveragePool", ["images"], f"{name}_pool", kernel_shape=[stride] * 2, strides=[stride] * 2)
        weights = self.rng.uniform(-1, 1, (columns, 3)) * np.asarray(spread)[:, None] / self.span
        biases = np.asarray(bias) - weights @ self.mean
        self.constant(f"{name}_weights", np.float32(weights)[:, :, None, None])
        self.constant(f"{name}_biases", np.float32(biases))
        self.add("Conv", [pooled, f"{name}_weights", f"{name}_biases"], f"{name}_conv")
        self.constant(f"{name}_shape", np.array([1, columns, (SIDE // stride) ** 2]))
        return self.add("Reshape", [f"{name}_conv", f"{name}_shape"], f"{name}_flat")

    def sigmoid(self, head, name, first, count, columns):
        """`head` with a sigmoid over the rows from `first` on."""
        parts = []
        for part, (start, end) in {"a": (0, first), "b": (first, first + count), "c": (first + count, columns)}.items():
            if start == end:
                continue
            for key, value in {"from": start, "to": end, "axis": 1}.items():
                self.constant(f"{name}_{part}_{key}", np.array([value]))
            inputs = [head] + [f"{name}_{part}_{key}" for key in ("from", "to", "axis")]
            sliced = self.add("Slice", inputs, f"{name}_{part}")
            parts.append(self.add("Sigmoid", [sliced], f"{name}_{part}_on") if part == "b" else sliced)
        return self.add("Concat", parts, name, axis=1)

    def save(self, name, outputs, card=None, metadata=None, opset=17, size_input=None):
        def info(key, shape, kind=TensorProto.FLOAT):
            return helper.make_tensor_value_info(key, kind, shape)

        inputs = [info("images", [1, 3, SIDE, SIDE])]
        if size_input:
            inputs.append(info(size_input, [1, 2], TensorProto.INT64))
        graph = helper.make_graph(
            self.nodes,
            name,
            inputs,
            [info(key, *(shape if isinstance(shape, tuple) else (shape,))) for key, shape in outputs.items()],
            [numpy_helper.from_array(value, key) for key, value in self.constants.items()],
        )
        model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", opset)], producer_name="make_models.py")
        model.ir_version = 8
        for key, value in (metadata or {}).items():
            model.metadata_props.add(key=key, value=value)
        onnx.checker.check_model(model, full_check=True)
        (HERE / f"{name}.onnx").write_bytes(model.SerializeToString(deterministic=True))
        if card:
            (HERE / f"{name}.json").write_text(json.dumps(card) + "\n")


def scores(count):
    """Spread and bias of class logits: some cells of some pictures are above, most below."""
    return [14.0] * count, [-1.0] * count


def centres(stride):
    """Middles of the cells of a stride, [2, cells]."""
    y, x = np.meshgrid(*[(np.arange(SIDE // stride) + 0.5) * stride] * 2, indexing="ij")
    return np.stack([x.ravel(), y.ravel()])


def absolute(graph, name, head, rows, stride):
    """Adds the cells' middles to the first two rows, so that boxes are in input pixels."""
    offsets = np.zeros((1, rows, (SIDE // stride) ** 2), np.float32)
    offsets[0, :2] = centres(stride)
    graph.constant(f"{name}_offsets", offsets)
    return graph.add("Add", [head, f"{name}_offsets"], name)


def main():
    rng = np.random.default_rng(20260202)
    metadata = {"names": str(dict(enumerate(NAMES)))}
    spread, bias = scores(CLASSES)
    boxes = [6.0, 6.0, 10.0, 10.0], [0.0, 0.0, 24.0, 30.0]

    graph = Graph(rng, UNIT)
    head = graph.head("head", 4 + CLASSES, 8, boxes[0] + spread, boxes[1] + bias)
    placed = absolute(graph, "placed", head, 4 + CLASSES, 8)
    graph.sigmoid(placed, "output0", 4, CLASSES, 4 + CLASSES)
    graph.save("yolov8", {"output0": [1, 4 + CLASSES, 256]}, metadata=metadata)

    graph = Graph(rng, UNIT)
    head = graph.head("head", 5 + CLASSES, 8, boxes[0] + [8.0] + spread, boxes[1] + [1.0] + bias)
    placed = absolute(graph, "placed", head, 5 + CLASSES, 8)
    graph.sigmoid(placed, "columns", 4, 1 + CLASSES, 5 + CLASSES)
    graph.add("Transpose", ["columns"], "output0", perm=[0, 2, 1])
    graph.save("yolov5", {"output0": [1, 256, 5 + CLASSES]}, card={"family": "yolov5"}, metadata=metadata)

    graph = Graph(rng, PLAIN)
    levels = []
    for stride in (8, 16, 32):
        relative = [0.6, 0.6, 0.5, 0.5, 8.0] + spread, [0.5, 0.5, 0.9, 1.1, 1.0] + bias
        head = graph.head(f"level{stride}", 5 + CLASSES, stride, *relative)
        levels.append(graph.sigmoid(head, f"on{stride}", 4, 1 + CLASSES, 5 + CLASSES))
    graph.add("Concat", levels, "columns", axis=2)
    graph.add("Transpose", ["columns"], "output", perm=[0, 2, 1])
    graph.save("yolox", {"output": [1, 336, 5 + CLASSES]}, card={"class_names": NAMES}, opset=13)

    for name, strides in (("nanodet", (8, 16, 32)), ("nanodet_plus", (8, 16, 32, 64))):
        graph, bins = Graph(rng, IMAGENET_BGR), 8
        levels, rows = [], CLASSES + 4 * bins
        for stride in strides:
            sides = [1.5] * 4 * bins, list(rng.normal(0, 1, 4 * bins))
            head = graph.head(f"level{stride}", rows, stride, spread + sides[0], bias + sides[1])
            levels.append(graph.sigmoid(head, f"on{stride}", 0, CLASSES, rows))
        graph.add("Concat", levels, "columns", axis=2)
        graph.add("Transpose", ["columns"], "output", perm=[0, 2, 1])
        cells = sum((SIDE // stride) ** 2 for stride in strides)
        graph.save(name, {"output": [1, cells, rows]}, card={"class_names": NAMES}, opset=11 + 2)

    for name, convention, keys in (
        ("rt_detr", UNIT, ("logits", "pred_boxes")),
        ("rf_detr", IMAGENET_RGB, ("labels", "dets")),
    ):
        graph = Graph(rng, convention)
        logits = graph.head("logits_head", CLASSES, 16, spread, bias)
        head = graph.head("boxes_head", 4, 16, *boxes)
        placed = absolute(graph, "placed", head, 4, 16)
        graph.constant("side", np.float32(SIDE))
        shares = graph.add("Div", [placed, "side"], "shares")
        graph.add("Transpose", [logits], keys[0], perm=[0, 2, 1])
        graph.add("Transpose", [shares], keys[1], perm=[0, 2, 1])
        graph.save(name, {keys[1]: [1, 64, 4], keys[0]: [1, 64, CLASSES]}, metadata=metadata)

    graph = Graph(rng, UNIT)
    head = graph.head("head", 6, 32, [6.0, 6.0, 6.0, 6.0, 8.0, 0.0], [-12.0, -15.0, 12.0, 15.0, 0.5, 2.0])
    offsets = np.zeros((1, 6, 16), np.float32)
    offsets[0, :2], offsets[0, 2:4] = centres(32), centres(32)
    graph.constant("offsets", offsets)
    placed = graph.add("Add", [head, "offsets"], "placed")
    graph.sigmoid(placed, "columns", 4, 1, 6)
    graph.add("Transpose", ["columns"], "output0", perm=[0, 2, 1])
    graph.save("end_to_end", {"output0": [1, 16, 6]}, metadata=metadata)

    # The rest came later and stands last, so that the models above keep their numbers.
    graph = Graph(rng, PLAIN)
    levels = []
    for stride in (8, 16, 32):
        relative = [0.6, 0.6, 0.5, 0.5, 8.0] + spread, [0.0, 0.0, 0.9, 1.1, 1.0] + bias
        head = graph.head(f"level{stride}", 5 + CLASSES, stride, *relative)
        on = graph.sigmoid(head, f"on{stride}", 4, 1 + CLASSES, 5 + CLASSES)
        for part, (start, end) in {"middle": (0, 2), "sides": (2, 4), "scores": (4, 5 + CLASSES)}.items():
            bounds = [graph.constant(f"{part}{stride}_{i}", np.array([v])) for i, v in enumerate((start, end, 1))]
            graph.add("Slice", [on, *bounds], f"{part}{stride}")
        graph.constant(f"stride{stride}", np.float32(stride))
        graph.constant(f"cells{stride}", np.float32(centres(stride)[None]))
        graph.add("Mul", [f"middle{stride}", f"stride{stride}"], f"moved{stride}")
        graph.add("Add", [f"moved{stride}", f"cells{stride}"], f"placed{stride}")
        graph.add("Exp", [f"sides{stride}"], f"strides{stride}")
        graph.add("Mul", [f"strides{stride}", f"stride{stride}"], f"sized{stride}")
        levels.append(graph.add("Concat", [f"placed{stride}", f"sized{stride}", f"scores{stride}"], f"rows{stride}", axis=1))
    graph.add("Concat", levels, "columns", axis=2)
    graph.add("Transpose", ["columns"], "output", perm=[0, 2, 1])
    graph.save("yolox_decoded", {"output": [1, 336, 5 + CLASSES]}, card={"class_names": NAMES}, opset=13)

    graph = Graph(rng, UNIT)
    head = graph.head("head", 4 + CLASSES, 16, boxes[0] + spread, boxes[1] + bias)
    placed = absolute(graph, "placed", head, 4 + CLASSES, 16)
    scored = graph.sigmoid(placed, "scored", 4, CLASSES, 4 + CLASSES)
    graph.constant("shares", np.float32([1 / SIDE] * 4 + [1] * CLASSES)[None, :, None])
    graph.add("Mul", [scored, "shares"], "columns")
    graph.add("Transpose", ["columns"], "output0", perm=[0, 2, 1])
    described = metadata | {"description": "Ultralytics rtdetr-l model trained on nothing"}
    graph.save("ultralytics_rtdetr", {"output0": [1, 64, 4 + CLASSES]}, metadata=described)

    graph = Graph(rng, UNIT)
    logits = graph.head("logits_head", CLASSES, 16, spread, bias)
    corners = graph.head("corners_head", 4, 16, [6.0] * 4, [-12.0, -15.0, 12.0, 15.0])
    graph.constant("offsets", np.float32(np.tile(centres(16), (2, 1))[None] / SIDE))
    graph.constant("side", np.float32(SIDE))
    graph.add("Div", [corners, "side"], "corner_shares")
    graph.add("Add", ["corner_shares", "offsets"], "placed")
    graph.add("Transpose", ["placed"], "rows", perm=[0, 2, 1])
    graph.add("Cast", ["orig_target_sizes"], "size", to=TensorProto.FLOAT)
    graph.add("Concat", ["size", "size"], "sizes", axis=1)
    graph.add("Mul", ["rows", "sizes"], "boxes")
    graph.add("Sigmoid", [logits], "probabilities")
    graph.add("ReduceMax", ["probabilities"], "scores", axes=[1], keepdims=0)
    graph.add("ArgMax", ["probabilities"], "labels", axis=1, keepdims=0)
    graph.save(
        "d_fine",
        {"labels": ([1, 64], TensorProto.INT64), "boxes": [1, 64, 4], "scores": [1, 64]},
        metadata=metadata,
        size_input="orig_target_sizes",
    )


if __name__ == "__main__":
    main()
