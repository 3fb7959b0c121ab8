// The player: a picture and the boxes of one and the same frame, on one canvas.
//
// The video element decodes, and is never looked at. Each picture is taken from it as a VideoFrame, whose timestamp is the time of exactly these pixels.
// The table of frames says which frame has that time; that frame's boxes are drawn over that picture. So a picture and boxes of two frames can't meet.
//
// Seeks aim inside a frame, since browsers show the frame before at its first instant. What comes is looked at, not believed: where it is another frame,
// the seek is made again with another aim; where that does not help, the server's still of the frame is shown. Sources in which browsers are known to
// mistake frames (edit lists, several tracks, a variable rate) are compared by their pictures with what the server's decoder says.

import * as api from "./api.js";
import { Boxes } from "./boxes.js";
import { isPictureOf } from "./match.js";
import { drawOverlay, drawTruth } from "./overlay.js";
import { FrameTable } from "./table.js";

/** Where in the frame's time a seek aims, one after the other. */
const AIMS = [0.5, 0.25, 0.8, 0.1];
/** A seek whose picture has not come by then is made again. */
const PICTURE_MS = 400;
/** How often the page around the canvas is told while the video plays: for each frame, that would take time which drawing needs. */
const SAY_MS = 100;
/** A seek that has not ended by then never does: Chromium 156 stalls on leading pictures of open GOPs, and the element is of no use until it is loaded again. */
const SEEK_MS = 2500;

export class Player {
  /** `facts` is the server's answer about the request; `changed` is called with each new state, `sized` with each new size of the canvas. */
  constructor({ canvas, video, facts, times, changed, sized }) {
    this.request = facts.request_id;
    this.facts = facts;
    this.canvas = canvas;
    this.context = canvas.getContext("2d", { alpha: false });
    this.video = video;
    this.table = new FrameTable(times);
    this.boxes = facts.has.tracks ? new Boxes(this.request, this.table.count) : null;
    this.changed = changed;
    this.placed = sized;
    this.options = { boxes: true, ids: true, labels: true, scores: false, trails: true, blur: false, dim: true };
    this.selected = null;
    this.passes = () => true;
    this.className = String;
    /** Boxes of ground truth by frame, where there are some. */
    this.truth = null;
    /** What is on the canvas: its frame, its picture, and where that is from. */
    this.shown = { frame: -1, picture: null, from: null };
    this.wanted = null;
    this.working = false;
    this.playing = false;
    this.offsetUs = 0;
    this.which = null;
    this.isTrusted = true;
    this.isChosen = false;
    /** Frames at which the element stalls. */
    this.stalls = new Set();
    this.note = null;
    this.saidAt = -Infinity;
    this.closed = new AbortController();
    const { signal } = this.closed;
    video.muted = false;
    video.addEventListener("ended", () => this.#stopped(), { signal });
    video.addEventListener("pause", () => this.#stopped(), { signal });
    this.waiters = [];
    this.#listen();
    this.observer = new ResizeObserver(() => this.#resize());
    this.observer.observe(canvas.parentElement);
  }

  close() {
    this.closed.abort();
    this.observer.disconnect();
    if (this.callback !== undefined) this.video.cancelVideoFrameCallback(this.callback);
    this.video.removeAttribute("src");
    this.video.load();
    this.#keep({ frame: -1, picture: null, from: null });
  }

  /** The videos that can be played, the better one first. */
  choices() {
    const { has } = this.facts;
    const all = [has.source && "source", has.annotated && "annotated"].filter(Boolean);
    return this.#isPlain() ? all : all.reverse();
  }

  /** Whether browsers find frames in the source by their times. */
  #isPlain() {
    const { facts, notes } = this.facts;
    return this.table.isConstant && !facts.video_streams && !notes.some((note) => /edit/i.test(note));
  }

  /** Plays one of the videos from now on; where the browser can't, the other one, and where there is none, stills. */
  async use(which, isChosen = false) {
    this.pause();
    this.isChosen = isChosen;
    const frame = this.wanted ?? Math.max(0, this.shown.frame);
    const rest = this.choices().filter((other) => other !== which);
    for (const one of [which, ...rest].filter(Boolean)) {
      const failure = await this.#load(one);
      if (this.closed.signal.aborted) return;
      if (failure === null) {
        this.which = one;
        this.isTrusted = one === "annotated" || this.#isPlain();
        this.#overBurned();
        this.note = one === which || which === undefined ? null : `This browser can't play the ${which} video, so the ${one} one is shown.`;
        if (await this.#find()) {
          this.#say();
          return this.show(frame);
        }
        if (this.closed.signal.aborted) return;
      }
    }
    this.which = null;
    this.video.removeAttribute("src");
    this.note = "This browser plays none of the videos: each frame is a still of the server's decoder.";
    this.#say();
    return this.show(frame);
  }

  /** What is in the annotated video's pictures already is not written over them once more. */
  #overBurned() {
    if (this.which === "annotated" && this.facts.settings.boxes !== "none") Object.assign(this.options, { ids: false, labels: false, trails: false });
  }

  async #load(which) {
    const { video } = this;
    video.src = api.videoUrl(this.request, which);
    return new Promise((resolve) => {
      const { signal } = this.closed;
      const once = { once: true, signal };
      video.addEventListener("loadeddata", () => resolve(null), once);
      video.addEventListener("error", () => resolve(video.error?.message || "it can't be decoded"), once);
      signal.addEventListener("abort", () => resolve("closed"), { once: true });
    });
  }

  /** Learns by how much the browser's clock differs from the table's: its first picture is frame 0, which the server confirms. */
  async #find() {
    // A video that was loaded just now holds its first picture. A seek to where it is already brings no other one, which would be waited for in vain.
    for (const seeks of this.video.currentTime === 0 ? [false, true] : [true]) {
      if (seeks) await this.#seek(0);
      const first = this.#grab();
      if (first === null) continue;
      this.offsetUs = first.timestamp - this.table.us[0];
      let isFirst = true;
      try {
        isFirst = await isPictureOf(this.request, 0, first);
      } catch {
        // Without chunks there are no stills to compare with: the clock is believed.
      }
      first.close();
      // The annotated video has boxes in its pictures, and is ours: its times are the table's.
      if (isFirst || this.which === "annotated") return true;
    }
    return false;
  }

  // Pictures

  /** The picture that the video element holds now, with its own time. */
  #grab() {
    if (this.video.readyState < 2) return null;
    try {
      return new VideoFrame(this.video);
    } catch {
      return null;
    }
  }

  #frameOf(picture) {
    return this.table.of(picture.timestamp - this.offsetUs);
  }

  /** Hears of every new picture. */
  #listen() {
    this.callback = this.video.requestVideoFrameCallback(() => {
      this.#listen();
      for (const resolve of this.waiters.splice(0)) resolve(true);
      if (this.playing) this.#play();
    });
  }

  #picture(ms) {
    return new Promise((resolve) => {
      this.waiters.push(resolve);
      setTimeout(resolve, ms, false);
    });
  }

  #play() {
    const picture = this.#grab();
    if (picture === null) return;
    const frame = this.#frameOf(picture);
    if (frame < 0) return picture.close();
    this.#keep({ frame, picture, from: this.which });
    // Once, unless the boxes are still on their way.
    if (!this.draw()) this.boxes?.get(frame).then(() => this.shown.frame === frame && this.draw(), () => {});
    this.boxes?.ahead(frame);
    if (performance.now() >= this.saidAt + SAY_MS) this.#say();
  }

  #keep(shown) {
    if (this.shown.picture !== null && this.shown.picture !== shown.picture) this.shown.picture.close();
    this.shown = shown;
  }

  // Seeking

  /** Sets the element's time, and waits for the picture of it. */
  async #seek(seconds) {
    const { video } = this;
    const { signal } = this.closed;
    const sought = new Promise((resolve) => {
      const timer = setTimeout(resolve, SEEK_MS, false);
      video.addEventListener("seeked", () => (clearTimeout(timer), resolve(true)), { once: true, signal });
    });
    const picture = this.#picture(SEEK_MS);
    video.currentTime = seconds;
    if (!(await sought)) return false;
    await Promise.race([picture, this.#picture(PICTURE_MS)]);
    return true;
  }

  /** The element stalls at a frame: another video takes its place where nobody chose this one, else it is loaded again. */
  async #recover(frame) {
    this.stalls.add(frame);
    const other = this.choices().find((one) => one !== this.which);
    const next = !this.isChosen && other ? other : this.which;
    if ((await this.#load(next)) !== null) return void (this.which = null);
    if (next !== this.which) {
      this.note = `This browser stalls in the ${this.which} video, so the ${next} one is shown.`;
      this.which = next;
      this.isTrusted = true;
      this.stalls.clear();
      this.#overBurned();
      await this.#find();
    }
  }

  /** Shows exactly this frame. The last one that was asked for wins. */
  async show(frame) {
    this.pause();
    this.wanted = Math.max(0, Math.min(this.table.count - 1, frame));
    this.#say();
    if (this.working) return this.working;
    this.working = this.#work();
    try {
      await this.working;
    } finally {
      this.working = false;
      this.#say();
    }
  }

  async #work() {
    while (this.wanted !== null && !this.closed.signal.aborted) {
      const frame = this.wanted;
      const [shown] = await Promise.all([this.#pictureOf(frame), this.boxes?.get(frame).catch((error) => this.#problem(error))]);
      if (this.wanted !== frame) {
        shown?.picture?.close();
        continue;
      }
      this.wanted = null;
      if (shown !== null) this.#keep(shown);
      this.draw();
    }
  }

  async #pictureOf(frame) {
    for (const aim of AIMS) {
      if (this.wanted !== frame) return null;
      if (this.which === null || this.stalls.has(frame)) break;
      let picture = this.#grab();
      if (picture === null || this.#frameOf(picture) !== frame) {
        picture?.close();
        const isSought = await this.#seek((this.table.us[frame] + this.offsetUs + aim * this.table.lasts(frame)) / 1e6);
        if (!isSought) {
          await this.#recover(frame);
          continue;
        }
        picture = this.#grab();
      }
      if (picture === null) continue;
      if (this.#frameOf(picture) === frame && (await this.#isRight(frame, picture))) return { frame, picture, from: this.which };
      picture.close();
      if (!this.isTrusted && this.which === "source") break;
    }
    return this.wanted === frame ? this.#still(frame) : null;
  }

  async #isRight(frame, picture) {
    if (this.isTrusted) return true;
    try {
      return await isPictureOf(this.request, frame, picture);
    } catch {
      return true;
    }
  }

  async #still(frame) {
    try {
      const picture = await createImageBitmap(await api.still(this.request, frame));
      return { frame, picture, from: "still" };
    } catch (error) {
      this.#problem(error);
      return { frame, picture: null, from: null };
    }
  }

  #problem(error) {
    this.note = error.message;
  }

  // What people do

  play() {
    if (this.which === null || this.playing) return;
    this.wanted = null;
    this.playing = true;
    // From the frame that is shown, wherever the element stands.
    const from = this.shown.frame >= this.table.count - 1 ? 0 : Math.max(0, this.shown.frame);
    this.video.currentTime = (this.table.us[from] + this.offsetUs + 0.5 * this.table.lasts(from)) / 1e6;
    this.video.play().catch((error) => {
      this.playing = false;
      if (error.name !== "AbortError") this.#problem(error);
      this.#say();
    });
    this.#say();
  }

  pause() {
    if (!this.playing) return;
    this.playing = false;
    this.video.pause();
  }

  /** It stands: what is on the canvas stays, whatever the element shows. */
  #stopped() {
    this.playing = false;
    this.draw();
    this.#say();
  }

  toggle() {
    this.playing ? this.pause() : this.play();
  }

  step(by) {
    return this.show((this.wanted ?? this.shown.frame) + by);
  }

  showTime(seconds) {
    return this.show(this.table.at(seconds * 1e6));
  }

  speed(rate) {
    // A video that is loaded later plays at the default one.
    this.video.defaultPlaybackRate = rate;
    this.video.playbackRate = rate;
    this.#say();
  }

  // Drawing

  /** Size of the picture as it is shown: turned, and stretched by its pixels' aspect. */
  size() {
    const { facts } = this.facts;
    return [facts.shown_width_px ?? facts.width_px, facts.shown_height_px ?? facts.height_px];
  }

  #resize() {
    const [width, height] = this.size();
    const room = this.canvas.parentElement.getBoundingClientRect();
    const ratio = window.devicePixelRatio || 1;
    const fit = Math.min(room.width / width, room.height / height);
    if (!(fit > 0)) return;
    const [across, down] = [Math.round(width * fit), Math.round(height * fit)];
    this.canvas.style.width = `${across}px`;
    this.canvas.style.height = `${down}px`;
    this.placed({ width: `${across}px`, height: `${down}px` });
    // Not more pixels than twice the picture's: they would hold nothing.
    const scale = Math.min(ratio, Math.max(1, (2 * width) / across));
    if (this.canvas.width !== Math.round(across * scale) || this.canvas.height !== Math.round(down * scale)) {
      this.canvas.width = Math.round(across * scale);
      this.canvas.height = Math.round(down * scale);
    }
    this.draw();
  }

  /** Whether the boxes of the picture are drawn, too. */
  draw() {
    const { canvas, context, shown, facts } = this;
    // Which frame the canvas has is written on it, for whoever reads its pixels.
    Object.assign(canvas.dataset, { frame: shown.frame, from: shown.from ?? "" });
    context.globalAlpha = 1;
    context.fillStyle = "#000";
    if (shown.picture === null) {
      context.fillRect(0, 0, canvas.width, canvas.height);
    } else {
      // Without a graphics card the better filter takes longer than a frame lasts.
      context.imageSmoothingQuality = this.playing ? "low" : "high";
      context.drawImage(shown.picture, 0, 0, canvas.width, canvas.height);
    }
    if (this.boxes === null || shown.frame < 0) return true;
    const scale = [canvas.width / facts.facts.width_px, canvas.height / facts.facts.height_px];
    if (this.truth !== null) drawTruth(context, this.truth.get(shown.frame) ?? [], scale);
    return drawOverlay(context, {
      boxes: this.boxes,
      frame: shown.frame,
      scale,
      options: this.options,
      selected: this.selected,
      passes: this.passes,
      className: this.className,
    });
  }

  set(options) {
    Object.assign(this.options, options);
    this.draw();
    this.#say();
  }

  /** Draws these boxes under those of the tracks; null for none. */
  against(truth) {
    this.truth = truth;
    if (!this.closed.signal.aborted) this.draw();
  }

  select(track) {
    this.selected = track;
    this.draw();
    this.#say();
  }

  /** The tracks that have a box in the frame that is shown; null while that is not known. */
  tracksShown() {
    const block = this.boxes?.has(this.shown.frame);
    return block === undefined ? null : new Set(block.track.subarray(...block.rows(this.shown.frame)));
  }

  /** The track whose box is at a point of the canvas' element, the smallest where there are several. */
  trackAt(x, y) {
    const block = this.boxes?.has(this.shown.frame);
    if (block === undefined) return null;
    const { width_px, height_px } = this.facts.facts;
    const px = (x / this.canvas.clientWidth) * width_px;
    const py = (y / this.canvas.clientHeight) * height_px;
    let [best, area] = [null, Infinity];
    const [first, end] = block.rows(this.shown.frame);
    for (let row = first; row < end; row++) {
      if (px < block.x1[row] || px > block.x2[row] || py < block.y1[row] || py > block.y2[row]) continue;
      if (!this.passes(block.track[row])) continue;
      const size = (block.x2[row] - block.x1[row]) * (block.y2[row] - block.y1[row]);
      if (size < area) [best, area] = [block.track[row], size];
    }
    return best;
  }

  #say() {
    if (this.closed.signal.aborted) return;
    this.saidAt = performance.now();
    this.changed({
      frame: this.shown.frame, from: this.shown.from, wanted: this.wanted, playing: this.playing, busy: this.working !== false,
      which: this.which, note: this.note, selected: this.selected, options: { ...this.options }, rate: this.video.playbackRate,
      us: this.shown.frame < 0 ? 0 : this.table.us[this.shown.frame],
    });
  }
}
