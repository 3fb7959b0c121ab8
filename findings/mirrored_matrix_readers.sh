#!/usr/bin/env bash
# A valid MP4 whose display matrix mirrors the picture left to right (a = -1, d = 1: selfie cameras and mirrored exports write it).
#
# Guessed beforehand: readers that honour the display matrix by themselves either mirror the picture or leave it as it is stored.
# Seen with opencv-python-headless 5.0.0.93 and decord 0.6.0: both show it UPSIDE DOWN, neither as stored nor as it is to be seen.
# They take only an angle out of the matrix, and the angle of a mirrored matrix comes out as 180 degrees: the picture is turned by a
# half, which differs from what is right by a flip top to bottom. VideoCapture's CAP_PROP_ORIENTATION_META says 180. A plain turn by 90
# degrees is right in both. PyAV 18.1.0 gives the picture as it is stored and says rotation -180, so whoever turns by that number
# makes the same mistake.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" install -q --disable-pip-version-check opencv-python-headless==5.0.0.93 av==18.1.0 decord==0.6.0 numpy==2.4.6
cd "$work"
"$work/venv/bin/python" - <<'PY'
import av, cv2, decord, numpy as np, struct

# Four quarters of different grey: no turned or mirrored version is like another.
picture = np.zeros((96, 128, 3), np.uint8)
picture[:48, :64], picture[:48, 64:], picture[48:, :64], picture[48:, 64:] = 40, 100, 160, 220

def write(name, stored, matrix):
    with av.open(name, 'w') as out:
        stream = out.add_stream('mpeg4', rate=10)
        stream.height, stream.width = stored.shape[:2]
        stream.pix_fmt, stream.bit_rate = 'yuv420p', 4_000_000
        for _ in range(5):
            for packet in stream.encode(av.VideoFrame.from_ndarray(np.ascontiguousarray(stored), format='bgr24')):
                out.mux(packet)
        for packet in stream.encode():
            out.mux(packet)
    data = bytearray(open(name, 'rb').read())
    at = data.find(b'tkhd') + 44
    a, b, c, d = (value << 16 & 0xffffffff for value in matrix)
    data[at:at + 36] = struct.pack('>9I', a, b, 0, c, d, 0, 0, 0, 1 << 30)
    open(name, 'wb').write(data)

def like(frame):
    """Which version of the right picture a frame is."""
    versions = {'right': picture, 'left-right flipped': picture[:, ::-1], 'upside down': picture[::-1], 'turned by a half': picture[::-1, ::-1]}
    fits = [name for name, version in versions.items() if version.shape == frame.shape and np.abs(frame.astype(int) - version).mean() < 12]
    return fits[0] if fits else f'something else of {frame.shape}'

def readers(name):
    capture = cv2.VideoCapture(name)
    by_opencv = capture.read()[1]
    angle = capture.get(cv2.CAP_PROP_ORIENTATION_META)
    by_decord = decord.VideoReader(name)[0].asnumpy()
    with av.open(name) as container:
        frame = next(container.decode(video=0))
        by_pyav = frame.to_ndarray(format='bgr24')
    found = dict(opencv=like(by_opencv), angle=angle, decord=like(by_decord), pyav=like(by_pyav), rotation=frame.rotation)
    print(name, found)
    return found

write('turned.mp4', np.rot90(picture), (0, 1, -1, 0))
turned = readers('turned.mp4')
assert turned['opencv'] == turned['decord'] == 'right', turned

write('mirrored.mp4', picture[:, ::-1], (-1, 0, 0, 1))
mirrored = readers('mirrored.mp4')
assert mirrored == dict(opencv='upside down', angle=180.0, decord='upside down', pyav='left-right flipped', rotation=-180), mirrored
print('a picture mirrored left to right is shown upside down by OpenCV and decord')
PY
