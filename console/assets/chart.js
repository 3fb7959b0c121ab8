// Charts as SVG: steps over time, and bars. What is drawn can be read by a screen reader, and told apart without colours.

import { html, useRef, useState } from "./html.js";
import { moved } from "./roam.js";
import { number } from "./text.js";

const [WIDTH, HEIGHT] = [640, 220];
const [LEFT, RIGHT, TOP, BOTTOM] = [48, 12, 10, 40];
/** Series that are drawn: as many as have a colour and a dash of their own. */
export const MOST_SERIES = 7;

/** A length of 1, 2 or 5 times a power of ten, of which at most this many fill the span. */
export function nice(span, most) {
  const least = span / most;
  const power = 10 ** Math.floor(Math.log10(least));
  return [1, 2, 5, 10].map((times) => times * power).find((step) => step >= least * (1 - 1e-9));
}

/** What is written at the axes: whole numbers of objects, and times. */
function ticks(end, most, isWhole) {
  if (!(end > 0)) return [0];
  const step = isWhole ? Math.max(1, nice(end, most)) : nice(end, most);
  return Array.from({ length: Math.floor(end / step + 1e-9) + 1 }, (_, at) => Number((at * step).toPrecision(12)));
}

/**
 * Series over equal intervals. `series` is a list of `{name, values}`, each with one value an interval of `step` seconds from 0 on, the largest first;
 * `kind` is "steps" or "bars". `of` is what is counted, `label` says what the whole shows.
 */
export function Chart({ series, step, kind, of, across, label }) {
  const svg = useRef();
  const [at, setAt] = useState(null);
  const count = series[0].values.length;
  const most = Math.max(1, ...series.map(({ values }) => values.reduce((a, b) => Math.max(a, b), 0)));
  const x = (interval) => LEFT + ((WIDTH - LEFT - RIGHT) * interval) / count;
  const y = (value) => HEIGHT - BOTTOM - ((HEIGHT - TOP - BOTTOM) * value) / most;
  const pointed = (event) => {
    const place = svg.current.getBoundingClientRect();
    const interval = Math.floor((((event.clientX - place.left) / place.width) * WIDTH - LEFT) / ((WIDTH - LEFT - RIGHT) / count));
    setAt(interval >= 0 && interval < count ? interval : null);
  };
  const pressed = (event) => {
    const next = moved(event.key, [at ?? -1, 0], [count, 1]);
    if (event.ctrlKey || event.metaKey || event.altKey || next === null || event.key.endsWith("Up") || event.key.endsWith("Down")) return;
    event.preventDefault();
    setAt(next[0]);
  };
  const round = (value) => Number((value * step).toPrecision(12));
  const span = (interval) => `${round(interval)} to ${round(interval + 1)} s`;
  const path = (values) => `M${x(0)} ${y(values[0]).toFixed(1)}` + values.map((value, interval) => `V${y(value).toFixed(1)}H${x(interval + 1).toFixed(1)}`).join("");
  const read = at === null ? "" : `${span(at)}: ${series.map(({ name, values }) => `${number(values[at])} ${name}`).join(", ")}`;
  return html`
    <svg ref=${svg} class="chart" viewBox=${`0 0 ${WIDTH} ${HEIGHT}`} role="application" tabindex="0" aria-label=${`${label} Arrow keys read the values.`} onPointerMove=${pointed} onPointerLeave=${() => setAt(null)} onKeyDown=${pressed} onBlur=${() => setAt(null)}>
      ${ticks(most, 5, true).map(
        (value) => html`<g><line class="grid-line" x1=${LEFT} x2=${WIDTH - RIGHT} y1=${y(value)} y2=${y(value)} /><text class="end" x=${LEFT - 6} y=${y(value) + 4}>${number(value)}</text></g>`,
      )}
      ${ticks(count * step, 8, false).map((value) => html`<text class="middle" x=${x(value / step)} y=${HEIGHT - BOTTOM + 16}>${value}</text>`)}
      <text class="axis middle" x=${(LEFT + WIDTH - RIGHT) / 2} y=${HEIGHT - 6}>${across}</text>
      ${kind === "bars"
        ? series[0].values.map(
            (value, interval) => value > 0 && html`<rect class="bar s0" x=${x(interval) + 0.5} width=${Math.max(1, x(1) - x(0) - 1)} y=${y(value)} height=${HEIGHT - BOTTOM - y(value)}><title>${span(interval)}: ${number(value)} ${of}</title></rect>`,
          )
        : series.map(({ name, values }, which) => html`<path key=${name} class=${`line s${which}`} d=${path(values)} />`).reverse()}
      ${at !== null && html`<line class="rule" x1=${(x(at) + x(at + 1)) / 2} x2=${(x(at) + x(at + 1)) / 2} y1=${TOP} y2=${HEIGHT - BOTTOM} />`}
    </svg>
    <p class="read id" aria-live="polite">${read}</p>
  `;
}

/** The line of a series beside its name. */
export function Sample({ which }) {
  return html`<svg class="sample" viewBox="0 0 28 10" width="28" height="10" aria-hidden="true"><path class=${`line s${which}`} d="M1 5H27" /></svg>`;
}
