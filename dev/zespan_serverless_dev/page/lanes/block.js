// One invocation in a lane: a button, with its phases, its calls and its flushes drawn to scale.
import * as format from "../format.js";
import { html, table } from "../html.js";
import { at, endOf, isOpen, span, stack, startOf } from "./axis.js";

const CALL_ROWS = 3;
export const OUTCOMES = table({ ok: "ok", error: "error", timeout: "timeout", crash: "crash", killed: "killed" });

export function Block({ invocation, number, axis, row, now, chosen, onChoose }) {
  const from = startOf(invocation),
    to = endOf(invocation, now);
  const { left, width } = span(axis, from, to);
  const bad = invocation.outcome && invocation.outcome !== "ok";
  const outcome = OUTCOMES[invocation.outcome] ?? invocation.outcome;
  // Where a time, or a part from one time to another, is in this block.
  const line = (time) => ({ left: `${at(axis, time) - left}px` });
  const part = (start, end) => {
    const { left: x, width: length } = span(axis, Math.max(start, from), Math.min(end ?? to, to));
    return { left: `${x - left}px`, width: `${Math.max(length, 2)}px` };
  };
  return html`
    <button
      type="button"
      class=${`block ${bad ? "is-bad" : ""} ${chosen ? "is-chosen" : ""}`}
      aria-pressed=${chosen}
      title=${`${format.clock(from)} · ${outcome ?? "running"}`}
      style=${{ left: `${left}px`, width: `${Math.max(width, 10)}px`, "--row": row }}
      onClick=${() => onChoose(invocation)}
    >
      <span class="hidden">${describe(invocation, number, to - from)}</span>
      <span class="drawing" aria-hidden="true">
        <span class="length">
          <span>
            ${
              bad &&
              html`
                <b>${outcome}</b>
              `
            }${format.duration(to - from)}
          </span>
        </span>
        ${
          axis.segments.some((each) => each.compressed && each.t0 < to && each.t1 > from) &&
          html`
            <i class="break"></i>
          `
        }
        <span class="phases">
          ${phases(invocation, to).map(
            ([kind, start, end]) => html`
              <i class=${`bar is-${kind}`} style=${part(start, end)}></i>
            `,
          )}
        </span>
        <${Calls} calls=${invocation.calls} part=${part} line=${line} />
        <span class="flushes">
          ${invocation.flushes.map(
            (flush) => html`
              <i
                class=${`bar is-flush ${flush.pending || flush.dropped ? "is-short" : ""}`}
                style=${part(flush.start, flush.end)}
              ></i>
            `,
          )}
        </span>
        ${
          invocation.response &&
          html`
            <i class="line is-response" style=${line(invocation.response)}></i>
          `
        }
        ${
          within(invocation.deadline, from, to) &&
          html`
            <i class="line is-deadline" style=${line(invocation.deadline)}></i>
          `
        }
        <span class="fate"><${LedgerChip} ledger=${invocation.ledger} /></span>
      </span>
    </button>
  `;
}

// Calls that run side by side are below each other; of more than there is room for, their number.
function Calls({ calls, part, line }) {
  const rows = stack(calls, (call) => call.end ?? Infinity);
  const left = rows.filter((row) => row >= CALL_ROWS).length;
  return html`
    <span class="calls">
      ${calls.map(
        (call, index) =>
          rows[index] < CALL_ROWS &&
          html`
            <i
              class=${`bar is-call ${call.error ? "is-bad" : ""} ${isOpen(call) ? "is-open" : ""}`}
              style=${{ ...part(call.start, call.end), "--row": rows[index] }}
            ></i>
            ${
              call.first_token &&
              html`
                <i class="tick is-token" style=${{ ...line(call.first_token), "--row": rows[index] }}></i>
              `
            }
          `,
      )}
      ${
        left > 0 &&
        html`
          <b class="others">+${left}</b>
        `
      }
    </span>
  `;
}

const within = (time, from, to) => time && time >= from && time <= to + 1;

// The phases that are known, as [kind, start, end].
export function phases({ init, start, response, end }, to) {
  const list = [];
  if (init) list.push(["init", init.start, Math.min(init.end, start)]);
  list.push(["handler", start, response ?? end ?? to]);
  if (response && (end ?? to) > response) list.push(["after", response, end ?? to]);
  return list;
}

// What became of the invocation's events: signs that differ in shape, not only in colour.
export function LedgerChip({ ledger }) {
  if (!ledger?.captured)
    return html`
      <span class="chip"></span>
    `;
  const dropped = format.total(ledger.dropped);
  return html`
    <span class="chip">
      ${
        ledger.delivered
          ? html`
              <b class="good">✓${ledger.delivered}</b>
            `
          : null
      }
      ${
        ledger.waiting
          ? html`
              <b class="wait">…${ledger.waiting}</b>
            `
          : null
      }
      ${
        dropped
          ? html`
              <b class="bad">✕${dropped}</b>
            `
          : null
      }
      ${
        ledger.lost
          ? html`
              <b class="lost">!${ledger.lost} lost</b>
            `
          : null
      }
    </span>
  `;
}

function describe(invocation, number, ms) {
  const { ledger } = invocation;
  const events = ledger?.captured
    ? `${ledger.delivered} of ${format.plural(ledger.captured, "event")} delivered`
    : "no events";
  const outcome = isOpen(invocation) ? "running" : (OUTCOMES[invocation.outcome] ?? "ended");
  const how = [
    invocation.cold ? "cold" : "warm",
    outcome,
    format.duration(ms),
    format.plural(invocation.calls.length, "call"),
    events,
  ];
  return `Invocation ${number}, ${how.join(", ")}`;
}
