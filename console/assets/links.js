// Where the identities of a request that was tracked with links are weakest, as `trackdrop links` lists them.

import * as api from "./api.js";
import { html, useEffect, useState } from "./html.js";
import { number } from "./text.js";

/** `show` shows a frame in the player, with a track chosen. */
export function Weakest({ request, show }) {
  const [isOpen, setOpen] = useState(false);
  return html`
    <details class="panel" onToggle=${(event) => setOpen(event.target.open)}>
      <summary>Weakest identities</summary>
      ${isOpen && html`<${Links} request=${request} show=${show} />`}
    </details>
  `;
}

function Links({ request, show }) {
  const [links, setLinks] = useState(null);
  const [problem, setProblem] = useState(null);
  useEffect(() => {
    api.links(request).then(setLinks, (error) => setProblem(error.message));
  }, [request]);
  if (problem !== null) return html`<p class="problem" role="alert">${problem}</p>`;
  if (links === null) return html`<p class="id" role="status">Reading…</p>`;
  if (links.length === 0) return html`<p class="empty">No pieces of tracks were linked.</p>`;
  const to = (frame, track) => html`<button type="button" class="small" onClick=${() => show({ frame, track })}>frame ${number(frame)}</button>`;
  return html`
    <p class="id">Each line is a link between two pieces of one track, the weakest first. At a margin of 0.7 the best other use of one of its ends was half as likely, at 4.6 a hundredth.</p>
    <div class="scroll links" tabindex="0" role="group" aria-label="Weakest identities">
      <table>
        <thead><tr><th scope="col" class="number">Margin</th><th scope="col" class="number">Track</th><th scope="col">Seen until</th><th scope="col">Seen again from</th><th scope="col" class="number">Gap</th></tr></thead>
        <tbody>
          ${links.map(
            (link) => html`<tr key=${`${link.track_id} ${link.first_frame_index}`}>
              <td class="number">${link.identity_margin.toFixed(2)}</td>
              <td class="number">#${link.track_id}</td>
              <td>${to(link.last_frame_index, link.track_id)}</td>
              <td>${to(link.first_frame_index, link.track_id)}</td>
              <td class="number">${(link.first_time_s - link.last_time_s).toFixed(2)} s</td>
            </tr>`,
          )}
        </tbody>
      </table>
    </div>
  `;
}
