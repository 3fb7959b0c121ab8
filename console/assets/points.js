// The points of a line or zone as numbers: what a pointer drags, keys change, too.

import { html, useEffect, useRef } from "./html.js";
import { LEAST } from "./shapes.js";

const AXES = ["x", "y"];
const rounded = (value) => Math.round(10 * value) / 10;
const middle = ([ax, ay], [bx, by]) => [rounded((ax + bx) / 2), rounded((ay + by) / 2)];

/** The number of a field within the picture, or null where it has none. */
export function within(text, most) {
  const value = Number(text);
  return text.trim() === "" || !Number.isFinite(value) ? null : Math.max(0, Math.min(most, value));
}

/** A line from top to bottom, a zone or a point in the middle of the picture. */
export function placed(kind, { width_px: width, height_px: height }) {
  const [xs, ys] = [width, height].map((length) => [1, 2, 3].map((part) => rounded((length * part) / 4)));
  if (kind === "mark") return [xs[1], ys[1]];
  return kind === "line" ? [[xs[1], ys[0]], [xs[1], ys[2]]] : [[xs[0], ys[0]], [xs[2], ys[0]], [xs[2], ys[2]], [xs[0], ys[2]]];
}

/** Fields for x and y of a point; `set` is given the changed point. */
export function PointFields({ name, point, size, set }) {
  const change = (axis) => (event) => {
    const value = within(event.target.value, size[axis]);
    if (value === null) event.target.value = point[axis];
    else set(point.map((one, which) => (which === axis ? value : one)));
  };
  return AXES.map((axis, which) => html`<label class="small">${axis} <input type="number" step="any" min="0" max=${size[which]} value=${point[which]} onChange=${change(which)} aria-label=${`${name}, ${axis} in pixels`} /></label>`);
}

/** The points of the shape at a place of the draft. */
export function Points({ shape, at, draft, size }) {
  const details = useRef();
  const { name, kind, points } = shape;
  useEffect(() => {
    if (draft.placed === null || draft.placed.isMark || draft.placed.at !== at) return;
    details.current.open = true;
    details.current.querySelector("input").focus();
  }, [draft.placed]);
  const set = (changed) => draft.change(at, { points: changed });
  const insert = (place) => set(points.toSpliced(place + 1, 0, middle(points[place], points[(place + 1) % points.length])));
  const remove = (place) => {
    set(points.toSpliced(place, 1));
    // Its button is gone, or another point's now.
    details.current.querySelector("summary").focus();
  };
  const has = (place) => kind === "zone" || place < points.length - 1;
  return html`
    <details class="points" ref=${details}>
      <summary>Points <span class="hidden">of ${name}</span></summary>
      <ol>
        ${points.map(
          (point, place) => html`<li key=${place}>
            <${PointFields} name=${`Point ${place + 1} of ${name}`} point=${point} size=${size} set=${(changed) => set(points.with(place, changed))} />
            <button type="button" class="small" disabled=${!has(place)} aria-label=${`Add a point after point ${place + 1} of ${name}`} onClick=${() => insert(place)}>+</button>
            <button type="button" class="small" disabled=${points.length <= LEAST[kind]} aria-label=${`Remove point ${place + 1} of ${name}`} onClick=${() => remove(place)}>✕</button>
          </li>`,
        )}
      </ol>
    </details>
  `;
}
