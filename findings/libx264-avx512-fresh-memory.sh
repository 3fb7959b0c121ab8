#!/usr/bin/env bash
# libx264 on a processor with AVX-512: the same pictures, encoded twice, give two videos.
#
# Input: pictures that move, 30 macroblocks wide, encoded with preset veryfast on one thread. glibc fills memory that it gives out with the
#   complement of a byte (MALLOC_PERTURB_), another in each run.
# Guess written down before it was run: version 164 gives different streams; 165 is free of it.
# Seen with 164 r3095 (Debian 12, FFmpeg 5.1.9), 164 r3108 (Debian 13, FFmpeg 7.1.5) and 165 r3222 (Debian sid of November 2026, FFmpeg
#   9.0.2), on an AMD EPYC: three streams of five runs, with each of them. With asm=AVX2 one stream, that of AVX-512 with bytes 0, 170 and 254.
# So no version is known to be without the fault, and Trackdrop asks every libx264 for AVX2.
set -euo pipefail
grep -q avx512 /proc/cpuinfo || {
  echo "this processor has no AVX-512: nothing to see" >&2
  exit 1
}
picture=$(cd "$(dirname "$0")/.." && pwd)/docs/demo.jpg
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
cd "$dir"
ffmpeg -nostdin -v error -loop 1 -framerate 25 -i "$picture" -t 4 \
  -vf "crop=480:360:x=20*t+40:y=60+20*sin(t),format=yuv420p" -c:v libx264 -qp 0 source.mkv
for instructions in "" "-x264-params asm=AVX2"; do
  for byte in 0 1 2 170 254; do
    # Two words or none.
    # shellcheck disable=SC2086
    MALLOC_PERTURB_=$byte ffmpeg -nostdin -v error -threads 1 -i source.mkv -threads 1 \
      -c:v libx264 -preset veryfast -crf 23 -bf 0 -g 50 -flags +cgop $instructions -bitexact -f h264 "$byte.h264"
  done
  printf '%s: %s streams\n' "${instructions:-all instructions}" "$(md5sum -- *.h264 | cut -d' ' -f1 | sort -u | wc -l)"
  rm -- *.h264
done
