// Calibration: points of the picture whose places on the ground are known, so that speeds are in metres a second.

import { html } from "./html.js";
import { number } from "./text.js";

const LEAST = 4;
const isNumber = (value) => String(value).trim() !== "" && Number.isFinite(Number(value));

/** What of a scene the marks are: nothing until there are enough, each with its place. */
export function calibrationOf(marks) {
  if (marks.length < LEAST || !marks.every(({ metre }) => metre.every(isNumber))) return {};
  return { calibration: marks.map(({ pixel, metre }) => ({ pixel, metre: metre.map(Number) })) };
}

/** The marks with their places in metres, and the speeds that come of them. */
export function Calibration({ draft }) {
  const { marks, setMarks, counts, scene } = draft;
  if (marks.length === 0) return null;
  const set = (at, axis) => (event) => setMarks(marks.map((mark, place) => (place === at ? { ...mark, metre: mark.metre.map((one, which) => (which === axis ? event.target.value : one)) } : mark)));
  const missing = LEAST - marks.length;
  return html`
    <div class="calibration">
      <table>
        <caption>Calibration: where each point is on the ground, in metres from any corner</caption>
        <thead><tr><th scope="col">Point</th><th scope="col">to the right, m</th><th scope="col">away, m</th><th scope="col"><span class="hidden">Remove</span></th></tr></thead>
        <tbody>
          ${marks.map(
            (mark, at) => html`<tr key=${at}>
              <th scope="row">${at + 1}</th>
              ${mark.metre.map((value, axis) => html`<td><input type="number" step="any" value=${value} onInput=${set(at, axis)} aria-label=${`Point ${at + 1}, ${axis === 0 ? "metres to the right" : "metres away"}`} /></td>`)}
              <td><button type="button" aria-label=${`Remove point ${at + 1}`} onClick=${() => setMarks(marks.filter((_, place) => place !== at))}>✕</button></td>
            </tr>`,
          )}
        </tbody>
      </table>
      <p class="small" role="status">
        ${missing > 0 && `${missing} more ${missing === 1 ? "point is" : "points are"} needed.`}
        ${missing <= 0 && !scene.calibration && "Give each point its place."}
        ${scene.calibration && counts?.residual_m !== undefined && counts.residual_m !== null && `The points fit to ${counts.residual_m.toFixed(2)} m.${marks.length === LEAST ? " Four points always do: a fifth tells how good they are." : ""}`}
        ${scene.calibration && counts?.speeds?.map((row) => ` ${number(row.tracks)} ${row.class_name}: ${row.median_m_s.toFixed(2)} m/s in the middle, ${row.fastest_m_s.toFixed(2)} m/s at most.`)}
      </p>
    </div>
  `;
}
