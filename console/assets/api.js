// What the page asks the server for.

export class Problem extends Error {}

async function ask(path, options) {
  let response;
  try {
    response = await fetch(path, options);
  } catch (error) {
    if (error.name === "AbortError") throw error;
    throw new Problem("The console does not answer: is it still running?");
  }
  if (!response.ok) {
    const said = await response.json().catch(() => ({}));
    throw new Problem(said.problem ?? `The console answered ${response.status}.`);
  }
  return response;
}

const of = (request) => `/api/requests/${encodeURIComponent(request)}`;

export const requests = async () => (await (await ask("/api/requests")).json()).requests;
export const request = async (id) => (await ask(of(id))).json();
export const frames = async (id) => (await ask(`${of(id)}/frames`)).json();
export const tracks = async (id) => (await ask(`${of(id)}/tracks`)).json();
export const boxes = async (id, from, to) => (await ask(`${of(id)}/boxes/${from}/${to}`)).arrayBuffer();
export const still = async (id, frame) => (await ask(`${of(id)}/stills/${frame}.jpg`)).blob();
export const thumbs = async (id, frame) => new Uint8Array(await (await ask(`${of(id)}/stills/${frame}.thumbs`)).arrayBuffer());
export const videoUrl = (id, which) => `${of(id)}/video/${which}`;
export const stillUrl = (id, frame) => `${of(id)}/stills/${frame}.png`;
export const fileUrl = (id, name) => `${of(id)}/files/${encodeURIComponent(name)}`;
export const exportUrl = (id, format) => `${of(id)}/export/${format}`;
export const cropUrl = (id, track) => `${of(id)}/crops/${track}`;

const send = (method, body) => ({ method, headers: { "content-type": "application/json" }, body: JSON.stringify(body) });
/** Before the first line is drawn: half of what a count takes depends on none. */
export const prepare = async (id, scene) => ask(`${of(id)}/prepare`, send("POST", scene));
export const count = async (id, scene) => (await ask(`${of(id)}/count`, send("POST", scene))).json();
export const scenes = async () => (await (await ask("/api/scenes")).json()).scenes;
export const removeScene = async (name) => (await ask(`/api/scenes/${encodeURIComponent(name)}`, { method: "DELETE" })).json();
export const storeScene = async (scene) => (await ask(`/api/scenes/${encodeURIComponent(scene.name)}`, send("PUT", scene))).json();

/** The answer to one SELECT; it is stopped where the signal says so. `about` names the request that it is about, or the bytes that may be paid for. */
export const query = async (sql, signal, about = {}) => (await ask("/api/ask", { ...send("POST", { sql, ...about }), signal })).json();
export const tables = async () => (await (await ask("/api/tables")).json()).tables;

/** What this console can do. */
export const can = async () => (await ask("/api/can")).json();
/** The address of a new upload. */
export const session = async (upload) => (await (await ask("/api/sessions", send("POST", upload))).json()).address;
/** What the form of dropped videos offers. */
export const choices = async () => (await ask("/api/choices")).json();
export const again = async (upload, wishes) => (await ask(`/api/uploads/${upload}/again`, send("POST", wishes))).json();
export const cancel = async (id) => (await ask(`${of(id)}/cancel`, { method: "POST" })).json();
export const retry = async (id) => (await ask(`${of(id)}/retry`, { method: "POST" })).json();
/** Another version of the tracks: the first `keep` edits, and then these. */
export const mend = async (id, keep, edits) => (await (await ask(`${of(id)}/mend`, send("POST", { keep, edits }))).json()).request;
/** Another version of the tracks, by options of `trackdrop retrack`. */
export const retrack = async (id, settings) => (await (await ask(`${of(id)}/retrack`, send("POST", settings))).json()).request;
/** The tracks of a request against a file or another request. */
export const evaluate = async (id, comparison) => (await ask(`${of(id)}/evaluate`, send("POST", comparison))).json();
/** Tracks of a file against ground truth of another. */
export const evaluateFiles = async (files) => (await ask("/api/evaluate", send("POST", files))).json();
/** Tracks of the files of another program. */
export const retrackFiles = async (files) => (await ask("/api/retrack-files", send("POST", files))).json();
/** What a video would take. */
export const plan = async (planning) => (await ask("/api/plan", send("POST", planning))).json();
export const links = async (id) => (await (await ask(`${of(id)}/links`)).json()).links;
export const removal = async (id) => (await ask(`${of(id)}/removal`)).json();
export const remove = async (id, withVideo) => (await ask(`${of(id)}${withVideo ? "?upload=true" : ""}`, { method: "DELETE" })).json();
