// The time of every frame. A frame is known by its time in the table, never by time x rate.

export class FrameTable {
  /** From the server's answer: runs of PTS a segment, such as `0 +512*359 +1024`. */
  constructor({ time_base: [num, den], origin_pts, end_pts, frame_count, segments }) {
    const pts = new Float64Array(frame_count);
    let at = 0;
    for (const segment of segments) {
      let last = 0;
      for (const part of segment.split(" ")) {
        if (part === "") continue;
        if (!part.startsWith("+")) {
          last = Number(part);
          pts[at++] = last;
          continue;
        }
        const [step, count] = part.slice(1).split("*").map(Number);
        for (let n = count ?? 1; n > 0; n--) {
          last += step;
          pts[at++] = last;
        }
      }
    }
    this.pts = pts.subarray(0, at);
    this.count = at;
    const micros = (ticks) => ((ticks - origin_pts) * num * 1e6) / den;
    /** Microseconds from the presentation's time 0. */
    this.us = Float64Array.from(this.pts, micros);
    this.endUs = Math.max(micros(end_pts), at > 0 ? this.us[at - 1] + 1000 : 0);
    this.isConstant = segments.every((segment) => segment.split(" ").length <= 2);
  }

  /** Microseconds for which a frame is shown. */
  lasts(frame) {
    return (frame + 1 < this.count ? this.us[frame + 1] : this.endUs) - this.us[frame];
  }

  /** The frame that is shown at a time: the last one that has begun. */
  at(us) {
    let [low, high] = [0, this.count];
    while (low < high) {
      const middle = (low + high) >> 1;
      if (this.us[middle] <= us) low = middle + 1;
      else high = middle;
    }
    return Math.max(0, low - 1);
  }

  /** The frame whose time this is, or -1: a time that is no frame's belongs to no frame. */
  of(us) {
    const before = this.at(us);
    const after = Math.min(before + 1, this.count - 1);
    const frame = Math.abs(this.us[after] - us) < Math.abs(this.us[before] - us) ? after : before;
    const gap = Math.min(this.lasts(frame), frame > 0 ? this.lasts(frame - 1) : Infinity);
    return Math.abs(this.us[frame] - us) <= Math.min(2500, 0.45 * gap) ? frame : -1;
  }
}
