#!/usr/bin/env python3
"""Print what OpenCV and Pillow make of a made-up picture, as FNV-1a of their bytes: the table in src/resize.rs.

    resized.py     needs numpy, opencv-python-headless (4.14.0.94 and 5.0.0.93 give the same) and pillow (12.3.0 and 13.0.0 do)
"""

import cv2
import numpy as np
from PIL import Image

# From 8 times smaller to 2 times larger, and as it is.
SIZES = [
    ((768, 576), (640, 480)),
    ((768, 576), (416, 312)),
    ((960, 540), (320, 180)),
    ((1280, 720), (160, 90)),
    ((640, 480), (320, 240)),
    ((333, 217), (640, 417)),
    ((320, 240), (640, 640)),
    ((97, 61), (97, 61)),
    ((1, 1), (5, 3)),
    ((3, 2), (1, 1)),
]


def picture(width, height):
    y, x = np.meshgrid(np.arange(height, dtype=np.uint64), np.arange(width, dtype=np.uint64), indexing="ij")
    noise = ((x * 7919 + y * 104729) * 2654435761) >> 16
    return ((noise & 63) + ((x * 3 + y * 2) % 192)).astype(np.uint8)


def fnv(data):
    value = 0xCBF29CE484222325
    for byte in data:
        value = ((value ^ byte) * 0x100000001B3) & 0xFFFFFFFFFFFFFFFF
    return value


for source, target in SIZES:
    pixels = picture(*source)
    linear = cv2.resize(pixels, target, interpolation=cv2.INTER_LINEAR)
    smooth = np.asarray(Image.fromarray(pixels).resize(target, Image.Resampling.BILINEAR))
    print(f"            ({source}, {target}, {fnv(linear.tobytes()):#x}, {fnv(smooth.tobytes()):#x}),")
