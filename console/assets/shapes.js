// Lines, zones and points of a calibration as parameters of the address: a link shows the same shapes, which count the same.
//
//   line=gate*90_18_90_100            a line: its name, and x and y of each point
//   line=gate*90_18_90_100*come*go    the same, with names of its directions
//   polygon=hall*40_60_90_60_90_105   a zone; `zone` is the filter of the tracks
//   ground=10_20_1_8.8                a point of the picture, and its place in metres
//   rules={"hysteresis":1}            what else a stored scene says, as JSON
//
// None of these marks is written with a percent sign in an address. Names are text, whatever is in them.

import { param, params, setParams } from "./address.js";

const PARAMS = { line: "line", zone: "polygon" };
/** Points that a shape has at least. */
export const LEAST = { line: 2, zone: 3 };
/** Characters of an address that every browser and proxy takes. */
const MOST_CHARACTERS = 6000;
/** What a scene says of itself, its shapes and its points. All else is a rule of how it counts. */
const OWN = ["name", "videos", "picture", "lines", "zones", "calibration"];

const isNumber = (text) => text !== "" && Number.isFinite(Number(text));
// A star separates, so that one in a name is written in another way.
const written = (name) => name.replaceAll("%", "%25").replaceAll("*", "%2A");

function textOf({ name, points, in: inwards, out: outwards }) {
  const directions = inwards === undefined ? [] : [inwards, outwards];
  return [written(name), points.flat().join("_"), ...directions.map(written)].join("*");
}

function shapeOf(kind, text) {
  const [name, numbers, ...directions] = text.split("*");
  const all = (numbers ?? "").split("_");
  if (all.length % 2 === 1 || all.length < 2 * LEAST[kind] || !all.every(isNumber) || ![0, 2].includes(directions.length)) return null;
  const points = Array.from({ length: all.length / 2 }, (_, at) => [Number(all[2 * at]), Number(all[2 * at + 1])]);
  try {
    const [inwards, outwards] = directions.map(decodeURIComponent);
    return { kind, name: decodeURIComponent(name), points, ...(directions.length === 2 && { in: inwards, out: outwards }) };
  } catch {
    return null;
  }
}

function markOf(text) {
  const all = text.split("_");
  const [x, y, ...metre] = all;
  if (all.length !== 4 || !isNumber(x) || !isNumber(y) || !metre.every((one) => one === "" || isNumber(one))) return null;
  return { pixel: [Number(x), Number(y)], metre };
}

/** What a scene says of how it counts. */
export const rulesOf = (scene) => Object.fromEntries(Object.entries(scene).filter(([name]) => !OWN.includes(name)));

function rulesIn(text) {
  try {
    const found = JSON.parse(text ?? "{}");
    return found !== null && typeof found === "object" && !Array.isArray(found) ? rulesOf(found) : null;
  } catch {
    return null;
  }
}

/** What the address says is drawn; `unread` where it has something that is no shape. */
export function shapesOfAddress() {
  const shapes = Object.entries(PARAMS).flatMap(([kind, name]) => params(name).map((text) => shapeOf(kind, text)));
  const marks = params("ground").map(markOf);
  const rules = rulesIn(param("rules"));
  const isOne = (one) => one !== null;
  return { shapes: shapes.filter(isOne), marks: marks.filter(isOne), rules: rules ?? {}, unread: ![...shapes, ...marks, rules].every(isOne) };
}

/** Writes into the address what is drawn; whether it has the room. */
export function shapesToAddress({ shapes, marks, rules }) {
  const of = (kind) => shapes.filter((shape) => shape.kind === kind).map(textOf);
  const lists = {
    [PARAMS.line]: of("line"), [PARAMS.zone]: of("zone"), ground: marks.map(({ pixel, metre }) => [...pixel, ...metre].join("_")),
    rules: Object.keys(rules).length > 0 && shapes.length + marks.length > 0 ? [JSON.stringify(rules)] : [],
  };
  const pairs = Object.entries(lists).flatMap(([name, values]) => values.map((value) => [name, value]));
  const fits = String(new URLSearchParams(pairs)).length <= MOST_CHARACTERS;
  setParams(fits ? lists : Object.fromEntries(Object.keys(lists).map((name) => [name, []])));
  return fits;
}
