// A request is tracked again with other settings: another version of its tracks, for which no detector runs.

import { go } from "./address.js";
import * as api from "./api.js";
import { html, useEffect, useRef, useState } from "./html.js";

const ALL = "all";
const NONE = "none";
const yes = (is) => (is ? "yes" : "no");

/**
 * What can be asked for, by the names of `trackdrop retrack`: what it is called, what the request has, and what holds where it has nothing.
 * A check that the request has already stays, unless it is free: the command has no option that takes it away.
 */
export const GROUPS = [
  ["Detections", [
    { key: "classes", name: "Classes", of: (settings) => settings.classes?.join(", "), other: ALL, size: 16 },
    { key: "min_score", name: "Score from", of: (settings) => settings.min_score, other: "any", step: 0.05, most: 1 },
    { key: "detect_every", name: "Every N-th frame", of: (settings) => settings.detect_every, other: 1, step: 1, least: 1 },
  ]],
  ["Tracker", [
    { key: "track_thresh", name: "Tracked from", of: ({ tracker }) => tracker.track_thresh, other: "model's, or 0.6", step: 0.05, most: 1 },
    { key: "match_thresh", name: "Match up to a cost of", of: ({ tracker }) => tracker.match_thresh, other: 0.9, step: 0.05, most: 1 },
    { key: "track_buffer", name: "Frames a lost track is retained", of: ({ tracker }) => tracker.track_buffer, other: 30, step: 1 },
    { key: "scale_buffer", name: "As 30ths of a second, at any frame rate", of: ({ tracker }) => tracker.scale_buffer },
    { key: "no_score_fusion", name: "Don't weight the cost by the score", of: ({ tracker }) => tracker.score_fusion === false },
    { key: "per_class", name: "Each class by itself", of: ({ tracker }) => tracker.per_class },
  ]],
  ["Refinements", [
    { key: "refine", name: "All that is best", of: () => false },
    { key: "plain", name: "Link without appearance", of: ({ appearance }) => !appearance, isThere: ({ appearance }) => Boolean(appearance) },
    { key: "link", name: "Link pieces over, in seconds", of: ({ refine }) => refine?.link, other: "off", step: 0.5 },
    { key: "recover", name: "Recover detections that no track took", of: ({ refine }) => refine?.recover },
    { key: "fill_gaps", name: "Fill gaps of up to N frames", of: ({ refine }) => refine?.fill_gaps, other: "off", step: 1 },
    { key: "smooth", name: "Smooth", of: ({ refine }) => refine?.smooth, other: "off", hint: "rts, or frames", size: 14 },
    { key: "backfill", name: "Begin tracks at their first detection", of: ({ refine }) => refine?.backfill },
  ]],
  ["Results", [
    { key: "video", name: "Annotated video", of: (settings) => settings.video, isFree: true },
    { key: "boxes", name: "Boxes drawn into it", of: (settings) => settings.boxes !== "none", isFree: true },
    { key: "crops", name: "Best pictures", of: (settings) => settings.crops },
    { key: "blur", name: "Blur classes", of: (settings) => settings.blur?.join(", "), other: NONE, size: 12 },
  ]],
];
const FIELDS = GROUPS.flatMap(([, fields]) => fields);
const isCheck = (field) => !("other" in field);
const before = (field, settings) => (isCheck(field) ? Boolean(field.of(settings)) : (field.of(settings) ?? field.other));

/** Best pictures are made with the video. */
const checked = ({ key }, form) => form[key] && (key !== "crops" || form.video);
const isSaid = (field, form, settings) => {
  const had = before(field, settings);
  return isCheck(field) ? checked(field, form) !== had : !["", String(had)].includes(form[field.key].trim());
};

/** What the form says beyond what the request has: name, before, now. */
function differences(form, settings) {
  return FIELDS.filter((field) => isSaid(field, form, settings)).map((field) => {
    const [had, { name }] = [before(field, settings), field];
    return isCheck(field) ? { name, had: yes(had), now: yes(checked(field, form)) } : { name, had: String(had), now: form[field.key].trim() };
  });
}

/** What the server takes: only what is said, so that the rest stays as it is in the request. The video is made unless it is left out. */
export function askedOf(form, settings, groups = GROUPS) {
  const asked = {};
  for (const field of groups.flatMap(([, fields]) => fields)) {
    const { key } = field;
    if (key === "video") asked.no_video = !form.video;
    if (key === "video" || !isSaid(field, form, settings)) continue;
    if (key === "boxes") asked.boxes = form.boxes ? ALL : NONE;
    else if (key === "plain") asked.appearance = NONE;
    else if (isCheck(field)) asked[key] = checked(field, form);
    else asked[key] = field.step ? Number(form[key]) : form[key].trim();
  }
  return asked;
}

/** A button, and the form that it opens. */
export function Again({ facts }) {
  const [isOpen, setOpen] = useState(false);
  return html`
    <button type="button" onClick=${() => setOpen(true)}>Track again…</button>
    ${isOpen && html`<${Form} facts=${facts} close=${() => setOpen(false)} />`}
  `;
}

function Form({ facts, close }) {
  const { settings } = facts;
  const dialog = useRef();
  const [form, setForm] = useState(() => Object.fromEntries(FIELDS.map((field) => [field.key, isCheck(field) ? before(field, settings) : ""])));
  const [problem, setProblem] = useState(null);
  const [isBusy, setBusy] = useState(false);
  useEffect(() => dialog.current.showModal(), []);
  const differs = differences(form, settings);
  const make = (event) => {
    event.preventDefault();
    setBusy(true);
    api.retrack(facts.request_id, askedOf(form, settings)).then(
      (request) => (dialog.current?.close(), go(`/request/${request}`)),
      (error) => (setProblem(error.message), setBusy(false)),
    );
  };
  return html`
    <dialog class="again" ref=${dialog} onClose=${close} aria-labelledby="again">
      <form onSubmit=${make}>
        <h2 id="again">Track again</h2>
        <p class="id">It makes another version of the tracks, with its own rows and video. No detector runs, and this request stays. What is left empty stays as it is here.</p>
        ${GROUPS.map(
          ([name, fields]) => html`<fieldset key=${name}>
            <legend>${name}</legend>
            ${fields.filter(({ isThere }) => isThere?.(settings) ?? true).map((field) => html`<${Field} key=${field.key} field=${field} settings=${settings} form=${form} set=${(value) => (setForm({ ...form, [field.key]: value }), setProblem(null))} />`)}
          </fieldset>`,
        )}
        <div class="differs" role="status">
          ${differs.length === 0 ? html`<p class="id">Nothing differs yet.</p>` : html`<h3>Differs</h3><ul>${differs.map((one) => html`<li key=${one.name}>${one.name}: ${one.had}, now <strong>${one.now}</strong></li>`)}</ul>`}
        </div>
        ${problem !== null && html`<p class="problem" role="alert">${problem}</p>`}
        <div class="controls">
          <button class="main" disabled=${isBusy}>Make a version</button>
          <button type="button" onClick=${() => dialog.current.close()}>Leave it</button>
        </div>
      </form>
    </dialog>
  `;
}

/** One setting of the form. */
export function Field({ field, settings, form, set }) {
  const { key, name } = field;
  if (isCheck(field)) {
    const stays = !field.isFree && before(field, settings);
    return html`<label class="check"><input type="checkbox" checked=${checked(field, form)} disabled=${stays || (key === "crops" && !form.video)} onChange=${(event) => set(event.target.checked)} /> ${name}</label>`;
  }
  const now = [before(field, settings), field.hint].filter(Boolean).join("; ");
  return field.step
    ? html`<label>${name} <input type="number" min=${field.least ?? 0} max=${field.most} step=${field.step === 1 ? 1 : "any"} value=${form[key]} onInput=${(event) => set(event.target.value)} placeholder=${now} /></label>`
    : html`<label>${name} <input value=${form[key]} size=${field.size} onInput=${(event) => set(event.target.value)} placeholder=${now} /></label>`;
}
