// How uploads and requests go on, as the server tells it while it happens.

import { useEffect, useState } from "./html.js";

const NOTHING = { drops: [], others: [], notes: [] };
/** Milliseconds until a stream that the server refused is asked for again. */
const AGAIN = 2000;
/** Milliseconds of the samples that a rate is of. */
const [LEAST, MOST] = [1500, 30_000];

let stream = null;
let latest = NOTHING;
const watchers = new Set();
/** Of each request and stage: when how many frames were done. */
const samples = new Map();

/** A browser has six connections to a host: a tab that nobody sees takes none. */
document.addEventListener("visibilitychange", () => {
  if (document.hidden) stream?.close();
  else if (watchers.size > 0) open();
});

function open() {
  if (document.hidden) return;
  stream?.close();
  stream = new EventSource("/api/live");
  stream.onmessage = (event) => {
    latest = { ...NOTHING, ...JSON.parse(event.data) };
    sample();
    watchers.forEach((watcher) => watcher(latest));
  };
  stream.onerror = () => {
    // What broke off, the browser asks for again by itself; what was refused, it does not.
    if (stream?.readyState === EventSource.CLOSED) setTimeout(() => stream?.readyState === EventSource.CLOSED && watchers.size > 0 && open(), AGAIN);
  };
}

function sample() {
  const now = performance.now();
  for (const { request_id, stages, is_over } of requestsOf(latest)) {
    for (const { stage, frames } of stages) {
      const key = `${request_id} ${stage}`;
      const seen = samples.get(key) ?? [];
      if (is_over) {
        samples.delete(key);
        continue;
      }
      if (seen.at(-1)?.frames !== frames) seen.push({ at: now, frames });
      while (seen.length > 2 && now - seen[0].at > MOST) seen.shift();
      samples.set(key, seen);
    }
  }
}

/** All requests that are told of. */
export const requestsOf = ({ drops, others }) => drops.map((drop) => drop.request).filter((request) => request !== null).concat(others);

/** Seconds until a stage has done this many frames, at the rate of the last half minute; null where that is not known. */
export function secondsLeft(request, stage, frames) {
  const seen = samples.get(`${request} ${stage}`);
  if (!seen || seen.length < 2) return null;
  const [first, last] = [seen[0], seen.at(-1)];
  if (last.at - first.at < LEAST || last.frames <= first.frames || last.frames >= frames) return null;
  return ((frames - last.frames) * (last.at - first.at)) / (last.frames - first.frames) / 1000;
}

/** How all is now; the part is drawn again when that changes. */
export function useLive() {
  const [seen, setSeen] = useState(latest);
  useEffect(() => {
    watchers.add(setSeen);
    if (stream === null || stream.readyState === EventSource.CLOSED) open();
    else setSeen(latest);
    return () => {
      watchers.delete(setSeen);
      if (watchers.size > 0) return;
      stream?.close();
      stream = null;
    };
  }, []);
  return seen;
}
