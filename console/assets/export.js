// A request's tracks as a file for another tool: the formats of `trackdrop export`.

import * as api from "./api.js";
import { html, useEffect, useRef } from "./html.js";

const FORMATS = [
  ["mot", "MOTChallenge text", "for tools that measure trackers, such as TrackEval; without classes"],
  ["coco", "COCO JSON", "with videos and track ids, for training and for tools that read COCO"],
  ["cvat", "CVAT XML", "“CVAT for video 1.1”: tracks to correct in CVAT"],
  ["csv", "CSV", "the rows of the table, for spreadsheets and scripts"],
  ["ndjson", "NDJSON", "the same rows, one JSON object per line"],
  ["video-intelligence", "Video Intelligence", "the answer of Google's API to a finished request"],
  ["video-intelligence-streaming", "Video Intelligence, streaming", "the answer of its streaming mode, one line per frame"],
  ["rekognition-persons", "Rekognition", "the answer of Amazon's GetPersonTracking: the class person only"],
  ["cvat-mot", "CVAT MOT 1.1", "a ZIP archive with classes, for CVAT and Datumaro"],
];

/** A button that opens the list; each line is a download. */
export function Export({ request }) {
  const menu = useRef();
  useEffect(() => {
    const close = (event) => {
      if (menu.current && !menu.current.contains(event.target)) menu.current.open = false;
    };
    document.addEventListener("click", close);
    return () => document.removeEventListener("click", close);
  }, []);
  const key = (event) => {
    if (event.key !== "Escape" || !menu.current.open) return;
    event.stopPropagation();
    menu.current.open = false;
    menu.current.querySelector("summary").focus();
  };
  return html`
    <details class="menu" ref=${menu} onKeyDown=${key}>
      <summary>Export</summary>
      <ul>
        ${FORMATS.map(
          ([name, title, what]) => html`<li key=${name}><a href=${api.exportUrl(request, name)} download onClick=${() => (menu.current.open = false)}>${title}</a> <span class="id">${what}</span></li>`,
        )}
      </ul>
    </details>
  `;
}
