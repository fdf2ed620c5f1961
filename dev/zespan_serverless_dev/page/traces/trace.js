// One trace: the tree of its spans with a waterfall, and the chosen span in full.
import { traceUrl } from "../api.js";
import * as format from "../format.js";
import { html, table, useSignal } from "../html.js";
import { isOpen } from "../lanes/axis.js";
import { notice, run, useClock, useLive } from "../live.js";
import { link, replace, route } from "../route.js";
import { VirtualRows } from "../virtual.js";
import { filters } from "./filters.js";
import { Span } from "./span.js";
import { bounds, curl, DEEPEST, tree } from "./tree.js";

const ROW = 30;
const MOST = 14; // rows of the tree before it scrolls

export function Trace({ id, back }) {
  const path = `/api/trace/${encodeURIComponent(id)}`;
  const { data, error } = useLive(path, { run: run.value }, (change) => !change.traces || change.traces.includes(id));
  const spans = data?.spans ?? [];
  return html`
    <section class="pane" aria-labelledby="trace-title">
      <header class="pane-head">
        <a class="back" href=${back} title="Close (Esc)">
          <span aria-hidden="true">←</span>
          <span>All traces</span>
        </a>
        <h2 id="trace-title">${title(spans) || "Trace"}</h2>
        <${Copies} id=${id} data=${data} />
      </header>
      <p class="sub mono">${id}</p>
      ${
        error &&
        html`
          <p class="problem" role="alert">${error.status === 404 ? "This trace is not in this run." : error.message}</p>
        `
      }
      ${
        spans.length > 0 &&
        html`
          <${Body} id=${id} data=${data} />
        `
      }
    </section>
  `;
}

// What the reader has most likely come for: what went wrong, else what was said.
function first(rows) {
  const bad = rows.findLastIndex(({ span }) => isBad(span));
  return Math.max(bad >= 0 ? bad : rows.findIndex(({ span }) => span.kind === "llm"), 0);
}

const isBad = (span) => Boolean(span.error || (span.status && !["ok", "running"].includes(span.status)));
const title = (spans) => (spans.find((span) => !span.parent_span_id) ?? spans[0])?.name;

function Body({ id, data }) {
  const { spans, deliveries = [] } = data;
  const open = spans.some(isOpen);
  const now = useClock(open);
  const rows = tree(spans);
  const range = bounds(spans, now);
  const wanted = route.value.query.span;
  const chosen = wanted
    ? Math.max(
        rows.findIndex(({ span }) => span.span_id === wanted),
        0,
      )
    : first(rows);
  const choose = (index) => replace("traces", id, { ...filters(route.value.query), span: rows[index].span.span_id });
  const move = (event) => {
    const step = { ArrowDown: 1, ArrowUp: -1 }[event.key];
    if (!step) return;
    event.preventDefault();
    choose(Math.min(Math.max(chosen + step, 0), rows.length - 1));
  };
  return html`
    <${Facts} spans=${spans} range=${range} />
    ${
      data.more
        ? html`
            <p class="problem">
              ${format.plural(data.more, "further span")} of this trace ${data.more === 1 ? "is" : "are"} not shown.
            </p>
          `
        : null
    }
    <div class="tree" style=${{ height: `${Math.min(rows.length, MOST) * ROW + 2}px` }} onKeyDown=${move}>
      <${VirtualRows}
        count=${rows.length}
        height=${ROW}
        selected=${chosen}
        label="Spans"
        columns=${3}
        role="grid"
        row=${(index) => html`
          <${TreeRow}
            ...${rows[index]}
            index=${index}
            range=${range}
            now=${now}
            chosen=${index === chosen}
            onChoose=${() => choose(index)}
          />
        `}
      />
    </div>
    <${Span} key=${rows[chosen].span.span_id} span=${rows[chosen].span} deliveries=${deliveries} />
  `;
}

function Facts({ spans, range }) {
  const sum = (read) => spans.reduce((all, span) => all + (read(span) || 0), 0);
  const errors = spans.filter(isBad).length;
  return html`
    <dl class="factline">
      <div>
        <dt>Duration</dt>
        <dd>${format.duration(range.to - range.from)}</dd>
      </div>
      <div>
        <dt>Spans</dt>
        <dd>${format.count(spans.length)}</dd>
      </div>
      <div>
        <dt>Tokens</dt>
        <dd>${format.count(sum((span) => format.tokenSum(span.tokens)))}</dd>
      </div>
      <div>
        <dt>Cost</dt>
        <dd>${format.usd(sum((span) => span.cost_usd))}</dd>
      </div>
      ${
        errors > 0 &&
        html`
          <div class="bad">
            <dt>Errors</dt>
            <dd>✕ ${format.count(errors)}</dd>
          </div>
        `
      }
      <div>
        <dt>Started</dt>
        <dd class="mono">${format.clock(range.from)}</dd>
      </div>
    </dl>
  `;
}

function TreeRow({ span, depth, index, range, now, chosen, onChoose }) {
  const open = isOpen(span);
  const length = range.to - range.from;
  const end = span.end ?? now;
  const place = {
    left: `${((span.start - range.from) / length) * 100}%`,
    width: `max(3px, ${(Math.max(end - span.start, 0) / length) * 100}%)`,
  };
  const bad = isBad(span);
  const token = span.first_token_ms
    ? { left: `${((span.start + span.first_token_ms - range.from) / length) * 100}%` }
    : null;
  return html`
    <div class=${`branch ${chosen ? "is-chosen" : ""}`} role="row" aria-rowindex=${index + 1} aria-selected=${chosen}>
      <span role="gridcell" class="name" style=${{ paddingLeft: `${Math.min(depth, DEEPEST) * 14 + 6}px` }}>
        <button
          type="button"
          tabindex=${chosen ? 0 : -1}
          onClick=${onChoose}
          aria-label=${`${span.name}, ${span.kind}${bad ? ", error" : ""}${open ? ", running" : ""}`}
        >
          <span class=${`kind is-${KINDS[span.kind] ?? "step"}`} aria-hidden="true"></span>
          ${bad ? "✕ " : ""}${span.name}
        </button>
      </span>
      <span role="gridcell" class="rail" aria-hidden="true" onClick=${onChoose}>
        <i
          class=${`bar is-${KINDS[span.kind] ?? "step"} ${bad ? "is-bad" : ""} ${open ? "is-open" : ""}`}
          style=${place}
        ></i>
        ${
          token &&
          html`
            <i class="tick is-token" style=${token}></i>
          `
        }
      </span>
      <span role="gridcell" class="time">${open ? "… " : ""}${format.duration(end - span.start)}</span>
    </div>
  `;
}

const KINDS = table({ invocation: "handler", llm: "call", tool: "flush", retrieval: "flush" });

function Copies({ id, data }) {
  const copied = useSignal("");
  const copy = async (what, text) => {
    try {
      await navigator.clipboard.writeText(text);
      copied.value = what;
      notice.value = `${what} copied.`;
      setTimeout(() => (copied.value = ""), 1500);
    } catch {
      notice.value = "The browser does not allow copying.";
    }
  };
  const button = (what, text) => html`
    <button type="button" class="button small" disabled=${!data} onClick=${() => copy(what, text())}>
      ${copied.value === what ? "Copied" : `Copy ${what}`}
    </button>
  `;
  return html`
    <span class="copies">
      ${button("JSON", () => JSON.stringify(data, null, 2))} ${button("curl", () => curl(traceUrl(id, run.value)))}
      ${button("link", () => new URL(link("traces", id, { run: run.value }), location.href).href)}
    </span>
  `;
}
