// Deleting a request: first what would be removed, then that.

import * as api from "./api.js";
import { html, useEffect, useRef, useState } from "./html.js";
import { bytes, number } from "./text.js";

/** A button, and the question that it asks. `done` is called when the request is deleted. */
export function Remove({ request, name, done }) {
  const [isOpen, setOpen] = useState(false);
  return html`
    <button type="button" onClick=${() => setOpen(true)} aria-label=${`Delete ${name}`}>Delete…</button>
    ${isOpen && html`<${Question} request=${request} name=${name} close=${() => setOpen(false)} done=${done} />`}
  `;
}

function Question({ request, name, close, done }) {
  const dialog = useRef();
  const [found, setFound] = useState(null);
  const [problem, setProblem] = useState(null);
  const [withVideo, setWithVideo] = useState(false);
  useEffect(() => {
    dialog.current.showModal();
    api.removal(request).then(setFound, (error) => setProblem(error.message));
  }, []);
  const remove = (event) => {
    event.preventDefault();
    api.remove(request, withVideo).then(() => (dialog.current?.close(), done()), (error) => setProblem(error.message));
  };
  return html`
    <dialog ref=${dialog} onClose=${close} aria-labelledby="removal">
      <form onSubmit=${remove}>
        <h2 id="removal">Delete ${name}?</h2>
        <p class="id">${request}</p>
        ${problem && html`<p class="problem" role="alert">${problem}</p>`}
        ${found === null && problem === null && html`<p role="status">Looking what there is…</p>`}
        ${found !== null &&
        html`
          <p>Its rows, and ${number(found.objects)} objects of ${bytes(found.bytes)}. It can't be undone.</p>
          ${found.versions.length > 0 && html`<p class="warn">${found.versions.join(", ")}: their results stay, but they can't be tracked again.</p>`}
          ${found.upload === null
            ? html`<p>Its video was already deleted.</p>`
            : found.sharing_upload.length > 0
              ? html`<p>The video stays: it is also that of ${found.sharing_upload.join(", ")}.</p>`
              : html`<p><label class="check"><input type="checkbox" checked=${withVideo} onChange=${(e) => setWithVideo(e.target.checked)} /> The video, too (${found.upload})</label></p>`}
        `}
        <div class="controls">
          <button class="main" disabled=${found === null}>Delete</button>
          <button type="button" onClick=${() => dialog.current.close()}>Keep it</button>
        </div>
      </form>
    </dialog>
  `;
}
