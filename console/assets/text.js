// Numbers and times as people read them.

export const number = (value) => (value ?? 0).toLocaleString("en-US");

export function bytes(value) {
  const units = ["B", "kB", "MB", "GB", "TB"];
  let unit = 0;
  while (value >= 1000 && unit < units.length - 1) {
    value /= 1000;
    unit++;
  }
  return `${unit === 0 ? value : value.toFixed(value < 10 ? 1 : 0)} ${units[unit]}`;
}

/** US dollars, with two digits that say something. */
export const usd = (value) => (value >= 0.1 || value === 0 ? `$${value.toFixed(2)}` : `$${value.toFixed(Math.min(8, 1 - Math.floor(Math.log10(value))))}`);

/** `1:02:03.456` of seconds. */
export function clock(seconds, digits = 3) {
  const sign = seconds < 0 ? "-" : "";
  const all = Math.abs(seconds);
  const unit = 10 ** digits;
  const whole = Math.floor(Math.round(all * unit) / unit);
  const rest = (Math.round(all * unit) % unit).toString().padStart(digits, "0");
  const [h, m, s] = [Math.floor(whole / 3600), Math.floor(whole / 60) % 60, whole % 60];
  const two = (n) => String(n).padStart(2, "0");
  return `${sign}${h > 0 ? `${h}:${two(m)}` : m}:${two(s)}${digits > 0 ? `.${rest}` : ""}`;
}

/** Seconds of `1:02:03.4`, `2:03` or `3.5`; not a number for anything else. */
export function seconds(text) {
  if (!/^\d+(:\d{1,2}){0,2}(\.\d+)?$/.test(text)) return NaN;
  return text.split(":").reduce((sum, part) => sum * 60 + Number(part), 0);
}

export const when = (time) => new Date(time).toLocaleString("en-GB", { dateStyle: "medium", timeStyle: "short" });

export const STATES = {
  waiting: "waiting", splitting: "splitting", tracking: "tracking", merging: "merging", annotating: "annotating",
  done: "done", done_without_video: "done, no video", failed: "failed",
};
