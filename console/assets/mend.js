// Tracks are corrected by hand: the edits make another version of the request, and each can be taken back.

import { go } from "./address.js";
import * as api from "./api.js";
import { html, useState } from "./html.js";
import { number } from "./text.js";

/** What an edit does, in words. */
function inWords(edit) {
  const [kind, track, ...rest] = edit.split(" ");
  if (kind === "merge") return `#${rest[0]} is #${track}`;
  if (kind === "split") return `#${track} is another object from frame ${number(Number(rest[0]))} on`;
  if (kind === "class") return `#${track} is a ${rest.join(" ")}`;
  return `#${track} is no object`;
}

/** Beside the tracks: what is done with the chosen one, what is planned, and what was done. */
export function Mend({ facts, tracks, names, selected, frame }) {
  const [planned, setPlanned] = useState([]);
  const [other, setOther] = useState("");
  const [problem, setProblem] = useState(null);
  const [isBusy, setBusy] = useState(false);
  const made = facts.settings.edits ?? [];
  const row = tracks.id.indexOf(selected);
  const plan = (edit) => (setPlanned([...planned, edit]), setProblem(null));
  const make = (keep, edits) => {
    setBusy(true);
    api.mend(facts.request_id, keep, edits).then(
      (request) => go(`/request/${request}`),
      (error) => (setProblem(error.message), setBusy(false)),
    );
  };
  const merge = (event) => {
    event.preventDefault();
    const from = Number(other.replace("#", ""));
    if (from === selected || !tracks.id.includes(from)) return setProblem(`“${other}” is no other track of this video: give its number, such as ${tracks.id.find((id) => id !== selected) ?? 2}.`);
    plan(`merge ${selected} ${from}`);
    setOther("");
  };
  return html`
    <details class="mend">
      <summary>Correct tracks${made.length + planned.length > 0 ? html` <span class="id">${made.length} made, ${planned.length} planned</span>` : ""}</summary>
      ${row < 0
        ? html`<p class="id">Choose a track to correct it.</p>`
        : html`
            <div class="controls">
              <strong>#${selected} ${names.get(tracks.class[row])}</strong>
              <form onSubmit=${merge}><label>is also # <input value=${other} onInput=${(e) => setOther(e.target.value)} size="5" inputmode="numeric" /></label> <button>Merge</button></form>
              <button type="button" disabled=${frame <= tracks.first[row] || frame > tracks.last[row]} onClick=${() => plan(`split ${selected} ${frame}`)}>Split at frame ${number(frame)}</button>
              <label>is a <select value="" onChange=${(e) => e.target.value && plan(`class ${selected} ${e.target.value}`)}>
                <option value="">class…</option>${[...names.values()].map((name) => html`<option value=${name}>${name}</option>`)}
              </select></label>
              <button type="button" onClick=${() => plan(`delete ${selected}`)}>It is no object</button>
            </div>
          `}
      ${problem && html`<p class="problem" role="alert">${problem}</p>`}
      ${planned.length > 0 &&
      html`
        <h3>Planned</h3>
        <ol>${planned.map((edit, at) => html`<li key=${at}>${inWords(edit)}</li>`)}</ol>
        <div class="controls">
          <button type="button" class="main" disabled=${isBusy} onClick=${() => make(made.length, planned)}>Make a version</button>
          <button type="button" onClick=${() => setPlanned(planned.slice(0, -1))}>Take the last back</button>
          <span class="id">It is a request of its own, with its rows and its video. This one stays.</span>
        </div>
      `}
      ${made.length > 0 &&
      html`
        <h3>Made</h3>
        <ol>${made.map((edit, at) => html`<li key=${at}>${inWords(edit)} <code class="id">${edit}</code></li>`)}</ol>
        <div class="controls"><button type="button" disabled=${isBusy} onClick=${() => make(made.length - 1, [])}>Undo the last</button></div>
      `}
    </details>
  `;
}
