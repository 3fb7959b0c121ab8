// A row of the timeline (a lane) for each track, of which only those on the screen are in the document.

import { colourOf } from "./colour.js";
import { html, useEffect, useLayoutEffect, useRef, useState } from "./html.js";
import { number } from "./text.js";

const LANE = 22;
const MORE = 6;
/** Frames that the timeline shows at least, and how much closer a step of the zoom is. */
const [LEAST_SPAN, CLOSER] = [20, 2];

export function Lanes({ tracks, rows, names, count, frame, selected, choose }) {
  const box = useRef();
  const [top, setTop] = useState(0);
  const [height, setHeight] = useState(220);
  useLayoutEffect(() => {
    const sized = new ResizeObserver(() => setHeight(box.current.clientHeight));
    sized.observe(box.current);
    return () => sized.disconnect();
  }, []);
  // The chosen track comes into sight.
  useEffect(() => {
    const at = rows.findIndex((row) => tracks.id[row] === selected);
    if (at < 0) return;
    const lane = at * LANE;
    const { scrollTop, clientHeight } = box.current;
    if (lane < scrollTop || lane + LANE > scrollTop + clientHeight) box.current.scrollTop = lane - clientHeight / 2;
  }, [selected, rows]);

  // What the timeline shows: all frames (null), or fewer of them around the one that is shown.
  const [shown, setShown] = useState(null);
  const { span, from } = shown ?? { span: count, from: 0 };
  const show = (span, from) => {
    const next = Math.max(LEAST_SPAN, Math.round(span));
    setShown(next >= count ? null : { span: next, from: Math.max(0, Math.min(count - next, Math.round(from))) });
  };
  // Another video, or another version of it, is shown whole.
  useEffect(() => setShown(null), [count]);
  /** Closer, or back, so that the frame stays where it is on the screen. */
  const zoom = (times, at) => {
    const share = (at - from) / span;
    show(span / times, at - (share * span) / times);
  };
  const middle = frame >= from && frame < from + span ? frame : from + span / 2;
  useEffect(() => {
    if (frame >= 0 && (frame < from || frame >= from + span)) show(span, frame - span / 2);
  }, [frame]);
  const wheel = (event) => {
    if (!event.ctrlKey) return;
    event.preventDefault();
    const rail = box.current.querySelector(".rail")?.getBoundingClientRect();
    if (rail) zoom(event.deltaY < 0 ? CLOSER : 1 / CLOSER, from + (span * (event.clientX - rail.left)) / rail.width);
  };

  const first = Math.max(0, Math.floor(top / LANE) - MORE);
  const end = Math.min(rows.length, Math.ceil((top + height) / LANE) + MORE);
  const share = (frames) => `${(100 * frames) / Math.max(1, span)}%`;
  const click = (row) => (event) => {
    // A click on the bar goes to the frame under it; one on the name, and a key, to the track's first.
    const rail = event.target.closest(".rail");
    if (!rail || event.detail === 0) return choose(row);
    const place = rail.getBoundingClientRect();
    const under = from + Math.floor(((event.clientX - place.left) / place.width) * span);
    choose(row, Math.max(tracks.first[row], Math.min(tracks.last[row], under)));
  };
  return html`
    <div class="span">
      <span>Frames ${number(from)} to ${number(from + span - 1)}</span>
      <button type="button" aria-label="Closer" title="Closer (Ctrl and the wheel)" disabled=${span <= Math.min(LEAST_SPAN, count)} onClick=${() => zoom(CLOSER, middle)}>+</button>
      <button type="button" aria-label="Further away" disabled=${span >= count} onClick=${() => zoom(1 / CLOSER, middle)}>−</button>
      ${span < count &&
      html`<button type="button" onClick=${() => setShown(null)}>All frames</button>
        <input type="range" aria-label="First frame of the timeline" min="0" max=${count - span} value=${from} onInput=${(e) => show(span, Number(e.target.value))} />`}
    </div>
    <div class="lanes" ref=${box} tabindex="0" role="group" aria-label=${`${rows.length} tracks, a row each`} onScroll=${(e) => setTop(e.target.scrollTop)} onWheel=${wheel}>
      <div class="all" style=${{ height: `${rows.length * LANE}px` }}>
        ${rows.slice(first, end).map((row, at) => {
          const id = tracks.id[row];
          return html`
            <button type="button" key=${id} class="lane" tabindex="-1" aria-pressed=${id === selected} style=${{ top: `${(first + at) * LANE}px` }} onClick=${click(row)}
              aria-label=${`Track ${id}, ${names.get(tracks.class[row])}, frames ${tracks.first[row]} to ${tracks.last[row]}`}>
              <span class="name">#${id} ${names.get(tracks.class[row])}</span>
              <span class="rail">
                <span class="bar" style=${{ left: share(tracks.first[row] - from), width: share(tracks.last[row] + 1 - tracks.first[row]), background: colourOf(id) }}></span>
                <span class="head" style=${{ left: share(Math.max(0, frame) + 0.5 - from) }}></span>
              </span>
            </button>
          `;
        })}
      </div>
      ${rows.length === 0 && html`<p class="empty">No track passes the filters.</p>`}
    </div>
  `;
}
