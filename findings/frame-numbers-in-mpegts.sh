#!/usr/bin/env bash
# "Frame k" of an MPEG-TS with B-frames is another picture in each reader.
#
# Input: 60 pictures that carry their own number, H.264 with B-frames and a GOP of 12, in MPEG-TS as ffmpeg 5.1 writes it. ffmpeg, PyAV and a
# plain read() loop of OpenCV give pictures 0 to 59.
# Expected: reader[k] is picture k, as it is for the same packets in MP4 and MKV; the exact mode of torchcodec scans the file for that.
# Seen with torchcodec==0.17.0 (torch==2.15.0), decord==0.6.0 and opencv-python-headless==5.0.0.93:
#   torchcodec, both seek modes: [0] is picture 12, the second GOP's first; [48] to [59] raise.
#   decord: [0] is picture 12; [48] to [59] are all picture 59.
#   OpenCV, set(CAP_PROP_POS_FRAMES, k) then read(): k=0 gives picture 12, k=1 to 12 give picture 13; from k=13 on it is right.
# Without B-frames, and with the same packets in MP4, all of them are right.
set -euo pipefail
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
cd "$dir"
python3 -m venv venv
venv/bin/pip -q install --disable-pip-version-check torch==2.15.0 torchcodec==0.17.0 decord==0.6.0 opencv-python-headless==5.0.0.93 numpy==2.4.6
cat >readers.py <<'PY'
import os, subprocess
os.environ["OPENCV_FFMPEG_LOGLEVEL"] = "-8"
import cv2, decord, numpy as np
from torchcodec.decoders import VideoDecoder

WIDTH, HEIGHT, COUNT = 128, 64, 60


def picture(number):
    image = np.full((HEIGHT, WIDTH, 3), 16, np.uint8)
    for bit in range(8):
        image[:, bit * 16 : bit * 16 + 16] = 235 if number >> bit & 1 else 16
    return image.tobytes()


def number(image):
    return sum(int(image[16:48, bit * 16 + 4 : bit * 16 + 12, 1].mean() > 125) << bit for bit in range(8))


def make(out, *options):
    command = "ffmpeg -v error -y -f rawvideo -pix_fmt rgb24 -s 128x64 -r 25 -i pipe: -c:v libx264 -preset veryfast -qp 20 -g 12".split()
    subprocess.run([*command, *options, "-pix_fmt", "yuv420p", "-x264-params", "scenecut=0", out], input=b"".join(map(picture, range(COUNT))), check=True)


def each(count, get):
    found = []
    for k in range(count):
        try:
            found.append(number(get(k)))
        except Exception:
            found.append(None)
    return found


def opencv(path):
    capture = cv2.VideoCapture(path)

    def get(k):
        capture.set(cv2.CAP_PROP_POS_FRAMES, k)
        return capture.read()[1]

    return each(COUNT, get)


def torchcodec(path, mode):
    decoder = VideoDecoder(path, seek_mode=mode)
    return each(COUNT, lambda k: decoder[k].permute(1, 2, 0).numpy())


def all_readers(path):
    reader = decord.VideoReader(path)
    return {
        "torchcodec exact": torchcodec(path, "exact"),
        "torchcodec approximate": torchcodec(path, "approximate"),
        "decord": each(COUNT, lambda k: reader[k].asnumpy()),
        "opencv": opencv(path),
    }


right = list(range(COUNT))
make("b.ts", "-bf", "2")
make("p.ts", "-bf", "0")
make("b.mp4", "-bf", "2")
for path in ("p.ts", "b.mp4"):
    for name, found in all_readers(path).items():
        assert found == right, (path, name, found)
late = list(range(12, COUNT))
found = all_readers("b.ts")
print(found)
assert found["torchcodec exact"] == found["torchcodec approximate"] == late + [None] * 12
assert found["decord"] == late + [59] * 12
assert found["opencv"] == [12] + [13] * 12 + right[13:]
PY
venv/bin/python readers.py 2>/dev/null
echo "as seen"
