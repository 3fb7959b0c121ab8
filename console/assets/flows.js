// From which line or zone to which: the matrix of origins and destinations.

import { html, useState } from "./html.js";
import { number } from "./text.js";

export const flowsSql = (facts) => `SELECT scene, class_name, origin, destination, moves, identities\nFROM flows\nWHERE request_id = '${facts.request_id}'\nORDER BY ALL`;

const COUNTS = [["identities", "objects, from the first to the last"], ["moves", "moves, from one directly to the next"]];

/** A table a scene: rows are origins, columns destinations. */
export function Matrix({ answer }) {
  const [which, setWhich] = useState("identities");
  const [chosen, setChosen] = useState("");
  const lines = answer.rows.map(([scene, class_name, origin, destination, moves, identities]) => ({ scene, class_name, origin, destination, moves: Number(moves), identities: Number(identities) }));
  const classes = [...new Set(lines.map((line) => line.class_name))];
  const scenes = [...new Set(lines.map((line) => line.scene))];
  return html`
    <div class="controls">
      <label class="small">Count <select value=${which} onChange=${(event) => setWhich(event.target.value)}>${COUNTS.map(([name, text]) => html`<option value=${name}>${text}</option>`)}</select></label>
      ${classes.length > 1 &&
      html`<label class="small">Class <select value=${chosen} onChange=${(event) => setChosen(event.target.value)}>
        <option value="">all</option>${classes.map((name) => html`<option value=${name}>${name}</option>`)}
      </select></label>`}
    </div>
    ${scenes.map((scene) => html`<${Of} key=${scene} scene=${scene} which=${which} lines=${lines.filter((line) => line.scene === scene && (chosen === "" || line.class_name === chosen))} />`)}
  `;
}

function Of({ scene, which, lines }) {
  const sums = new Map();
  for (const line of lines) {
    const key = JSON.stringify([line.origin, line.destination]);
    sums.set(key, (sums.get(key) ?? 0) + line[which]);
  }
  const of = (name) => [...new Set(lines.map((line) => line[name]))].sort();
  const [origins, destinations] = [of("origin"), of("destination")];
  const count = (from, to) => sums.get(JSON.stringify([from, to])) ?? 0;
  const most = Math.max(1, ...sums.values());
  const total = (list, value) => list.reduce((sum, one) => sum + value(one), 0);
  return html`
    <div class="scroll matrix" tabindex="0" role="group" aria-label=${`Flows of scene ${scene}`}>
      <table>
        <caption>${scene}: from the row to the column</caption>
        <thead><tr><th scope="col">from</th>${destinations.map((to) => html`<th scope="col" class="number">${to}</th>`)}<th scope="col" class="number">all</th></tr></thead>
        <tbody>
          ${origins.map(
            (from) => html`<tr key=${from}>
              <th scope="row">${from}</th>
              ${destinations.map((to) => html`<td class="number" data-share=${Math.ceil((4 * count(from, to)) / most)}>${count(from, to) === 0 ? "" : number(count(from, to))}</td>`)}
              <td class="number">${number(total(destinations, (to) => count(from, to)))}</td>
            </tr>`,
          )}
        </tbody>
      </table>
    </div>
  `;
}
