// A table of many rows, of which only those on the screen are in the document.

import { hrefOf } from "./address.js";
import { html, useLayoutEffect, useMemo, useRef, useState } from "./html.js";

const ROW = 28;
const MORE = 8;
/** Widths in characters. */
const [NARROWEST, WIDEST] = [6, 48];
const NUMBERS = /^(U?(TINYINT|SMALLINT|INTEGER|BIGINT|HUGEINT)|FLOAT|DOUBLE|DECIMAL\(.*\))$/;

/** Which columns say of which frame a row speaks, the better ones first. */
const FRAMES = ["frame_index", "frame_id", "first_frame", "enter_frame", "last_frame", "exit_frame"];

/** What gives the frame that a row speaks of, or null where the rows speak of none. `request` is meant where no column names one. */
export function placesIn(columns, request) {
  const of = (name) => columns.findIndex((column) => column.name === name);
  const [requests, tracks] = [of("request_id"), of("track_id")];
  const frames = FRAMES.map(of).find((at) => at >= 0) ?? -1;
  if (frames < 0 || (requests < 0 && request === null)) return null;
  return (row) => {
    const [id, frame] = [requests < 0 ? request : row[requests], row[frames]];
    if (!id || !/^\d+$/.test(frame ?? "")) return null;
    return { request: id, frame: Number(frame), track: tracks >= 0 && /^\d+$/.test(row[tracks] ?? "") ? Number(row[tracks]) : null };
  };
}

/** `place` gives the frame that a row speaks of, and `open` goes there. */
export function Grid({ answer, place, open }) {
  const { columns, rows } = answer;
  const box = useRef();
  const [top, setTop] = useState(0);
  const [height, setHeight] = useState(300);
  useLayoutEffect(() => {
    const sized = new ResizeObserver(() => setHeight(box.current.clientHeight));
    sized.observe(box.current);
    return () => sized.disconnect();
  }, []);
  useLayoutEffect(() => {
    box.current.scrollTop = 0;
    setTop(0);
  }, [answer]);
  const widths = useMemo(
    () =>
      columns.map(({ name }, at) => {
        const longest = rows.reduce((most, row) => Math.max(most, (row[at] ?? "NULL").length), name.length);
        return Math.max(NARROWEST, Math.min(WIDEST, longest)) + 3;
      }),
    [answer],
  );
  const first = Math.max(0, Math.floor(top / ROW) - MORE);
  const end = Math.min(rows.length, Math.ceil((top + height) / ROW) + MORE);
  const across = columns.length + (place === null ? 0 : 1);
  const kind = ({ type }) => (NUMBERS.test(type) ? "number" : "");
  const gap = (count) => count > 0 && html`<tr class="gap" aria-hidden="true"><td colspan=${across} style=${{ height: `${count * ROW}px` }}></td></tr>`;
  const go = (event, where) => {
    event.preventDefault();
    open(where);
  };
  const click = (where) => (event) => {
    // Who marks a text to copy it, goes nowhere; nor does who opens the link in a tab of its own.
    if (event.target.closest("a") || String(getSelection()) !== "") return;
    go(event, where);
  };
  return html`
    <div class="grid" ref=${box} tabindex="0" role="region" aria-label="Rows of the answer" onScroll=${(e) => setTop(e.target.scrollTop)}>
      <table aria-rowcount=${rows.length + 1} style=${{ width: `${widths.reduce((sum, width) => sum + width, place === null ? 0 : 5)}ch` }}>
        <caption class="hidden">Rows of the answer</caption>
        <colgroup>
          ${place !== null && html`<col style=${{ width: "5ch" }} />`}
          ${widths.map((width) => html`<col style=${{ width: `${width}ch` }} />`)}
        </colgroup>
        <thead>
          <tr aria-rowindex="1">
            ${place !== null && html`<th scope="col"><span class="hidden">Show</span></th>`}
            ${columns.map((column) => html`<th scope="col" class=${kind(column)} title=${column.type}>${column.name}</th>`)}
          </tr>
        </thead>
        <tbody>
          ${gap(first)}
          ${rows.slice(first, end).map((row, at) => {
            const where = place?.(row) ?? null;
            return html`
              <tr key=${first + at} aria-rowindex=${first + at + 2} class=${where === null ? "" : "goes"} onClick=${where === null ? null : click(where)}>
                ${place !== null &&
                html`<td>${where !== null &&
                html`<a href=${hrefOf(where)} aria-label=${`Show frame ${where.frame}${where.track === null ? "" : ` with track ${where.track}`}`}
                  onClick=${(event) => event.ctrlKey || event.metaKey || event.shiftKey || go(event, where)}>▶</a>`}</td>`}
                ${row.map((value, column) => html`<td class=${kind(columns[column])} title=${value}>${value === null ? html`<i>NULL</i>` : value}</td>`)}
              </tr>
            `;
          })}
          ${gap(rows.length - end)}
        </tbody>
      </table>
    </div>
  `;
}
