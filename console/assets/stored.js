// Stored scenes: one is loaded as the draft, or removed after a question.

import * as api from "./api.js";
import { can } from "./can.js";
import { html, useEffect, useRef, useState } from "./html.js";
import { number } from "./text.js";

const counted = (list, one) => `${number(list?.length ?? 0)} ${list?.length === 1 ? one : `${one}s`}`;

/** Those of the picture's shape, to choose from. `taken` is the name of the one that was loaded; `removed` is called with the name of one that is gone. */
export function Stored({ stored, taken, load, removed }) {
  const [isAsking, setAsking] = useState(false);
  const scene = stored.find(({ name }) => name === taken);
  if (stored.length === 0) return null;
  const choose = (event) => {
    const one = stored.find(({ name }) => name === event.target.value);
    if (one) load(one);
  };
  return html`
    <label>Stored <select value=${scene ? taken : ""} onChange=${choose}><option value="">choose…</option>${stored.map(({ name }) => html`<option value=${name}>${name}</option>`)}</select></label>
    ${scene && can.save_scenes && html`<button type="button" onClick=${() => setAsking(true)} aria-label=${`Remove the stored scene ${taken}`}>Remove it…</button>`}
    ${scene && !can.save_scenes && html`<span class="id">To remove it: trackdrop scene remove ${taken} --google</span>`}
    ${scene && isAsking && html`<${Question} scene=${scene} close=${() => setAsking(false)} removed=${removed} />`}
  `;
}

function Question({ scene, close, removed }) {
  const dialog = useRef();
  const [problem, setProblem] = useState(null);
  useEffect(() => dialog.current.showModal(), []);
  const remove = (event) => {
    event.preventDefault();
    api.removeScene(scene.name).then(() => (dialog.current?.close(), removed(scene.name)), (error) => setProblem(error.message));
  };
  return html`
    <dialog ref=${dialog} onClose=${close} aria-labelledby="scene-removal">
      <form onSubmit=${remove}>
        <h2 id="scene-removal">Remove the scene ${scene.name}?</h2>
        ${problem && html`<p class="problem" role="alert">${problem}</p>`}
        <p>It has ${counted(scene.lines, "line")} and ${counted(scene.zones, "zone")}, for ${scene.videos.join(", ")}. No table and no plot has its counts any more. What is drawn here stays.</p>
        <div class="controls">
          <button class="main">Remove</button>
          <button type="button" onClick=${() => dialog.current.close()}>Keep it</button>
        </div>
      </form>
    </dialog>
  `;
}
