#!/usr/bin/env bash
# OpenCV's seek by frame number lands elsewhere in a variable-rate MP4, and right in the same packets as MKV.
#
# Input: 60 pictures that carry their own number, 40 to 66 ms apart, with a gap of 2 s before picture 30; H.264 with B-frames.
# Expected: CAP_PROP_FRAME_COUNT is 60, and set(CAP_PROP_POS_FRAMES, k) and read() give picture k in both containers.
# Seen with opencv-python-headless==5.0.0.93: in MP4, k from 23 on gives later pictures (k=23 gives picture 28), and the last 11 numbers give
# none at all. In MKV every k is right, but CAP_PROP_FRAME_COUNT says 110. CAP_PROP_FPS, by which frame numbers become times, is the average
# of 13.6 for the MP4 and the nominal 25 for the MKV.
set -euo pipefail
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
cd "$dir"
python3 -m venv venv
venv/bin/pip -q install --disable-pip-version-check opencv-python-headless==5.0.0.93 numpy==2.4.6
cat >seek.py <<'PY'
import os, subprocess
os.environ["OPENCV_FFMPEG_LOGLEVEL"] = "-8"
import cv2, numpy as np

COUNT = 60


def picture(number):
    image = np.full((64, 128, 3), 16, np.uint8)
    for bit in range(8):
        image[:, bit * 16 : bit * 16 + 16] = 235 if number >> bit & 1 else 16
    return image.tobytes()


def number(image):
    return sum(int(image[16:48, bit * 16 + 4 : bit * 16 + 12, 1].mean() > 125) << bit for bit in range(8))


times = "setpts=(N*0.04+2*gte(N\\,30)+0.013*mod(N*7\\,3))/TB"
encode = "-c:v libx264 -preset veryfast -threads 1 -qp 20 -g 12 -bf 2 -pix_fmt yuv420p -x264-params scenecut=0".split()
found = {}
for path in ("v.mp4", "v.mkv"):
    source = "ffmpeg -hide_banner -v error -y -f rawvideo -pix_fmt rgb24 -s 128x64 -r 25 -i pipe:".split()
    rest = ["-vf", times, "-fps_mode", "passthrough", "-enc_time_base", "1/1000", *encode, path]
    subprocess.run([*source, *rest], input=b"".join(map(picture, range(COUNT))), check=True)
    capture = cv2.VideoCapture(path)
    count, rate = int(capture.get(cv2.CAP_PROP_FRAME_COUNT)), capture.get(cv2.CAP_PROP_FPS)
    print(path, count, rate)
    assert (count, round(rate, 1)) == ((60, 13.6) if path == "v.mp4" else (110, 25.0))
    found[path] = []
    for k in range(COUNT):
        capture.set(cv2.CAP_PROP_POS_FRAMES, k)
        ok, image = capture.read()
        found[path].append(number(image) if ok else None)
print(found)
assert found["v.mkv"] == list(range(COUNT))
assert found["v.mp4"][:23] == list(range(23)) and found["v.mp4"][23] == 28 and found["v.mp4"][-11:] == [None] * 11
PY
venv/bin/python seek.py
echo "as seen"
