// Where we are, in the address after its #: a view can be sent to someone, and Back works.

import { savedHash } from "./source.js";

/** The view and its settings: `#attention?model=m&layer=2` → {view: "attention", params}. */
export function readAddress() {
  const hash = (location.hash || savedHash()).replace(/^#/, "");
  const [view, query = ""] = splitOnce(hash, "?");
  return { view, params: new URLSearchParams(query) };
}

/** The address of a view with these settings; empty ones are left out. */
export function addressOf(view, params) {
  const kept = new URLSearchParams();
  for (const [name, value] of new URLSearchParams(params)) if (value !== "") kept.set(name, value);
  const query = kept.toString();
  return query ? `#${view}?${query}` : `#${view}`;
}

/** Note a changed setting in the address, without a new step in the history. */
export function replaceAddress(hash) {
  history.replaceState(null, "", hash);
}

function splitOnce(text, separator) {
  const at = text.indexOf(separator);
  return at < 0 ? [text] : [text.slice(0, at), text.slice(at + 1)];
}
