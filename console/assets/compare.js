// Tracks against ground truth, as `trackdrop eval` compares them, and the frames in which they differ.

import * as api from "./api.js";
import { can } from "./can.js";
import { html, useEffect, useState } from "./html.js";
import { number } from "./text.js";

/** Metrics that are shown, with what they say. */
const METRICS = [
  ["HOTA", "detection and association together, 0 to 100", "%"],
  ["DetA", "how well the boxes fit", "%"],
  ["AssA", "how well the identities hold", "%"],
  ["IDF1", "boxes with the right identity over the whole video", "%"],
  ["MOTA", "100 minus misses, false alarms and switches per box of the ground truth", "%"],
  ["MOTP", "mean overlap of the matches", "%"],
  ["IDSW", "changes of an object's track"],
  ["Frag", "interruptions of an object's track"],
  ["MT", "objects tracked in more than 80 % of their boxes"],
  ["PT", "objects between MT and ML"],
  ["ML", "objects tracked in less than 20 % of their boxes"],
  ["FP", "boxes of tracks without an object"],
  ["FN", "boxes of objects without a track"],
  ["objects", "in the ground truth"],
  ["tracks", "of the tracker"],
];
const FILE = "file";
/** The server takes no more at a time; Cloud Run takes requests of up to 32 MiB. */
export const MOST_BYTES = can.work ? 60e6 : 30e6;

/** The text of chosen files under their names, as the server takes it; what is not chosen is null. */
export async function texts(files) {
  const bytes = Object.values(files).reduce((sum, file) => sum + (file?.size ?? 0), 0);
  if (bytes > MOST_BYTES) throw new Error(`The files have ${Math.ceil(bytes / 1e6)} MB, and the page takes ${MOST_BYTES / 1e6} MB: use the command for longer ones.`);
  const read = async ([key, file]) => [key, file ? { name: file.name, text: await file.text() } : null];
  return Object.fromEntries(await Promise.all(Object.entries(files).map(read)));
}

/** A panel of a request. `handle` shows frames, and draws the ground truth into the picture. */
export function Compare({ facts, handle }) {
  const [isOpen, setOpen] = useState(false);
  return html`
    <details class="panel" onToggle=${(event) => setOpen(event.target.open)}>
      <summary>Compare with ground truth</summary>
      ${isOpen && html`<${Form} facts=${facts} handle=${handle} />`}
    </details>
  `;
}

function Form({ facts, handle }) {
  const id = facts.request_id;
  const [others, setOthers] = useState([]);
  const [truth, setTruth] = useState(FILE);
  const [file, setFile] = useState(null);
  const [iou, setIou] = useState("0.5");
  const [only, setOnly] = useState("");
  const classes = Object.keys(facts.summary?.tracks_by_class ?? {}).sort();
  const [answer, setAnswer] = useState(null);
  const [problem, setProblem] = useState(null);
  const [isBusy, setBusy] = useState(false);
  const [isDrawn, setDrawn] = useState(true);
  useEffect(() => {
    const isComparable = (one) => one.request_id !== id && one.tracks !== null && one.video === facts.video && one.frames === facts.facts?.frame_count;
    // Without the list files can be compared.
    api.requests().then((all) => setOthers(all.filter(isComparable)), () => {});
  }, [id]);
  useEffect(() => {
    handle.current?.against(isDrawn && answer?.boxes ? byFrame(answer.boxes) : null);
    return () => handle.current?.against(null);
  }, [answer, isDrawn]);
  const compare = async (event) => {
    event.preventDefault();
    setBusy(true);
    setProblem(null);
    try {
      const wanted = truth === FILE ? { file: (await texts({ file })).file } : { request: truth };
      setAnswer(await api.evaluate(id, { truth: wanted, iou: Number(iou), classes: only === "" ? [] : [only] }));
    } catch (error) {
      setAnswer(null);
      setProblem(error.message);
    }
    setBusy(false);
  };
  return html`
    <p class="id">The file is MOTChallenge text (gt.txt), or CSV with the header frame,id,x,y,w,h; its frames count from 1. It is not stored.</p>
    <form class="controls" onSubmit=${compare}>
      ${others.length > 0 &&
      html`<label>Compare with <select value=${truth} onChange=${(event) => setTruth(event.target.value)}>
        <option value=${FILE}>a file</option>
        ${others.map((one) => html`<option value=${one.request_id}>${one.request_id}${one.retrack_of ? ", a version" : ""}</option>`)}
      </select></label>`}
      ${truth === FILE && html`<label>Ground truth <input type="file" accept=".txt,.csv,text/*" onChange=${(event) => setFile(event.target.files[0] ?? null)} /></label>`}
      ${classes.length > 1 &&
      html`<label>Tracks of <select value=${only} onChange=${(event) => setOnly(event.target.value)}>
        <option value="">all classes</option>${classes.map((name) => html`<option value=${name}>${name}</option>`)}
      </select></label>`}
      <label>Boxes match from an overlap of <input type="number" min="0.05" max="1" step="0.05" value=${iou} onInput=${(event) => setIou(event.target.value)} /></label>
      <button class="main" disabled=${isBusy || (truth === FILE && file === null)}>Compare</button>
    </form>
    ${problem !== null && html`<p class="problem" role="alert">${problem}</p>`}
    ${answer !== null &&
    html`
      ${answer.boxes !== null
        ? html`<label class="check"><input type="checkbox" checked=${isDrawn} onChange=${(event) => setDrawn(event.target.checked)} /> Draw the ground truth: white, dashed</label>`
        : html`<p class="id">The ground truth has too many boxes to be drawn.</p>`}
      <${Metrics} answer=${answer} show=${(where) => handle.current?.show(where)} />
    `}
  `;
}

/** Boxes by frame. */
function byFrame(boxes) {
  const frames = new Map();
  for (const [frame, id, box] of boxes) {
    if (!frames.has(frame)) frames.set(frame, []);
    frames.get(frame).push({ id, box });
  }
  return frames;
}

/** What a comparison says. `show` shows a frame; without it, as for files, frames are numbers from 1. */
export function Metrics({ answer, show }) {
  const { metrics, switches, missed, false_alarms, warning, preprocessing } = answer;
  const frame = (at, track = null) => (show ? html`<button type="button" class="small" onClick=${() => show({ frame: at, track, isAlone: true })}>frame ${number(at)}</button>` : number(at + 1));
  return html`
    ${warning !== null && html`<p class="warn" role="alert">${warning}</p>`}
    ${preprocessing !== "plain" && html`<p class="id">The ground truth has the classes of MOTChallenge, so its rules hold: only pedestrians count.</p>`}
    <div class="compared" role="status">
      <div class="scroll"><table>
        <caption class="hidden">Metrics</caption>
        <thead><tr><th scope="col">Metric</th><th scope="col" class="number">Value</th><th scope="col">What it says</th></tr></thead>
        <tbody>${METRICS.map(([name, what, unit]) => html`<tr key=${name}><td>${name}</td><td class="number">${unit ? metrics[name].toFixed(2) : number(metrics[name])}</td><td>${what}</td></tr>`)}</tbody>
      </table></div>
      <div>
        <${Mistakes} title="Switches" of=${switches} heads=${["Object", "Track", "until", "then track", "from"]}
          row=${([object, old, last, now, at]) => [object, `#${old}`, frame(last, old), `#${now}`, frame(at, now)]} />
        <${Mistakes} title="Missed objects" of=${missed} heads=${["Object", "from", "to", "Boxes"]}
          row=${([object, first, last, rows]) => [object, frame(first), frame(last), number(rows)]} />
        <${Mistakes} title="False alarms" of=${false_alarms} heads=${["Track", "from", "to", "Boxes"]}
          row=${([track, first, last, rows]) => [`#${track}`, frame(first, track), frame(last, track), number(rows)]} />
      </div>
    </div>
  `;
}

function Mistakes({ title, of, heads, row }) {
  const { count, first } = of;
  return html`
    <h3>${title}: ${number(count)}${count > first.length ? `, the first ${number(first.length)}` : ""}</h3>
    ${count > 0 &&
    html`<div class="scroll mistakes" tabindex="0" role="group" aria-label=${title}><table>
      <thead><tr>${heads.map((head) => html`<th scope="col">${head}</th>`)}</tr></thead>
      <tbody>${first.map((one) => html`<tr key=${one.join()}>${row(one).map((cell) => html`<td>${cell}</td>`)}</tr>`)}</tbody>
    </table></div>`}
  `;
}
