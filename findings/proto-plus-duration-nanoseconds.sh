#!/usr/bin/env bash
# A time offset of the Video Intelligence client is up to a microsecond too early, so that frame k of 29.97 fps becomes frame k - 1.
#
# Input: ObjectTrackingFrame in protobuf's JSON, with the time offsets of the first 10 frames at 30000/1001 frames a second, to the nanosecond.
# Guessed before running: the attribute time_offset is rounded to the nearest microsecond.
# Seen with google-cloud-videointelligence==2.21.0, proto-plus==1.29.0, protobuf==7.36.2 (Python 3.11):
#   time_offset is a datetime.timedelta that is cut down to microseconds: "0.033366667s" reads as 33366 microseconds. The message itself keeps all
#   nanoseconds (ObjectTrackingFrame.pb(frame).time_offset.nanos is 33366667); a message that is made of the attribute is not equal to it.
#   int(time_offset.total_seconds() * fps), as samples compute the frame's number, gives 0, 0, 1, 3, 3, 4, 6, 6, 7, 9 for frames 0 to 9: frames
#   whose offset ends below the microsecond come out one too low. round() in place of int() is right.
set -euo pipefail
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
cd "$dir"
python3 -m venv venv
venv/bin/pip -q install --disable-pip-version-check google-cloud-videointelligence==2.21.0 proto-plus==1.29.0 protobuf==7.36.2
cat >offsets.py <<'PY'
from datetime import timedelta
from fractions import Fraction

from google.cloud import videointelligence_v1 as vi

FPS = 30000 / 1001
numbers = []
for k in range(10):
    nanos = round(Fraction(k * 1001, 30000) * 10**9)
    frame = vi.ObjectTrackingFrame.from_json('{"timeOffset": "%d.%09ds"}' % divmod(nanos, 10**9))
    assert vi.ObjectTrackingFrame.pb(frame).time_offset.nanos == nanos, "the message keeps the nanoseconds"
    assert frame.time_offset == timedelta(microseconds=nanos // 1000), "cut down, not rounded"
    assert round(frame.time_offset.total_seconds() * FPS) == k
    if nanos % 1000:
        assert vi.ObjectTrackingFrame(time_offset=frame.time_offset) != frame, "what is read is not what was there"
    numbers.append(int(frame.time_offset.total_seconds() * FPS))
print(numbers)
PY
venv/bin/python offsets.py | tee out
grep -qxF '[0, 0, 1, 3, 3, 4, 6, 6, 7, 9]' out
