// Where objects spent their time, over a picture of the video.

import * as api from "./api.js";
import { html, useMemo, useState } from "./html.js";
import { moved } from "./roam.js";
import { number } from "./text.js";

/** Cells across the picture, as in the view `heatmap`. */
const ACROSS = 32;
/** Classes up to which the cells are told apart by class: an answer has 10,000 rows at most. */
const MOST_CLASSES = 12;

/** The statement: the bottom centre of each box counts with the time until the next frame. */
export function heatSql(facts) {
  const { width_px: width, height_px: height } = facts.facts;
  const cell = width / ACROSS;
  const of = `WHERE request_id = '${facts.request_id}'`;
  const byClass = Object.keys(facts.summary?.tracks_by_class ?? {}).length <= MOST_CLASSES;
  return `WITH seen AS (
  SELECT frame_index, MIN(time_s) AS time_s FROM tracks ${of} GROUP BY ALL
), followed AS (
  SELECT frame_index, (LEAD(time_s) OVER (ORDER BY frame_index) - time_s)
    / (LEAD(frame_index) OVER (ORDER BY frame_index) - frame_index) AS lasts_s FROM seen
), frames AS (
  SELECT frame_index, COALESCE(lasts_s, LAG(lasts_s) OVER (ORDER BY frame_index), 0) AS lasts_s FROM followed
)
SELECT ${byClass ? "class_name" : "'all' AS class_name"}, CAST(FLOOR((x1 + x2) / 2 / ${cell}) AS BIGINT) AS cell_x,
       CAST(FLOOR(LEAST(y2, ${height - 0.001}) / ${cell}) AS BIGINT) AS cell_y, SUM(lasts_s) AS seconds
FROM tracks JOIN frames USING (frame_index)
${of}
GROUP BY ALL
ORDER BY ALL`;
}

/** The answer's cells, of one class or of all. */
function cellsOf({ rows }, chosen) {
  const cells = new Map();
  for (const [class_name, x, y, seconds] of rows) {
    if (chosen !== "" && class_name !== chosen) continue;
    const key = `${x} ${y}`;
    const cell = cells.get(key) ?? { x: Number(x), y: Number(y), seconds: 0 };
    cell.seconds += Number(seconds);
    cells.set(key, cell);
  }
  return [...cells.values()];
}

export function Heat({ answer, facts }) {
  const [chosen, setChosen] = useState("");
  /** The cell that is read: its place, whether an object was there or not. */
  const [at, setAt] = useState(null);
  const cells = useMemo(() => cellsOf(answer, chosen), [answer, chosen]);
  const classes = [...new Set(answer.rows.map(([name]) => name))];
  const { width_px: width, height_px: height, frame_count } = facts.facts;
  const cell = width / ACROSS;
  const most = cells.reduce((best, one) => (one.seconds > best.seconds ? one : best), { x: 0, y: 0, seconds: 0 });
  const all = cells.reduce((sum, one) => sum + one.seconds, 0);
  const place = (one) => `${Math.round((one.x + 0.5) * cell)}, ${Math.round((one.y + 0.5) * cell)}`;
  const rounded = (seconds) => (seconds < 10 ? seconds.toFixed(1) : number(Math.round(seconds)));
  const found = (x, y) => cells.find((one) => one.x === x && one.y === y) ?? { x, y, seconds: 0 };
  const pointed = (event) => {
    const box = event.currentTarget.getBoundingClientRect();
    const [x, y] = [Math.floor(((event.clientX - box.left) / box.width) * ACROSS), Math.floor((((event.clientY - box.top) / box.height) * height) / cell)];
    setAt(found(x, y).seconds > 0 ? [x, y] : null);
  };
  const pressed = (event) => {
    const next = moved(event.key, at ?? [most.x, most.y], [ACROSS, Math.ceil(height / cell)]);
    if (event.ctrlKey || event.metaKey || event.altKey || next === null) return;
    event.preventDefault();
    // The first key shows where one is.
    setAt(at === null ? [most.x, most.y] : next);
  };
  const read = at === null ? null : found(...at);
  return html`
    ${classes.length > 1 &&
    html`<label class="small">Class <select value=${chosen} onChange=${(event) => setChosen(event.target.value)}>
      <option value="">all</option>${classes.map((name) => html`<option value=${name}>${name}</option>`)}
    </select></label>`}
    <svg class="heat" viewBox=${`0 0 ${width} ${height}`} role="application" tabindex="0" onPointerMove=${pointed} onPointerLeave=${() => setAt(null)} onKeyDown=${pressed} onBlur=${() => setAt(null)}
      aria-label=${`Where objects spent their time. ${rounded(all)} seconds of objects in all; most, ${rounded(most.seconds)}, around ${place(most)}. Arrow keys read the cells.`}>
      <image href=${api.stillUrl(facts.request_id, frame_count >> 1).replace(/png$/, "jpg")} width=${width} height=${height} preserveAspectRatio="none" />
      <rect class="veil" width=${width} height=${height} />
      ${cells.map((one) => html`<rect class="cell" key=${`${one.x} ${one.y}`} x=${one.x * cell} y=${one.y * cell} width=${cell} height=${cell} fill-opacity=${(0.12 + 0.8 * Math.sqrt(one.seconds / most.seconds)).toFixed(3)} />`)}
      ${read !== null && html`<rect class="read-cell" x=${read.x * cell} y=${read.y * cell} width=${cell} height=${cell} stroke-width=${cell / 8} />`}
    </svg>
    <p class="read id" aria-live="polite">${read === null ? `${rounded(all)} s of objects in all, at most ${rounded(most.seconds)} s in a cell of ${Math.round(cell)} px, around ${place(most)}.` : `around ${place(read)}: ${read.seconds.toFixed(2)} s`}</p>
  `;
}
