// The page of one track: what it is, where it went, how fast, and what it crossed.

import { go, hrefOf } from "./address.js";
import * as api from "./api.js";
import { Chart } from "./chart.js";
import { colourOf } from "./colour.js";
import { saveCsv } from "./csv.js";
import { Grid, placesIn } from "./grid.js";
import { html, useEffect, useMemo, useState } from "./html.js";
import { clock, number } from "./text.js";


/** Points of a path that are drawn. */
const MOST_POINTS = 2000;

const of = (id, track) => `WHERE request_id = '${id}' AND track_id = ${track}`;
const STATEMENTS = {
  summary: (id, track) => `SELECT class_name, first_frame, last_frame, first_seen_s, last_seen_s, dwell_s, mean_score,\n       (SELECT COUNT(*) FROM tracks ${of(id, track)} AND observed) AS frames_seen\nFROM track_summary\n${of(id, track)}`,
  path: (id, track) => `SELECT request_id, track_id, frame_index, time_s, (x1 + x2) / 2 AS x, y2 AS y\nFROM tracks\n${of(id, track)}\nQUALIFY (ROW_NUMBER() OVER (ORDER BY frame_index) - 1) % GREATEST(1, COUNT(*) OVER () // ${MOST_POINTS}) = 0\nORDER BY frame_index`,
  speed: (id, track) => `WITH halves AS (
  SELECT FLOOR(time_s * 2) AS half, AVG(time_s) AS t, AVG((x1 + x2) / 2) AS x, AVG(y2) AS y
  FROM tracks ${of(id, track)} GROUP BY ALL
)
SELECT half / 2 AS from_s, SQRT(POW(x - LAG(x) OVER w, 2) + POW(y - LAG(y) OVER w, 2)) / (t - LAG(t) OVER w) AS px_per_s
FROM halves
WINDOW w AS (ORDER BY half)
QUALIFY half = LAG(half) OVER w + 1
ORDER BY half`,
  crossings: (id, track) => `SELECT scene, line, direction, frame_index, ROUND(time_s, 2) AS time_s\nFROM line_crossings\n${of(id, track)}\nORDER BY time_s`,
  visits: (id, track) => `SELECT scene, zone, enter_frame, exit_frame, ROUND(dwell_s, 2) AS dwell_s\nFROM zone_visits\n${of(id, track)}\nORDER BY enter_frame`,
  speeds: (id, track) => `SELECT scene, ROUND(median_speed, 2) AS median, ROUND(max_speed, 2) AS most, unit, ROUND(median_error, 2) AS error\nFROM track_speeds\n${of(id, track)}\nORDER BY scene`,
};

/** The answer to a statement, or why there is none. */
function useAnswer(request, sql) {
  const [found, setFound] = useState({ answer: null, problem: null });
  useEffect(() => {
    const left = new AbortController();
    setFound({ answer: null, problem: null });
    api.query(sql, left.signal, { request }).then(
      (answer) => setFound({ answer, problem: null }),
      (error) => error.name === "AbortError" || setFound({ answer: null, problem: error.message }),
    );
    return () => left.abort();
  }, [sql]);
  return found;
}

export function TrackPage({ id, track }) {
  const [facts, setFacts] = useState(null);
  const [problem, setProblem] = useState(null);
  const summary = useAnswer(id, STATEMENTS.summary(id, track));
  useEffect(() => {
    document.title = `Track ${track} - Trackdrop`;
    api.request(id).then(setFacts, (error) => setProblem(error.message));
  }, [id, track]);
  const failed = problem ?? summary.problem;
  if (failed) return html`<main><p class="problem" role="alert">${failed}</p></main>`;
  if (facts === null || summary.answer === null) return html`<main><p class="empty" role="status">Loading…</p></main>`;
  const [row] = summary.answer.rows;
  if (!row) return html`<main><p class="problem" role="alert">There is no track ${track} in <a href=${`/request/${id}`}>${facts.video}</a>: its page lists them all.</p></main>`;
  const [class_name, first, last, from_s, to_s, dwell_s, score, seen] = row;
  const player = hrefOf({ request: id, frame: Number(first), track });
  return html`
    <main class="track">
      <div class="bar"><h1>#${track} ${class_name}</h1><span class="id">in <a href=${`/request/${id}`}>${facts.video}</a></span><span class="doing"><a class="button main" href=${player}>Show in the player</a></span></div>
      <div class="cards">
        <section class="card">
          <h2>Track</h2>
          <dl>
            <dt>Seen</dt><dd>${clock(Number(from_s))} to ${clock(Number(to_s))}</dd>
            <dt>Dwell</dt><dd>${Number(dwell_s).toFixed(2)} s</dd>
            <dt>Frames</dt><dd>${number(Number(first))} to ${number(Number(last))}, detected in ${number(Number(seen))}</dd>
            <dt>Mean score</dt><dd>${Number(score).toFixed(3)}</dd>
          </dl>
          ${facts.has.crops && html`<p><img class="crop" src=${api.cropUrl(id, track)} alt=${`Best picture of track ${track}`} /></p>`}
        </section>
        <${Path} facts=${facts} track=${track} first=${Number(first)} />
        <${Speed} facts=${facts} track=${track} />
        <${Rows} id=${id} track=${track} title="Crossings" sql=${STATEMENTS.crossings(id, track)} nothing="It crossed no line of a stored scene." name=${`track-${track}-crossings`} />
        <${Rows} id=${id} track=${track} title="Visits of zones" sql=${STATEMENTS.visits(id, track)} nothing="It was in no zone of a stored scene." name=${`track-${track}-visits`} />
        <${Rows} id=${id} track=${track} title="Speeds by scene" sql=${STATEMENTS.speeds(id, track)} nothing="No stored scene is for this video: a scene with a calibration gives metres per second." name=${`track-${track}-speeds`} />
      </div>
    </main>
  `;
}

function Sql({ sql, answer, name, title }) {
  return html`<div class="controls">
    <details class="sql"><summary>SQL</summary><pre tabindex="0">${sql}</pre><a href=${`/ask?${new URLSearchParams({ sql })}`}>Open under Ask</a></details>
    ${answer !== null && html`<button type="button" class="small" onClick=${() => saveCsv(name, answer)} aria-label=${`Save ${title} as CSV`}>CSV</button>`}
  </div>`;
}

/** Its bottom centre over its first frame. */
function Path({ facts, track, first }) {
  const sql = STATEMENTS.path(facts.request_id, track);
  const { answer, problem } = useAnswer(facts.request_id, sql);
  const { width_px: width, height_px: height } = facts.facts;
  const points = useMemo(() => (answer?.rows ?? []).map(([, , frame, , x, y]) => ({ frame: Number(frame), x: Number(x), y: Number(y) })), [answer]);
  const [at, setAt] = useState(0);
  const unit = width / 200;
  const length = points.reduce((sum, { x, y }, at) => sum + (at === 0 ? 0 : Math.hypot(x - points[at - 1].x, y - points[at - 1].y)), 0);
  const clicked = (event) => {
    const box = event.currentTarget.getBoundingClientRect();
    const [x, y] = [((event.clientX - box.left) / box.width) * width, ((event.clientY - box.top) / box.height) * height];
    const nearest = points.reduce((best, one) => (Math.hypot(one.x - x, one.y - y) < Math.hypot(best.x - x, best.y - y) ? one : best));
    go(hrefOf({ request: facts.request_id, frame: nearest.frame, track }));
  };
  const [begin, end, chosen] = [points[0], points.at(-1), points[at]];
  const place = ({ x, y }) => `${Math.round(x)}, ${Math.round(y)}`;
  return html`
    <section class="card wide" data-part="path">
      <h2>Path</h2>
      ${problem && html`<p class="problem" role="alert">${problem}</p>`}
      ${points.length > 0 &&
      html`
        <svg class="heat" viewBox=${`0 0 ${width} ${height}`} role="img" onClick=${clicked}
          aria-label=${`Its path, over its first frame: from ${place(begin)} to ${place(end)}`}>
          <image href=${api.stillUrl(facts.request_id, first).replace(/png$/, "jpg")} width=${width} height=${height} preserveAspectRatio="none" />
          <polyline class="path-under" points=${points.map(({ x, y }) => `${x},${y}`).join(" ")} stroke-width=${unit * 2} />
          <polyline class="path" points=${points.map(({ x, y }) => `${x},${y}`).join(" ")} stroke=${colourOf(track)} stroke-width=${unit} />
          <circle cx=${begin.x} cy=${begin.y} r=${unit * 2} fill="none" stroke=${colourOf(track)} stroke-width=${unit} />
          <circle cx=${end.x} cy=${end.y} r=${unit * 2} fill=${colourOf(track)} />
          <circle class="read-cell" cx=${chosen.x} cy=${chosen.y} r=${unit * 3} stroke-width=${unit} />
        </svg>
        <div class="controls">
          <label class="small">Along it <input class="along" type="range" min="0" max=${points.length - 1} value=${at} onInput=${(event) => setAt(Number(event.target.value))} aria-valuetext=${`frame ${chosen.frame}, at ${place(chosen)}`} /></label>
          <a class="small" href=${hrefOf({ request: facts.request_id, frame: chosen.frame, track })}>Show frame ${number(chosen.frame)}</a>
        </div>
        <p class="id">From the ring to the dot, ${number(Math.round(length))} px long. A click on it shows the nearest frame.</p>
      `}
      <${Sql} sql=${sql} answer=${answer} name=${`track-${track}-path`} title="the path" />
    </section>
  `;
}

function Speed({ facts, track }) {
  const sql = STATEMENTS.speed(facts.request_id, track);
  const { answer, problem } = useAnswer(facts.request_id, sql);
  const values = useMemo(() => {
    const found = (answer?.rows ?? []).map(([from, speed]) => [Math.round(Number(from) * 2), Number(speed)]);
    const all = new Array(1 + Math.max(0, Math.ceil(facts.facts.seconds * 2) - 1, ...found.map(([at]) => at))).fill(0);
    found.forEach(([at, speed]) => (all[at] = Math.round(speed * 10) / 10));
    return found.length > 0 ? all : null;
  }, [answer]);
  return html`
    <section class="card wide" data-part="speed">
      <h2>Speed in the picture</h2>
      ${problem && html`<p class="problem" role="alert">${problem}</p>`}
      ${values && html`<${Chart} series=${[{ name: "px/s", values }]} step=${0.5} kind="steps" of="px/s" across="seconds of the video" label=${`Its speed: at most ${Math.max(...values)} pixels per second.`} />`}
      ${answer !== null && values === null && html`<p class="empty">It was seen for less than a second: there is no speed.</p>`}
      <${Sql} sql=${sql} answer=${answer} name=${`track-${track}-speed`} title="the speed" />
    </section>
  `;
}

function Rows({ id, track, title, sql, nothing, name }) {
  const { answer, problem } = useAnswer(id, sql);
  const place = useMemo(() => answer && placesIn(answer.columns, id), [answer]);
  return html`
    <section class="card" data-part=${title}>
      <h2>${title}</h2>
      ${problem && html`<p class="problem" role="alert">${problem}</p>`}
      ${answer?.rows.length === 0 && html`<p class="empty">${nothing}</p>`}
      ${answer?.rows.length > 0 && html`<${Grid} answer=${answer} place=${place} open=${(where) => go(hrefOf({ ...where, track }))} />`}
      <${Sql} sql=${sql} answer=${answer} name=${name} title=${title} />
    </section>
  `;
}
