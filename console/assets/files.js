// Files of other programs: tracks that are compared, detections that are tracked, and tracks that are refined. No video is needed.

import { askedOf, Field, GROUPS } from "./again.js";
import * as api from "./api.js";
import { can } from "./can.js";
import { Metrics, MOST_BYTES, texts } from "./compare.js";
import { saveFile } from "./csv.js";
import { html, useEffect, useState } from "./html.js";
import { number } from "./text.js";

/** What a file is tracked with where nothing is asked for, and the settings that need no video. */
const UNSET = { tracker: {}, refine: {} };
const OF_FILES = GROUPS.filter(([name]) => ["Tracker", "Refinements"].includes(name)).map(([name, fields]) => [name, fields.filter(({ isThere }) => isThere?.(UNSET) ?? true)]);
const ENDINGS = ".txt,.csv,text/*";

export function FilesPage() {
  useEffect(() => {
    document.title = "Files - Trackdrop";
  }, []);
  return html`
    <main class="list">
      <h1>Files of other programs</h1>
      <p class="id">MOTChallenge text or CSV, frames counted from 1. Nothing is stored. For Parquet and for files of more than ${MOST_BYTES / 1e6} MB use the command.</p>
      <${CompareFiles} />
      ${can.work && html`<${TrackFiles} />`}
    </main>
  `;
}

/** What a form does with its files: its busy time, its answer, its problem. */
function useWork(work) {
  const [answer, setAnswer] = useState(null);
  const [problem, setProblem] = useState(null);
  const [isBusy, setBusy] = useState(false);
  const run = async (event) => {
    event.preventDefault();
    setBusy(true);
    setProblem(null);
    setAnswer(null);
    try {
      setAnswer(await work());
    } catch (error) {
      setProblem(error.message);
    }
    setBusy(false);
  };
  return { answer, problem, isBusy, run };
}

const File = ({ name, set }) => html`<label>${name} <input type="file" accept=${ENDINGS} onChange=${(event) => set(event.target.files[0] ?? null)} /></label>`;

function CompareFiles() {
  const [truth, setTruth] = useState(null);
  const [tracks, setTracks] = useState(null);
  const [iou, setIou] = useState("0.5");
  const { answer, problem, isBusy, run } = useWork(async () => api.evaluateFiles({ ...(await texts({ truth, tracks })), iou: Number(iou) }));
  return html`
    <section class="panel" aria-labelledby="compare">
      <h2 id="compare">Compare tracks with ground truth</h2>
      <form class="controls" onSubmit=${run}>
        <${File} name="Ground truth" set=${setTruth} />
        <${File} name="Tracks" set=${setTracks} />
        <label>Boxes match from an overlap of <input type="number" min="0.05" max="1" step="0.05" value=${iou} onInput=${(event) => setIou(event.target.value)} /></label>
        <button class="main" disabled=${isBusy || truth === null || tracks === null}>Compare</button>
      </form>
      ${problem !== null && html`<p class="problem" role="alert">${problem}</p>`}
      ${answer !== null && html`<p class="id">Frames count from 1, as in the files.</p><${Metrics} answer=${answer} />`}
    </section>
  `;
}

function TrackFiles() {
  const [detections, setDetections] = useState(null);
  const [tracks, setTracks] = useState(null);
  const [format, setFormat] = useState("csv");
  const [about, setAbout] = useState({ frame_rate: "", frames: "" });
  const [form, setForm] = useState(() => Object.fromEntries(OF_FILES.flatMap(([, fields]) => fields).map((field) => [field.key, "other" in field ? "" : false])));
  const { answer, problem, isBusy, run } = useWork(async () => {
    const value = (text) => (text.trim() === "" ? null : Number(text));
    const options = askedOf(form, UNSET, OF_FILES);
    return api.retrackFiles({ ...(await texts({ detections, tracks })), format, frame_rate: value(about.frame_rate), frames: value(about.frames), options });
  });
  const set = (key) => (event) => setAbout({ ...about, [key]: event.target.value });
  return html`
    <section class="panel" aria-labelledby="track">
      <h2 id="track">Track detections, or refine tracks</h2>
      <p class="id">Detections are CSV with the header frame,x1,y1,x2,y2,score, or MOTChallenge det.txt. With a file of tracks, these are refined; “recover” and “all that is best” then need the detections, too.</p>
      <form class="again files" onSubmit=${run}>
        <fieldset><legend>Files</legend>
          <${File} name="Detections" set=${setDetections} />
          <${File} name="Tracks to refine" set=${setTracks} />
          <label>Frames per second <input type="number" min="0" max="1000" step="any" value=${about.frame_rate} onInput=${set("frame_rate")} placeholder="30" /></label>
          <label>Frames of the video <input type="number" min="1" step="1" value=${about.frames} onInput=${set("frames")} placeholder="all in the file" /></label>
        </fieldset>
        ${OF_FILES.map(
          ([name, fields]) => html`<fieldset key=${name}><legend>${name}</legend>
            ${fields.map((field) => html`<${Field} key=${field.key} field=${field} settings=${UNSET} form=${form} set=${(value) => setForm({ ...form, [field.key]: value })} />`)}
          </fieldset>`,
        )}
        <div class="controls">
          <label>Result as <select value=${format} onChange=${(event) => setFormat(event.target.value)}><option value="csv">CSV</option><option value="txt">MOTChallenge text</option></select></label>
          <button class="main" disabled=${isBusy || (detections === null && tracks === null)}>${tracks === null ? "Track" : "Refine"}</button>
        </div>
      </form>
      ${problem !== null && html`<p class="problem" role="alert">${problem}</p>`}
      ${answer !== null &&
      html`<div role="status">
        <p>${number(answer.frames)} frames, ${number(answer.tracks)} tracks, ${number(answer.rows)} rows.</p>
        ${answer.refused > 0 && html`<p class="warn">${number(answer.refused)} detections without a size or with values that are not numbers were left out.</p>`}
        <div class="controls"><button type="button" class="main" onClick=${() => saveFile(answer.name, "text/plain", answer.text)}>Save ${answer.name}</button></div>
      </div>`}
    </section>
  `;
}
