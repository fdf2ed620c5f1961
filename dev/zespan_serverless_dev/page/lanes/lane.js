// The lane of one sandbox: its state, its controls, and its last invocations on an axis with folded gaps.
import { post } from "../api.js";
import * as format from "../format.js";
import { html, table, useEffect, useLayoutEffect, useRef, useSignal } from "../html.js";
import { isCurrent, notice, run, useClock, useLive } from "../live.js";
import { at, endOf, frozen, isOpen, makeAxis, stack, startOf } from "./axis.js";
import { Block } from "./block.js";

const PAGE = 40; // invocations of a lane at once
const MEDIAN_WIDTH = 110; // px
const SHORTEST = 46;

export function Lane({ sandbox, chosen, onChoose, onLatest }) {
  const seen = useSignal(false); // a lane below the fold is not asked for
  const before = useSignal("");
  const zoom = useSignal(0);
  const root = useRef(null);
  useEffect(() => {
    const observer = new IntersectionObserver(([entry]) => (seen.value ||= entry.isIntersecting), {
      rootMargin: "300px",
    });
    observer.observe(root.current);
    return () => observer.disconnect();
  }, []);
  const query = { run: run.value, sandbox: sandbox.id, before: before.value, limit: PAGE };
  const { data, error } = useLive(seen.value ? "/api/lane" : "", query, (change) => concerns(change, sandbox.id));
  const state = data?.sandbox ?? sandbox;
  const invocations = (data?.invocations ?? []).toSorted((a, b) => startOf(a) - startOf(b));
  useEffect(() => {
    if (onLatest && invocations.length && !before.value) onLatest([state, invocations.at(-1), data.marks]);
  }, [data]);
  const id = `lane-${sandbox.id}`;
  return html`
    <section class=${`lane is-${state.state}`} ref=${root} aria-labelledby=${id}>
      <header>
        <h2 id=${id}>${state.function || state.handler || "function"}</h2>
        <${State} sandbox=${state} />
        <p class="facts">
          <span class="mono" title=${state.id}>${format.tail(state.id)}</span>
          ${facts(state).map(
            (fact) => html`
              <span>${fact}</span>
            `,
          )}
        </p>
        <div class="lane-tools">
          <${Controls} sandbox=${state} />
          <span class="zoom" role="group" aria-label="Zoom">
            <button type="button" class="icon" aria-label="Smaller" onClick=${() => (zoom.value -= 1)}>−</button>
            <button type="button" class="icon" aria-label="Larger" onClick=${() => (zoom.value += 1)}>+</button>
          </span>
        </div>
      </header>
      ${
        error &&
        html`
          <p class="problem" role="alert">${error.message}</p>
        `
      }
      <${Track}
        state=${state}
        invocations=${invocations}
        marks=${data?.marks ?? []}
        chosen=${chosen}
        zoom=${zoom.value}
        onChoose=${onChoose}
        live=${!before.value}
        older=${data?.next ? () => (before.value = data.next) : null}
        newest=${before.value ? () => (before.value = "") : null}
      />
    </section>
  `;
}

const concerns = (change, id) => !change.sandboxes || change.sandboxes.includes(id);

function facts(state) {
  const list = [];
  if (state.memory_mb) list.push(`${format.count(state.memory_mb)} MB`);
  if (state.timeout_ms) list.push(`timeout ${format.duration(state.timeout_ms)}`);
  list.push(format.plural(state.invocations ?? 0, "invocation"));
  if (state.errors) list.push(format.plural(state.errors, "error"));
  return list;
}

const ENDS = table({ scale_down: "scaled down", timeout: "ended by timeout", crash: "crashed", kill: "killed" });

function State({ sandbox }) {
  if (sandbox.told === false)
    return html`
      <span class="state" title="No tool reports on this sandbox: only its telemetry is known">
        by its events only
      </span>
    `;
  const words = { running: "running", frozen: "frozen", ended: ENDS[sandbox.end] ?? "ended" };
  const bad = sandbox.state === "ended" && sandbox.end && !["scale_down", "exit"].includes(sandbox.end);
  return html`
    <span class=${`state is-${sandbox.state} ${bad ? "is-bad" : ""}`}>
      <span class="dot" aria-hidden="true"></span>
      ${words[sandbox.state] ?? sandbox.state}
    </span>
  `;
}

const CONTROLS = {
  again: ["Run again", "Invoke once more with the last event"],
  freeze: ["Freeze", "Stop all threads, as between calls"],
  thaw: ["Thaw", "Let the threads go on"],
  sigterm: ["SIGTERM", "Announce the end, as the platform does"],
  timeout: ["Time out", "Let the deadline pass"],
  kill: ["Kill −9", "End it without a word"],
};

function Controls({ sandbox }) {
  if (!isCurrent.value || sandbox.state === "ended" || !sandbox.controls?.length) return null;
  const send = async (control) => {
    try {
      await post(`/api/sandboxes/${encodeURIComponent(sandbox.id)}/control`, { control });
      notice.value = `Sent: ${CONTROLS[control]?.[0] ?? control}.`;
    } catch (problem) {
      notice.value = problem.message;
    }
  };
  const useless = sandbox.state === "frozen" ? "freeze" : "thaw";
  const known = Object.keys(CONTROLS).filter((name) => sandbox.controls.includes(name) && name !== useless);
  return html`
    <span class="controls" role="group" aria-label="What if">
      ${known.map(
        (name) => html`
          <button
            type="button"
            class=${`button small is-${name}`}
            title=${CONTROLS[name][1]}
            onClick=${() => send(name)}
          >
            ${CONTROLS[name][0]}
          </button>
        `,
      )}
    </span>
  `;
}

function Track({ state, invocations, marks, chosen, zoom, onChoose, live, older, newest }) {
  const box = useRef(null);
  const atEnd = useRef(true);
  const base = useRef(null);
  const growing = live && state.state !== "ended" && invocations.some(isOpen);
  const clock = useClock(growing || (live && state.state === "frozen"));
  const time = live && state.state !== "ended" ? clock : null;
  base.current = scaleOf(invocations, base.current);
  const { axis, holes } = lay(invocations, marks, time, base.current * 2 ** zoom);
  const rows = stack(
    invocations.map((each) => ({ start: startOf(each), each })),
    ({ each }) => endOf(each, time),
  );
  const depth = Math.max(1, ...rows.map((row) => row + 1));
  // It follows what is new while the reader is at the end, and stays where the reader has scrolled to.
  useLayoutEffect(() => {
    if (atEnd.current) box.current.scrollLeft = box.current.scrollWidth;
  }, [Math.round(axis.width), zoom]);
  const onScroll = () =>
    (atEnd.current = box.current.scrollLeft + box.current.clientWidth >= box.current.scrollWidth - 8);
  const pager = (go, label) => html`
    <button
      type="button"
      class="button small"
      onClick=${() => {
        atEnd.current = true;
        go();
      }}
    >
      ${label}
    </button>
  `;
  return html`
    <div
      class="track"
      ref=${box}
      onScroll=${onScroll}
      role="group"
      tabindex="0"
      aria-label="Invocations, the oldest first"
    >
      ${
        (older || newest) &&
        html`
          <div class="pager">
            ${older && pager(older, "‹ Older")}
            ${newest && pager(newest, "Newest ›")}
          </div>
        `
      }
      <div class="axis" style=${{ width: `${Math.ceil(axis.width) + 72}px`, "--rows": depth }}>
        ${axis.segments.map(
          (segment) =>
            segment.kind !== "busy" &&
            html`
              <${Fold} key=${segment.t0} segment=${segment} />
            `,
        )}
        ${invocations.map(
          (each, index) => html`
            <${Block}
              key=${each.request_id || each.trace_id}
              invocation=${each}
              number=${index + 1}
              axis=${axis}
              holes=${holes}
              row=${rows[index]}
              now=${time}
              chosen=${chosen !== null && (each.request_id === chosen || each.trace_id === chosen)}
              onChoose=${onChoose}
            />
          `,
        )}
        <${Marks} marks=${marks} axis=${axis} state=${state} />
      </div>
    </div>
  `;
}

function lay(invocations, marks, time, scale) {
  const ranges = invocations.map((each) => [startOf(each), endOf(each, time)]);
  const first = ranges[0]?.[0] ?? 0;
  const last = time ?? Math.max(first, ...marks.map((mark) => mark.at), ...ranges.map((range) => range[1]));
  const holes = frozen(
    marks.filter((mark) => mark.at >= first),
    last,
  );
  return { holes, axis: makeAxis(ranges, holes, { scale, shortest: SHORTEST }) };
}

// Pixels per millisecond, a power of two: it changes only when durations have become quite different.
function scaleOf(invocations, old) {
  const lengths = invocations
    .filter((each) => each.end)
    .map((each) => endOf(each) - startOf(each))
    .sort((a, b) => a - b);
  if (!lengths.length) return old ?? 0.25;
  const ideal = MEDIAN_WIDTH / Math.max(lengths[lengths.length >> 1], 1);
  if (old && ideal / old < 3 && old / ideal < 3) return old;
  return 2 ** Math.round(Math.log2(ideal));
}

function Fold({ segment }) {
  const { kind, t0, t1, x0, x1 } = segment;
  const wide = x1 - x0 >= 40;
  const text = format.duration(t1 - t0);
  return html`
    <div class=${`fold is-${kind}`} style=${{ left: `${x0}px`, width: `${x1 - x0}px` }} title=${`${kind} for ${text}`}>
      ${
        wide &&
        html`
          <span>
            <i>${kind}</i>
            ${text}
          </span>
        `
      }
    </div>
  `;
}

const MARKS = table({ sigterm: "SIGTERM", exit: "end" });

function Marks({ marks, axis, state }) {
  const first = axis.segments[0]?.t0 ?? Infinity;
  const last = axis.segments.at(-1)?.t1 ?? 0;
  const shown = marks.filter((mark) => mark.type in MARKS && mark.at >= first);
  return shown.map((mark, index) => {
    const late = mark.at > last; // after all that the axis has: beside its end, in order
    const left = late ? axis.width + 10 + index * 14 : at(axis, mark.at);
    const text = mark.type === "exit" ? (ENDS[mark.reason ?? state.end] ?? "ended") : MARKS[mark.type];
    return html`
      <div
        class=${`mark is-${mark.type} level-${index % 2}`}
        style=${{ left: `${left}px` }}
        title=${`${text} at ${format.clock(mark.at)}`}
      >
        <span>${text}</span>
      </div>
    `;
  });
}
