// The keyboard. A view says which keys it knows while it is shown; all can be switched off in the help.
import { signal, useEffect } from "./html.js";
import { pause } from "./live.js";
import { go, VIEWS } from "./route.js";

export const helpOpen = signal(false);
export const keysOn = signal(stored());
const handlers = [];

function stored() {
  try {
    return localStorage.getItem("keys") !== "off";
  } catch {
    return true;
  }
}

export function switchKeys(on) {
  keysOn.value = on;
  try {
    localStorage.setItem("keys", on ? "on" : "off");
  } catch {
    // It then holds for this page only.
  }
}

// `keys` maps a key to a function; the last view that was shown is asked first.
export function useKeys(keys) {
  useEffect(() => {
    const entry = { keys };
    handlers.push(entry);
    return () => handlers.splice(handlers.indexOf(entry), 1);
  });
}

const GLOBAL = {
  "?": () => (helpOpen.value = !helpOpen.value),
  p: () => pause(),
  ...Object.fromEntries(VIEWS.map((name, index) => [String(index + 1), () => go(name)])),
};

const types = (element) => element.closest?.("input, textarea, select, [contenteditable]");

export function installKeys() {
  addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey || event.defaultPrevented) return;
    if (types(event.target)) {
      if (event.key === "Escape") event.target.blur();
      return;
    }
    if (helpOpen.value || (!keysOn.value && event.key !== "Escape")) return;
    const view = handlers.findLast((entry) => event.key in entry.keys);
    const action = view?.keys[event.key] ?? (Object.hasOwn(GLOBAL, event.key) ? GLOBAL[event.key] : null);
    // Enter on a link or a button is theirs.
    if (!action || (event.key === "Enter" && event.target.closest?.("a, button, summary"))) return;
    event.preventDefault();
    action();
  });
}
