"""Exports LibreYOLO's families with random weights and compares the product's boxes with its own; `run` calls this.

Random weights give scores and boxes that mean nothing, and agree to the last digit where a model is read rightly. The picture has the
input's own size, as a transformer with random weights gives other boxes after a picture's bytes are rounded otherwise.
"""

import importlib
import json
import math
import os
import subprocess
import sys
from pathlib import Path

import cv2
import numpy as np
import torch
from torch import nn

MODELS = {
    "yolo9": ("yolo9", "t", {}), "yolo9-nms": ("yolo9", "t", {"nms": True}), "yolo9-deepstream": ("yolo9", "t", {"deepstream": True}),
    "yolo9_e2e": ("yolo9_e2e", "t", {}), "yolo9_p2": ("yolo9_p2", "t", {}), "rtmdet": ("rtmdet", "t", {}), "dfine": ("dfine", "n", {}),
    "deim": ("deim", "n", {}), "ec": ("ec", "s", {}), "rtdetrv2": ("rtdetrv2", "r18", {}), "gtr": ("gtr", "s", {}),
}
IMAGENET = {"rtmdet", "ec", "gtr"}
TRANSFORMERS = {"dfine", "deim", "ec", "rtdetrv2", "gtr"}
CLASSES, MIN_SCORE = 80, 0.25


def make(family, size):
    module = importlib.import_module(f"libreyolo.models.{family}.model")
    kind = next(v for v in vars(module).values() if isinstance(v, type) and getattr(v, "FAMILY", None) == family and v.__module__ == module.__name__)
    scratch = {"_scratch_init": True} if family == "rtdetrv2" else {}
    torch.manual_seed(0)
    return kind(None, size=size, nb_classes=CLASSES, device="cpu", **scratch)


def enliven(net, picture, share):
    """Norms take the statistics of the picture; of `share` of the places the best class is above the threshold."""
    norms = [module for module in net.modules() if isinstance(module, nn.BatchNorm2d)]
    for norm in norms:
        norm.momentum = None
        norm.reset_running_stats()
    with torch.no_grad():
        if norms:
            net.eval()
            for norm in norms:
                norm.train()
            net(torch.cat([picture, picture.flip(3)]))
        net.eval()
        seen = {}
        heads = [m for m in net.modules() if isinstance(m, (nn.Conv2d, nn.Linear)) and m.bias is not None and m.weight.shape[0] in (CLASSES, CLASSES + 1, 91)]
        for head in heads:
            head.weight.normal_(0, 1 / math.sqrt(head.weight[0].numel()))
            head.bias.zero_()
            head.register_forward_hook(lambda module, _, out: seen.setdefault(module, []).append(out))
        net(picture)
        for head, outs in seen.items():
            head._forward_hooks.clear()
            best = torch.cat([(out.flatten(2).amax(1) if out.dim() == 4 else out.amax(-1)).flatten() for out in outs])
            low = float(torch.quantile(best, 1 - share))
            scale = 3.6 / max(float(best.max()) - low, 1e-6)
            head.weight.mul_(scale)
            head.bias.fill_(-1.1 - low * scale)


def own_boxes(file, image):
    """Corners, score and best class of each candidate, suppressed within a class as the native programs do."""
    from libreyolo.backends import base, onnx

    build = base.BaseBackend._build_result

    def of_best_class(self, boxes, scores, kinds, **more):
        best = {}
        if self.model_family not in TRANSFORMERS:
            for i, box in enumerate(map(tuple, np.round(boxes, 3))):
                best[box] = i if box not in best or scores[i] > scores[best[box]] else best[box]
            kept = sorted(best.values())
            boxes, scores, kinds = boxes[kept], scores[kept], kinds[kept]
        family, self.model_family = self.model_family, {"yolo9_p2": "yolo9"}.get(self.model_family, self.model_family)
        try:
            return build(self, boxes, scores, kinds, **more)
        finally:
            self.model_family = family

    base.BaseBackend._build_result = of_best_class
    try:
        result = onnx.OnnxBackend(str(file)).predict(str(image), conf=MIN_SCORE)
    finally:
        base.BaseBackend._build_result = build
    result = result[0] if isinstance(result, list) else result
    names = result.names
    return [(*map(float, box), float(score), names[int(c)]) for box, score, c in zip(result.boxes.xyxy, result.boxes.conf, result.boxes.cls)]


def product_boxes(file, image, work):
    command = [os.environ["TRACKDROP"], "model", "check", file, image, "--out", work / "seen.png", "--min-score", str(MIN_SCORE), "--device", "cpu", "--json"]
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode:
        return done.stderr.strip()
    return [(*one["box"], one["score"], one["class_name"]) for one in json.loads(done.stdout)["detections"]]


def main():
    work, wanted = Path(sys.argv[1]), sys.argv[2:] or list(MODELS)
    frame, failed = cv2.imread(str(work / "frame.png")), []
    for name in wanted:
        family, size, options = MODELS[name]
        model = make(family, size)
        side = model.input_size
        image = work / "picture.png"
        cv2.imwrite(str(image), cv2.resize(frame, (side, side), interpolation=cv2.INTER_AREA))
        picture = cv2.imread(str(image))[:, :, ::-1] / 255
        if family in IMAGENET:
            picture = (picture - [0.485, 0.456, 0.406]) / [0.229, 0.224, 0.225]
        enliven(model.model, torch.from_numpy(np.float32(picture.transpose(2, 0, 1))[None].copy()), 0.15 if family in TRANSFORMERS else 0.015)
        # Its own backend does not read what it writes for DeepStream: the same weights exported as ever are the reference.
        usual = {key: value for key, value in options.items() if key != "deepstream"}
        files = [work / "model.onnx", work / "usual.onnx"]
        for file, arguments in zip(files, (options, usual)):
            model.export(format="onnx", output_path=str(file), **arguments)
        right, found = own_boxes(files[1], image), product_boxes(files[0], image, work)
        # Some of its programs let boxes reach beyond the picture.
        right = [(*(min(max(number, 0.0), side) for number in box[:4]), *box[4:]) for box in right]
        if isinstance(found, str):
            print(f"{name}: refused: {found}")
            failed.append(name)
            continue
        rest = list(found)
        matched = 0
        for box in right:
            same = next((other for other in rest if other[5] == box[5] and max(abs(a - b) for a, b in zip(other[:4], box)) < 0.5 and abs(other[4] - box[4]) < 0.005), None)
            if same:
                rest.remove(same)
                matched += 1
        print(f"{name}: {matched} of {len(right)} boxes, {len(rest)} more", flush=True)
        if not right or matched < 0.97 * len(right):
            failed.append(name)
    sys.exit(f"not as LibreYOLO reads them: {', '.join(failed)}" if failed else 0)


if __name__ == "__main__":
    main()
