// Sends files straight to Cloud Storage by resumable sessions. What it has taken is not sent again, whatever page or service ends meanwhile.

import * as api from "./api.js";
import { crc32c } from "./crc32c.js";

/** A multiple of 256 KiB, as Cloud Storage demands. */
const PIECE = 8 << 20;
/** Milliseconds until it is tried again: at first, and at most. */
const [SOON, LATE] = [500, 8000];
/** Milliseconds after which Cloud Storage forgets a session: a week, less an hour. */
const LIVES = 7 * 86_400_000 - 3_600_000;

const all = [];
let isBusy = false;
const watchers = new Set();
const tell = () => watchers.forEach((watcher) => watcher());

/** Calls back at every change; gives what ends that. */
export function watch(watcher) {
  watchers.add(watcher);
  return () => watchers.delete(watcher);
}

/** The server knows of no upload before it is a request. */
export const ofThisPage = () => undefined;
export const discard = async () => {};
/** Everything that this page sends or has sent. */
export const notBegun = () => all;

/** Queues a file. */
export function send(file, wishes) {
  const key = `session ${file.name} ${file.size} ${file.lastModified}`;
  if (all.some((one) => one.key === key && one.problem === null && !one.isWhole)) return;
  all.push({ key, file, wishes, address: null, offset: 0, crc: 0, isWhole: false, note: null, problem: null, left: new AbortController() });
  tell();
  next();
}

/** Sends it no further. What Cloud Storage has of it goes after a week. */
export function forget(key) {
  const at = all.findIndex((one) => one.key === key);
  if (at < 0) return;
  all[at].left.abort();
  all.splice(at, 1);
  tell();
}

async function next() {
  const one = all.find((one) => one.problem === null && !one.isWhole);
  if (isBusy || one === undefined) return;
  isBusy = true;
  try {
    await sent(one);
    one.isWhole = true;
    one.note = "is complete: its request begins within seconds";
    localStorage.removeItem(one.key);
  } catch (error) {
    if (error.name !== "AbortError") one.problem = error.message;
  }
  isBusy = false;
  tell();
  next();
}

/** The address of a session that an earlier page began, if it lives. */
function remembered(key) {
  try {
    const { address, at } = JSON.parse(localStorage.getItem(key));
    return Date.now() - at < LIVES ? address : null;
  } catch {
    return null;
  }
}

/** What is stored is another content than the file's. */
class Different extends Error {}

async function sent(one) {
  let wait = SOON;
  let isKnown = false;
  for (;;) {
    try {
      one.address ??= remembered(one.key);
      if (one.address === null) {
        one.address = await api.session({ name: one.file.name, bytes: one.file.size, wishes: one.wishes });
        localStorage.setItem(one.key, JSON.stringify({ address: one.address, at: Date.now() }));
        [one.offset, one.crc, isKnown] = [0, 0, true];
      }
      if (!isKnown) {
        const done = await asked(one);
        if (done) return await compared(one, done);
        isKnown = true;
      }
      const done = await piece(one);
      wait = SOON;
      if (done) return await compared(one, done);
    } catch (error) {
      if (error instanceof api.Problem || error instanceof Different || error.name === "AbortError") throw error;
      if (["NotReadableError", "NotFoundError"].includes(error.name)) throw new Error("The file was changed or moved, and can't be read any more: choose it again.");
      isKnown = false;
      if ([404, 410].includes(error.status)) {
        // The session is gone.
        localStorage.removeItem(one.key);
        one.address = null;
      } else if (error.status >= 400 && error.status < 500 && ![408, 429].includes(error.status)) {
        localStorage.removeItem(one.key);
        throw new Error(error.status === 412 ? "There is already another video of this name: rename the file." : `Cloud Storage refuses it with ${error.status}: ${error.message}`);
      }
      one.note = "Cloud Storage does not answer: this resumes once it does.";
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

/**
 * A call of the session: the object where all has come, else null; and how much has come. A browser may not show the answer's `Range`. Then that is
 * `unsaid`, and the CRC of the whole object tells in the end.
 */
async function put(one, range, body, unsaid) {
  const response = await fetch(one.address, { method: "PUT", headers: { "Content-Range": range }, body, signal: one.left.signal });
  if (response.status === 308) {
    const last = response.headers.get("range")?.match(/-(\d+)$/)?.[1];
    return { object: null, offset: last === undefined ? unsaid : Number(last) + 1 };
  }
  if (response.ok) return { object: await response.json().catch(() => ({})), offset: one.file.size };
  throw Object.assign(new Error((await response.text().catch(() => "")).slice(0, 200)), { status: response.status });
}

/** How much Cloud Storage has of an upload of which this page does not know it. */
async function asked(one) {
  one.note = "Asking how much has already arrived…";
  tell();
  const { object, offset } = await put(one, `bytes */${one.file.size}`, "", 0);
  await read(one, offset);
  one.note = null;
  tell();
  return object;
}

/** The CRC of the beginning of the file, up to an offset. */
async function read(one, offset) {
  if (one.offset > offset) [one.offset, one.crc] = [0, 0];
  while (one.offset < offset) {
    one.left.signal.throwIfAborted();
    const bytes = new Uint8Array(await one.file.slice(one.offset, Math.min(offset, one.offset + PIECE)).arrayBuffer());
    [one.offset, one.crc] = [one.offset + bytes.length, crc32c(bytes, one.crc)];
  }
}

async function piece(one) {
  const [from, size] = [one.offset, one.file.size];
  const bytes = new Uint8Array(await one.file.slice(from, from + PIECE).arrayBuffer());
  const { object, offset } = await put(one, `bytes ${from}-${from + bytes.length - 1}/${size}`, bytes, from + bytes.length);
  // Of a piece it may have taken a part.
  const taken = bytes.subarray(0, Math.max(0, offset - from));
  [one.offset, one.crc, one.note] = [from + taken.length, crc32c(taken, one.crc), null];
  tell();
  return object;
}

/** Whether what is stored is the file. */
async function compared(one, { crc32c: stored }) {
  await read(one, one.file.size);
  if (stored === undefined) return;
  const sum = new Uint8Array(4);
  new DataView(sum.buffer).setUint32(0, one.crc);
  if (btoa(String.fromCharCode(...sum)) !== stored) {
    localStorage.removeItem(one.key);
    throw new Different("What was stored is not this file, which was changed while it was sent: delete the request with its upload, and choose the file again.");
  }
}
