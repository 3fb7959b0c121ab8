// Videos are dropped here, and what becomes of them is seen as it happens.

import * as api from "./api.js";
import { can } from "./can.js";
import { html, useEffect, useRef, useState } from "./html.js";
import { secondsLeft } from "./live.js";
import { Remove } from "./removal.js";
import { bytes, clock, number } from "./text.js";
import * as session from "./session.js";
import * as tus from "./tus.js";

const { discard, forget, notBegun, ofThisPage, send, watch } = can.sends === "tus" ? tus : session;

const STAGES = { split: "Cut", track: "Detect", merge: "Track", load: "Load", annotate: "Draw", join: "Join" };
const DEFAULTS = { model: "", other: "", classes: "", min_score: "", track_thresh: "", detect_every: "1", video: true, crops: true };

/** Written down, so that another visit has them, too. */
function remembered() {
  try {
    return { ...DEFAULTS, ...JSON.parse(localStorage.getItem("settings") ?? "{}") };
  } catch {
    return DEFAULTS;
  }
}

/** What the server takes. What is empty is left to the command's default. */
function wishesOf(form) {
  const value = (text) => (String(text).trim() === "" ? null : Number(text));
  return {
    model: (form.model === "other" ? form.other : form.model) || null, classes: form.classes.trim() || null, min_score: value(form.min_score),
    track_thresh: value(form.track_thresh), detect_every: value(form.detect_every), no_video: !form.video, crops: form.crops && form.video,
  };
}

export function Drop({ live }) {
  const [choices, setChoices] = useState(null);
  const [form, setForm] = useState(remembered);
  const [isOver, setOver] = useState(false);
  const [problem, setProblem] = useState(null);
  const [, changed] = useState(0);
  const input = useRef();
  useEffect(() => {
    api.choices().then(setChoices, (error) => setProblem(error.message));
    return watch(() => changed((times) => times + 1));
  }, []);
  useEffect(() => localStorage.setItem("settings", JSON.stringify(form)), [form]);
  const unfinished = live.drops.filter((drop) => drop.offset < drop.bytes && drop.request === null);
  const take = (files) => {
    setProblem(files.length === 0 ? "No file was dropped: folders are not taken." : null);
    [...files].forEach((file) => send(file, wishesOf(form), unfinished));
  };
  const latest = useRef(take);
  latest.current = take;
  useEffect(() => {
    const isFiles = (event) => event.dataTransfer?.types.includes("Files");
    const over = (event) => isFiles(event) && (event.preventDefault(), setOver(true));
    const left = (event) => event.relatedTarget === null && setOver(false);
    const dropped = (event) => {
      if (!isFiles(event)) return;
      event.preventDefault();
      setOver(false);
      latest.current(event.dataTransfer.files);
    };
    const all = [["dragover", over], ["dragleave", left], ["drop", dropped]];
    all.forEach(([name, listener]) => addEventListener(name, listener));
    return () => all.forEach(([name, listener]) => removeEventListener(name, listener));
  }, []);

  if (choices?.why_not) return html`<section class="panel" aria-label="Drop"><p class="warn">No videos are taken: ${choices.why_not}.</p></section>`;
  const rows = [...live.drops].reverse();
  return html`
    <section class=${isOver ? "panel dropping over" : "panel dropping"} aria-labelledby="drop">
      <h2 id="drop">Drop videos anywhere on this page</h2>
      <div class="controls">
        <button type="button" class="main" onClick=${() => input.current.click()} disabled=${choices === null}>Choose files…</button>
        <input ref=${input} type="file" multiple hidden accept="video/*,.mkv,.ts,.mts,.h264,.hevc,.ivf" aria-label="Video files" onChange=${(event) => {
          take(event.target.files);
          event.target.value = "";
        }} />
        ${choices && html`<span class="id">Each of ${bytes(choices.max_bytes)} at most. An upload that breaks off resumes: drop the same file again.</span>`}
      </div>
      ${problem && html`<p class="problem" role="alert">${problem}</p>`}
      ${live.notes.map((note) => html`<p class="problem" role="alert">${note}</p>`)}
      ${choices && html`<${Settings} choices=${choices} form=${form} setForm=${setForm} />`}
      ${(rows.length > 0 || notBegun().length > 0) &&
      html`<ul class="drops" aria-label="Dropped videos">
        ${notBegun().map((one) => html`<${Waiting} key=${one.key} one=${one} />`)}
        ${rows.map((drop) => html`<${Row} key=${drop.id} drop=${drop} wishes=${wishesOf(form)} />`)}
      </ul>`}
    </section>
  `;
}

function Settings({ choices, form, setForm }) {
  const set = (name, read = (event) => event.target.value) => (event) => setForm({ ...form, [name]: read(event) });
  const checked = (event) => event.target.checked;
  const isKnown = form.model === "" || form.model === "other" || choices.models.some(({ path }) => path === form.model);
  return html`
    <details class="settings">
      <summary>Settings of the next videos</summary>
      <div class="controls">
        <label>Model <select value=${isKnown ? form.model : ""} onChange=${set("model")}>
          ${choices.models.map(({ name, path }, at) => html`<option value=${at === 0 ? "" : path} title=${path}>${name}</option>`)}
          ${can.work && html`<option value="other">another file…</option>`}
        </select></label>
        ${form.model === "other" && html`<label>Its path on this machine <input value=${form.other} onInput=${set("other")} placeholder="/home/me/model.onnx" size="28" /></label>`}
        <label>Classes <input value=${form.classes} onInput=${set("classes")} placeholder="all, or person, car" size="18" /></label>
        <label>Score from <input type="number" min="0" max="1" step="0.05" value=${form.min_score} onInput=${set("min_score")} placeholder="any" /></label>
        <label>Tracked from <input type="number" min="0" max="1" step="0.05" value=${form.track_thresh} onInput=${set("track_thresh")} placeholder="model's" /></label>
        <label>Detect every <input type="number" min="1" step="1" value=${form.detect_every} onInput=${set("detect_every")} /> frames</label>
        <label class="check"><input type="checkbox" checked=${form.video} onChange=${set("video", checked)} /> Annotated video</label>
        <label class="check"><input type="checkbox" checked=${form.crops && form.video} disabled=${!form.video} onChange=${set("crops", checked)} /> Best pictures</label>
      </div>
    </details>
  `;
}

/** A file that the server knows nothing of yet. */
function Waiting({ one }) {
  return html`<li>
    <strong>${one.file.name}</strong> <span class="id">${bytes(one.file.size)}</span>
    ${one.problem === null && one.offset > 0 && !one.isWhole && html`<div class="bar-row"><progress max=${one.file.size} value=${one.offset} aria-label=${`Upload of ${one.file.name}`}></progress>
      <span>${bytes(one.offset)} of ${bytes(one.file.size)}</span></div>`}
    ${one.problem === null
      ? html`<p class="id" role="status">${one.note ?? (one.offset > 0 ? "uploading" : "waits for its turn")}</p>${one.isWhole && html`<button type="button" onClick=${() => forget(one.key)}>Dismiss</button>`}`
      : html`<p class="problem" role="alert">${one.problem}</p><button type="button" onClick=${() => forget(one.key)}>Dismiss</button>`}
  </li>`;
}

function Row({ drop, wishes }) {
  const [problem, setProblem] = useState(null);
  const did = (promise) => promise.then(() => setProblem(null), (error) => setProblem(error.message));
  const { name, request } = drop;
  const href = request && request.state !== "waiting" ? `/request/${request.request_id}` : null;
  return html`<li data-upload=${drop.id} data-state=${request?.state ?? (drop.problem ? "refused" : "uploading")}>
    <strong>${href ? html`<a href=${href}>${name}</a>` : name}</strong> <span class="id">${bytes(drop.bytes)}</span>
    ${problem && html`<p class="problem" role="alert">${problem}</p>`}
    ${request === null ? html`<${Coming} drop=${drop} wishes=${wishes} did=${did} />` : html`<${Working} request=${request} name=${name} did=${did} dismiss=${() => did(discard(drop.id))} />`}
  </li>`;
}

/** A video that comes, or that has come and is no request yet. */
function Coming({ drop, wishes, did }) {
  const own = ofThisPage(drop.id);
  const offset = Math.max(drop.offset, own?.offset ?? 0);
  const isWhole = offset >= drop.bytes;
  const out = html`<button type="button" onClick=${() => did(discard(drop.id))} aria-label=${`Discard ${drop.name}`}>Discard</button>`;
  if (drop.problem !== null)
    return html`<p class="problem" role="alert">${drop.problem}</p>
      <div class="controls">
        <button type="button" onClick=${() => did(api.again(drop.id, { ...wishes, force: true }))}>Process with the settings above</button>${out}
      </div>`;
  if (isWhole) return html`<p class="id" role="status">is complete, and is being checked</p>`;
  const seconds = own?.began && own.offset > own.began.offset ? ((drop.bytes - offset) * (performance.now() - own.began.at)) / (own.offset - own.began.offset) / 1000 : null;
  const said = own ? (own.note ?? `uploading${seconds === null ? "" : `, ${left(seconds)} left`}`) : "This page does not send it. If no other page does, choose the same file again: it resumes from here.";
  return html`
    <div class="bar-row"><progress max=${drop.bytes} value=${offset} aria-label=${`Upload of ${drop.name}`}></progress>
      <span>${bytes(offset)} of ${bytes(drop.bytes)}</span></div>
    <p class=${own ? "id" : "warn"} role="status">${said}</p>
    <div class="controls">${out}</div>
  `;
}

export const left = (seconds) => (seconds < 60 ? `${Math.ceil(seconds)} s` : clock(seconds, 0));

/** A request that is worked for, or that is over. */
function Working({ request, name, did, dismiss }) {
  const { is_over, state } = request;
  const id = request.request_id;
  return html`
    <${Progress} request=${request} />
    <div class="controls">
      ${!is_over && html`<${Doing} request=${request} name=${name} did=${did} />`}
      ${is_over && state !== "failed" && html`<a class="button main" href=${`/request/${id}`}>Watch its objects</a>`}
      ${is_over && state !== "done" && html`<button type="button" onClick=${() => did(api.retry(id))} aria-label=${`Retry ${name}`}>Retry</button>`}
      ${is_over && html`<button type="button" onClick=${dismiss} aria-label=${`Dismiss ${name}`}>Dismiss</button><${Remove} request=${id} name=${name} done=${() => did(Promise.resolve())} />`}
    </div>
  `;
}

/** What can be done with a request that is not over. */
export function Doing({ request, name, did }) {
  const id = request.request_id;
  return request.is_worked_for
    ? html`<button type="button" onClick=${() => did(api.cancel(id))} aria-label=${`Cancel ${name}`}>Cancel</button>`
    : html`<button type="button" onClick=${() => did(api.retry(id))} aria-label=${`Resume ${name}`}>Resume</button>
        <button type="button" onClick=${() => did(api.cancel(id))} aria-label=${`Cancel ${name}`}>Cancel</button>`;
}

/** How far each stage is, and why it is no further. */
export function Progress({ request }) {
  const { stages, frames, notes, error, is_over, state, request_id } = request;
  const last = [...stages].reverse().find(({ frames: done }) => done > 0);
  if (is_over && state === "done") return html`<p class="state state-done" role="status"><span aria-hidden="true">✓</span> done</p>`;
  return html`
    ${!is_over &&
    html`
      ${stages.length === 0 && html`<p class="id" role="status">is being looked at</p>`}
      <ol class="stages" aria-label="Stages">
        ${stages.map(({ stage, frames: done }) => {
          const seconds = secondsLeft(request_id, stage, frames);
          return html`<li key=${stage} data-stage=${stage}>
            <span>${STAGES[stage] ?? stage}</span>
            <progress max=${Math.max(1, frames)} value=${done} aria-label=${`${STAGES[stage] ?? stage}: frames`}></progress>
            <span class="id">${done >= frames && frames > 0 ? "done" : `${number(done)} of ${number(frames)} frames${seconds === null ? "" : `, ${left(seconds)} left`}`}</span>
          </li>`;
        })}
      </ol>
      <p class="hidden" role="status">${last ? `${STAGES[last.stage] ?? last.stage} is at ${Math.floor((10 * last.frames) / Math.max(1, frames)) * 10} percent` : ""}</p>
    `}
    ${error && html`<p class="problem" role="alert"><strong>${state === "failed" ? "Failed" : "Without its video: failed"} in ${error.stage}.</strong> ${error.message}</p>`}
    ${!is_over && notes.map((note) => html`<p class="warn" role="status">${note}</p>`)}
  `;
}
