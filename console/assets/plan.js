// What a video would take on Google Cloud, before it is processed: `trackdrop plan`.

import * as api from "./api.js";
import { html, useState } from "./html.js";
import { clock, number, usd } from "./text.js";

const FIELDS = [
  { key: "fps_per_gpu", name: "Frames per second of one GPU", step: "any", isNeeded: true },
  { key: "max_instances", name: "GPU instances, at most", step: 1, isNeeded: true },
  { key: "start_seconds", name: "Seconds until an instance can detect", hint: "30", step: "any" },
  { key: "segment_seconds", name: "Seconds of a segment", hint: "10", step: "any" },
];

export function Plan() {
  const [form, setForm] = useState({ video: "", detect_every: "", probe: false, refine: false, ...Object.fromEntries(FIELDS.map(({ key }) => [key, ""])) });
  const [plan, setPlan] = useState(null);
  const [problem, setProblem] = useState(null);
  const [isBusy, setBusy] = useState(false);
  const set = (key, value) => setForm({ ...form, [key]: value });
  const predict = async (event) => {
    event.preventDefault();
    setBusy(true);
    setProblem(null);
    setPlan(null);
    const asked = { video: form.video.trim(), detect_every: form.detect_every.trim() || null, probe: form.probe, refine: form.probe && form.refine };
    for (const { key } of FIELDS) if (form[key] !== "") asked[key] = Number(form[key]);
    try {
      setPlan(await api.plan(asked));
    } catch (error) {
      setProblem(error.message);
    }
    setBusy(false);
  };
  return html`
    <details class="panel">
      <summary>Predict time and cost before a video is processed</summary>
      <p class="id">For detection on Google Cloud. The video is read where it is, and stays there. How many frames one GPU detects in a second is in summary.json of an earlier request on such a GPU (fps_per_instance).</p>
      <form class="again files" onSubmit=${predict}>
        <div class="controls">
          <label>The video's path on this machine <input required size="32" value=${form.video} onInput=${(event) => set("video", event.target.value)} placeholder="/home/me/clip.mp4" /></label>
          ${FIELDS.map(({ key, name, hint, step, isNeeded }) => html`<label key=${key}>${name} <input type="number" min="0" step=${step} placeholder=${hint} required=${isNeeded} value=${form[key]} onInput=${(event) => set(key, event.target.value)} /></label>`)}
          <label>Detect every <input size="8" value=${form.detect_every} onInput=${(event) => set("detect_every", event.target.value)} placeholder="1, or auto" /> frames</label>
          <label class="check"><input type="checkbox" checked=${form.probe} onChange=${(event) => set("probe", event.target.checked)} /> Try on stretches of the video what each N loses</label>
          <label class="check"><input type="checkbox" checked=${form.refine && form.probe} disabled=${!form.probe} onChange=${(event) => set("refine", event.target.checked)} /> Refine these tracks</label>
          <button class="main" disabled=${isBusy}>Predict</button>
        </div>
      </form>
      ${isBusy && html`<p class="id" role="status">${form.probe ? "The detector looks at a few stretches of the video…" : "Reading…"}</p>`}
      ${problem !== null && html`<p class="problem" role="alert">${problem}</p>`}
      ${plan !== null && html`<${Predicted} plan=${plan} />`}
    </details>
  `;
}

function Predicted({ plan }) {
  const { cost, probe } = plan;
  return html`
    <div role="status">
      <dl>
        <dt>Frames</dt><dd>${number(plan.frames)} in ${number(plan.segments)} ${plan.segments === 1 ? "segment" : "segments"}${plan.detect_every > 1 ? `; the detector looks at ${number(plan.looks)}, every ${plan.detect_every} frames` : ""}</dd>
        <dt>Detection</dt><dd>${plan.wall_seconds < 60 ? `${Math.ceil(plan.wall_seconds)} s` : clock(plan.wall_seconds, 0)} on ${number(plan.instances)} ${plan.instances === 1 ? "instance" : "instances"}, with their start</dd>
        <dt>Cost</dt><dd>about ${usd(cost.usd)}, with the prices of ${cost.prices_as_of}<div class="id">${cost.formula}</div></dd>
      </dl>
      ${plan.warnings.length > 0 && html`<ul class="warnings">${plan.warnings.map((note) => html`<li>${note}</li>`)}</ul>`}
      ${probe &&
      html`<p>${probe.explanation}</p>
        <div class="scroll links"><table>
          <thead><tr><th scope="col" class="number">Every</th><th scope="col" class="number">Looks</th><th scope="col" class="number">Loss of IDF1</th><th scope="col" class="number">GPU seconds</th><th scope="col" class="number">Cost</th></tr></thead>
          <tbody>${probe.strides.map(
            (one) => html`<tr key=${one.detect_every}>
              <td class="number">${one.detect_every}${one.detect_every === probe.stride.detect_every ? " (auto)" : ""}</td><td class="number">${number(one.looks)}</td>
              <td class="number">${one.loss_percent === null ? "none" : `${one.loss_percent.toFixed(2)} ± ${one.error_percent.toFixed(2)} %`}</td>
              <td class="number">${number(Math.round(one.gpu_seconds))}</td><td class="number">${usd(one.usd)}</td>
            </tr>`,
          )}</tbody>
        </table></div>`}
    </div>
  `;
}
