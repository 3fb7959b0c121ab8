// A track's colour: that of the annotated video, so that one object looks the same in both.

const known = new Map();

/** `#rrggbb` of a track: hues a golden ratio apart never come close for neighbouring ids. */
export function colourOf(track) {
  let colour = known.get(track);
  if (colour === undefined) {
    const hue = Number(BigInt.asUintN(64, BigInt(track) * 0x9e3779b97f4a7c15n) >> 40n) / 2 ** 24;
    colour = hex(hue, 0.78, 0.98);
    known.set(track, colour);
  }
  return colour;
}

/** Black or white, whichever is read better on the colour. */
export function inkOn(colour) {
  const [r, g, b] = [1, 3, 5].map((at) => parseInt(colour.slice(at, at + 2), 16));
  return 0.299 * r + 0.587 * g + 0.114 * b > 140 ? "#000000" : "#ffffff";
}

function hex(hue, saturation, value) {
  const part = (n) => {
    const k = (n + hue * 6) % 6;
    return Math.round(255 * (value - value * saturation * Math.min(1, Math.max(0, Math.min(k, 4 - k)))));
  };
  return "#" + [5, 3, 1].map((n) => part(n).toString(16).padStart(2, "0")).join("");
}
