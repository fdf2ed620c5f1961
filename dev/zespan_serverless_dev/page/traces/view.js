// The list of traces with its filters, and beside it the one that is open.
import * as format from "../format.js";
import { html, table, useEffect, useMemo, useRef, useSignal, useSignalEffect } from "../html.js";
import { useKeys } from "../keys.js";
import { changes, run } from "../live.js";
import { Pages } from "../pages.js";
import { go, link, replace, route } from "../route.js";
import { VirtualRows } from "../virtual.js";
import { filters, Filters } from "./filters.js";
import { Trace } from "./trace.js";

const ROW = 36; // px
const LOOK_EVERY = 1000; // ms

export function TracesView() {
  const { id, query } = route.value;
  const filter = filters(query);
  const key = JSON.stringify([run.value, filter]);
  const pages = useMemo(() => new Pages("/api/invocations", { run: run.value, ...filter }), [key]);
  useEffect(() => () => pages.close(), [pages]);
  return html`
    <div class=${`traces-view ${id ? "has-open" : ""}`}>
      <h1 class="hidden">Traces</h1>
      <section class="list" aria-label="List">
        <div class="view-head">
          <span class="title" aria-hidden="true">Traces</span>
          <p class="counter">${format.count(pages.total.value)}</p>
        </div>
        <${Filters} filter=${filter} id=${id} />
        <${List} key=${key} pages=${pages} open=${id} filter=${filter} />
      </section>
      ${
        id
          ? html`
              <${Trace} key=${id} id=${id} back=${link("traces", "", filter)} />
            `
          : html`
              <div class="pane-empty"><p>Choose a trace to see its spans, prompts and costs.</p></div>
            `
      }
    </div>
  `;
}

function List({ pages, open, filter }) {
  const cursor = useSignal(-1);
  const atTop = useRef(true);
  const box = useRef(null);
  const total = pages.total.value,
    error = pages.error.value;
  pages.version.value; // drawn again when a page has come
  useFollowing(pages, () => atTop.current && !open && cursor.peek() < 1);
  const want = useMemo(
    () => (first, last) => {
      atTop.current = first === 0;
      pages.want(first, last);
    },
    [pages],
  );
  const openRow = (index) => {
    const row = pages.row(index);
    cursor.value = index;
    if (row) (open ? replace : go)("traces", row.trace_id, filter);
  };
  const move = (step) => {
    const next = Math.min(Math.max(cursor.value + step, 0), (total ?? 1) - 1);
    cursor.value = next;
    if (open) openRow(next);
  };
  useKeys({
    j: () => move(1),
    k: () => move(-1),
    Enter: () => openRow(Math.max(cursor.value, 0)),
    Escape: () => (open ? go("traces", "", filter) : (cursor.value = -1)),
  });
  const newest = async () => {
    cursor.value = -1;
    await pages.refresh();
    box.current.querySelector(".scroller").scrollTop = 0;
  };
  return html`
    <div class="rows" ref=${box}>
      ${
        pages.newer.value > 0 &&
        html`
          <button type="button" class="newer" onClick=${newest}>↑ ${format.count(pages.newer.value)} new</button>
        `
      }
      ${
        error &&
        html`
          <p class="problem" role="alert">${error.message}</p>
        `
      }
      <${VirtualRows}
        count=${total ?? 0}
        height=${ROW}
        want=${want}
        selected=${cursor.value}
        label="Traces"
        columns=${8}
        head=${HEAD}
        row=${(index) => html`
          <${Row}
            row=${pages.row(index)}
            index=${index}
            open=${open}
            focused=${cursor.value === index}
            filter=${filter}
            onOpen=${() => (cursor.value = index)}
          />
        `}
      />
      ${
        total === 0 &&
        html`
          <p class="empty">${Object.keys(filter).length ? "No trace has all of this." : "No trace yet."}</p>
        `
      }
    </div>
  `;
}

// While the reader is at the top, new rows come in; further down they are only counted.
function useFollowing(pages, following) {
  const timer = useRef(null);
  useSignalEffect(() => {
    if (!changes.value.number || timer.current) return;
    timer.current = setTimeout(async () => {
      timer.current = null;
      if (!pages.closed) await (following() ? pages.refresh() : pages.look());
    }, LOOK_EVERY);
  });
  useEffect(() => () => clearTimeout(timer.current), []);
}

const NAMES = [
  ["when", "Time"],
  ["what", "Function"],
  ["status", "Status"],
  ["how", "Start"],
  ["took", "Duration"],
  ["models", "Models"],
  ["tokens", "Tokens"],
  ["cost", "Cost"],
];
const HEAD = html`
  <div class="line head" role="row" aria-rowindex="1">
    ${NAMES.map(
      ([kind, title]) => html`
        <span role="columnheader" class=${kind}>${title}</span>
      `,
    )}
  </div>
`;

const SIGNS = table({ ok: "✓", error: "✕", timeout: "✕", crashed: "✕", running: "…" });

function Row({ row, index, open, focused, filter, onOpen }) {
  if (!row)
    return html`
      <div class="line is-loading" role="row" aria-rowindex=${index + 2}><span role="gridcell">…</span></div>
    `;
  const chosen = row.trace_id === open;
  const state = row.state && row.state !== "delivered" ? row.state : "";
  return html`
    <div
      class=${`line ${chosen ? "is-chosen" : ""} ${focused ? "is-focused" : ""}`}
      role="row"
      aria-rowindex=${index + 2}
      aria-selected=${chosen}
    >
      <span role="gridcell" class="when">
        <a href=${link("traces", row.trace_id, filter)} onClick=${onOpen}>${format.clock(row.start)}</a>
      </span>
      <span role="gridcell" class="what" title=${row.function}>${row.function || "–"}</span>
      <span role="gridcell" class=${`status is-${row.status}`}>
        <i aria-hidden="true">${SIGNS[row.status] ?? "·"}</i>
        ${" "}${row.status}${
          state &&
          html`
            ${" "}
            <em class=${`is-${state}`}>${state}</em>
          `
        }
      </span>
      <span role="gridcell" class="how">${row.start_kind ?? ""}</span>
      <span role="gridcell" class="took">${format.duration(row.duration_ms)}</span>
      <span role="gridcell" class="models" title=${(row.models ?? []).join(", ")}>
        ${(row.models ?? []).join(", ")}
      </span>
      <span role="gridcell" class="tokens">${format.count(format.tokenSum(row.tokens))}</span>
      <span role="gridcell" class="cost">${format.usd(row.cost_usd)}</span>
    </div>
  `;
}
