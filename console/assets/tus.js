// Sends files by the protocol tus 1.0, piece by piece. What a killed page or server had taken is not sent again.

import { crc32c } from "./crc32c.js";

const PIECE = 8 << 20;
/** Milliseconds until it is tried again: at first, and at most. */
const [SOON, LATE] = [500, 8000];
const HEADERS = { "Tus-Resumable": "1.0.0" };

const base64 = (bytes) => btoa(Array.from(bytes, (byte) => String.fromCharCode(byte)).join(""));
const base64OfText = (text) => base64(new TextEncoder().encode(text));

/** Files that this page sends, by the ids of their uploads, and those that wait for their turn. */
const sending = new Map();
const waiting = [];
let isBusy = false;
const watchers = new Set();
const tell = () => watchers.forEach((watcher) => watcher());

/** Calls back at every change; gives what ends that. */
export function watch(watcher) {
  watchers.add(watcher);
  return () => watchers.delete(watcher);
}

/** How this page sends an upload, or undefined. */
export const ofThisPage = (id) => sending.get(id);
/** What has no upload yet. */
export const notBegun = () => waiting.concat([...sending.values()].filter((one) => one.id === null));

class Refused extends Error {}

async function asked(path, options, signal) {
  const response = await fetch(path, { ...options, headers: { ...HEADERS, ...options.headers }, signal });
  if (response.ok) return response;
  const said = (await response.json().catch(() => ({}))).problem ?? `The console answered ${response.status}.`;
  // What may be otherwise soon: a console that is started again, an offset, a piece that is still being written or that was damaged.
  if ([401, 409, 423, 460].includes(response.status) || response.status >= 500 && response.status !== 507) {
    const note = response.status === 401 ? "The console was started again: open the address that it printed, and this resumes by itself." : said;
    throw Object.assign(new Error(note), { status: response.status });
  }
  throw Object.assign(new Refused(said), { status: response.status });
}

/** Queues a file. `unfinished` is how the server knows uploads that are not whole: one of the same file goes on. */
export function send(file, wishes, unfinished) {
  const same = unfinished.find((one) => one.name === file.name && one.bytes === file.size && one.modified_ms === file.lastModified && !sending.has(one.id));
  waiting.push({ key: crypto.randomUUID(), file, wishes, id: same?.id ?? null, offset: same?.offset ?? 0, note: null, problem: null, left: new AbortController(), known: null, began: null });
  tell();
  next();
}

/** Sends it no further, and lets the server discard what it has of it. */
export async function discard(id) {
  const one = sending.get(id);
  one?.left.abort();
  await one?.ended;
  await asked(`/api/uploads/${id}`, { method: "DELETE" }).catch((error) => {
    if (error.status !== 404) throw error;
  });
}

/** Forgets what never began. */
export function forget(key) {
  const at = waiting.findIndex((one) => one.key === key);
  if (at >= 0) waiting.splice(at, 1);
  tell();
}

async function next() {
  const at = waiting.findIndex((one) => one.problem === null);
  if (isBusy || at < 0) return;
  isBusy = true;
  const [one] = waiting.splice(at, 1);
  const place = () => one.id ?? one.key;
  sending.set(place(), one);
  tell();
  one.ended = all(one, (id) => {
    sending.delete(place());
    one.id = id;
    sending.set(place(), one);
    tell();
  }).catch((error) => {
    if (error.name !== "AbortError") one.problem = error.message;
  });
  await one.ended;
  sending.delete(place());
  if (one.problem !== null) waiting.push(one);
  isBusy = false;
  tell();
  next();
}

async function all(one, named) {
  let wait = SOON;
  for (;;) {
    try {
      if (one.id === null) {
        named(await created(one));
        one.known = { offset: 0, crc: "00000000" };
      }
      if (!(await isOfThisFile(one))) {
        await asked(`/api/uploads/${one.id}`, { method: "DELETE" }, one.left.signal);
        named(null);
        one.offset = 0;
        continue;
      }
      one.began ??= { at: performance.now(), offset: one.offset };
      while (one.offset < one.file.size) {
        await piece(one);
        wait = SOON;
      }
      return;
    } catch (error) {
      if (error instanceof Refused || error.name === "AbortError" || error.name === "NotReadableError" || error.name === "NotFoundError") {
        if (["NotReadableError", "NotFoundError"].includes(error.name)) throw new Error("The file was changed or moved, and can't be read any more: choose it again.");
        throw error;
      }
      // Without an answer at all the console is not there.
      one.note = error.status === undefined ? "The console does not answer: this resumes when it runs again." : error.message;
      one.began = null;
      tell();
      await later(wait, one.left.signal);
      wait = Math.min(LATE, wait * 2);
    }
  }
}

const later = (milliseconds, signal) =>
  new Promise((done, left) => {
    const timer = setTimeout(done, milliseconds);
    signal.addEventListener("abort", () => (clearTimeout(timer), left(signal.reason)), { once: true });
  });

async function created({ file, wishes, left }) {
  const metadata = [["filename", file.name], ["lastmodified", String(file.lastModified)], ["settings", JSON.stringify(wishes)]];
  const response = await asked(
    "/api/uploads",
    { method: "POST", headers: { "Upload-Length": String(file.size), "Upload-Metadata": metadata.map(([key, value]) => `${key} ${base64OfText(value)}`).join(",") } },
    left.signal,
  );
  return response.headers.get("location").split("/").at(-1);
}

/** Asks for the offset, and whether what the server has is the beginning of this file. */
async function isOfThisFile(one) {
  const response = await asked(`/api/uploads/${one.id}`, { method: "HEAD" }, one.left.signal);
  const [offset, crc] = [Number(response.headers.get("upload-offset")), response.headers.get("upload-crc32c")];
  one.offset = offset;
  if (one.known?.offset !== offset || one.known?.crc !== crc) {
    one.note = "Comparing with the part that has already arrived…";
    tell();
    let own = 0;
    for (let at = 0; at < offset; at += PIECE) {
      one.left.signal.throwIfAborted();
      own = crc32c(new Uint8Array(await one.file.slice(at, Math.min(offset, at + PIECE)).arrayBuffer()), own);
    }
    if (own.toString(16).padStart(8, "0") !== crc) return false;
    one.known = { offset, crc };
  }
  one.note = null;
  tell();
  return true;
}

async function piece(one) {
  const bytes = new Uint8Array(await one.file.slice(one.offset, one.offset + PIECE).arrayBuffer());
  const sum = new Uint8Array(4);
  new DataView(sum.buffer).setUint32(0, crc32c(bytes));
  const response = await asked(
    `/api/uploads/${one.id}`,
    {
      method: "PATCH", body: bytes,
      headers: { "Content-Type": "application/offset+octet-stream", "Upload-Offset": String(one.offset), "Upload-Checksum": `crc32c ${base64(sum)}` },
    },
    one.left.signal,
  );
  one.offset = Number(response.headers.get("upload-offset"));
  one.known = { offset: one.offset, crc: response.headers.get("upload-crc32c") };
  tell();
}
