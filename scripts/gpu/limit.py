#!/usr/bin/env python3
"""Print a table of ONNX Runtime alone on a GPU: frames per second and memory for batches of 1 to 64.

limit.py MODEL.onnx RATES.json DEVICE...     DEVICE: cuda or tensorrt, with a GPU number as in cuda:1; cpu tries this program without a
                                             GPU. The rates go to RATES.json as well: {device: {batch: frames/s}}

TRACKDROP_GPU_BATCHES="1 16" chooses other batches.
"""

import json
import os
import subprocess
import sys
import tempfile
import time

import numpy as np
import onnxruntime

BATCHES = [int(batch) for batch in os.environ.get("TRACKDROP_GPU_BATCHES", "1 2 4 8 16 32 64").split()]
SECONDS = 3.0


def providers(device, cache):
    kind, _, gpu = device.partition(":")
    if kind == "cpu":
        return [("CPUExecutionProvider", {})]
    cuda = ("CUDAExecutionProvider", {"use_tf32": "0", "device_id": gpu or "0"})
    if kind == "cuda":
        return [cuda]
    options = {"device_id": gpu or "0", "trt_fp16_enable": "1", "trt_engine_cache_enable": "1", "trt_engine_cache_path": cache}
    return [("TensorrtExecutionProvider", options), cuda]


def used_mib(device):
    gpu = device.partition(":")[2] or "0"
    query = ["nvidia-smi", "-i", gpu, "--query-gpu=memory.used", "--format=csv,noheader,nounits"]
    return int(subprocess.run(query, capture_output=True, text=True, check=True).stdout.split()[0])


def measure(model, device, batch, cache):
    before = used_mib(device)
    session = onnxruntime.InferenceSession(model, providers=providers(device, cache))
    if session.get_providers()[0] != providers(device, cache)[0][0]:
        raise RuntimeError(f"{device} can't be used: ONNX Runtime took {session.get_providers()[0]}")
    picture = session.get_inputs()[0]
    shape = [batch] + [side if isinstance(side, int) else 640 for side in picture.shape[1:]]
    kind = np.float16 if picture.type == "tensor(float16)" else np.float32
    binding = session.io_binding()
    kind_of_memory, gpu = ("cpu", 0) if device == "cpu" else ("cuda", int(device.partition(":")[2] or 0))
    pictures = np.random.rand(*shape).astype(kind)
    binding.bind_ortvalue_input(picture.name, onnxruntime.OrtValue.ortvalue_from_numpy(pictures, kind_of_memory, gpu))
    for other in session.get_inputs()[1:]:
        binding.bind_cpu_input(other.name, np.array([shape[2:][::-1]] * batch, np.int64))
    for output in session.get_outputs():
        binding.bind_output(output.name, kind_of_memory, gpu)
    for _ in range(5):
        session.run_with_iobinding(binding)
    runs, start = 0, time.perf_counter()
    while time.perf_counter() - start < SECONDS:
        session.run_with_iobinding(binding)
        runs += 1
    return runs * batch / (time.perf_counter() - start), used_mib(device) - before


def main():
    model, file, *devices = sys.argv[1:]
    rates = {device: {} for device in devices}
    # Asked of the processor, where opening is cheap: TensorRT builds an engine for each session.
    own_batch = onnxruntime.InferenceSession(model, providers=["CPUExecutionProvider"]).get_inputs()[0].shape[0]
    batches = [own_batch] if isinstance(own_batch, int) else BATCHES
    print("| device | batch | frames/s | GPU memory, MiB |\n|---|---|---|---|")
    with tempfile.TemporaryDirectory() as cache:
        for device in devices:
            for batch in batches:
                fps, memory = measure(model, device, batch, cache)
                rates[device][batch] = fps
                print(f"| {device} | {batch} | {fps:.1f} | {memory} |", flush=True)
    with open(file, "w", encoding="utf-8") as out:
        json.dump(rates, out)
    if len(batches) == 1:
        print(f"\nThe model takes batches of {batches[0]} only: export it with an open batch for the others.")


if __name__ == "__main__":
    main()
