#!/usr/bin/env python3
"""Write a copy of a model that takes batches of any size, with its card beside it.

open_batch.py MODEL.onnx COPY.onnx

For models whose first dimension is the batch throughout, as it is in the default model.
"""

import shutil
import sys
from pathlib import Path

import numpy as np
import onnx
from onnx import numpy_helper


def main():
    source, copy = (Path(argument) for argument in sys.argv[1:3])
    model = onnx.shape_inference.infer_shapes(onnx.load(source), strict_mode=True, data_prop=True)
    graph = model.graph
    shapes = {
        value.name: [side.dim_value for side in value.type.tensor_type.shape.dim]
        for value in [*graph.value_info, *graph.output]
    }
    for number, node in enumerate(node for node in graph.node if node.op_type == "Reshape"):
        shape = shapes[node.output[0]]
        if 0 in shape:
            sys.exit(f"{source}: {node.name} has the open shape {shape}: export the model with an open batch")
        # One row a picture or several: in both cases the first side follows from the others.
        name = f"open_batch_{number}"
        graph.initializer.append(numpy_helper.from_array(np.array([-1, *shape[1:]], np.int64), name))
        node.input[1] = name
    used = {name for node in graph.node for name in node.input}
    for shape in [constant for constant in graph.initializer if constant.name not in used]:
        graph.initializer.remove(shape)
    for value in [*graph.input, *graph.output]:
        value.type.tensor_type.shape.dim[0].dim_param = "batch"
    del graph.value_info[:]
    onnx.checker.check_model(model, full_check=True)
    onnx.save(model, copy)
    if source.with_suffix(".json").exists():
        shutil.copyfile(source.with_suffix(".json"), copy.with_suffix(".json"))


if __name__ == "__main__":
    main()
