// The words of SQL in colour, behind the box in which it is written.

import { html, useEffect, useRef } from "./html.js";

const KEYWORDS = new Set(
  ("ALL AND AS ASC BETWEEN BY CASE CAST CROSS DESC DISTINCT ELSE END EXCEPT EXISTS FALSE FILTER FROM FULL GROUP HAVING IN INNER INTERSECT INTERVAL IS JOIN LATERAL LEFT " +
    "LIKE LIMIT NATURAL NOT NULL NULLS OFFSET ON OR ORDER OUTER OVER PARTITION QUALIFY RANGE RIGHT ROWS SELECT THEN TRUE UNION USING VALUES WHEN WHERE WINDOW WITH").split(" "),
);
/** A remark, a text (also one that has no end yet), a quoted name, a number, a word. */
const TOKEN = /(--[^\n]*|\/\*[\s\S]*?(?:\*\/|$))|('(?:[^']|'')*(?:'|$))|("(?:[^"]|"")*(?:"|$)|`[^`]*(?:`|$))|(\b\d[\w.]*)|([A-Za-z_]\w*)/g;

/** A statement in pieces, each with what it is; put together they are the statement. */
export function pieces(sql, names) {
  const found = [];
  let at = 0;
  for (const match of sql.matchAll(TOKEN)) {
    const [text, remark, string, quoted, number, word] = match;
    const kind = remark ? "remark" : string ? "text" : quoted ? null : number ? "number" : word && KEYWORDS.has(word.toUpperCase()) ? "keyword" : word && names.has(word.toLowerCase()) ? "name" : null;
    if (kind === null) continue;
    if (match.index > at) found.push([null, sql.slice(at, match.index)]);
    found.push([kind, text]);
    at = match.index + text.length;
  }
  if (at < sql.length) found.push([null, sql.slice(at)]);
  return found;
}

/** Lies exactly below the box, and is scrolled with it. */
export function Highlight({ sql, box, tables }) {
  const below = useRef();
  const names = new Set(tables.map(({ name }) => name));
  useEffect(() => {
    const follow = () => ([below.current.scrollTop, below.current.scrollLeft] = [box.current.scrollTop, box.current.scrollLeft]);
    follow();
    box.current.addEventListener("scroll", follow);
    return () => box.current?.removeEventListener("scroll", follow);
  });
  // A last empty line has a height only if something follows.
  return html`<pre class="highlight" ref=${below} aria-hidden="true">${pieces(sql, names).map(([kind, text]) => (kind === null ? text : html`<span class=${`sql-${kind}`}>${text}</span>`))}${" "}</pre>`;
}
