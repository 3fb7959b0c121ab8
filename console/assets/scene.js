// Lines and zones, drawn on the picture; what they count appears at once, by the same SQL as `trackdrop query`.

import * as api from "./api.js";
import { can } from "./can.js";
import { Calibration, calibrationOf } from "./calibrate.js";
import { saveFile } from "./csv.js";
import { html, useEffect, useMemo, useRef, useState } from "./html.js";
import { clock, number } from "./text.js";

/** The draft of a request: its shapes, what they count, and what is drawn just now. */
export function useDraft(facts) {
  const [shapes, setShapes] = useState([]);
  const [marks, setMarks] = useState([]);
  const [drawing, setDrawing] = useState(null);
  const [counts, setCounts] = useState(null);
  const [problem, setProblem] = useState(null);
  const asked = useRef(0);

  const scene = useMemo(() => {
    const of = (kind) => shapes.filter((shape) => shape.kind === kind).map(({ name, points }) => ({ name, points }));
    const { width_px, height_px } = facts.facts;
    return { name: "draft", videos: ["*"], picture: { width_px, height_px }, lines: of("line"), zones: of("zone"), ...calibrationOf(marks) };
  }, [shapes, marks]);

  const isMoving = shapes.some((shape) => shape.isMoving);
  useEffect(() => {
    if (isMoving) return;
    const mine = ++asked.current;
    if (shapes.length === 0 && !scene.calibration) {
      setCounts(null);
      setProblem(null);
      return;
    }
    api.count(facts.request_id, scene).then(
      (found) => mine === asked.current && (setCounts(found), setProblem(null)),
      (error) => mine === asked.current && setProblem(error.message),
    );
  }, [scene, isMoving]);

  const free = (kind) => {
    for (let n = 1; ; n++) if (!shapes.some((shape) => shape.name === `${kind}-${n}`)) return `${kind}-${n}`;
  };
  const finish = () => {
    if (drawing === null) return;
    if (drawing.kind === "mark") return setDrawing(null);
    const least = drawing.kind === "line" ? 2 : 3;
    if (drawing.points.length >= least) setShapes([...shapes, { ...drawing, name: free(drawing.kind) }]);
    setDrawing(null);
  };
  return {
    shapes, marks, setMarks, drawing, counts, problem, scene, finish,
    // Half of what a count takes depends on no line: it is made while the first one is drawn, for which the shortest one stands.
    // What goes wrong shows with the first count.
    prepare: () => shapes.length === 0 && api.count(facts.request_id, { ...scene, lines: [{ name: "none", points: [[0, 0], [1, 0]] }] }).catch(() => {}),
    begin: (kind) => setDrawing({ kind, points: [] }),
    cancel: () => setDrawing(null),
    add: (point) => {
      if (drawing.kind === "mark") return setMarks([...marks, { pixel: point, metre: ["", ""] }]);
      const next = { ...drawing, points: [...drawing.points, point] };
      if (next.kind === "line" && next.points.length === 2) {
        setShapes([...shapes, { ...next, name: free("line") }]);
        setDrawing(null);
      } else setDrawing(next);
    },
    change: (at, change) => setShapes(shapes.map((shape, place) => (place === at ? { ...shape, ...change } : shape))),
    remove: (at) => setShapes(shapes.filter((_, place) => place !== at)),
    load: (stored) => {
      setMarks(stored.calibration ?? []);
      setShapes([...(stored.lines ?? []).map((one) => ({ kind: "line", ...one })), ...(stored.zones ?? []).map((one) => ({ kind: "zone", ...one }))]);
    },
  };
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

const HINTS = { line: "Click where it begins and where it ends.", zone: "Click the corners, three or more.", mark: "Click four points on the ground, or more, of which you know the places." };

/** The shapes with their names and counts, and where they are saved. */
export function ScenePanel({ facts, draft, choose }) {
  const { shapes, drawing, counts, problem } = draft;
  const [name, setName] = useState("");
  const [videos, setVideos] = useState(facts.video);
  const [said, setSaid] = useState(null);
  const [stored, setStored] = useState([]);
  const { width_px: width, height_px: height } = facts.facts;
  useEffect(() => {
    api.scenes().then((all) => setStored(all.filter(({ picture }) => Math.abs(picture.width_px * height - picture.height_px * width) <= Math.max(width, height))), () => {});
  }, [said]);
  const save = (event) => {
    event.preventDefault();
    if (!can.save_scenes) {
      saveFile(`${name}.json`, "application/json", JSON.stringify({ ...draft.scene, name, videos: [videos] }, null, 2));
      setSaid(`Saved as a file. This console stores none: trackdrop scene add ${name}.json --google`);
      return;
    }
    api.storeScene({ ...draft.scene, name, videos: [videos] }).then(
      () => setSaid(`Saved: trackdrop query "SELECT * FROM line_counts WHERE scene = '${name}'"`),
      (error) => setSaid(error.message),
    );
  };
  const of = (rows, key, shape) => (rows ?? []).filter((row) => row[key] === shape.name);
  return html`
    <details class="scene" onToggle=${(event) => event.target.open && draft.prepare()}>
      <summary>Lines and zones</summary>
      <div class="controls">
        <button type="button" onClick=${() => draft.begin("line")} aria-pressed=${drawing?.kind === "line"}>Draw a line</button>
        <button type="button" onClick=${() => draft.begin("zone")} aria-pressed=${drawing?.kind === "zone"}>Draw a zone</button>
        <button type="button" onClick=${() => draft.begin("mark")} aria-pressed=${drawing?.kind === "mark"}>Calibrate</button>
        ${drawing &&
        html`<span role="status">${HINTS[drawing.kind]}</span>
          ${drawing.kind !== "line" && html`<button type="button" onClick=${draft.finish}>Done</button>`}
          <button type="button" onClick=${draft.cancel}>Cancel</button>`}
        ${stored.length > 0 &&
        html`<label>Stored <select value="" onChange=${(e) => {
          const one = stored.find((scene) => scene.name === e.target.value);
          if (one) {
            draft.load(one);
            setName(one.name);
            setVideos(one.videos[0]);
          }
        }}><option value="">choose…</option>${stored.map((one) => html`<option value=${one.name}>${one.name}</option>`)}</select></label>`}
      </div>
      ${problem && html`<p class="problem" role="alert">${problem}</p>`}
      <${Calibration} draft=${draft} />
      ${(shapes.length > 0 || draft.scene.calibration) &&
      html`
        <table class="counts">
          <caption class="hidden">What each line and zone counts</caption>
          <thead><tr><th scope="col">Name</th><th scope="col">Counts</th><th scope="col"><span class="hidden">Remove</span></th></tr></thead>
          <tbody>
            ${shapes.map(
              (shape, at) => html`<tr key=${at}>
                <td><input aria-label=${`Name of ${shape.name}`} value=${shape.name} size="12" onChange=${(e) => draft.change(at, { name: e.target.value })} /></td>
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
          <label>for videos <input required value=${videos} onInput=${(e) => setVideos(e.target.value)} size="24" /></label>
          <button>${can.save_scenes ? "Save" : "Save as a file"}</button>
          <span role="status">${said}</span>
        </form>
      `}
    </details>
  `;
}
