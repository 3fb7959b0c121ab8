#!/usr/bin/env python3
"""Convert NanoDet-g 416 from its TensorFlow.js graph model to ONNX.

    nanodet_to_onnx.py nanodet.json nanodet-g-416.onnx

Input   images      f32 [1, 3, 416, 416]   (colour order, mean and std: see the model card)
Output  detections  f32 [1, 3549, 84]      x1, y1, x2, y2 in input pixels, then 80 class scores (sigmoid)

The TF.js file is itself a conversion of an ONNX file, so every convolution is wrapped in Transpose, Pad and Add nodes.
None of them survives here: tensors are kept in NCHW, and a TF tensor is an ONNX tensor plus the order in which TF
names its axes, so a Transpose only changes that order; padding and bias move into the convolution. Needs numpy, onnx.
"""

import base64
import json
import sys
from pathlib import Path

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

SIZE = 416
CLASSES = 80
BINS = 11  # a box side is the expectation of a distribution over 0..10 strides ("generalized focal loss")
# The detection head of each stride: the 124 channels (80 class logits, 4 x 11 side logits) that TF then splits in two.
HEADS = {8: "onnx_tf_prefix_Split_153", 16: "onnx_tf_prefix_Split_164", 32: "onnx_tf_prefix_Split_175"}
NCHW = (0, 1, 2, 3)
NHWC = (0, 2, 3, 1)


class GraphModel:
    """The nodes and the weights of a TF.js graph model."""

    def __init__(self, path: Path):
        model = json.loads(path.read_text())
        self.nodes = {node["name"]: node for node in model["modelTopology"]["node"]}
        self.weights: dict[str, np.ndarray] = {}
        for group in model["weightsManifest"]:
            data, offset = b"".join((path.parent / p).read_bytes() for p in group["paths"]), 0
            for weight in group["weights"]:
                stored = np.dtype(weight.get("quantization", weight)["dtype"])
                count = int(np.prod(weight["shape"], dtype=int))
                value = np.frombuffer(data, stored, count, offset).reshape(weight["shape"])
                self.weights[weight["name"]] = value.astype(weight["dtype"])
                offset += count * stored.itemsize
            if offset != len(data):
                raise SystemExit(f"{path}: the weights take {offset} bytes, the files hold {len(data)}")

    def attribute(self, node: dict, key: str):
        value = node["attr"][key]
        if "list" in value:
            return [int(i) for i in value["list"]["i"]]
        return base64.b64decode(value["s"]).decode() if "s" in value else value.get("f", value.get("b"))


class Converter:
    """Emits ONNX nodes for the TF nodes that are asked for, and what they need. One method per TF operation."""

    def __init__(self, model: GraphModel):
        self.model, self.nodes, self.constants = model, [], []
        self.done = {"input_1": ("images", NCHW)}

    def constant(self, value: np.ndarray) -> str:
        name = f"const_{len(self.constants)}"
        self.constants.append(numpy_helper.from_array(np.ascontiguousarray(value), name))
        return name

    def emit(self, op: str, inputs: list[str], outputs: int = 1, **attributes):
        names = [f"{op.lower()}_{len(self.nodes)}" + (f"_{i}" if i else "") for i in range(outputs)]
        self.nodes.append(helper.make_node(op, inputs, names, name=names[0], **attributes))
        return names if outputs > 1 else names[0]

    def value(self, reference: str) -> tuple[str, tuple]:
        """The ONNX tensor (always NCHW) of a TF tensor, and TF's axis order: its axis i is our axis order[i]."""
        name = reference.split(":")[0]
        if name not in self.done:
            node = self.model.nodes[name]
            convert = getattr(self, node["op"], None)
            if convert is None:
                raise SystemExit(f"{name}: operation {node['op']} is not known to this converter")
            self.done[name] = convert(node, node["input"])
        return self.done[name]

    def array(self, reference: str) -> np.ndarray | None:
        return self.model.weights.get(reference)

    def padded(self, reference: str, fill: float):
        """The input of `reference` and its begin and end padding of H and W, if it is a Pad with `fill`."""
        transpose = self.model.nodes[reference]
        pad = self.model.nodes[transpose["input"][0]] if transpose["op"] == "Transpose" else transpose
        if pad["op"] not in ("Pad", "PadV2"):
            return self.value(reference)[0], [0, 0, 0, 0]
        assert np.all(self.array(pad["input"][2]) <= fill) if pad["op"] == "PadV2" else fill == 0, pad
        tensor, order = self.value(pad["input"][0])
        widths = np.zeros((4, 2), int)
        widths[list(order)] = self.array(pad["input"][1])
        assert not widths[:2].any(), pad
        return tensor, [int(w) for w in widths[2:].T.ravel()]

    def Conv2D(self, node, inputs):
        assert self.model.attribute(node, "padding") == "VALID", node
        tensor, pads = self.padded(inputs[0], 0)
        kernel = self.constant(self.array(inputs[1]).transpose(3, 2, 0, 1))  # TF's is H, W, in, out
        strides = self.model.attribute(node, "strides")[1:3]
        return self.emit("Conv", [tensor, kernel], strides=strides, pads=pads), NHWC

    def MaxPool(self, node, inputs):
        # ONNX pads a maximum with minus infinity, so TF's explicit padding must be at least as low as any input.
        tensor, pads = self.padded(inputs[0], np.finfo(np.float32).min)
        size, strides = (self.model.attribute(node, key)[1:3] for key in ("ksize", "strides"))
        return self.emit("MaxPool", [tensor], kernel_shape=size, strides=strides, pads=pads), NHWC

    def Transpose(self, node, inputs):
        tensor, order = self.value(inputs[0])
        return tensor, tuple(order[i] for i in self.array(inputs[1]))

    def Add(self, node, inputs):
        (tensor, order), bias = self.value(inputs[0]), self.array(inputs[1])
        if bias is None:
            other, other_order = self.value(inputs[1])
            assert order == other_order, node
            return self.emit("Add", [tensor, other]), order
        conv = self.nodes[-1]
        assert conv.op_type == "Conv" and conv.output[0] == tensor and len(conv.input) == 2 and order == NHWC, node
        conv.input.append(self.constant(bias.ravel()))
        return tensor, order

    AddV2 = Add

    def LeakyRelu(self, node, inputs):
        tensor, order = self.value(inputs[0])
        return self.emit("LeakyRelu", [tensor], alpha=float(self.model.attribute(node, "alpha"))), order

    def ConcatV2(self, node, inputs):
        tensors, orders = zip(*(self.value(i) for i in inputs[:-1]))
        assert len(set(orders)) == 1, node
        return self.emit("Concat", tensors, axis=orders[0][int(self.array(inputs[-1]))]), orders[0]

    def ResizeBilinear(self, node, inputs):
        assert self.model.attribute(node, "half_pixel_centers"), node
        tensor, order = self.value(inputs[0])
        assert order == NHWC, node
        size = self.constant(self.array(inputs[1]).astype(np.int64))
        return self.emit("Resize", [tensor, "", "", size], axes=[2, 3], mode="linear"), order


def decoded(c: Converter) -> str:
    """One tensor [1, N, 4 + classes] out of the three heads: the sides become boxes in input pixels."""
    rows, centres, strides = [], [], []
    for stride, split in HEADS.items():
        head, order = c.value(c.model.nodes[f"PartitionedCall/{split}"]["input"][0])
        assert order == NCHW, split
        rows.append(c.emit("Reshape", [head, c.constant(np.array([1, CLASSES + 4 * BINS, -1], np.int64))]))
        y, x = np.divmod(np.arange((SIZE // stride) ** 2, dtype=np.float32), SIZE // stride)
        centres.append((np.stack([x, y], -1) + 0.5) * stride)
        strides.append(np.full((len(x), 1), stride, np.float32))
    head = c.emit("Transpose", [c.emit("Concat", rows, axis=2)], perm=[0, 2, 1])
    logits, sides = c.emit("Split", [head, c.constant(np.array([CLASSES, 4 * BINS], np.int64))], 2, axis=2)
    scores = c.emit("Sigmoid", [logits])

    bins = c.emit("Softmax", [c.emit("Reshape", [sides, c.constant(np.array([-1, 4, BINS], np.int64))])], axis=2)
    expected = c.emit("MatMul", [bins, c.constant(np.arange(BINS, dtype=np.float32)[:, None])])
    sides = c.emit("Reshape", [expected, c.constant(np.array([1, -1, 4], np.int64))])
    # left, top, right, bottom: distances from the centre of the cell, outwards
    outwards = c.constant(np.concatenate(strides) * np.array([[-1, -1, 1, 1]], np.float32))
    centre = c.constant(np.tile(np.concatenate(centres), 2))
    boxes = c.emit("Add", [c.emit("Mul", [sides, outwards]), centre])
    return c.emit("Concat", [boxes, scores], axis=2)


def main(source: Path, target: Path) -> None:
    converter = Converter(GraphModel(source))
    converter.nodes.append(helper.make_node("Identity", [decoded(converter)], ["detections"], name="detections"))
    cells = sum((SIZE // stride) ** 2 for stride in HEADS)
    graph = helper.make_graph(
        converter.nodes,
        "nanodet_g_416",
        [helper.make_tensor_value_info("images", TensorProto.FLOAT, [1, 3, SIZE, SIZE])],
        [helper.make_tensor_value_info("detections", TensorProto.FLOAT, [1, cells, 4 + CLASSES])],
        converter.constants,
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], producer_name="trackdrop")
    model.ir_version = 8
    onnx.checker.check_model(model, full_check=True)
    target.write_bytes(model.SerializeToString(deterministic=True))


if __name__ == "__main__":
    if len(sys.argv) != 3:
        raise SystemExit(__doc__)
    main(Path(sys.argv[1]), Path(sys.argv[2]))
