// Boxes, ids, trails and labels of one frame, drawn on the canvas that has its picture.

import { colourOf, inkOn } from "./colour.js";

const TRAIL_FRAMES = 30;

/** How wide labels are in a font: asking the browser takes longer than drawing them. */
const widths = { font: "", of: new Map() };

function widthOf(context, label) {
  if (widths.font !== context.font || widths.of.size > 50_000) Object.assign(widths, { font: context.font, of: new Map() });
  let width = widths.of.get(label);
  if (width === undefined) widths.of.set(label, (width = context.measureText(label).width));
  return width;
}

/**
 * Draws the tracks of `frame`. `scale` is canvas pixels a pixel of the upright picture, across and down.
 * The rows drawn are those of the block; so what is drawn is of this frame or not drawn at all.
 */
export function drawOverlay(context, { boxes, frame, scale, options, selected, passes, className }) {
  const block = boxes.has(frame);
  if (block === undefined) return false;
  const [first, end] = block.rows(frame);
  const [sx, sy] = scale;
  const line = Math.max(2, Math.round(context.canvas.height / 360));
  const shown = [];
  for (let row = first; row < end; row++) if (passes(block.track[row])) shown.push(row);
  const dim = (track) => (selected !== null && options.dim && track !== selected ? 0.22 : 1);

  if (options.blur) for (const row of shown) blur(context, block, row, sx, sy);
  if (options.trails) drawTrails(context, boxes, frame, new Set(shown.map((row) => block.track[row])), scale, line, dim);
  context.lineJoin = "miter";
  for (const row of shown) {
    const track = block.track[row];
    context.globalAlpha = dim(track);
    const [x, y] = [block.x1[row] * sx, block.y1[row] * sy];
    const [width, height] = [(block.x2[row] - block.x1[row]) * sx, (block.y2[row] - block.y1[row]) * sy];
    if (options.boxes) {
      context.strokeStyle = colourOf(track);
      context.lineWidth = track === selected ? line * 2 : line;
      context.setLineDash(block.observed[row] ? [] : [line * 3, line * 2]);
      context.strokeRect(x, y, width, height);
    }
  }
  context.setLineDash([]);
  const text = (row) =>
    [
      options.ids ? `#${block.track[row]}` : "",
      options.labels ? className(block.class[row]) : "",
      options.scores ? block.score[row].toFixed(2) : "",
    ]
      .filter(Boolean)
      .join(" ");
  const size = Math.max(11, Math.round(context.canvas.height / 42));
  context.font = `600 ${size}px system-ui, sans-serif`;
  context.textBaseline = "middle";
  for (const row of shown) {
    const label = text(row);
    if (label === "") continue;
    const colour = colourOf(block.track[row]);
    context.globalAlpha = dim(block.track[row]);
    const width = widthOf(context, label) + size * 0.6;
    const x = Math.max(0, Math.min(block.x1[row] * sx - line / 2, context.canvas.width - width));
    const above = block.y1[row] * sy - size * 1.4;
    const y = above >= 0 ? above : block.y1[row] * sy;
    context.fillStyle = colour;
    context.fillRect(x, y, width, size * 1.4);
    context.fillStyle = inkOn(colour);
    context.fillText(label, x + size * 0.3, y + size * 0.72);
  }
  context.globalAlpha = 1;
  return true;
}

/** Boxes of ground truth: white and dashed over black, so that they show on any picture, with their id below. */
export function drawTruth(context, boxes, [sx, sy]) {
  const line = Math.max(2, Math.round(context.canvas.height / 360));
  const size = Math.max(11, Math.round(context.canvas.height / 48));
  context.font = `600 ${size}px system-ui, sans-serif`;
  context.textBaseline = "top";
  for (const { id, box: [x1, y1, x2, y2] } of boxes) {
    const place = [x1 * sx, y1 * sy, (x2 - x1) * sx, (y2 - y1) * sy];
    context.lineWidth = line;
    context.strokeStyle = "#000";
    context.strokeRect(...place);
    context.setLineDash([line * 2, line * 2]);
    context.strokeStyle = "#fff";
    context.strokeRect(...place);
    context.setLineDash([]);
    const [label, x] = [String(id), x1 * sx];
    const y = Math.min(y2 * sy + line, context.canvas.height - size * 1.2);
    context.fillStyle = "#000";
    context.fillRect(x, y, context.measureText(label).width + size * 0.5, size * 1.2);
    context.fillStyle = "#fff";
    context.fillText(label, x + size * 0.25, y + size * 0.15);
  }
}

function drawTrails(context, boxes, frame, tracks, [sx, sy], line, dim) {
  const paths = new Map();
  for (let at = Math.max(0, frame - TRAIL_FRAMES); at <= frame; at++) {
    const block = boxes.has(at);
    if (block === undefined) continue;
    const [first, end] = block.rows(at);
    for (let row = first; row < end; row++) {
      const track = block.track[row];
      if (!tracks.has(track)) continue;
      if (!paths.has(track)) paths.set(track, []);
      paths.get(track).push(((block.x1[row] + block.x2[row]) / 2) * sx, block.y2[row] * sy);
    }
  }
  context.lineCap = "butt";
  for (const [track, points] of paths) {
    context.globalAlpha = 0.85 * dim(track);
    context.strokeStyle = colourOf(track);
    context.lineWidth = line;
    context.beginPath();
    // Points that are hardly apart show nothing, and without a graphics card each of them costs as much as a box.
    let [x, y] = [Infinity, Infinity];
    for (let at = 0; at < points.length; at += 2) {
      const isLast = at === points.length - 2;
      if (!isLast && Math.abs(points[at] - x) + Math.abs(points[at + 1] - y) < 2 * line) continue;
      [x, y] = [points[at], points[at + 1]];
      context.lineTo(x, y);
    }
    context.stroke();
  }
  context.globalAlpha = 1;
}

const small = new OffscreenCanvas(8, 8);

/** Makes what is in a box unrecognisable on this screen; what is stored stays as it is. */
function blur(context, block, row, sx, sy) {
  const pad = 0.05 * (block.y2[row] - block.y1[row]);
  const x = Math.max(0, Math.floor((block.x1[row] - pad) * sx));
  const y = Math.max(0, Math.floor((block.y1[row] - pad) * sy));
  const width = Math.min(context.canvas.width, Math.ceil((block.x2[row] + pad) * sx)) - x;
  const height = Math.min(context.canvas.height, Math.ceil((block.y2[row] + pad) * sy)) - y;
  if (width < 1 || height < 1) return;
  const pen = small.getContext("2d");
  pen.imageSmoothingEnabled = true;
  pen.drawImage(context.canvas, x, y, width, height, 0, 0, 8, 8);
  context.imageSmoothingEnabled = false;
  context.drawImage(small, 0, 0, 8, 8, x, y, width, height);
  context.imageSmoothingEnabled = true;
}
