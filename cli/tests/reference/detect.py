"""Detect as each family's own code does, with onnxruntime, numpy and OpenCV.

    detect.py picture HEIGHT PICTURE   write a picture of 500 x HEIGHT pixels to detect in
    detect.py MODEL... PICTURE         print {model: [[x1, y1, x2, y2, score, class], ...]}; the family is the file's name

The conventions are those of Ultralytics, YOLOX's demo, NanoDet's demo, RT-DETR, D-FINE (torch_inf.py, which stretches as its
training does) and RF-DETR: how a picture is scaled, padded, ordered and normalised, how boxes are decoded, compared and taken
back. Nothing is shared with Trackdrop. One thing is not as in the original, see nanodet().
"""

import json
import sys
from pathlib import Path

import cv2
import numpy as np
import onnxruntime

MIN_SCORE = 0.3


def centred(image, size, value=114):
    """Ultralytics' LetterBox."""
    height, width = image.shape[:2]
    gain = min(size / height, size / width)
    new = round(width * gain), round(height * gain)
    dw, dh = (size - new[0]) / 2, (size - new[1]) / 2
    image = cv2.resize(image, new, interpolation=cv2.INTER_LINEAR)
    top, bottom, left, right = round(dh - 0.1), round(dh + 0.1), round(dw - 0.1), round(dw + 0.1)
    image = cv2.copyMakeBorder(image, top, bottom, left, right, cv2.BORDER_CONSTANT, value=(value,) * 3)
    return image, lambda boxes: (boxes - [left, top, left, top]) / gain


def ultralytics(image, size):
    image, back = centred(image, size)
    return image[:, :, ::-1] / 255.0, back


def yolox(image, size):
    ratio = min(size / image.shape[0], size / image.shape[1])
    padded = np.full((size, size, 3), 114, np.uint8)
    small = cv2.resize(image, (int(image.shape[1] * ratio), int(image.shape[0] * ratio)), interpolation=cv2.INTER_LINEAR)
    padded[: small.shape[0], : small.shape[1]] = small
    return padded, lambda boxes: boxes / ratio


def nanodet_normalised(image):
    return (image - np.array([103.53, 116.28, 123.675])) / np.array([57.375, 57.12, 58.395])


def nanodet(image, size):
    """keep_ratio: true, but scaled with the pictures' edges aligned, as the others do it. NanoDet's demo warps by pixel index
    (cv2.warpPerspective), so at scale r what its network sees lies (1 - r) / 2r source pixels away: 0.42 for a picture of 768
    pixels in 416, 1.8 for one of 1920."""
    image, back = centred(image, size, value=0)
    return nanodet_normalised(image), back


def d_fine(image, size):
    """The network is told the picture's own size and gives boxes in its pixels."""
    image, _ = stretched(image, size)
    return image[:, :, ::-1] / 255.0, lambda boxes: boxes


def stretched(image, size):
    height, width = image.shape[:2]
    image = cv2.resize(image, (size, size), interpolation=cv2.INTER_LINEAR)
    return image, lambda boxes: boxes * [width / size, height / size, width / size, height / size]


def nanodet_plus(image, size):
    """keep_ratio: false."""
    image, back = stretched(image, size)
    return nanodet_normalised(image), back


def rt_detr(image, size):
    image, back = stretched(image, size)
    return image[:, :, ::-1] / 255.0, back


def rf_detr(image, size):
    image, back = stretched(image, size)
    return (image[:, :, ::-1] / 255.0 - [0.485, 0.456, 0.406]) / [0.229, 0.224, 0.225], back


def corners(boxes):
    return np.concatenate([boxes[:, :2] - boxes[:, 2:] / 2, boxes[:, :2] + boxes[:, 2:] / 2], 1)


def suppressed(boxes, scores, classes, iou):
    """Greedy, class by class, by OpenCV, which wants corner and size."""
    kept = []
    for label in np.unique(classes):
        chosen = np.flatnonzero((classes == label) & (scores >= MIN_SCORE))
        sized = np.concatenate([boxes[chosen, :2], boxes[chosen, 2:] - boxes[chosen, :2]], 1)
        kept += [chosen[i] for i in cv2.dnn.NMSBoxes(sized.tolist(), scores[chosen].tolist(), MIN_SCORE, iou)]
    return boxes[kept], scores[kept], classes[kept]


def grid(size, strides):
    """Column, row, stride."""
    levels = []
    for stride in strides:
        row, column = np.indices((size // stride, size // stride)).reshape(2, -1)
        levels.append(np.stack([column, row, np.full_like(row, stride)], 1))
    return np.concatenate(levels).astype(np.float64)


def read_yolov8(outputs, _):
    table = outputs["output0"][0].T
    return suppressed(corners(table[:, :4]), table[:, 4:].max(1), table[:, 4:].argmax(1), 0.7)


def read_yolov5(outputs, _):
    table = outputs["output0"][0]
    scores = table[:, 5:] * table[:, 4:5]
    return suppressed(corners(table[:, :4]), scores.max(1), scores.argmax(1), 0.45)


def read_yolox(outputs, size):
    table = outputs["output"][0].astype(np.float64)
    cells = grid(size, (8, 16, 32))
    centre = (table[:, :2] + cells[:, :2]) * cells[:, 2:]
    boxes = corners(np.concatenate([centre, np.exp(table[:, 2:4]) * cells[:, 2:]], 1))
    scores = table[:, 4:5] * table[:, 5:]
    return suppressed(boxes, scores.max(1), scores.argmax(1), 0.45)


def read_yolox_decoded(outputs, _):
    table = outputs["output"][0]
    scores = table[:, 4:5] * table[:, 5:]
    return suppressed(corners(table[:, :4]), scores.max(1), scores.argmax(1), 0.45)


def read_nanodet_decoded(outputs, _):
    (table,) = outputs.values()
    return suppressed(table[0, :, :4], table[0, :, 4:].max(1), table[0, :, 4:].argmax(1), 0.6)


def read_nanodet(outputs, size, strides=(8, 16, 32), middle=0.5):
    table = outputs["output"][0].astype(np.float64)
    cells = grid(size, strides)
    scores, sides = table[:, :3], np.exp(table[:, 3:].reshape(len(table), 4, -1))
    distances = (sides / sides.sum(2, keepdims=True)) @ np.arange(sides.shape[2]) * cells[:, 2:]
    points = (cells[:, :2] + middle) * cells[:, 2:]
    boxes = np.concatenate([points - distances[:, :2], points + distances[:, 2:]], 1).clip(0, size)
    return suppressed(boxes, scores.max(1), scores.argmax(1), 0.6)


def read_nanodet_plus(outputs, size):
    return read_nanodet(outputs, size, (8, 16, 32, 64), 0.0)


def read_queries(logits, boxes, size):
    scores = 1 / (1 + np.exp(-logits.astype(np.float64)))
    best = np.argsort(-scores.ravel(), kind="stable")[:300]
    query, label = best // scores.shape[1], best % scores.shape[1]
    kept = scores.ravel()[best] >= MIN_SCORE
    return corners(boxes.astype(np.float64) * size)[query[kept]], scores.ravel()[best][kept], label[kept]


def read_rt_detr(outputs, size):
    return read_queries(outputs["logits"][0], outputs["pred_boxes"][0], size)


def read_rf_detr(outputs, size):
    return read_queries(outputs["labels"][0], outputs["dets"][0], size)


def read_d_fine(outputs, _):
    kept = outputs["scores"][0] >= MIN_SCORE
    return outputs["boxes"][0][kept], outputs["scores"][0][kept], outputs["labels"][0][kept]


def read_ultralytics_rtdetr(outputs, size):
    table = outputs["output0"][0]
    table = table[table[:, 4:].max(1) >= MIN_SCORE]
    return corners(table[:, :4] * size), table[:, 4:].max(1), table[:, 4:].argmax(1)


def read_end_to_end(outputs, _):
    table = outputs["output0"][0]
    table = table[table[:, 4] >= MIN_SCORE]
    return table[:, :4], table[:, 4], table[:, 5].astype(int)


FAMILIES = {
    "yolov5": (ultralytics, read_yolov5),
    "yolov8": (ultralytics, read_yolov8),
    "yolox": (yolox, read_yolox),
    "yolox_decoded": (yolox, read_yolox_decoded),
    "nanodet": (nanodet, read_nanodet),
    "nanodet-g-416": (nanodet, read_nanodet_decoded),
    "nanodet_plus": (nanodet_plus, read_nanodet_plus),
    "rt_detr": (rt_detr, read_rt_detr),
    "ultralytics_rtdetr": (rt_detr, read_ultralytics_rtdetr),
    "d_fine": (d_fine, read_d_fine),
    "rf_detr": (rf_detr, read_rf_detr),
    "end_to_end": (ultralytics, read_end_to_end),
}


def detect(model, image):
    session = onnxruntime.InferenceSession(model, providers=["CPUExecutionProvider"])
    size = session.get_inputs()[0].shape[2]
    prepare, read = FAMILIES[Path(model).stem]
    prepared, back = prepare(image, size)
    height, width = image.shape[:2]
    tensor = np.ascontiguousarray(prepared.transpose(2, 0, 1)[None], np.float32)
    inputs = dict(zip((entry.name for entry in session.get_inputs()), (tensor, np.array([[width, height]]))))
    names = [output.name for output in session.get_outputs()]
    outputs = dict(zip(names, session.run(names, inputs)))
    boxes, scores, classes = read(outputs, size)
    boxes = back(boxes.astype(np.float64)).clip(0, [width, height, width, height])
    whole = (boxes[:, 0] < boxes[:, 2]) & (boxes[:, 1] < boxes[:, 3])
    rows = np.concatenate([boxes, scores[:, None], classes[:, None]], 1)[whole]
    return rows[np.argsort(-rows[:, 4], kind="stable")].tolist()


def picture(height):
    """Coloured hills: no edge is so sharp that scaling it is a matter of taste. u8 [height, 500, 3], BGR."""
    y, x = np.mgrid[:height, :500] / 40.0
    rng = np.random.default_rng(3)
    planes = [
        sum(np.sin(x * rng.uniform(-1, 1) + y * rng.uniform(-1, 1) + rng.uniform(0, 6)) for _ in range(5))
        for _ in range(3)
    ]
    return np.stack([128 + 120 * np.tanh(plane) for plane in planes], 2).round().astype(np.uint8)


def main():
    *models, path = sys.argv[1:]
    if models[0] == "picture":
        assert cv2.imwrite(path, picture(int(models[1])))
        return
    image = cv2.imread(path)
    print(json.dumps({Path(model).stem: detect(model, image) for model in models}))


if __name__ == "__main__":
    main()
