// Lines and zones, drawn on the picture or given as numbers; what they count appears at once, by the same SQL as `trackdrop query`.

import * as api from "./api.js";
import { can } from "./can.js";
import { Calibration, calibrationOf } from "./calibrate.js";
import { saveFile } from "./csv.js";
import { html, useEffect, useMemo, useRef, useState } from "./html.js";
import { Points, placed } from "./points.js";
import { LEAST, rulesOf, shapesOfAddress, shapesToAddress } from "./shapes.js";
import { Stored } from "./stored.js";
import { clock, number } from "./text.js";

const UNREAD = "The address contains something that is not a line, zone or point: it is left out. Ask for the link again.";
const TOO_LONG = "There are more points than an address can hold: save them as a scene to share them.";

/** The draft of a request: its shapes, what they count, and what is drawn just now. It begins as the address says. */
export function useDraft(facts) {
  const given = useMemo(shapesOfAddress, []);
  const [shapes, setShapes] = useState(given.shapes);
  const [marks, setMarks] = useState(given.marks);
  const [rules, setRules] = useState(given.rules);
  const [note, setNote] = useState(given.unread ? UNREAD : null);
  const [drawing, setDrawing] = useState(null);
  /** The shape that was placed without a pointer: its numbers are changed next. */
  const [wasPlaced, setWasPlaced] = useState(null);
  const [counts, setCounts] = useState(null);
  const [problem, setProblem] = useState(null);
  const asked = useRef(0);
  const picture = { width_px: facts.facts.width_px, height_px: facts.facts.height_px };

  const scene = useMemo(() => {
    const of = (kind) => shapes.filter((shape) => shape.kind === kind).map(({ kind, isMoving, ...shape }) => shape);
    return { ...rules, name: "draft", videos: ["*"], picture, lines: of("line"), zones: of("zone"), ...calibrationOf(marks) };
  }, [shapes, marks, rules]);

  const isMoving = shapes.some((shape) => shape.isMoving);
  const isCounted = facts.has.tracks && facts.is_final;
  useEffect(() => {
    if (isMoving) return;
    const mine = ++asked.current;
    if (!isCounted || (shapes.length === 0 && !scene.calibration)) {
      setCounts(null);
      setProblem(null);
      return;
    }
    api.count(facts.request_id, scene).then(
      (found) => mine === asked.current && (setCounts(found), setProblem(null)),
      (error) => mine === asked.current && setProblem(error.message),
    );
  }, [scene, isMoving]);
  useEffect(() => {
    if (isMoving) return;
    const fits = shapesToAddress({ shapes, marks, rules });
    setNote((before) => (fits ? (before === TOO_LONG ? null : before) : TOO_LONG));
  }, [shapes, marks, rules, isMoving]);

  const free = (kind) => {
    for (let n = 1; ; n++) if (!shapes.some((shape) => shape.name === `${kind}-${n}`)) return `${kind}-${n}`;
  };
  const put = (kind, points) => {
    setShapes([...shapes, { kind, points, name: free(kind) }]);
    setWasPlaced(null);
    setDrawing(null);
  };
  const mark = (pixel) => setMarks([...marks, { pixel, metre: ["", ""] }]);
  return {
    shapes, marks, setMarks, drawing, counts, problem, note, scene, placed: wasPlaced,
    // What goes wrong shows with the first count.
    prepare: () => isCounted && shapes.length === 0 && api.prepare(facts.request_id, scene).catch(() => {}),
    begin: (kind) => setDrawing({ kind, points: [] }),
    cancel: () => setDrawing(null),
    finish: () => {
      if (drawing === null) return;
      if (drawing.kind !== "mark" && drawing.points.length >= LEAST[drawing.kind]) put(drawing.kind, drawing.points);
      else setDrawing(null);
    },
    add: (point) => {
      if (drawing.kind === "mark") return mark(point);
      const points = [...drawing.points, point];
      drawing.kind === "line" && points.length === 2 ? put("line", points) : setDrawing({ ...drawing, points });
    },
    /** Puts what is to be drawn into the middle of the picture. */
    place: (kind) => {
      kind === "mark" ? mark(placed(kind, picture)) : put(kind, placed(kind, picture));
      setWasPlaced({ isMark: kind === "mark", at: shapes.length });
    },
    change: (at, change) => setShapes(shapes.map((shape, place) => (place === at ? { ...shape, ...change } : shape))),
    remove: (at) => (setShapes(shapes.filter((_, place) => place !== at)), setWasPlaced(null)),
    load: (stored) => {
      const loaded = scaled(stored, picture);
      setMarks(loaded.marks);
      setShapes(loaded.shapes);
      setRules(loaded.rules);
      setWasPlaced(null);
    },
  };
}

/** A stored scene as a draft: its points in pixels of this picture, and what it says that is no default of every scene. */
function scaled(stored, picture) {
  const scale = picture.width_px / stored.picture.width_px;
  const at = ([x, y]) => [x * scale, y * scale];
  const shape = (kind) => ({ points, ...one }) => ({ kind, ...one, points: points.map(at) });
  const lines = (stored.lines ?? []).map(({ in: inwards, out: outwards, ...line }) => (inwards === "in" && outwards === "out" ? line : { ...line, in: inwards, out: outwards }));
  const isSaid = ([, value]) => value !== null && (typeof value !== "object" || Object.keys(value).length > 0);
  const rules = Object.fromEntries(Object.entries(rulesOf(stored)).filter(isSaid));
  if (rules.cell_px !== undefined) rules.cell_px *= scale;
  return { rules, marks: (stored.calibration ?? []).map(({ pixel, metre }) => ({ pixel: at(pixel), metre })), shapes: [...lines.map(shape("line")), ...(stored.zones ?? []).map(shape("zone"))] };
}

/** Over the canvas, in pixels of the upright picture. */
export function Drawing({ facts, draft, size }) {
  const svg = useRef();
  const { width_px: width, height_px: height } = facts.facts;
  const unit = Math.max(width, height) / 320;
  const { shapes, marks, drawing } = draft;
  const moved = useRef(null);
  const pointOf = (event) => {
    const place = svg.current.getBoundingClientRect();
    const inside = (value, most) => Math.round(10 * Math.max(0, Math.min(most, value))) / 10;
    return [inside(((event.clientX - place.left) / place.width) * width, width), inside(((event.clientY - place.top) / place.height) * height, height)];
  };
  const path = (points) => points.map(([x, y]) => `${x},${y}`).join(" ");
  const drag = (at, point) => ({
    onPointerDown: (event) => {
      event.stopPropagation();
      event.target.setPointerCapture(event.pointerId);
      moved.current = [at, point];
    },
    onPointerMove: (event) => {
      if (moved.current === null) return;
      const points = shapes[at].points.map((one, place) => (place === point ? pointOf(event) : one));
      draft.change(at, { points, isMoving: true });
    },
    onPointerUp: () => {
      if (moved.current !== null) draft.change(at, { isMoving: false });
      moved.current = null;
    },
  });
  return html`
    <svg
      ref=${svg}
      class=${drawing ? "drawing active" : "drawing"}
      style=${{ width: size.width, height: size.height }}
      viewBox=${`0 0 ${width} ${height}`}
      preserveAspectRatio="none"
      onClick=${(event) => drawing && event.detail === 1 && draft.add(pointOf(event))}
      onDblClick=${() => draft.finish()}
      aria-hidden="true"
    >
      ${shapes.map((shape, at) => {
        const middle = (shape.points.length - 1) >> 1;
        const [[ax, ay], [zx, zy]] = [shape.points[middle], shape.points[middle + 1] ?? shape.points[middle]];
        const length = Math.hypot(zx - ax, zy - ay) || 1;
        const [mx, my] = [(ax + zx) / 2, (ay + zy) / 2];
        const [rx, ry] = [(-(zy - ay) / length) * unit * 14, ((zx - ax) / length) * unit * 14];
        return html`
          <g class=${shape.kind} key=${at}>
            ${shape.kind === "zone"
              ? html`<polygon points=${path(shape.points)} stroke-width=${unit} />`
              : html`<polyline points=${path(shape.points)} stroke-width=${unit * 1.5} />
                  <line class="arrow" x1=${mx} y1=${my} x2=${mx + rx} y2=${my + ry} stroke-width=${unit} />
                  <circle class="arrow" cx=${mx + rx} cy=${my + ry} r=${unit * 2} />
                  <text x=${mx + rx * 1.5} y=${my + ry * 1.5} font-size=${unit * 8}>in</text>`}
            <text x=${shape.points[0][0] + unit * 4} y=${shape.points[0][1] - unit * 3} font-size=${unit * 8}>${shape.name}</text>
            ${shape.points.map(([x, y], point) => html`<circle class="handle" cx=${x} cy=${y} r=${unit * 3} ...${drag(at, point)} />`)}
          </g>
        `;
      })}
      ${marks.map(({ pixel: [x, y] }, at) => html`<g key=${`mark ${at}`}><path class="mark" d=${`M${x - unit * 4} ${y}H${x + unit * 4}M${x} ${y - unit * 4}V${y + unit * 4}`} stroke-width=${unit} /><text x=${x + unit * 3} y=${y - unit * 2} font-size=${unit * 8}>${at + 1}</text></g>`)}
      ${drawing && drawing.kind !== "mark" && html`<g class=${drawing.kind}><polyline points=${path(drawing.points)} stroke-width=${unit} />${drawing.points.map(([x, y]) => html`<circle class="handle" cx=${x} cy=${y} r=${unit * 3} />`)}</g>`}
    </svg>
  `;
}

const HINTS = { line: "Click where it begins and where it ends, or give its points as numbers:", zone: "Click the corners, three or more, or give them as numbers:", mark: "Click four points on the ground, or more, whose positions you know, or give them as numbers:" };

/** The shapes with their names and counts, and where they are saved. */
export function ScenePanel({ facts, draft, choose }) {
  const { shapes, drawing, counts, problem, note } = draft;
  const [wasGiven] = useState(shapes.length > 0 || draft.marks.length > 0 || note !== null);
  const [name, setName] = useState("");
  // The patterns of a stored scene: the first one can be changed here.
  const [[videos, ...more], setPatterns] = useState([facts.video]);
  const [taken, setTaken] = useState("");
  const [said, setSaid] = useState(null);
  const [stored, setStored] = useState([]);
  const { width_px: width, height_px: height } = facts.facts;
  useEffect(() => {
    api.scenes().then((all) => setStored(all.filter(({ picture }) => Math.abs(picture.width_px * height - picture.height_px * width) <= Math.max(width, height))), () => {});
  }, [said]);
  const save = (event) => {
    event.preventDefault();
    if (!can.save_scenes) {
      saveFile(`${name}.json`, "application/json", JSON.stringify({ ...draft.scene, name, videos: [videos, ...more] }, null, 2));
      setSaid(`Saved as a file. This console stores none: trackdrop scene add ${name}.json --google`);
      return;
    }
    api.storeScene({ ...draft.scene, name, videos: [videos, ...more] }).then(
      () => (setSaid(`Saved: trackdrop query "SELECT * FROM line_counts WHERE scene = '${name}'"`), setTaken(name)),
      (error) => setSaid(error.message),
    );
  };
  const load = (scene) => {
    draft.load(scene);
    setName(scene.name);
    setPatterns(scene.videos);
    setTaken(scene.name);
  };
  const removed = (gone) => (setTaken(""), setSaid(`Removed: ${gone}`));
  const of = (rows, key, shape) => (rows ?? []).filter((row) => row[key] === shape.name);
  return html`
    <details class="scene" open=${wasGiven} onToggle=${(event) => event.target.open && draft.prepare()}>
      <summary>Lines and zones</summary>
      <div class="controls">
        <button type="button" onClick=${() => draft.begin("line")} aria-pressed=${drawing?.kind === "line"}>Draw a line</button>
        <button type="button" onClick=${() => draft.begin("zone")} aria-pressed=${drawing?.kind === "zone"}>Draw a zone</button>
        <button type="button" onClick=${() => draft.begin("mark")} aria-pressed=${drawing?.kind === "mark"}>Calibrate</button>
        ${drawing &&
        html`<span role="status">${HINTS[drawing.kind]}</span>
          <button type="button" onClick=${() => draft.place(drawing.kind)}>Put it in the middle</button>
          ${drawing.kind !== "line" && html`<button type="button" onClick=${draft.finish}>Done</button>`}
          <button type="button" onClick=${draft.cancel}>Cancel</button>`}
        <${Stored} stored=${stored} taken=${taken} load=${load} removed=${removed} />
      </div>
      ${problem && html`<p class="problem" role="alert">${problem}</p>`}
      ${note && html`<p class="warn" role="status">${note}</p>`}
      <${Calibration} draft=${draft} size=${[width, height]} />
      ${(shapes.length > 0 || draft.scene.calibration) &&
      html`
        <table class="counts">
          <caption class="hidden">What each line and zone counts</caption>
          <thead><tr><th scope="col">Name</th><th scope="col">Counts</th><th scope="col"><span class="hidden">Remove</span></th></tr></thead>
          <tbody>
            ${shapes.map(
              (shape, at) => html`<tr key=${at}>
                <td><input aria-label=${`Name of ${shape.name}`} value=${shape.name} size="12" onChange=${(e) => draft.change(at, { name: e.target.value })} />
                  <${Points} shape=${shape} at=${at} draft=${draft} size=${[width, height]} />
                </td>
                <td>
                  ${shape.kind === "line"
                    ? of(counts?.lines, "line", shape).map((row) => html`<div>${row.direction}: <strong>${number(row.crossings)}</strong> ${row.class_name}</div>`)
                    : of(counts?.zones, "zone", shape).map(
                        (row) => html`<div><strong>${number(row.visits)}</strong> visits of ${row.class_name}, ${row.mean_dwell_s.toFixed(1)} s on average, ${row.longest_dwell_s.toFixed(1)} s at most</div>`,
                      )}
                  ${counts && of(shape.kind === "line" ? counts.lines : counts.zones, shape.kind, shape).length === 0 && html`<span class="id">nothing</span>`}
                  ${shape.kind === "line" && html`<div class="crossings">${of(counts?.crossings, "line", shape).slice(0, 24).map((row) => html`<button type="button" onClick=${() => choose(row.track_id, row.frame_index)} title=${`${row.class_name} #${row.track_id}, ${row.direction}`}>${clock(row.time_s, 1)}</button>`)}</div>`}
                </td>
                <td><button type="button" aria-label=${`Remove ${shape.name}`} onClick=${() => draft.remove(at)}>✕</button></td>
              </tr>`,
            )}
          </tbody>
        </table>
        ${counts?.flows.length > 0 &&
        html`<p class="small"><strong>Flows</strong> (objects, from the first to the last): ${counts.flows.filter((row) => row.identities > 0).map((row) => `${row.origin} → ${row.destination}: ${number(row.identities)} ${row.class_name}`).join("; ")}</p>`}
        <form class="controls" onSubmit=${save}>
          <label>Scene <input required pattern="[A-Za-z0-9_\\-]+" value=${name} onInput=${(e) => setName(e.target.value)} placeholder="gate" size="12" /></label>
          <label>for videos <input required value=${videos} onInput=${(e) => setPatterns([e.target.value, ...more])} size="24" />${more.length > 0 && html` and ${more.join(", ")}`}</label>
          <button>${can.save_scenes ? "Save" : "Save as a file"}</button>
          <span role="status">${said}</span>
        </form>
      `}
    </details>
  `;
}
