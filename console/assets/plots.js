// Plots of a request, each of one statement that `trackdrop query` answers, too.

import { param, setParam } from "./address.js";
import * as api from "./api.js";
import { Chart, MOST_SERIES, Sample } from "./chart.js";
import { saveCsv } from "./csv.js";
import { Matrix, flowsSql } from "./flows.js";
import { Heat, heatSql } from "./heatmap.js";
import { html, useEffect, useMemo, useState } from "./html.js";
import { number } from "./text.js";

/** Seconds of an interval, from which the shortest is taken that makes few enough of them. */
const STEPS = [0.1, 0.2, 0.5, 1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 14400];
const shortest = (seconds, most, least) => STEPS.find((step) => step >= least && seconds / step <= most) ?? STEPS.at(-1);
/** Rows of an answer are 10,000 at most: a row a class and interval. */
const MOST_ROWS = 9000;

/** The beginning of the interval in which a number is, as SQL. */
const begin = (number, step) => (step === 1 ? `CAST(FLOOR(${number}) AS BIGINT)` : `CAST(FLOOR(${number} / ${step}) AS BIGINT) * ${step}`);

/** What is plotted of a request: each with its statement, whose columns are the interval, the series unless there is one only, and the count. */
function plotsOf(facts) {
  const { seconds } = facts.facts;
  const of = `WHERE request_id = '${facts.request_id}'`;
  const classes = Math.max(1, Object.keys(facts.summary?.tracks_by_class ?? {}).length);
  const second = shortest(seconds, Math.min(600, MOST_ROWS / classes), 1);
  const interval = shortest(seconds, 60, 1);
  const dwell = shortest(seconds, 40, 0.1);
  const all = "GROUP BY ALL\nORDER BY ALL";
  return [
    {
      name: "objects-per-second", title: second === 1 ? "Objects in each second" : `Objects in a second, the most of each ${second} s`,
      of: "objects", across: "seconds of the video", kind: "steps", step: second, seconds,
      sql: second === 1
        ? `SELECT second, class_name, objects\nFROM objects_per_second\n${of}\nORDER BY ALL`
        : `SELECT ${begin("second", second)} AS from_s, class_name, MAX(objects) AS objects\nFROM objects_per_second\n${of}\n${all}`,
    },
    {
      name: "new-objects", title: `New objects each ${interval === 1 ? "second" : `${interval} s`}`,
      of: "objects", across: "seconds of the video in which they were seen first", kind: "steps", step: interval, seconds, isTotal: true,
      sql: `SELECT ${begin("first_seen_s", interval)} AS from_s, class_name, COUNT(*) AS objects\nFROM track_summary\n${of}\n${all}`,
    },
    {
      name: "crossings", title: `Crossings of lines each ${interval === 1 ? "second" : `${interval} s`}`,
      of: "crossings", across: "seconds of the video", kind: "steps", step: interval, seconds, isTotal: true,
      note: nearNote,
      nothing: "No stored line is crossed in this video. Draw one under “Lines and zones”, and save it.",
      sql: `SELECT ${begin("time_s", interval)} AS from_s,\n       scene || ': ' || line || ' ' || direction || ', ' || class_name AS crossing,\n       COUNT(*) FILTER (near_birth_or_end) AS near_birth_or_end, COUNT(*) AS crossings\nFROM line_crossings\n${of}\n${all}`,
    },
    {
      name: "dwell", title: "How long objects were seen", of: "objects", across: "seconds from the first to the last time", kind: "bars", step: dwell, isTotal: true,
      // In thousandths: a tenth has no exact floating-point number.
      sql: `SELECT CAST(FLOOR(ROUND(dwell_s * 1000) / ${dwell * 1000}) AS BIGINT) * ${dwell} AS from_s, COUNT(*) AS objects\nFROM track_summary\n${of}\n${all}`,
    },
    { name: "heatmap", title: "Where objects spent their time", kind: "heat", sql: heatSql(facts) },
    {
      name: "flows", title: "Flows between lines and zones", kind: "matrix", sql: flowsSql(facts),
      nothing: "No object came from one stored line or zone to another. Draw two or more under “Lines and zones”, and save them.",
    },
  ];
}

/** How many crossings depend on where the tracker begins and ends tracks. */
function nearNote({ columns, rows }) {
  const near = columns.findIndex(({ name }) => name === "near_birth_or_end");
  const total = (at) => rows.reduce((sum, row) => sum + Number(row.at(at)), 0);
  const all = total(-1);
  return `Of ${number(all)} crossings, ${number(total(near))} (${Math.round((100 * total(near)) / all)} %) are within a second of their track's first or last position: an object that the tracker loses or swaps there changes the count.`;
}

/** The rows of a plot's statement as series of one value an interval; what has no row is 0. */
function seriesOf({ rows }, { step, seconds, of }) {
  const places = rows.map((row) => Math.round(Number(row[0]) / step));
  const count = 1 + Math.max(0, Math.ceil((seconds ?? 0) / step - 1e-9) - 1, places.reduce((a, b) => Math.max(a, b), 0));
  const found = new Map();
  rows.forEach((row, at) => {
    const name = row.length > 2 ? row[1] : of;
    if (!found.has(name)) found.set(name, { name, values: new Array(count).fill(0), total: 0 });
    const one = found.get(name);
    one.values[places[at]] += Number(row.at(-1));
    one.total += Number(row.at(-1));
  });
  return [...found.values()].sort((a, b) => b.total - a.total || (a.name < b.name ? -1 : 1));
}

export function Plots({ facts }) {
  const [isOpen, setOpen] = useState(param("plots") !== null);
  const plots = useMemo(() => plotsOf(facts), [facts]);
  const toggled = (event) => {
    setOpen(event.target.open);
    setParam("plots", event.target.open ? "1" : null);
  };
  return html`
    <details class="panel" open=${isOpen} onToggle=${(event) => event.target === event.currentTarget && toggled(event)}>
      <summary>Plots</summary>
      ${isOpen && html`<div class="plots">${plots.map((plot) => html`<${Plot} key=${plot.name} plot=${plot} facts=${facts} />`)}</div>`}
    </details>
  `;
}

/** How a plot is drawn that is no chart over time. */
const PICTURES = { heat: Heat, matrix: Matrix };

function Plot({ plot, facts }) {
  const [answer, setAnswer] = useState(null);
  const [problem, setProblem] = useState(null);
  useEffect(() => {
    const left = new AbortController();
    api.query(plot.sql, left.signal, { request: facts.request_id }).then(setAnswer, (error) => error.name === "AbortError" || setProblem(error.message));
    return () => left.abort();
  }, [plot.sql]);
  const Picture = PICTURES[plot.kind];
  const series = useMemo(() => (answer === null || Picture ? null : seriesOf(answer, plot)), [answer]);
  const drawn = series?.slice(0, MOST_SERIES);
  return html`
    <figure class="plot" data-plot=${plot.name}>
      <figcaption>${plot.title}</figcaption>
      ${problem !== null && html`<pre class="problem" role="alert" tabindex="0">${problem}</pre>`}
      ${answer === null && problem === null && html`<p class="empty" role="status">Counting…</p>`}
      ${answer?.rows.length > 0 && Picture && html`<${Picture} answer=${answer} facts=${facts} />`}
      ${answer?.rows.length === 0 && html`<p class="empty">${plot.nothing ?? "There is nothing to draw: no object was tracked."}</p>`}
      ${series?.length > 0 &&
      html`
        <${Chart} series=${drawn} step=${plot.step} kind=${plot.kind} of=${plot.of} across=${plot.across} label=${labelOf(plot, drawn)} />
        ${plot.kind === "steps" &&
        html`<ul class="legend">${drawn.map(
          (one, which) => html`<li key=${one.name}><${Sample} which=${which} /> ${one.name} <span class="id">${plot.isTotal ? number(one.total) : `at most ${number(one.values.reduce((a, b) => Math.max(a, b), 0))}`}</span></li>`,
        )}</ul>`}
        ${plot.note && html`<p class="id note">${plot.note(answer)}</p>`}
        ${series.length > MOST_SERIES && html`<p class="id">The ${MOST_SERIES} largest of ${number(series.length)} are drawn; the CSV has all.</p>`}
      `}
      ${answer?.is_cut && html`<p class="warn">There are more rows than the page asks for: the end is missing.</p>`}
      <div class="controls">
        <details class="sql"><summary>SQL</summary><pre tabindex="0">${plot.sql}</pre><a href=${`/ask?${new URLSearchParams({ sql: plot.sql })}`}>Open under Ask</a></details>
        ${answer !== null && html`<button type="button" class="small" onClick=${() => saveCsv(`${facts.video}-${plot.name}`, answer)} aria-label=${`Save ${plot.title} as CSV`}>CSV</button>`}
      </div>
    </figure>
  `;
}

/** What a screen reader says of a plot. */
function labelOf({ title, of, step, isTotal }, series) {
  const about = series.map(({ name, values, total }) => {
    const most = values.reduce((best, value, at) => (value > values[best] ? at : best), 0);
    const begins = Number((most * step).toPrecision(12));
    return `${name}: ${isTotal ? `${number(total)} in all, ` : ""}most, ${number(values[most])}, from ${begins} s`;
  });
  return `${title}. ${of === series[0].name ? "" : `${of} by kind. `}${about.join("; ")}.`;
}
