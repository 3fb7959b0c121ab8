// A row of the timeline (a lane) for each track, of which only those on the screen are in the document.

import { colourOf } from "./colour.js";
import { html, useEffect, useLayoutEffect, useRef, useState } from "./html.js";

const LANE = 22;
const MORE = 6;

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

  const first = Math.max(0, Math.floor(top / LANE) - MORE);
  const end = Math.min(rows.length, Math.ceil((top + height) / LANE) + MORE);
  const percent = (at) => `${(100 * at) / Math.max(1, count)}%`;
  const click = (row) => (event) => {
    // A click on the bar goes to the frame under it; one on the name, and a key, to the track's first.
    const rail = event.target.closest(".rail");
    if (!rail || event.detail === 0) return choose(row);
    const place = rail.getBoundingClientRect();
    const under = Math.floor(((event.clientX - place.left) / place.width) * count);
    choose(row, Math.max(tracks.first[row], Math.min(tracks.last[row], under)));
  };
  return html`
    <div class="lanes" ref=${box} tabindex="0" role="group" aria-label=${`${rows.length} tracks, a row each`} onScroll=${(e) => setTop(e.target.scrollTop)}>
      <div class="all" style=${{ height: `${rows.length * LANE}px` }}>
        ${rows.slice(first, end).map((row, at) => {
          const id = tracks.id[row];
          return html`
            <button type="button" key=${id} class="lane" tabindex="-1" aria-pressed=${id === selected} style=${{ top: `${(first + at) * LANE}px` }} onClick=${click(row)}
              aria-label=${`Track ${id}, ${names.get(tracks.class[row])}, frames ${tracks.first[row]} to ${tracks.last[row]}`}>
              <span class="name">#${id} ${names.get(tracks.class[row])}</span>
              <span class="rail">
                <span class="bar" style=${{ left: percent(tracks.first[row]), width: percent(tracks.last[row] + 1 - tracks.first[row]), background: colourOf(id) }}></span>
                <span class="head" style=${{ left: percent(Math.max(0, frame) + 0.5) }}></span>
              </span>
            </button>
          `;
        })}
      </div>
      ${rows.length === 0 && html`<p class="empty">No track passes the filters.</p>`}
    </div>
  `;
}
