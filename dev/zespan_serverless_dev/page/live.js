// What is true of the whole page: the runs, the chosen one, its sums, and the stream that says what has changed.
import { get } from "./api.js";
import { batch, computed, effect, signal, untracked, useEffect, useRef, useSignal } from "./html.js";
import { route } from "./route.js";

export const runs = signal([]);
export const summary = signal(null);
export const connection = signal("connecting"); // or "live", "offline", "denied"
export const paused = signal(false);
export const missed = signal(0); // changes since the pause
export const changes = signal({ number: 0, sandboxes: null, traces: null }); // null: anything may have changed
export const notice = signal(""); // what a screen reader is to say

export const current = computed(() => runs.value.find((run) => run.current) ?? runs.value[0]);
export const run = computed(() => route.value.query.run || current.value?.id || "");
export const isCurrent = computed(() => Boolean(run.value) && run.value === current.value?.id);

const SUMMARY_EVERY = 500; // ms
const LOAD_EVERY = 250;
const AGAIN = 2000;

export async function loadRuns() {
  runs.value = (await get("/api/runs")).runs;
}

function announce(change) {
  if (paused.value) missed.value += 1;
  else
    changes.value = {
      number: changes.value.number + 1,
      sandboxes: change?.sandboxes ?? null,
      traces: change?.traces ?? null,
    };
}

export function pause(on = !paused.value) {
  batch(() => {
    paused.value = on;
    if (!on && missed.value) {
      missed.value = 0;
      announce(null);
    }
    notice.value = on ? "Paused. New events are kept, but not shown." : "Live again.";
  });
}

function follow(id) {
  let timer = null;
  const source = new EventSource(`/api/stream?run=${encodeURIComponent(id)}`);
  source.addEventListener("open", () => {
    // What changed while there was no connection is not known.
    if (connection.value === "offline") announce(null);
    connection.value = "live";
  });
  source.addEventListener("error", () => {
    connection.value = "offline";
    // The browser tries again by itself, but not after a refusal, as by a server that has been started anew.
    if (source.readyState === EventSource.CLOSED) timer = setTimeout(connect, AGAIN);
  });
  source.addEventListener("change", (event) => announce(JSON.parse(event.data)));
  return () => {
    clearTimeout(timer);
    source.close();
  };
}

const attempt = signal(0);

async function connect() {
  try {
    await loadRuns();
    attempt.value += 1;
  } catch (problem) {
    connection.value = problem.status === 401 || problem.status === 403 ? "denied" : "offline";
    if (connection.value === "offline") setTimeout(connect, AGAIN);
  }
}

// Calls `load` at most every `every` ms, never twice at a time, and once more if it was asked for meanwhile.
function throttled(load, every) {
  let timer = null,
    busy = false,
    again = false,
    last = -Infinity;
  const start = async () => {
    timer = null;
    busy = true;
    last = performance.now();
    await load();
    busy = false;
    if (again) ask();
  };
  const ask = () => {
    again = busy;
    if (!busy && timer === null) timer = setTimeout(start, Math.max(0, last + every - performance.now()));
  };
  ask.stop = () => clearTimeout(timer);
  return ask;
}

export function start() {
  const refresh = throttled(async () => {
    try {
      const sums = await get("/api/summary", { run: run.value });
      const lost = sums.ledger?.lost ?? 0;
      if (lost > (summary.peek()?.ledger?.lost ?? 0))
        notice.value = `${lost} lost: events whose sandbox has ended without them.`;
      summary.value = sums;
    } catch {
      // The stream's state already says that the server is unavailable.
    }
  }, SUMMARY_EVERY);
  effect(() => (attempt.value && run.value ? follow(run.value) : undefined));
  effect(() => {
    if (run.value && changes.value) untracked(refresh);
  });
  connect();
}

// Loads `path` with `query` now, and again when something has changed that `concerns` it.
export function useLive(path, query, concerns) {
  const state = useSignal({ data: null, error: null, key: "" });
  const key = path ? JSON.stringify([path, query]) : "";
  const test = useRef(concerns);
  test.current = concerns;
  useEffect(() => {
    if (!key) return undefined;
    const abort = new AbortController();
    const load = throttled(async () => {
      try {
        state.value = { data: await get(path, query, abort.signal), error: null, key };
      } catch (problem) {
        if (!abort.signal.aborted) state.value = { ...state.peek(), error: problem, key };
      }
    }, LOAD_EVERY);
    let first = true;
    const stop = effect(() => {
      const change = changes.value;
      if (first || !test.current || test.current(change)) untracked(load);
      first = false;
    });
    return () => {
      stop();
      load.stop();
      abort.abort();
    };
  }, [key]);
  // While another thing is loading, the old one must not be shown under the new one's name.
  return state.value.key === key || state.value.key === "" ? state.value : { data: null, error: null, key };
}

// The time, for what is still growing: four times a second, and only while somebody looks.
export const now = signal(Date.now());
let watchers = 0,
  ticking = null;
export function useClock(on) {
  useEffect(() => {
    if (!on) return undefined;
    if (watchers++ === 0)
      ticking = setInterval(() => !paused.value && !document.hidden && (now.value = Date.now()), 250);
    return () => {
      if (--watchers === 0) clearInterval(ticking);
    };
  }, [on]);
  return on ? now.value : Date.now();
}
