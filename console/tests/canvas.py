"""What a person sees on the player's canvas, read from its pixels."""

import time

import clips

#: Seconds that no state takes to come, on a busy machine either.
HANGS_S = 180

READ = """(tracks) => {
  const canvas = document.querySelector("canvas");
  const pen = canvas.getContext("2d");
  const {width, height} = canvas;
  const row = pen.getImageData(0, Math.floor(height * BAND / HEIGHT / 2), width, 1).data;
  let number = 0;
  for (let bit = 0; bit < BITS; bit++) if (row[4 * Math.floor((2 * bit + 1) * width / (2 * BITS)) + 1] > 128) number |= 1 << bit;
  // The left edge of a track's box: the first column that has its colour in enough rows.
  const all = pen.getImageData(0, 0, width, height).data;
  const edges = {};
  for (const [track, [r, g, b]] of Object.entries(tracks)) {
    const [counts, least] = [new Uint16Array(width), height / 16];
    for (let y = Math.ceil(height * BAND / HEIGHT); y < height; y++) for (let x = 0; x < width; x++) {
      const at = 4 * (y * width + x);
      if (Math.abs(all[at] - r) + Math.abs(all[at + 1] - g) + Math.abs(all[at + 2] - b) < 70) counts[x]++;
    }
    const first = counts.findIndex((count) => count >= least);
    let last = first;
    while (first >= 0 && counts[last + 1] >= least) last++;
    edges[track] = first < 0 ? null : (first + last + 1) / 2 / width;
  }
  return {number, edges, believed: Number(canvas.dataset.frame), from: canvas.dataset.from};
}""".replace("BITS", str(clips.BITS)).replace("BAND", str(clips.BAND)).replace("HEIGHT", str(clips.HEIGHT))


def colour(track):
    """As shared/media/src/paint.rs gives it."""
    hue = ((track * 0x9E3779B97F4A7C15 % 2**64) >> 40) / 2**24
    part = lambda n: round(255 * (0.98 - 0.98 * 0.78 * min(1, max(0, min((n + hue * 6) % 6, 4 - (n + hue * 6) % 6)))))
    return [part(5), part(3), part(1)]


def becomes(page, read, wanted, what=""):
    """Reads what the page shows, once for each time that it is painted, until it is what is wanted."""
    deadline = time.monotonic() + HANGS_S
    while (seen := read()) != wanted:
        assert time.monotonic() < deadline, f"{what}: the page shows {seen}, wanted {wanted}"
        page.evaluate("() => new Promise((painted) => requestAnimationFrame(() => painted()))")
