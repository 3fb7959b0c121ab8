// The boxes of blocks of frames, as the server packs them; read in place.

import * as api from "./api.js";

const FRAMES = 128;
const MOST_BLOCKS = 32;
const MAGIC = 0x31424454;

class Block {
  constructor(buffer) {
    const words = new Uint32Array(buffer, 0, 4);
    if (words[0] !== MAGIC) throw new api.Problem("The console's boxes are of another version: reload the page.");
    const [, rows, from, frames] = words;
    let at = 16;
    const take = (Kind, count) => {
      const part = new Kind(buffer, at, count);
      at += Kind.BYTES_PER_ELEMENT * count;
      return part;
    };
    this.from = from;
    this.starts = take(Uint32Array, frames + 1);
    this.track = take(Uint32Array, rows);
    [this.x1, this.y1, this.x2, this.y2, this.score] = Array.from({ length: 5 }, () => take(Float32Array, rows));
    this.class = take(Uint16Array, rows);
    this.observed = take(Uint8Array, rows);
  }

  /** First row of a frame, and the one after its last. */
  rows(frame) {
    return [this.starts[frame - this.from], this.starts[frame - this.from + 1]];
  }
}

export class Boxes {
  constructor(request, count) {
    this.request = request;
    this.count = count;
    this.blocks = new Map();
    this.waiting = new Map();
  }

  /** The block of a frame where it is here. */
  has(frame) {
    const number = Math.floor(frame / FRAMES);
    const block = this.blocks.get(number);
    if (block !== undefined) {
      // The one that was used last is the last to go.
      this.blocks.delete(number);
      this.blocks.set(number, block);
    }
    return block;
  }

  /** The block of a frame. */
  async get(frame) {
    const here = this.has(frame);
    if (here !== undefined) return here;
    const number = Math.floor(frame / FRAMES);
    let wait = this.waiting.get(number);
    if (wait === undefined) {
      const from = number * FRAMES;
      wait = api
        .boxes(this.request, from, Math.max(from + 1, Math.min(from + FRAMES, this.count)))
        .then((buffer) => {
          const block = new Block(buffer);
          this.blocks.set(number, block);
          if (this.blocks.size > MOST_BLOCKS) this.blocks.delete(this.blocks.keys().next().value);
          return block;
        })
        .finally(() => this.waiting.delete(number));
      this.waiting.set(number, wait);
    }
    return wait;
  }

  /** Asks for what comes next, before it is needed. */
  ahead(frame) {
    const next = (Math.floor(frame / FRAMES) + 1) * FRAMES;
    if (next < this.count) this.get(next).catch(() => {});
  }
}
