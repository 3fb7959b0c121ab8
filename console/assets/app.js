// The page: which view an address means.

import { go } from "./address.js";
import { AskPage } from "./ask.js";
import { FilesPage } from "./files.js";
import { html, render, useEffect, useState } from "./html.js";
import { List } from "./list.js";
import { RequestPage } from "./request.js";
import { TrackPage } from "./track.js";

// The token has become a cookie: it need not stay in the address, nor in the history.
const address = new URL(location.href);
if (address.searchParams.has("token")) {
  address.searchParams.delete("token");
  history.replaceState(null, "", address);
}

function Link(event) {
  const anchor = event.target.closest?.("a[href^='/']:not([download])");
  if (!anchor || event.defaultPrevented || event.button !== 0 || event.metaKey || event.ctrlKey || event.shiftKey) return;
  if (anchor.getAttribute("href").startsWith("/api/")) return;
  event.preventDefault();
  go(anchor.getAttribute("href"));
}
document.addEventListener("click", Link);

function App() {
  const [path, setPath] = useState(location.pathname);
  useEffect(() => {
    const moved = () => setPath(location.pathname);
    addEventListener("popstate", moved);
    return () => removeEventListener("popstate", moved);
  }, []);
  const request = path.match(/^\/request\/([^/]+)$/)?.[1];
  const [, of, track] = path.match(/^\/request\/([^/]+)\/track\/(\d+)$/) ?? [];
  const isAsk = path === "/ask";
  const isFiles = path === "/files";
  return html`
    <header class="top">
      <a class="brand" href="/"><img src="/assets/icon.svg" alt="" width="24" height="24" /> Trackdrop</a>
      <nav aria-label="Views">
        <a href="/" aria-current=${request || of || isAsk || isFiles ? null : "page"}>Requests</a>
        <a href="/ask" aria-current=${isAsk ? "page" : null}>Ask</a>
        <a href="/files" aria-current=${isFiles ? "page" : null}>Files</a>
      </nav>
    </header>
    ${of ? html`<${TrackPage} key=${path} id=${decodeURIComponent(of)} track=${Number(track)} />` : request ? html`<${RequestPage} key=${request} id=${decodeURIComponent(request)} />` : isAsk ? html`<${AskPage} />` : isFiles ? html`<${FilesPage} />` : html`<${List} />`}
  `;
}

render(html`<${App} />`, document.getElementById("app"));
