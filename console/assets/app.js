// The page: which view an address means.

import { html, render, useEffect, useState } from "./html.js";
import { List } from "./list.js";
import { RequestPage } from "./request.js";

// The token has become a cookie: it need not stay in the address, nor in the history.
const address = new URL(location.href);
if (address.searchParams.has("token")) {
  address.searchParams.delete("token");
  history.replaceState(null, "", address);
}

/** Goes to another view without loading the page again. */
export function go(href) {
  history.pushState(null, "", href);
  dispatchEvent(new PopStateEvent("popstate"));
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
  return html`
    <header class="top">
      <a class="brand" href="/"><img src="/assets/icon.svg" alt="" width="24" height="24" /> Trackdrop</a>
      <nav aria-label="Views"><a href="/" aria-current=${request ? null : "page"}>Requests</a></nav>
    </header>
    ${request ? html`<${RequestPage} key=${request} id=${decodeURIComponent(request)} />` : html`<${List} />`}
  `;
}

render(html`<${App} />`, document.getElementById("app"));
