// The player's place on the page: its canvas, its buttons and keys, and the rows of the tracks below it.

import { param, setParam } from "./address.js";
import * as api from "./api.js";
import { html, useEffect, useMemo, useRef, useState } from "./html.js";
import { Lanes } from "./lanes.js";
import { can } from "./can.js";
import { Mend } from "./mend.js";
import { Player } from "./player.js";
import { Drawing, ScenePanel, useDraft } from "./scene.js";
import { clock, number, seconds } from "./text.js";

const RATES = [0.1, 0.25, 0.5, 1, 2, 4, 8];
const OPTIONS = [
  ["boxes", "Boxes", "b"],
  ["ids", "Ids", "i"],
  ["labels", "Classes", "c"],
  ["scores", "Scores", "s"],
  ["trails", "Trails", "t"],
  ["dim", "Dim others", "d"],
  ["blur", "Blur", "u"],
];
const HELP = [
  ["Space", "play or pause"], ["← →", "one frame back or forward"], ["⇧ ← →", "ten frames"], ["Home, End", "first or last frame"], ["↑ ↓", "track before or after"],
  ["n p", "beginning or end of the chosen track"], ["Esc", "choose no track"], ["b i c s t d u", "what is drawn"],
];

/** `handle` is given what shows a frame, with a track chosen where one is given (or none, where `isAlone`), and what draws boxes of ground truth. */
export function PlayerView({ facts, times, handle }) {
  const [canvas, video, stage] = [useRef(), useRef(), useRef()];
  const player = useRef(null);
  const [state, setState] = useState(null);
  const [tracks, setTracks] = useState(null);
  const [filter, setFilter] = useState(() => ({
    class: param("class") ?? "", least: Number(param("least")) || 0, score: Number(param("score")) || 0, here: param("here") !== null, zone: param("zone") ?? "",
  }));
  const [problem, setProblem] = useState(null);
  const [jump, setJump] = useState("");
  const [size, setSize] = useState({ width: "0px", height: "0px" });
  const draft = useDraft(facts);

  useEffect(() => {
    const asked = new URLSearchParams(location.search);
    const one = new Player({ canvas: canvas.current, video: video.current, facts, times, changed: setState, sized: setSize });
    player.current = one;
    const which = one.choices().includes(asked.get("video")) ? asked.get("video") : one.choices()[0];
    one.wanted = Number(asked.get("frame") ?? 0) || 0;
    if (asked.get("track") !== null) one.select(Number(asked.get("track")));
    one.use(which, which === asked.get("video"));
    if (facts.has.tracks) api.tracks(facts.request_id).then(setTracks, (error) => setProblem(error.message));
    handle.current = {
      show({ frame, track, isAlone = false }) {
        if (track !== null || isAlone) one.select(track);
        one.show(frame);
        stage.current.scrollIntoView({ block: "nearest" });
        stage.current.focus({ preventScroll: true });
      },
      against: (truth) => one.against(truth),
    };
    return () => one.close();
  }, []);

  // Every state is an address.
  useEffect(() => {
    if (state === null || state.playing || state.busy || state.frame < 0) return;
    const url = new URL(location.href);
    url.searchParams.set("frame", state.frame);
    state.selected === null ? url.searchParams.delete("track") : url.searchParams.set("track", state.selected);
    state.which === null || state.which === player.current.choices()[0] ? url.searchParams.delete("video") : url.searchParams.set("video", state.which);
    history.replaceState(null, "", url);
  }, [state]);

  useEffect(() => {
    const { class: one, least, score, here, zone } = filter;
    for (const [name, value] of Object.entries({ class: one, least: least || "", score: score || "", here: here ? "1" : "", zone })) setParam(name, value === "" ? null : String(value));
  }, [filter]);

  const names = useMemo(() => new Map(tracks?.classes ?? []), [tracks]);
  // A zone that is not drawn any more filters nothing.
  const visitors = draft.counts?.visitors ?? [];
  const inZone = useMemo(() => {
    const found = visitors.find((one) => one.zone === filter.zone);
    return found ? new Set(found.tracks) : null;
  }, [draft.counts, filter.zone]);
  // Which tracks pass the filters, as rows of the server's columns.
  const rows = useMemo(() => {
    if (tracks === null) return [];
    const found = [];
    for (let row = 0; row < tracks.id.length; row++) {
      if (filter.class !== "" && String(tracks.class[row]) !== filter.class) continue;
      if (tracks.to_s[row] - tracks.from_s[row] < filter.least || tracks.score[row] < filter.score) continue;
      if (inZone !== null && !inZone.has(tracks.id[row])) continue;
      found.push(row);
    }
    return found;
  }, [tracks, filter.class, filter.least, filter.score, inZone]);
  useEffect(() => {
    if (tracks === null) return;
    const passing = new Set(rows.map((row) => tracks.id[row]));
    const isAll = passing.size === tracks.id.length;
    player.current.passes = isAll ? () => true : (track) => passing.has(track);
    player.current.className = (one) => names.get(one) ?? `class ${one}`;
    player.current.draw();
  }, [rows, names]);
  const listed = useMemo(() => {
    if (!filter.here || !state) return rows;
    const seen = player.current.tracksShown();
    // Not each frame from a track's first one to its last one has it.
    return rows.filter((row) => (seen === null ? tracks.first[row] <= state.frame && state.frame <= tracks.last[row] : seen.has(tracks.id[row])));
  }, [rows, filter.here, filter.here ? state?.frame : 0]);

  const choose = (row, frame) => {
    player.current.select(tracks.id[row]);
    player.current.show(frame ?? tracks.first[row]);
  };
  const neighbour = (by) => {
    if (listed.length === 0) return;
    const at = listed.findIndex((row) => tracks.id[row] === state.selected);
    choose(listed[at < 0 ? (by > 0 ? 0 : listed.length - 1) : Math.max(0, Math.min(listed.length - 1, at + by))]);
  };
  const chosen = () => tracks?.id.indexOf(state.selected) ?? -1;

  const key = (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey || event.target.closest("input:not([type=checkbox]), select, textarea")) return;
    if ([" ", "Enter"].includes(event.key) && event.target.closest("button, summary, a, input")) return;
    const one = player.current;
    const option = OPTIONS.find(([, , letter]) => letter === event.key);
    const row = chosen();
    const actions = {
      " ": () => one.toggle(),
      ArrowLeft: () => one.step(event.shiftKey ? -10 : -1),
      ArrowRight: () => one.step(event.shiftKey ? 10 : 1),
      Home: () => one.show(0),
      End: () => one.show(one.table.count - 1),
      ArrowDown: () => neighbour(1),
      ArrowUp: () => neighbour(-1),
      n: () => row >= 0 && one.show(tracks.first[row]),
      p: () => row >= 0 && one.show(tracks.last[row]),
      Escape: () => (draft.drawing ? draft.cancel() : one.select(null)),
      Enter: () => draft.finish(),
    };
    if (option) one.set({ [option[0]]: !one.options[option[0]] });
    else if (actions[event.key]) actions[event.key]();
    else return;
    event.preventDefault();
  };

  /** A frame (`120`), a time (`0:04.8`) or a track (`#7`). */
  const jumpTo = (event) => {
    event.preventDefault();
    const text = jump.trim();
    const one = player.current;
    if (/^#\d+$/.test(text)) {
      const row = tracks?.id.indexOf(Number(text.slice(1))) ?? -1;
      if (row < 0) return setProblem(`There is no track ${text}.`);
      choose(row);
    } else if (/^\d+$/.test(text) && Number(text) < one.table.count) one.show(Number(text));
    else if (!Number.isNaN(seconds(text)) && /[:.]/.test(text)) one.showTime(seconds(text));
    else return setProblem(`“${text}” is neither a frame (0 to ${one.table.count - 1}), a time such as 0:04.8, nor a track such as #7.`);
    setProblem(null);
    setJump("");
    stage.current.focus();
  };

  const pick = (event) => {
    const place = canvas.current.getBoundingClientRect();
    player.current.select(player.current.trackAt(event.clientX - place.left, event.clientY - place.top));
  };
  const last = times.frame_count - 1;
  const row = state ? chosen() : -1;

  return html`
    <section class="player" aria-label="Player" onKeyDown=${key}>
      <div class="stage" ref=${stage} tabindex="0" role="group" aria-label="Picture. Arrow keys step by frame, space plays.">
        <video ref=${video} playsinline preload="auto" tabindex="-1" aria-hidden="true"></video>
        <canvas
          ref=${canvas}
          onClick=${pick}
          role="img"
          aria-label=${state && state.frame >= 0 ? `Frame ${state.frame} with its boxes` : "The picture is loading"}
          data-settled=${state && !state.busy && !state.playing && state.wanted === null ? state.frame : -1}
        ></canvas>
        <${Drawing} facts=${facts} draft=${draft} size=${size} />
      </div>
      <div class="controls">
        <button type="button" class="main" onClick=${() => player.current.toggle()} disabled=${!state || state.which === null} aria-label=${state?.playing ? "Pause" : "Play"}>${state?.playing ? "❚❚" : "▶"}</button>
        <button type="button" onClick=${() => player.current.step(-1)} aria-label="A frame back">◀❙</button>
        <button type="button" onClick=${() => player.current.step(1)} aria-label="A frame on">❙▶</button>
        <input class="scrub" type="range" min="0" max=${last} value=${state?.wanted ?? Math.max(0, state?.frame ?? 0)} aria-label="Frame" onInput=${(e) => player.current.show(Number(e.target.value))} />
        <output class="where"><strong>${state && state.frame >= 0 ? number(state.frame) : "–"}</strong> / ${number(last)}<span>${clock((state?.us ?? 0) / 1e6)}</span></output>
      </div>
      <div class="controls second">
        <form onSubmit=${jumpTo}><label>Go to <input value=${jump} onInput=${(e) => setJump(e.target.value)} placeholder="frame, 0:04.8 or #track" size="18" /></label></form>
        <label>Speed <select value=${String(state?.rate ?? 1)} onChange=${(e) => player.current.speed(Number(e.target.value))}>${RATES.map((rate) => html`<option value=${String(rate)}>${rate}×</option>`)}</select></label>
        <label>Video <select class="which" value=${state?.which ?? ""} onChange=${(e) => player.current.use(e.target.value, true)}>
          ${(player.current?.choices() ?? []).map((one) => html`<option value=${one}>${one}</option>`)}
          ${state?.which === null && html`<option value="">stills</option>`}
        </select></label>
        <fieldset><legend class="hidden">What is drawn</legend>
          ${OPTIONS.map(([name, text, letter]) => html`<label class="check" title=${`Key ${letter}`}><input type="checkbox" checked=${state?.options[name] ?? false} onChange=${(e) => player.current.set({ [name]: e.target.checked })} /> ${text}</label>`)}
        </fieldset>
        ${state && state.frame >= 0 && html`<a class="small" href=${api.stillUrl(facts.request_id, state.frame)} download=${`frame-${state.frame}.png`}>Still as PNG</a>`}
        <details class="keys"><summary>Keys</summary><dl>${HELP.map(([keys, what]) => html`<dt>${keys}</dt><dd>${what}</dd>`)}</dl></details>
      </div>
      <p class="notes" role="status">
        ${problem ?? state?.note}
        ${state?.from === "still" && state?.which !== null && html` <span>This frame is a still of the server's decoder, since the browser did not find it in the video.</span>`}
      </p>
      ${facts.has.tracks && facts.is_final && html`<${ScenePanel} facts=${facts} draft=${draft} choose=${(track, frame) => choose(tracks.id.indexOf(track), frame)} />`}
      ${tracks !== null &&
      html`
        <div class="trackbar">
          <h2>Tracks <span class="id">${number(listed.length)} of ${number(tracks.id.length)}</span></h2>
          <label>Class <select value=${filter.class} onChange=${(e) => setFilter({ ...filter, class: e.target.value })}>
            <option value="">all</option>${tracks.classes.map(([number, name]) => html`<option value=${String(number)}>${name}</option>`)}
          </select></label>
          <label>At least <input type="number" min="0" step="0.5" value=${filter.least} onInput=${(e) => setFilter({ ...filter, least: Number(e.target.value) || 0 })} /> s</label>
          <label>Score from <input type="number" min="0" max="1" step="0.05" value=${filter.score} onInput=${(e) => setFilter({ ...filter, score: Number(e.target.value) || 0 })} /></label>
          ${visitors.length > 0 &&
          html`<label>Zone <select value=${inZone ? filter.zone : ""} onChange=${(e) => setFilter({ ...filter, zone: e.target.value })}>
            <option value="">any</option>${visitors.map(({ zone }) => html`<option value=${zone}>${zone}</option>`)}
          </select></label>`}
          <label class="check"><input type="checkbox" checked=${filter.here} onChange=${(e) => setFilter({ ...filter, here: e.target.checked })} /> In this frame only</label>
          ${row >= 0 && html`<span class="chosen">#${tracks.id[row]} ${names.get(tracks.class[row])}, ${clock(tracks.from_s[row])} to ${clock(tracks.to_s[row])} <a href=${`/request/${facts.request_id}/track/${tracks.id[row]}`}>Its page</a> <button type="button" onClick=${() => player.current.select(null)}>Show all</button></span>`}
        </div>
        <${Lanes} tracks=${tracks} rows=${listed} names=${names} count=${times.frame_count} frame=${state?.frame ?? 0} selected=${state?.selected ?? null} choose=${choose} />
        ${facts.is_final && can.mend && html`<${Mend} facts=${facts} tracks=${tracks} names=${names} selected=${state?.selected ?? null} frame=${state?.frame ?? 0} />`}
        ${facts.has.crops && html`<${Gallery} facts=${facts} tracks=${tracks} rows=${listed} names=${names} selected=${state?.selected ?? null} choose=${choose} />`}
      `}
    </section>
  `;
}

/** Pictures that the gallery shows at first, and how many more at a time. */
const CROPS = 60;

/** The best picture of each object. */
function Gallery({ facts, tracks, rows, names, selected, choose }) {
  const [most, setMost] = useState(CROPS);
  return html`
    <details class="gallery">
      <summary>Best pictures</summary>
      <ul>
        ${rows.slice(0, most).map(
          (row) => html`<li key=${tracks.id[row]}>
            <button type="button" aria-pressed=${tracks.id[row] === selected} onClick=${() => choose(row)}>
              <img loading="lazy" src=${api.cropUrl(facts.request_id, tracks.id[row])} alt=${`Best picture of track ${tracks.id[row]}`} />
              <span>#${tracks.id[row]} ${names.get(tracks.class[row])}</span>
            </button>
          </li>`,
        )}
      </ul>
      ${rows.length > most &&
      html`<div class="controls"><button type="button" onClick=${() => setMost(most + CROPS)}>${number(Math.min(CROPS, rows.length - most))} more</button>
        <span class="id">${number(most)} of ${number(rows.length)}</span></div>`}
    </details>
  `;
}
