// The page of a request: the player, its tracks, and what is known of it.

import { go } from "./address.js";
import { Again } from "./again.js";
import * as api from "./api.js";
import { AskPanel } from "./ask.js";
import { BY_COMMAND, can } from "./can.js";
import { Compare } from "./compare.js";
import { Doing, Progress } from "./drop.js";
import { Export } from "./export.js";
import { html, useEffect, useRef, useState } from "./html.js";
import { Weakest } from "./links.js";
import { State } from "./list.js";
import { requestsOf, useLive } from "./live.js";
import { PlayerView } from "./playerview.js";
import { Plots } from "./plots.js";
import { Remove } from "./removal.js";
import { bytes, clock, number, usd, when } from "./text.js";

const STAGES = ["split", "track", "merge", "load", "annotate", "join"];

export function RequestPage({ id }) {
  const [facts, setFacts] = useState(null);
  const [times, setTimes] = useState(null);
  const [problem, setProblem] = useState(null);
  const player = useRef(null);
  const mine = requestsOf(useLive()).find((request) => request.request_id === id);
  const moves = mine ? `${mine.state} ${mine.is_over}` : "";
  useEffect(() => {
    api
      .request(id)
      .then(async (facts) => {
        document.title = `${facts.video} - Trackdrop`;
        if (facts.facts) setTimes(await api.frames(id));
        setFacts(facts);
        setProblem(null);
      })
      .catch((error) => setProblem(error.message));
  }, [id, moves]);
  const did = (promise) => promise.then(() => setProblem(null), (error) => setProblem(error.message));
  if (problem && facts === null) return html`<main><p class="problem" role="alert">${problem}</p></main>`;
  if (facts === null) return html`<main><p class="empty" role="status">Loading…</p></main>`;
  return html`
    <main class="request">
      <div class="bar">
        <h1>${facts.video}</h1>
        <${State} state=${facts.state} />
        <span class="id">${facts.request_id}</span>
        <span class="doing">
          ${facts.has.tracks && facts.is_final && html`<${Export} request=${id} />`}
          ${can.mend && facts.is_final && times !== null && html`<${Again} facts=${facts} />`}
          ${can.work && facts.is_final && facts.state !== "done" && html`<button type="button" onClick=${() => did(api.retry(id))}>Retry</button>`}
          ${can.delete && facts.is_final && html`<${Remove} request=${id} name=${facts.video} done=${() => go("/")} />`}
          ${!can.work && html`<span class="id">${BY_COMMAND}</span>`}
        </span>
      </div>
      ${problem && html`<p class="problem" role="alert">${problem}</p>`}
      ${!facts.is_final && html`<${Live} facts=${facts} mine=${mine} did=${did} />`}
      ${facts.error &&
      html`<div class="problem" role="alert"><strong>Failed in ${facts.error.stage}.</strong> ${facts.error.message}</div>`}
      ${times !== null && html`<${PlayerView} key=${facts.is_final} facts=${facts} times=${times} handle=${player} />`}
      <${Warnings} facts=${facts} />
      ${facts.has.tracks && facts.is_final && html`<${Plots} facts=${facts} /><${Compare} facts=${facts} handle=${player} />${facts.settings.refine?.link && html`<${Weakest} request=${id} show=${(where) => player.current?.show(where)} />`}<${AskPanel} request=${id} show=${(where) => player.current?.show(where)} />`}
      <div class="cards">
        <${Source} facts=${facts} />
        <${Result} facts=${facts} />
        <${Timeline} timeline=${facts.timeline} />
      </div>
    </main>
  `;
}

/** How a request goes on that is not over. Another command's is read from the store, as all that it has done. */
function Live({ facts, mine, did }) {
  const request = mine ?? { request_id: facts.request_id, is_worked_for: false };
  return html`
    <section class="panel" aria-label="Progress">
      ${mine && html`<${Progress} request=${mine} />`}
      ${!mine && !can.work && html`<p role="status">Its upload is older than two days, and it is not over: docs/runbook.md says what to do.</p>`}
      ${can.work && !request.is_worked_for && html`<p>This console does not work for it. Another command may; if it was stopped, resume it here.</p>`}
      ${can.work && html`<div class="controls"><${Doing} request=${request} name=${facts.video} did=${did} /></div>`}
    </section>
  `;
}

/** What a person should know, in plain words. */
function Warnings({ facts }) {
  const { notes, ledger } = facts;
  const all = [...notes];
  if (ledger?.frames_damaged > 0) all.unshift(`${number(ledger.frames_damaged)} of ${number(ledger.frames)} ${ledger.frames_damaged === 1 ? "frames is" : "frames are"} damaged: decoded with errors, or not at all, so objects may be missing there.`);
  if (all.length === 0) return null;
  return html`
    <section class="warnings" aria-label="Warnings">
      <h2>Warnings</h2>
      <ul>${all.map((note) => html`<li>${note}</li>`)}</ul>
    </section>
  `;
}

function Facts({ rows }) {
  return html`<dl>${rows.filter(([, value]) => value !== null && value !== undefined && value !== "" && value !== false).map(([name, value]) => html`<dt>${name}</dt><dd>${value}</dd>`)}</dl>`;
}

function Source({ facts }) {
  const video = facts.facts;
  const turned = video && (video.rotation_degrees !== 0 || video.mirrored) && `${video.mirrored ? "mirrored, " : ""}turned by ${video.rotation_degrees}°`;
  const [num, den] = (video?.frame_rate ?? "0/1").split("/").map(Number);
  return html`
    <section class="card">
      <h2>Source</h2>
      <${Facts}
        rows=${[
          ["Uploaded", when(facts.uploaded_at)],
          ["Size", bytes(facts.bytes)],
          ["Format", video && `${video.codec} in ${video.container}`],
          ["Picture", video && `${video.width_px} × ${video.height_px}`],
          ["Shown as", video?.shown_width_px && (video.shown_width_px !== video.width_px || video.shown_height_px !== video.height_px) ? `${video.shown_width_px} × ${video.shown_height_px}` : null],
          ["Stored", turned],
          ["Length", video && clock(video.seconds)],
          ["Frames", video && `${number(video.frame_count)}, ${(num / den).toFixed(2)} a second on average`],
          ["Sound", video && (video.audio_codec ?? "none")],
          ["CRC32C", facts.crc32c],
        ]}
      />
    </section>
  `;
}

function Result({ facts }) {
  const { summary, ledger, model } = facts;
  const classes = Object.entries(summary?.tracks_by_class ?? {}).sort((a, b) => b[1] - a[1]);
  return html`
    <section class="card">
      <h2>Result</h2>
      <${Facts}
        rows=${[
          ["Objects", classes.length > 0 ? classes.map(([name, count]) => `${number(count)} ${name}`).join(", ") : null],
          ["Rows", summary && number(summary.track_rows)],
          ["Detections", summary && number(summary.detections)],
          ["Ledger", ledger && `${number(ledger.frames)} frames: ${number(ledger.frames_whole)} whole, ${number(ledger.frames_damaged)} damaged`],
          ["Segments", number(facts.segments)],
          ["Model", model?.name],
          ["Cost", summary?.cost && html`about ${usd(summary.cost.usd)} on Google Cloud, with the prices of ${summary.cost.prices_as_of}<div class="id">${summary.cost.formula}</div>`],
          ["Version", facts.version],
          ["Version of", facts.retrack_of && html`<a href=${`/request/${facts.retrack_of}`}>${facts.retrack_of}</a>`],
        ]}
      />
      ${facts.files.length > 0 && html`<h3>Files</h3><ul class="files">${facts.files.map((file) => html`<li><a href=${api.fileUrl(facts.request_id, file.name)} download=${file.name}>${file.name}</a> <span class="id">${bytes(file.bytes)}</span></li>`)}</ul>`}
      <details>
        <summary>Settings</summary>
        <pre tabindex="0">${JSON.stringify(facts.settings, null, 2)}</pre>
      </details>
    </section>
  `;
}

function Timeline({ timeline }) {
  if (!timeline) return null;
  const { summary, pieces } = timeline;
  const all = Math.max(summary.seconds, 1e-6);
  const [rowHeight, left, width] = [22, 78, 420];
  const rows = STAGES.filter((stage) => pieces.some((piece) => piece.stage === stage));
  const { bottleneck } = summary;
  const what = bottleneck.stage ? `${bottleneck.stage}${bottleneck.activity ? `, most of it ${bottleneck.activity}` : ""}` : "waiting for a function to begin";
  return html`
    <section class="card wide">
      <h2>How long each part took</h2>
      <svg class="timeline" viewBox=${`0 0 ${left + width + 90} ${rows.length * rowHeight + 20}`} role="img" aria-label=${`Stages over ${summary.seconds.toFixed(2)} seconds`}>
        ${rows.map((stage, at) => {
          const time = summary.stages.find((one) => one.stage === stage);
          return html`
            <g>
              <text x="0" y=${at * rowHeight + 15}>${stage}</text>
              <rect class="rail" x=${left} y=${at * rowHeight + 4} width=${width} height=${rowHeight - 8} />
              ${pieces
                .filter((piece) => piece.stage === stage)
                .map(
                  (piece) => html`<rect class="piece" x=${left + (width * piece.from_s) / all} y=${at * rowHeight + 4} width=${Math.max(1, (width * (piece.to_s - piece.from_s)) / all)} height=${rowHeight - 8}>
                    <title>${stage}${piece.segment === null ? "" : ` of segment ${piece.segment}`}: ${(piece.to_s - piece.from_s).toFixed(2)} s</title>
                  </rect>`,
                )}
              <text x=${left + width + 8} y=${at * rowHeight + 15}>${time ? `${time.clock_s.toFixed(2)} s` : ""}</text>
            </g>
          `;
        })}
        <text class="axis" x=${left} y=${rows.length * rowHeight + 16}>0 s</text>
        <text class="axis end" x=${left + width} y=${rows.length * rowHeight + 16}>${summary.seconds.toFixed(2)} s</text>
      </svg>
      <p>
        It waited most for <strong>${what}</strong> (${Math.round(100 * bottleneck.share)} % of the time)${bottleneck.advice ? `; what helps: ${bottleneck.advice}` : ""}.
      </p>
    </section>
  `;
}
