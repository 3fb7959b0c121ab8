// The list of requests: search, sort, state.

import * as api from "./api.js";
import { can } from "./can.js";
import { Drop } from "./drop.js";
import { html, useEffect, useMemo, useState } from "./html.js";
import { requestsOf, useLive } from "./live.js";
import { Plan } from "./plan.js";
import { clock, number, STATES, usd, when } from "./text.js";

const COLUMNS = [
  { key: "video", name: "Video", of: (request) => request.video.toLowerCase() },
  { key: "state", name: "State", of: (request) => request.state },
  { key: "uploaded_at", name: "Uploaded", of: (request) => request.uploaded_at },
  { key: "picture", name: "Picture", of: (request) => (request.width_px ?? -1) * (request.height_px ?? 1), isNumber: true },
  { key: "seconds", name: "Length", of: (request) => request.seconds ?? -1, isNumber: true },
  { key: "frames", name: "Frames", of: (request) => request.frames ?? -1, isNumber: true },
  { key: "tracks", name: "Objects", of: (request) => request.tracks ?? -1, isNumber: true },
  { key: "cost", name: "Cost", of: (request) => request.cost?.usd ?? -1, isNumber: true },
];

const COST = "About this on Google Cloud, for as long as the functions were busy";

/** A word with a sign, so that colour is not all that says it. */
export function State({ state }) {
  const sign = { done: "✓", failed: "✕", done_without_video: "✓" }[state] ?? "…";
  return html`<span class="state state-${state}"><span aria-hidden="true">${sign}</span> ${STATES[state] ?? state}</span>`;
}

export function List() {
  const [requests, setRequests] = useState(null);
  const [problem, setProblem] = useState(null);
  const [search, setSearch] = useState(new URLSearchParams(location.search).get("q") ?? "");
  const [order, setOrder] = useState({ key: "uploaded_at", down: true });

  useEffect(() => {
    document.title = "Requests - Trackdrop";
  }, []);
  const live = useLive();
  // The list is asked for again when a request has come to another state, and not while its frames are counted.
  const states = requestsOf(live).map(({ request_id, state, is_over }) => `${request_id} ${state} ${is_over}`).sort().join();
  useEffect(() => {
    api.requests().then((found) => (setRequests(found), setProblem(null)), (error) => setProblem(error.message));
  }, [states]);
  useEffect(() => {
    const url = new URL(location.href);
    search ? url.searchParams.set("q", search) : url.searchParams.delete("q");
    history.replaceState(null, "", url);
  }, [search]);

  const shown = useMemo(() => {
    const { of } = COLUMNS.find((column) => column.key === order.key);
    const found = (requests ?? []).filter((request) => `${request.video} ${request.request_id} ${request.state}`.toLowerCase().includes(search.toLowerCase()));
    const compared = (a, b) => (of(a) < of(b) ? -1 : of(a) > of(b) ? 1 : 0) * (order.down ? -1 : 1);
    return found.sort(compared);
  }, [requests, search, order]);

  return html`
    <main class="list">
      <${Drop} live=${live} />
      ${can.work && html`<${Plan} />`}
      <div class="bar">
        <h1>Requests</h1>
        <label class="search">Search <input type="search" value=${search} onInput=${(e) => setSearch(e.target.value)} placeholder="name, id or state" /></label>
      </div>
      ${problem && html`<p class="problem" role="alert">${problem}</p>`}
      ${requests?.length === 0 && html`<p class="empty">There are no requests yet. Drop a video on this page.</p>`}
      ${requests?.length > 0 &&
      html`
        <div class="scroll">
          <table>
            <caption class="hidden">Requests, the order is that of the chosen column</caption>
            <thead>
              <tr>
                ${COLUMNS.map(
                  ({ key, name, isNumber }) => html`
                    <th scope="col" class=${isNumber ? "number" : ""} aria-sort=${order.key === key ? (order.down ? "descending" : "ascending") : null}>
                      <button type="button" onClick=${() => setOrder({ key, down: order.key === key ? !order.down : isNumber || key === "uploaded_at" })}>
                        ${name}<span aria-hidden="true">${order.key === key ? (order.down ? " ↓" : " ↑") : ""}</span>
                      </button>
                    </th>
                  `,
                )}
              </tr>
            </thead>
            <tbody>
              ${shown.map(
                (request) => html`
                  <tr key=${request.request_id}>
                    <td>
                      <a href=${`/request/${request.request_id}`}>${request.video}</a>
                      <div class="id">${request.request_id}${request.retrack_of && `, a version of ${request.retrack_of}`}</div>
                      ${request.error && html`<div class="error">${request.error}</div>`}
                    </td>
                    <td><${State} state=${request.state} />${request.frames_damaged > 0 && html`<div class="warn">${number(request.frames_damaged)} damaged ${request.frames_damaged === 1 ? "frame" : "frames"}</div>`}</td>
                    <td>${when(request.uploaded_at)}</td>
                    <td class="number">${request.width_px === null ? "" : `${request.width_px} × ${request.height_px}`}</td>
                    <td class="number">${request.seconds === null ? "" : clock(request.seconds, 0)}</td>
                    <td class="number">${request.frames === null ? "" : number(request.frames)}</td>
                    <td class="number">${request.tracks === null ? "" : number(request.tracks)}</td>
                    <td class="number">${request.cost && html`<span title=${COST}>${usd(request.cost.usd)}</span>`}</td>
                  </tr>
                `,
              )}
            </tbody>
          </table>
          ${shown.length === 0 && html`<p class="empty">No request has “${search}” in its name, id or state.</p>`}
        </div>
      `}
    </main>
  `;
}
