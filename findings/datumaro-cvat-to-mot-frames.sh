#!/usr/bin/env bash
# Datumaro's MOTChallenge ground truth from a CVAT video task has other frame numbers, and a box where the object has left.
#
# Input: CVAT's XML of a video (mode "interpolation") with one track: boxes in frames 4, 5 and 8, and in frame 9 the box with outside="1", by which
# CVAT says that the object is no longer visible. Frames 0 to 3, 6, 7 and 10 to 19 have no box.
# Expected of import "cvat" and export "mot_seq_gt": rows of frames 5, 6 and 9 (MOTChallenge counts from 1), and none for the box that is outside. The
# imported items do have the attribute "frame" with 4, 5, 8 and 9, and the boxes the attribute "outside".
# Seen with datumaro==1.13.12: rows of frames 1, 2, 3 and 4, because the items' names (frame_000004) are no numbers and are then counted; the
# last one is the box outside, with confidence 1. Who evaluates tracks against this file compares frame 5 with frame 1. Items whose names are
# numbers keep them.
set -euo pipefail
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
cd "$dir"
python3 -m venv venv
venv/bin/pip -q install --disable-pip-version-check datumaro==1.13.12
mkdir cvat
python3 - <<'PY'
boxes = [(4, 10, 0), (5, 11, 0), (8, 14, 0), (9, 14, 1)]
rows = "".join(
    f'<box frame="{frame}" xtl="{x}" ytl="20" xbr="{x + 30}" ybr="60" outside="{outside}" occluded="0" keyframe="1"></box>'
    for frame, x, outside in boxes
)
open("cvat/annotations.xml", "w").write(f"""<?xml version="1.0" encoding="utf-8"?>
<annotations><version>1.1</version><meta><task><size>20</size><mode>interpolation</mode><start_frame>0</start_frame><stop_frame>19</stop_frame>
<labels><label><name>person</name><attributes></attributes></label></labels>
<original_size><width>200</width><height>100</height></original_size></task></meta>
<track id="0" label="person">{rows}</track></annotations>""")
PY
cat >convert.py <<'PY'
import datumaro

imported = datumaro.Dataset.import_from("cvat", "cvat")
frames = sorted((item.attributes["frame"], box.attributes["outside"]) for item in imported for box in item.annotations)
print(frames)
assert frames == [(4, False), (5, False), (8, False), (9, True)]
imported.export("mot", "mot_seq_gt")
rows = sorted(open("mot/gt/gt.txt").read().split())
print(*rows, sep="\n")
numbers = [(int(row.split(",")[0]), float(row.split(",")[2]), row.split(",")[6]) for row in rows]
assert numbers == [(1, 10.0, "1"), (2, 11.0, "1"), (3, 14.0, "1"), (4, 14.0, "1")], numbers
PY
venv/bin/python convert.py 2>/dev/null
echo "as seen"
