#!/usr/bin/env bash
# ONNX Runtime 1.26.0 with its default optimisations takes the zeros away that a Pad puts before a MaxPool.
#
# Input: one number, -1, that a Pad with the constant 0 makes 2 x 2 and a MaxPool of 2 x 2 reduces to one: valid by onnx's checker. Ultralytics'
# yolov3-tiny has these two nodes (its boxes are off by up to 5 px), and so have other ports of Darknet's small models.
# Expected: 0, the largest of -1, 0, 0 and 0, as the ONNX operators and onnx's own reference evaluator say.
# Seen with onnxruntime==1.26.0: -1 by default and with basic optimisations, 0 without optimisations and without the rule Pad_Fusion, which gives
# the Pad's amounts to the MaxPool as its own `pads`; those count as less than any number.
# Seen with onnxruntime==1.32.0: 0 each time.
set -euo pipefail
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
cd "$dir"
python3 -m venv venv
venv/bin/pip -q install --disable-pip-version-check onnxruntime==1.26.0 onnx==1.23.2 numpy==2.4.6
cat >model.py <<'PY'
import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

pads = numpy_helper.from_array(np.array([0, 0, 0, 0, 0, 0, 1, 1]), "pads")
zero = numpy_helper.from_array(np.float32(0), "zero")
number = lambda name: helper.make_tensor_value_info(name, TensorProto.FLOAT, [1, 1, 1, 1])
nodes = [
    helper.make_node("Pad", ["x", "pads", "zero"], ["padded"], mode="constant"),
    helper.make_node("MaxPool", ["padded"], ["y"], kernel_shape=[2, 2], strides=[1, 1]),
]
graph = helper.make_graph(nodes, "pool", [number("x")], [number("y")], [pads, zero])
model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
onnx.checker.check_model(model, full_check=True)
onnx.save(model, "pool.onnx")
PY
cat >run.py <<'PY'
import numpy as np
import onnxruntime as ort
from onnx.reference import ReferenceEvaluator

below = {"x": np.full((1, 1, 1, 1), -1, np.float32)}
plain = ort.SessionOptions()
plain.graph_optimization_level = ort.GraphOptimizationLevel.ORT_DISABLE_ALL
results = {
    "reference": ReferenceEvaluator("pool.onnx").run(None, below),
    "default": ort.InferenceSession("pool.onnx").run(None, below),
    "no optimisation": ort.InferenceSession("pool.onnx", plain).run(None, below),
    "no Pad_Fusion": ort.InferenceSession("pool.onnx", disabled_optimizers=["Pad_Fusion"]).run(None, below),
}
for name, (value,) in results.items():
    print(f"onnxruntime {ort.__version__}, {name}: {value.item()}")
seen = [value.item() for (value,) in results.values()]
assert seen == EXPECTED, (seen, EXPECTED)
PY
venv/bin/python model.py
(echo 'EXPECTED = [0.0, -1.0, 0.0, 0.0]' && cat run.py) >old.py
venv/bin/python old.py
venv/bin/pip -q install --disable-pip-version-check onnxruntime==1.32.0
(echo 'EXPECTED = [0.0, 0.0, 0.0, 0.0]' && cat run.py) >new.py
venv/bin/python new.py
