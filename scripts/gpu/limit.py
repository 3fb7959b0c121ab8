#!/usr/bin/env python3
"""Print a table of ONNX Runtime alone on a GPU: frames per second and memory for batches of 1 to 64.

limit.py MODEL.onnx DEVICE...        DEVICE: cuda or tensorrt
"""

import subprocess
import sys
import tempfile
import time

import numpy as np
import onnxruntime

BATCHES = (1, 2, 4, 8, 16, 32, 64)
SECONDS = 3.0


def providers(device, cache):
    cuda = ("CUDAExecutionProvider", {"use_tf32": "0"})
    if device.startswith("cuda"):
        return [cuda]
    options = {"trt_fp16_enable": "1", "trt_engine_cache_enable": "1", "trt_engine_cache_path": cache}
    return [("TensorrtExecutionProvider", options), cuda]


def used_mib():
    query = ["nvidia-smi", "--query-gpu=memory.used", "--format=csv,noheader,nounits"]
    return int(subprocess.run(query, capture_output=True, text=True, check=True).stdout.split()[0])


def measure(model, device, batch, cache):
    before = used_mib()
    session = onnxruntime.InferenceSession(model, providers=providers(device, cache))
    if session.get_providers()[0] != providers(device, cache)[0][0]:
        raise RuntimeError(f"{device} can't be used: ONNX Runtime took {session.get_providers()[0]}")
    picture = session.get_inputs()[0]
    open_batch = not isinstance(picture.shape[0], int)
    if not open_batch and picture.shape[0] != batch:
        return None
    shape = [batch] + [side if isinstance(side, int) else 640 for side in picture.shape[1:]]
    kind = np.float16 if picture.type == "tensor(float16)" else np.float32
    binding = session.io_binding()
    binding.bind_ortvalue_input(
        picture.name, onnxruntime.OrtValue.ortvalue_from_numpy(np.random.rand(*shape).astype(kind), "cuda", 0)
    )
    for other in session.get_inputs()[1:]:
        binding.bind_cpu_input(other.name, np.array([shape[2:][::-1]] * batch, np.int64))
    for output in session.get_outputs():
        binding.bind_output(output.name, "cuda")
    for _ in range(5):
        session.run_with_iobinding(binding)
    runs, start = 0, time.perf_counter()
    while time.perf_counter() - start < SECONDS:
        session.run_with_iobinding(binding)
        runs += 1
    return runs * batch / (time.perf_counter() - start), used_mib() - before


def main():
    model, *devices = sys.argv[1:]
    print("| device | batch | frames/s | GPU memory, MiB |\n|---|---|---|---|")
    with tempfile.TemporaryDirectory() as cache:
        for device in devices:
            for batch in BATCHES:
                result = measure(model, device, batch, cache)
                if result:
                    print(f"| {device} | {batch} | {result[0]:.1f} | {result[1]} |", flush=True)


if __name__ == "__main__":
    main()
