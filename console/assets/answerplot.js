// The plot of any answer: bars for kinds, a line or points over a number. Which columns are plotted is chosen, and is part of the address.

import { param, setParam } from "./address.js";
import { MOST_SERIES, Sample, nice } from "./chart.js";
import { html, useMemo, useState } from "./html.js";
import { number } from "./text.js";

const [WIDTH, HEIGHT] = [640, 260];
const [LEFT, RIGHT, TOP, BOTTOM] = [64, 12, 10, 42];
const MOST_BARS = 40;
const SHORT = 14;

const isNumber = (value) => value !== null && value !== "" && Number.isFinite(Number(value));
/** Columns in which every value is a number, or nothing, and not all are nothing. */
const numeric = ({ columns, rows }) => columns.map((_, at) => rows.some((row) => row[at] !== null) && rows.every((row) => row[at] === null || isNumber(row[at])));

/** What is plotted unless somebody chooses: the last number over the first column, each kind by itself where there are few. */
function chosen(answer) {
  const numbers = numeric(answer);
  const up = numbers.lastIndexOf(true);
  if (up < 0 || answer.rows.length === 0) return null;
  const others = answer.columns.map((_, at) => at).filter((at) => at !== up);
  const across = others.find((at) => numbers[at]) ?? others[0] ?? -1;
  const kinds = (at) => new Set(answer.rows.map((row) => row[at])).size;
  const by = numbers[across] ? (others.find((at) => at !== across && !numbers[at] && kinds(at) > 1 && kinds(at) <= MOST_SERIES) ?? -1) : -1;
  return { across, up, by };
}

/** The columns that the address names, where this answer has them. */
function addressed(answer) {
  const [across, up, by] = (param("plot") ?? "").split(".").map(Number);
  const has = (at, least) => Number.isInteger(at) && at >= least && at < answer.columns.length;
  return has(across, -1) && has(up, 0) && has(by, -1) && numeric(answer)[up] ? { across, up, by } : null;
}

export const isPlotted = () => param("plot") !== null;

export function AnswerPlot({ answer }) {
  const [of, setOf] = useState(() => addressed(answer) ?? chosen(answer));
  const numbers = useMemo(() => numeric(answer), [answer]);
  if (of === null) return html`<p class="empty">There is no column of numbers to plot.</p>`;
  const choose = (change) => {
    const next = { ...of, ...change };
    // Bars are of one kind each already.
    if (next.across >= 0 && !numbers[next.across]) next.by = -1;
    setOf(next);
    setParam("plot", `${next.across}.${next.up}.${next.by}`);
  };
  const select = (label, key, columns, none) => html`
    <label>${label} <select value=${String(of[key])} onChange=${(event) => choose({ [key]: Number(event.target.value) })}>
      ${none !== null && html`<option value="-1">${none}</option>`}
      ${columns.map((at) => html`<option value=${String(at)}>${answer.columns[at].name}</option>`)}
    </select></label>`;
  const all = answer.columns.map((_, at) => at);
  return html`
    <figure class="plot" data-plot="answer">
      <div class="controls">
        ${select("Up", "up", all.filter((at) => numbers[at]), null)}
        ${select("Across", "across", all, "the rows in their order")}
        ${select("A line each", "by", all.filter((at) => !numbers[at]), "none")}
      </div>
      ${of.across >= 0 && !numbers[of.across] ? html`<${Bars} answer=${answer} of=${of} />` : html`<${Lines} answer=${answer} of=${of} />`}
    </figure>
  `;
}

/** Marks at an axis from `low` to `high`, and what is written at them. */
function marks(low, high, most) {
  if (!(high > low)) return [low];
  const step = nice(high - low, most);
  const first = Math.ceil(low / step - 1e-9);
  return Array.from({ length: Math.floor(high / step + 1e-9) - first + 1 }, (_, at) => Number(((first + at) * step).toPrecision(12)));
}

const shown = (value) => (Math.abs(value) >= 1e6 || Number.isInteger(value) ? number(value) : String(value));

function Axis({ low, high, y }) {
  return marks(low, high, 5).map(
    (value) => html`<g><line class="grid-line" x1=${LEFT} x2=${WIDTH - RIGHT} y1=${y(value)} y2=${y(value)} /><text class="end" x=${LEFT - 6} y=${y(value) + 4}>${shown(value)}</text></g>`,
  );
}

/** The least and the most of what is drawn upwards; zero is always between them. */
function bounds(values) {
  const low = values.reduce((a, b) => Math.min(a, b), Infinity);
  const high = values.reduce((a, b) => Math.max(a, b), -Infinity);
  return [Math.min(0, low), Math.max(0, high) || 1];
}

function Bars({ answer, of: { across, up } }) {
  const found = new Map();
  for (const row of answer.rows) if (row[up] !== null) found.set(row[across] ?? "NULL", (found.get(row[across] ?? "NULL") ?? 0) + Number(row[up]));
  const bars = [...found].slice(0, MOST_BARS);
  const [low, high] = bounds(bars.map(([, value]) => value));
  const y = (value) => HEIGHT - BOTTOM - ((HEIGHT - TOP - BOTTOM) * (value - low)) / (high - low);
  const wide = (WIDTH - LEFT - RIGHT) / bars.length;
  const [kind, what] = [answer.columns[across].name, answer.columns[up].name];
  const label = `${what} by ${kind}: ${bars.map(([name, value]) => `${name}: ${shown(value)}`).join(", ")}.`;
  return html`
    <svg class="chart" viewBox=${`0 0 ${WIDTH} ${HEIGHT}`} role="img" aria-label=${label}>
      <${Axis} low=${low} high=${high} y=${y} />
      ${bars.map(([name, value], at) => html`
        <rect class="bar s0" x=${LEFT + wide * at + 1} width=${Math.max(1, wide - 2)} y=${Math.min(y(value), y(0))} height=${Math.abs(y(value) - y(0))}><title>${name}: ${shown(value)}</title></rect>
        ${wide >= 28 && html`<text class="middle" x=${LEFT + wide * (at + 0.5)} y=${HEIGHT - BOTTOM + 16}>${name.length * 7 > wide ? `${name.slice(0, Math.max(3, Math.min(SHORT, Math.floor(wide / 7) - 1)))}…` : name}</text>`}`)}
      <text class="axis middle" x=${(LEFT + WIDTH - RIGHT) / 2} y=${HEIGHT - 6}>${kind}</text>
    </svg>
    ${found.size > MOST_BARS && html`<p class="id">The first ${MOST_BARS} of ${number(found.size)} are drawn.</p>`}
  `;
}

function Lines({ answer, of: { across, up, by } }) {
  const series = useMemo(() => {
    const found = new Map();
    answer.rows.forEach((row, at) => {
      if (row[up] === null || (across >= 0 && row[across] === null)) return;
      const name = by < 0 ? answer.columns[up].name : (row[by] ?? "NULL");
      if (!found.has(name)) found.set(name, []);
      found.get(name).push([across < 0 ? at : Number(row[across]), Number(row[up])]);
    });
    for (const points of found.values()) points.sort((a, b) => a[0] - b[0]);
    return [...found].sort((a, b) => b[1].length - a[1].length);
  }, [answer, across, up, by]);
  const drawn = series.slice(0, MOST_SERIES);
  const points = drawn.flatMap(([, points]) => points);
  if (points.length === 0) return html`<p class="empty">These columns have no number in the same row.</p>`;
  const [low, high] = bounds(points.map(([, value]) => value));
  const from = points.reduce((a, [at]) => Math.min(a, at), Infinity);
  const to = points.reduce((a, [at]) => Math.max(a, at), -Infinity);
  const x = (at) => LEFT + ((WIDTH - LEFT - RIGHT) * (at - from)) / (to - from || 1);
  const y = (value) => HEIGHT - BOTTOM - ((HEIGHT - TOP - BOTTOM) * (value - low)) / (high - low);
  const what = across < 0 ? "rows" : answer.columns[across].name;
  const label = `${answer.columns[up].name} over ${what}, from ${shown(from)} to ${shown(to)}: ${drawn.map(([name, points]) => `${name}: ${number(points.length)} values`).join(", ")}.`;
  return html`
    <svg class="chart" viewBox=${`0 0 ${WIDTH} ${HEIGHT}`} role="img" aria-label=${label}>
      <${Axis} low=${low} high=${high} y=${y} />
      ${marks(from, to, 8).map((value) => html`<text class="middle" x=${x(value)} y=${HEIGHT - BOTTOM + 16}>${shown(value)}</text>`)}
      <text class="axis middle" x=${(LEFT + WIDTH - RIGHT) / 2} y=${HEIGHT - 6}>${what}</text>
      ${drawn.map(([name, points], which) =>
        points.length === 1
          ? html`<circle key=${name} class=${`dot s${which}`} r="3" cx=${x(points[0][0])} cy=${y(points[0][1])} />`
          : html`<path key=${name} class=${`line s${which}`} d=${"M" + points.map(([at, value]) => `${x(at).toFixed(1)} ${y(value).toFixed(1)}`).join("L")} />`,
      )}
    </svg>
    ${by >= 0 && html`<ul class="legend">${drawn.map(([name], which) => html`<li key=${name}><${Sample} which=${which} /> ${name}</li>`)}</ul>`}
    ${series.length > MOST_SERIES && html`<p class="id">The ${MOST_SERIES} of ${number(series.length)} with the most rows are drawn.</p>`}
  `;
}
