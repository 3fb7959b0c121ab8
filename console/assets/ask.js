// SQL, asked of the tables that `trackdrop query` has.

import { go, hrefOf, param, setParam } from "./address.js";
import { AnswerPlot, isPlotted } from "./answerplot.js";
import * as api from "./api.js";
import { can } from "./can.js";
import { completions } from "./complete.js";
import { saveCsv } from "./csv.js";
import { Grid, placesIn } from "./grid.js";
import { Highlight } from "./highlight.js";
import { html, useEffect, useMemo, useRef, useState } from "./html.js";
import { bytes, number } from "./text.js";

const OF_ALL = [
  ["Objects of each class", "SELECT video, class_name, COUNT(*) AS objects\nFROM track_summary\nGROUP BY ALL\nORDER BY objects DESC, video, class_name"],
  ["Longest stays", "SELECT request_id, video, track_id, class_name, first_frame, dwell_s\nFROM track_summary\nORDER BY dwell_s DESC, request_id, track_id\nLIMIT 100"],
  ["Fullest frames", "SELECT request_id, video, frame_index, COUNT(*) AS objects\nFROM tracks\nGROUP BY ALL\nORDER BY objects DESC, request_id, frame_index\nLIMIT 100"],
  ["Crossings of lines", "SELECT request_id, video, scene, line, direction, class_name, track_id, frame_index, time_s\nFROM line_crossings\nORDER BY video, request_id, time_s, scene, line, track_id\nLIMIT 1000"],
  ["How long each part took", "SELECT video, frames, split_s, track_s, merge_s, annotate_s, join_s\nFROM requests\nORDER BY finished_at DESC, request_id"],
];

/** Characters of a statement that is part of the address: servers refuse a longer address. */
const MOST_IN_ADDRESS = 16_000;

/** Dollars from which it is asked before a statement runs. */
const ASKED_FROM_USD = 0.01;

/** Examples about one request. */
const of = (id) => [
  ["Objects", `SELECT request_id, track_id, class_name, first_frame, dwell_s, mean_score\nFROM track_summary\nWHERE request_id = '${id}'\nORDER BY dwell_s DESC, track_id`],
  ["Fullest frames", `SELECT request_id, frame_index, COUNT(*) AS objects\nFROM tracks\nWHERE request_id = '${id}'\nGROUP BY ALL\nORDER BY objects DESC, frame_index\nLIMIT 100`],
  ["Objects each second", `SELECT second, class_name, objects\nFROM objects_per_second\nWHERE request_id = '${id}'\nORDER BY second, class_name`],
  ["Crossings of lines", `SELECT request_id, scene, line, direction, class_name, track_id, frame_index, time_s\nFROM line_crossings\nWHERE request_id = '${id}'\nORDER BY time_s, scene, line, track_id`],
];

/** The view of its own. */
export function AskPage() {
  useEffect(() => {
    document.title = "Ask - Trackdrop";
  }, []);
  return html`
    <main>
      <div class="bar"><h1>Ask</h1><span class="id">${can.is_paid ? "SQL over all requests, answered by BigQuery. The cost of a statement is shown before it runs." : html`SQL over all requests, the tables of <code>trackdrop query</code>`}</span></div>
      <${Ask} request=${null} open=${(where) => go(hrefOf(where))} />
    </main>
  `;
}

/** On the page of a request: rows of it are shown in its player. */
export function AskPanel({ request, show }) {
  const [isOpen, setOpen] = useState(param("sql") !== null);
  const open = (where) => (where.request === request ? show(where) : go(hrefOf(where)));
  return html`
    <details class="panel" open=${isOpen} onToggle=${(event) => setOpen(event.target.open)}>
      <summary>Ask in SQL</summary>
      ${isOpen && html`<${Ask} request=${request} open=${open} />`}
    </details>
  `;
}

function Ask({ request, open }) {
  const examples = useMemo(() => (request === null ? OF_ALL : of(request)), [request]);
  const [sql, setSql] = useState(param("sql") ?? examples[0][1]);
  const [asked, setAsked] = useState({ sql: null, answer: null, problem: null, price: null, isRunning: false });
  const [tables, setTables] = useState([]);
  const [isPlot, setPlot] = useState(isPlotted);
  const box = useRef();
  const running = useRef(null);

  /** `agreed` are bytes that may be paid for; where nothing is paid, or a statement is about this request's own file, none are asked for. */
  const run = async (text, isStep = true, agreed = null) => {
    running.current?.abort();
    const mine = new AbortController();
    running.current = mine;
    setSql(text);
    setParam("sql", text.length > MOST_IN_ADDRESS ? null : text, isStep);
    setAsked({ sql: text, answer: null, problem: null, price: null, isRunning: true });
    const ended = (found) => mine === running.current && setAsked({ sql: text, answer: null, problem: null, price: null, isRunning: false, ...found });
    try {
      const about = request !== null ? { request } : agreed !== null ? { agreed_bytes: agreed } : {};
      let found = await api.query(text, mine.signal, about);
      let price = null;
      if (found.price) {
        price = found.price;
        if (price.usd >= ASKED_FROM_USD) return ended({ price });
        found = await api.query(text, mine.signal, { agreed_bytes: price.paid_bytes });
      }
      ended({ answer: found, price });
    } catch (error) {
      ended({ problem: error.name === "AbortError" ? "Stopped." : error.message });
    }
  };

  useEffect(() => {
    api.tables().then(setTables, (error) => setAsked((now) => ({ ...now, problem: error.message })));
    if (param("sql") !== null) run(sql, false);
    const path = location.pathname;
    const moved = () => {
      const text = param("sql");
      if (location.pathname === path && text !== null) run(text, false);
    };
    addEventListener("popstate", moved);
    return () => {
      removeEventListener("popstate", moved);
      // Its answer has no place any longer: the server stops it.
      const left = running.current;
      running.current = null;
      left?.abort();
    };
  }, []);

  const insert = (name) => {
    const { selectionStart, selectionEnd } = box.current;
    box.current.setRangeText(name, selectionStart, selectionEnd, "end");
    setSql(box.current.value);
    box.current.focus();
  };
  const { answer } = asked;
  const place = useMemo(
    () => answer && placesIn(answer.columns, request !== null && asked.sql.includes(request) ? request : null),
    [answer],
  );
  const completing = useCompletion(box, tables, setSql);
  const key = (event) => {
    if (event.key === "Enter" && (event.ctrlKey || event.metaKey)) {
      completing.close();
      run(box.current.value);
    } else if (!completing.key(event)) return;
    event.preventDefault();
  };

  return html`
    <div class="ask">
      <div class="asking">
        <label class="above" for="sql">One SELECT</label>
        <div class="editor"><${Highlight} sql=${sql} box=${box} tables=${tables} />
        <textarea id="sql" ref=${box} rows="7" spellcheck=${false} autocomplete="off" autocapitalize="off" aria-describedby="sql-help" aria-autocomplete="list"
          aria-controls="completions" aria-activedescendant=${completing.active} value=${sql} onKeyDown=${key} onBlur=${completing.close}
          onInput=${(event) => (setSql(event.target.value), completing.look())} onClick=${completing.close}></textarea></div>
        <${Completions} of=${completing} />
        <div class="controls">
          <button type="button" class="main" onClick=${() => run(sql)}>Run</button>
          ${asked.isRunning && html`<button type="button" onClick=${() => running.current?.abort()}>Stop</button>`}
          <span class="id" id="sql-help">Ctrl+Enter runs it, Ctrl+Space names what may stand here. It reads the tables and nothing else.</span>
        </div>
        <div class="controls" role="group" aria-label="Examples">
          <span class="id">Examples</span>
          ${examples.map(([name, text]) => html`<button type="button" class="small" onClick=${() => run(text)}>${name}</button>`)}
        </div>
        <p class="said" role="status">${asked.isRunning ? "Running…" : answer && `${said(answer)}${asked.price ? ` ${costs(asked.price)}` : ""}`}</p>
        ${asked.price && answer === null && html`<div class="controls"><strong>${costs(asked.price)}</strong><button type="button" onClick=${() => run(asked.sql, false, asked.price.paid_bytes)}>Run it</button></div>`}
        ${asked.problem !== null && html`<pre class="problem" role="alert" tabindex="0">${asked.problem}</pre>`}
        ${answer?.notes.length > 0 && html`<ul class="warnings" aria-label="Notes">${answer.notes.map((note) => html`<li>${note}</li>`)}</ul>`}
        ${answer &&
        html`
          <div class="controls">
            <button type="button" onClick=${() => saveCsv("answer", answer)}>Save as CSV</button>
            <button type="button" aria-pressed=${isPlot} onClick=${() => (setPlot(!isPlot), setParam("plot", isPlot ? null : ""))}>Plot</button>
            ${place !== null && html`<span class="id">A click on a row shows its frame.</span>`}
          </div>
          ${isPlot && html`<${AnswerPlot} key=${asked.sql} answer=${answer} />`}
          <${Grid} answer=${answer} place=${place} open=${open} />
        `}
      </div>
      <${Tables} tables=${tables} insert=${insert} />
    </div>
  `;
}

/** Names for the word at the caret: what is offered, which one is chosen, and what keys do with them. */
function useCompletion(box, tables, setSql) {
  const [offered, setOffered] = useState({ from: 0, options: [], at: -1 });
  const close = () => setOffered((now) => (now.options.length === 0 ? now : { from: 0, options: [], at: -1 }));
  const look = (isAsked = false) => {
    const { value, selectionStart, selectionEnd } = box.current;
    if (selectionStart === selectionEnd) setOffered({ ...completions(value, selectionStart, tables, isAsked), at: -1 });
    else close();
  };
  const take = (at) => {
    const { text } = offered.options[at];
    box.current.setRangeText(text, offered.from, box.current.selectionEnd, "end");
    setSql(box.current.value);
    close();
  };
  const move = (by) => setOffered((now) => ({ ...now, at: (now.at + by + now.options.length + (now.at < 0 && by < 0 ? 1 : 0)) % now.options.length }));
  /** Whether the key was for the names. */
  const key = (event) => {
    if (event.key === " " && event.ctrlKey) return look(true), true;
    if (offered.options.length === 0 || event.shiftKey || event.ctrlKey || event.altKey || event.metaKey) return false;
    if (event.key === "ArrowDown") return move(1), true;
    if (event.key === "ArrowUp") return move(-1), true;
    if (event.key === "Escape") return close(), true;
    if (event.key === "Tab" || (event.key === "Enter" && offered.at >= 0)) return take(Math.max(0, offered.at)), true;
    if (["ArrowLeft", "ArrowRight", "Home", "End", "Enter"].includes(event.key)) close();
    return false;
  };
  return { ...offered, active: offered.at >= 0 ? `completion-${offered.at}` : null, close, look, take, key };
}

function Completions({ of }) {
  return html`<ul id="completions" class="completions" role="listbox" aria-label="Names that may stand here" hidden=${of.options.length === 0}>
    ${of.options.map(
      ({ text, kind }, at) => html`<li key=${text} id=${`completion-${at}`} role="option" aria-selected=${at === of.at} onPointerDown=${(event) => (event.preventDefault(), of.take(at))}>
        ${text} <span class="id">${kind}</span>
      </li>`,
    )}
  </ul>`;
}

/** What a statement reads, in words. */
const costs = ({ bytes: read, usd }) => `It reads ${bytes(read)}: ${usd === 0 ? "free" : usd < 0.01 ? "less than a cent" : `about $${usd.toFixed(2)}`}.`;

function said({ rows, is_cut, seconds }) {
  const took = `${seconds.toFixed(2)} s`;
  if (is_cut) return `The first ${number(rows.length)} rows, in ${took}. There are more: count or narrow them, or use trackdrop query, which has no such bound.`;
  return `${number(rows.length)} ${rows.length === 1 ? "row" : "rows"}, in ${took}.`;
}

/** What can be asked about; a click writes the name. */
function Tables({ tables, insert }) {
  return html`
    <section class="tables" aria-label="Tables and columns">
      <h2>Tables</h2>
      ${tables.map(
        ({ name, columns }) => html`
          <details key=${name}>
            <summary>${name}</summary>
            <ul>
              <li><button type="button" onClick=${() => insert(name)}>Insert ${name}</button></li>
              ${columns.map((column) => html`<li><button type="button" title=${column.holds} onClick=${() => insert(column.name)}>${column.name}</button> <span class="id">${column.type}</span></li>`)}
            </ul>
          </details>
        `,
      )}
    </section>
  `;
}
