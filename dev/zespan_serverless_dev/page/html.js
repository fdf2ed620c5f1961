// The libraries under the names that all modules use. `html` makes text of every value: no markup in an event is markup
// here. It leaves out spaces beside the end of a line; ${" "} is one that stays.
import { Fragment, h, render } from "./vendor/preact.js";
import htm from "./vendor/htm.js";

export { Fragment, render };
export { useEffect, useErrorBoundary, useLayoutEffect, useMemo, useRef, useState } from "./vendor/hooks.js";
export {
  batch,
  computed,
  effect,
  signal,
  untracked,
  useComputed,
  useSignal,
  useSignalEffect,
} from "./vendor/signals.js";
export const html = htm.bind(h);

// A table of words by what has come with an event: `constructor` and `__proto__` are no words of it.
export const table = (words) => Object.assign(Object.create(null), words);
