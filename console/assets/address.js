// The address is the state: what is shown can be sent to somebody as a link.

/** Goes to another view without loading the page again. */
export function go(href) {
  history.pushState(null, "", href);
  dispatchEvent(new PopStateEvent("popstate"));
}

/** A parameter of the address, or null. */
export const param = (name) => new URLSearchParams(location.search).get(name);

/** All values of a parameter that may come several times. */
export const params = (name) => new URLSearchParams(location.search).getAll(name);

/** Sets parameters that may come several times: a list of values for each name. */
export function setParams(lists) {
  const url = new URL(location.href);
  for (const [name, values] of Object.entries(lists)) {
    url.searchParams.delete(name);
    for (const value of values) url.searchParams.append(name, value);
  }
  if (url.href !== location.href) history.replaceState(null, "", url);
}

/** Sets a parameter of the address, or takes it away where the value is null; with `isStep` the browser's back button comes back to what was before. */
export function setParam(name, value, isStep = false) {
  const url = new URL(location.href);
  value === null ? url.searchParams.delete(name) : url.searchParams.set(name, value);
  if (url.href === location.href) return;
  isStep ? history.pushState(null, "", url) : history.replaceState(null, "", url);
}

/** Where a frame of a request is shown, with a track chosen where one is given. */
export const hrefOf = ({ request, frame, track }) => `/request/${encodeURIComponent(request)}?frame=${frame}${track === null ? "" : `&track=${track}`}`;
