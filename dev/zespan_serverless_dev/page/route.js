// Where the reader is: the URL's hash, `#/traces/ID?run=...&status=error`. A link to it shows the same again.
import { computed, signal } from "./html.js";

export const VIEWS = ["lanes", "traces", "ledger", "runs"];

function read() {
  const [path, query = ""] = location.hash.replace(/^#\/?/, "").split("?", 2);
  const [view, id = ""] = path.split("/", 2);
  const fields = Object.fromEntries([...new URLSearchParams(query)].filter(([, value]) => value));
  return { view: VIEWS.includes(view) ? view : "lanes", id: decoded(id), query: fields };
}

function decoded(text) {
  try {
    return decodeURIComponent(text);
  } catch {
    return text;
  }
}

export const route = signal(read());
export const view = computed(() => route.value.view);
addEventListener("hashchange", () => (route.value = read()));

// The run stays the same from view to view.
export function link(view, id = "", query = {}) {
  const fields = new URLSearchParams();
  const run = "run" in query ? query.run : route.value.query.run;
  for (const [name, value] of Object.entries({ ...query, run })) if (value) fields.set(name, value);
  const text = fields.toString();
  return `#/${view}${id ? `/${encodeURIComponent(id)}` : ""}${text ? `?${text}` : ""}`;
}

export function go(...target) {
  location.hash = link(...target);
}

// For what is typed or moved with keys: Back leads to the view before, not to the letter before.
export function replace(...target) {
  history.replaceState(null, "", link(...target));
  route.value = read();
}
