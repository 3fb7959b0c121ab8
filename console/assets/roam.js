// What a pointer reads off a picture, the arrow keys read, too.

/** Where each key leads of a place in a picture of this many cells; null where it leads nowhere. */
export function moved(key, [x, y], [across, down]) {
  const within = (value, count) => Math.max(0, Math.min(count - 1, value));
  const steps = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] };
  if (steps[key]) return [within(x + steps[key][0], across), within(y + steps[key][1], down)];
  if (key === "Home") return [0, y];
  return key === "End" ? [across - 1, y] : null;
}
