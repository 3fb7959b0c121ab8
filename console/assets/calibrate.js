// Calibration: points of the picture whose places on the ground are known, so that speeds are in metres a second.

import { html, useEffect, useRef } from "./html.js";
import { PointFields } from "./points.js";
import { number } from "./text.js";

const LEAST = 4;
const isNumber = (value) => String(value).trim() !== "" && Number.isFinite(Number(value));

/** What of a scene the marks are: nothing until there are enough, each with its place. */
export function calibrationOf(marks) {
  if (marks.length < LEAST || !marks.every(({ metre }) => metre.every(isNumber))) return {};
  return { calibration: marks.map(({ pixel, metre }) => ({ pixel, metre: metre.map(Number) })) };
}

/** The marks with their places in metres, and the speeds that come of them. */
export function Calibration({ draft, size }) {
  const { marks, setMarks, counts, scene } = draft;
  const table = useRef();
  useEffect(() => {
    // The point that was placed without a pointer.
    if (draft.placed?.isMark) table.current?.querySelector("tbody tr:last-child input").focus();
  }, [draft.placed]);
  if (marks.length === 0) return null;
  const change = (at, changed) => setMarks(marks.map((mark, place) => (place === at ? { ...mark, ...changed } : mark)));
  const set = (at, axis) => (event) => change(at, { metre: marks[at].metre.map((one, which) => (which === axis ? event.target.value : one)) });
  const missing = LEAST - marks.length;
  return html`
    <div class="calibration" ref=${table}>
      <table>
        <caption>Calibration: where each point is on the ground, in metres from any corner</caption>
        <thead><tr><th scope="col">Point</th><th scope="col">in the picture, px</th><th scope="col">to the right, m</th><th scope="col">away, m</th><th scope="col"><span class="hidden">Remove</span></th></tr></thead>
        <tbody>
          ${marks.map(
            (mark, at) => html`<tr key=${at}>
              <th scope="row">${at + 1}</th>
              <td><${PointFields} name=${`Point ${at + 1}`} point=${mark.pixel} size=${size} set=${(pixel) => change(at, { pixel })} /></td>
              ${mark.metre.map((value, axis) => html`<td><input type="number" step="any" value=${value} onInput=${set(at, axis)} aria-label=${`Point ${at + 1}, ${axis === 0 ? "metres to the right" : "metres away"}`} /></td>`)}
              <td><button type="button" aria-label=${`Remove point ${at + 1}`} onClick=${() => setMarks(marks.filter((_, place) => place !== at))}>✕</button></td>
            </tr>`,
          )}
        </tbody>
      </table>
      <button type="button" class="small" onClick=${() => draft.place("mark")}>Add a point</button>
      <p class="small" role="status">
        ${missing > 0 && `${missing} more ${missing === 1 ? "point is" : "points are"} needed.`}
        ${missing <= 0 && !scene.calibration && "Give each point its place."}
        ${scene.calibration && counts?.residual_m !== undefined && counts.residual_m !== null && `The points fit to ${counts.residual_m.toFixed(2)} m.${marks.length === LEAST ? " With four points the residual is always 0: a fifth point shows how good they are." : ""}`}
        ${scene.calibration && counts?.speeds?.map((row) => ` ${number(row.tracks)} ${row.class_name}: ${row.median_m_s.toFixed(2)} m/s in the middle, ${row.fastest_m_s.toFixed(2)} m/s at most.`)}
      </p>
    </div>
  `;
}
