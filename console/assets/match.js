// Which frame a picture of the browser is, by the picture: the server's own decoder says how the frame and its neighbours look.

import * as api from "./api.js";

const SIDE = 32;
const PLANE = SIDE * SIDE;
/** Mean difference of two thumbnails of one frame, at most: the browser converts colours in its own way. */
const MOST_DIFFERENT = 14;
/** What a neighbour may be nearer by, for the same reason. */
const TOLERANCE = 0.25;

const canvas = new OffscreenCanvas(SIDE, SIDE);
const pen = canvas.getContext("2d", { willReadFrequently: true });

function thumbOf(picture) {
  pen.imageSmoothingEnabled = true;
  pen.imageSmoothingQuality = "high";
  pen.drawImage(picture, 0, 0, SIDE, SIDE);
  const pixels = pen.getImageData(0, 0, SIDE, SIDE).data;
  const planes = new Uint8Array(3 * PLANE);
  for (let at = 0; at < PLANE; at++)
    for (let plane = 0; plane < 3; plane++) planes[plane * PLANE + at] = pixels[4 * at + plane];
  return planes;
}

function difference(one, other) {
  let sum = 0;
  for (let at = 0; at < one.length; at++) sum += Math.abs(one[at] - other[at]);
  return sum / one.length;
}

/** Whether the picture is that of the frame, and not that of the frame before or after it. */
export async function isPictureOf(request, frame, picture) {
  const seen = thumbOf(picture);
  // Of each: a byte that says whether it is the frame before (0), the frame (1) or the frame after it (2), then its planes.
  const bytes = await api.thumbs(request, frame);
  const differences = [Infinity, Infinity, Infinity];
  for (let at = 0; at < bytes.length; at += 1 + 3 * PLANE)
    differences[bytes[at]] = difference(seen, bytes.subarray(at + 1, at + 1 + 3 * PLANE));
  const [before, itself, after] = differences;
  return itself <= MOST_DIFFERENT && itself <= Math.min(before, after) + TOLERANCE;
}
