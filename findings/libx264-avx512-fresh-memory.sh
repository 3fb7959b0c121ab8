#!/usr/bin/env bash
# libx264 on a processor with AVX-512: the same pictures, encoded twice, give two videos.
#
# Version: imageio-ffmpeg 0.6.0 (FFmpeg 7.0.2 with libx264 164 r3191).
# Input: pictures that move, 30 macroblocks wide, encoded with preset veryfast on one thread. glibc fills memory that it gives out with the
#   complement of a byte (MALLOC_PERTURB_), another in each run.
# Guess written down before it was run: later revisions of 164 are free of it.
# Seen on an AMD EPYC: three streams of five runs. With asm=AVX2 one stream. Debian's 164 r3095 and r3108 and 165 r3222 behave alike.
set -euo pipefail
grep -q avx512 /proc/cpuinfo || {
  echo "this processor has no AVX-512: nothing to see" >&2
  exit 1
}
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
cd "$dir"
python3 -m venv venv
venv/bin/pip --quiet --disable-pip-version-check install imageio-ffmpeg==0.6.0
ffmpeg=$(venv/bin/python -c "import imageio_ffmpeg; print(imageio_ffmpeg.get_ffmpeg_exe())")
"$ffmpeg" -nostdin -v error -f lavfi -i "testsrc2=s=960x720:r=25:d=4,noise=alls=20:all_seed=7" \
  -vf "crop=480:360:x=20*t+40:y=60+20*sin(t),format=yuv420p" -c:v libx264 -qp 0 source.mkv
streams() { # how many different streams five runs give
  local byte
  for byte in 0 1 2 170 254; do
    MALLOC_PERTURB_=$byte "$ffmpeg" -nostdin -v error -y -threads 1 -i source.mkv -threads 1 \
      -c:v libx264 -preset veryfast -crf 23 -bf 0 -g 50 -flags +cgop "$@" -bitexact -f h264 "$byte.h264"
  done
  grep -q "core 164 r3191" 0.h264 || {
    echo "not libx264 164 r3191" >&2
    exit 1
  }
  md5sum -- *.h264 | cut -d' ' -f1 | sort -u | wc -l
}
all=$(streams) narrow=$(streams -x264-params asm=AVX2)
echo "all instructions: $all streams; AVX2: $narrow"
[[ $all -gt 1 && $narrow == 1 ]]
