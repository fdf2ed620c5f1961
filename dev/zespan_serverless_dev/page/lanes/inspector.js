// One invocation in full: what happened when, what is billed, and what became of its events.
import * as format from "../format.js";
import { html } from "../html.js";
import { run, useClock, useLive } from "../live.js";
import { link } from "../route.js";
import { at, endOf, frozen, isOpen, makeAxis, span, startOf, ticks } from "./axis.js";
import { LedgerChip, OUTCOMES, phases } from "./block.js";

const MOST = 100; // invocations of a sandbox in one answer
const WIDTH = 1000; // parts are placed in thousandths of the width
const FAR = 0.6; // a deadline further away than this part of the invocation is only written, not drawn

export function Inspector({ chosen, latest, onClose }) {
  const query = { run: run.value, sandbox: chosen?.sandbox, limit: MOST };
  const { data, error } = useLive(
    chosen ? "/api/lane" : "",
    query,
    (change) => !change.sandboxes || change.sandboxes.includes(chosen?.sandbox),
  );
  const named = (each) => each.request_id === chosen.request || each.trace_id === chosen.request;
  const [sandbox, invocation, marks] = chosen
    ? [data?.sandbox, data?.invocations.find(named), data?.marks]
    : (latest ?? []);
  return html`
    <aside class="inspector" aria-label="Invocation">
      <header>
        <h2>${chosen ? "Invocation" : "Latest invocation"}</h2>
        ${
          chosen &&
          html`
            <button type="button" class="icon" aria-label="Close" title="Close (Esc)" onClick=${onClose}>✕</button>
          `
        }
      </header>
      ${
        error &&
        html`
          <p class="problem" role="alert">${error.message}</p>
        `
      }
      ${
        invocation
          ? html`
              <${Anatomy} invocation=${invocation} sandbox=${sandbox} marks=${marks} />
            `
          : html`
              <p class="empty">${chosen && data ? `It is older than the last ${MOST} of its sandbox.` : "…"}</p>
            `
      }
    </aside>
  `;
}

function Anatomy({ invocation, sandbox, marks }) {
  const open = isOpen(invocation) && sandbox?.state !== "ended";
  const now = useClock(open);
  const end = endOf(invocation, open ? now : null),
    start = startOf(invocation);
  return html`
    <p class="headline">
      <span class=${`outcome is-${open ? "running" : invocation.outcome}`}>
        ${open ? "running" : (OUTCOMES[invocation.outcome] ?? "ended")}
      </span>
      <b>${format.duration(end - start)}</b>
      <span>${invocation.cold ? "cold start" : "warm start"}</span>
      <span class="mono">${format.clock(start)}</span>
    </p>
    <p class="sub">
      <span title=${invocation.request_id}>${invocation.name || format.short(invocation.request_id, 13)}</span>
      ${
        invocation.trace_id &&
        html`
          <a href=${link("traces", invocation.trace_id)}>Open trace ${format.short(invocation.trace_id)}</a>
        `
      }
    </p>
    <${Waterfall} invocation=${invocation} marks=${marks} start=${start} end=${end} />
    <${Bill} invocation=${invocation} sandbox=${sandbox} />
    <${Ledger} ledger=${invocation.ledger} trace=${invocation.trace_id} />
  `;
}

function Waterfall({ invocation, marks, start, end }) {
  const { deadline, reserve_ms: reserve, response } = invocation;
  const near = deadline && deadline - end < (end - start) * FAR;
  const last = near ? Math.max(end, deadline) : end;
  const holes = frozen(marks, last).filter(([from]) => from < end - 1); // what came after it does not concern it
  const axis = makeAxis([[start, last]], holes, {
    scale: WIDTH / Math.max(last - start, 1),
    longest: Infinity,
    fold: 120,
  });
  const place = (from, to) => {
    const { left, width } = span(axis, from, to ?? end);
    return { left: `${(left / axis.width) * 100}%`, width: `${Math.max((width / axis.width) * 100, 0.4)}%` };
  };
  const line = (time) => ({ left: `${(at(axis, time) / axis.width) * 100}%` });
  const lines = [
    [response, "response"],
    [near && deadline && reserve ? deadline - reserve : null, "reserve"],
    [near ? deadline : null, "deadline"],
  ].filter(([time]) => time);
  return html`
    <div class="waterfall" role="list" aria-label="What happened when">
      <div class="ruler" aria-hidden="true">
        ${ticks(last - start, 4)
          .filter((time) => time < (last - start) * 0.9)
          .map(
            (time) => html`
              <span style=${line(start + time)}>${format.duration(time)}</span>
            `,
          )}
      </div>
      <div class="lines" aria-hidden="true">
        ${axis.segments.map(
          (each) =>
            each.kind === "frozen" &&
            html`
              <i class="fold is-frozen" style=${place(each.t0, each.t1)}></i>
            `,
        )}
        ${lines.map(
          ([time, kind]) => html`
            <i class=${`line is-${kind}`} style=${line(time)}></i>
          `,
        )}
      </div>
      ${phases(invocation, end).map(
        ([kind, from, to]) => html`
          <${Row}
            kind=${kind}
            name=${{ after: "after response" }[kind] ?? kind}
            from=${from}
            to=${to}
            place=${place}
            start=${start}
          />
        `,
      )}
      ${invocation.calls.map(
        (call) => html`
          <${Row}
            kind="call"
            name=${call.name}
            from=${call.start}
            to=${call.end}
            end=${end}
            place=${place}
            start=${start}
            bad=${call.error}
            token=${call.first_token ? line(call.first_token) : null}
            note=${said(call)}
          />
        `,
      )}
      ${invocation.flushes.map(
        (flush) => html`
          <${Row}
            kind="flush"
            name="flush"
            from=${flush.start}
            to=${flush.end}
            end=${end}
            place=${place}
            start=${start}
            bad=${flush.reason}
            note=${flushed(flush)}
          />
        `,
      )}
      ${lines.map(
        ([time, kind]) => html`
          <p class="hidden" role="listitem">${kind} at ${format.duration(time - start)}</p>
        `,
      )}
    </div>
    ${
      deadline && !near
        ? html`
            <p class="far">
              <span class="swatch is-deadline" aria-hidden="true"></span>
              ${far(deadline - end, reserve)}
            </p>
          `
        : null
    }
  `;
}

function far(left, reserve) {
  const part = reserve ? `, of which ${format.duration(reserve)} are reserve` : "";
  return `Deadline ${format.duration(left)} later${part}`;
}

function said({ first_token: token, start, error }) {
  return [
    error && String(error === true ? "error" : error),
    token && `first token after ${format.duration(token - start)}`,
  ]
    .filter(Boolean)
    .join(" · ");
}

function flushed({ delivered, pending, dropped, reason }) {
  const parts = [`${delivered ?? 0} delivered`];
  if (pending) parts.push(`${pending} waiting`);
  if (dropped) parts.push(`${dropped} dropped`);
  if (reason) parts.push(String(reason));
  return parts.join(", ");
}

function Row({ kind, name, from, to, end, place, start, bad, token, note }) {
  const open = to === null || to === undefined;
  return html`
    <div class="row" role="listitem">
      <span class="name" title=${name}>${name}</span>
      <span class="time">
        ${open ? "hangs, " : ""}${format.duration((to ?? end) - from)}
        <span class="hidden">, from ${format.duration(from - start)} on</span>
      </span>
      <span class="rail" aria-hidden="true">
        <i class=${`bar is-${kind} ${bad ? "is-bad" : ""} ${open ? "is-open" : ""}`} style=${place(from, to)}></i>
        ${
          token &&
          html`
            <i class="tick is-token" style=${token}></i>
          `
        }
      </span>
      ${
        (note || bad) &&
        html`
          <span class=${`note ${bad ? "bad" : ""}`}>${note || String(bad)}</span>
        `
      }
    </div>
  `;
}

function Bill({ invocation, sandbox }) {
  const { billed_ms: billed, parts = {}, telemetry_ms: telemetry, cost_usd: cost } = invocation;
  if (!billed) return null;
  const known = [
    ["init", parts.init_ms],
    ["handler", parts.handler_ms],
    ["after", parts.after_ms],
  ].filter(([, ms]) => ms > 0);
  const sum = known.reduce((all, [, ms]) => all + ms, 0) || 1;
  return html`
    <section class="bill">
      <h3>Billed</h3>
      <p class="amount">
        <b>${format.duration(billed)}</b>
        <span>${format.usd(cost)}${sandbox?.memory_mb ? ` at ${format.count(sandbox.memory_mb)} MB` : ""}</span>
      </p>
      <div class="split" aria-hidden="true">
        ${known.map(
          ([kind, ms]) => html`
            <i class=${`bar is-${kind}`} style=${{ width: `${(ms / sum) * 100}%` }}></i>
          `,
        )}
      </div>
      <dl>
        ${known.map(
          ([kind, ms]) => html`
            <div>
              <dt>
                <span class=${`swatch is-${kind}`} aria-hidden="true"></span>
                ${{ after: "after response" }[kind] ?? kind}
              </dt>
              <dd>${format.duration(ms)}</dd>
            </div>
          `,
        )}
        <div class="of">
          <dt>of this, telemetry</dt>
          <dd>${format.duration(telemetry)}</dd>
        </div>
      </dl>
    </section>
  `;
}

export function Ledger({ ledger, trace }) {
  if (!ledger) return null;
  const reasons = Object.entries(ledger.dropped ?? {}).filter(([, number]) => number);
  return html`
    <section class="bill">
      <h3>Events</h3>
      <p class="amount">
        <b>${format.plural(ledger.captured ?? 0, "event")} captured</b>
        <${LedgerChip} ledger=${ledger} />
      </p>
      <dl>
        <div>
          <dt>delivered</dt>
          <dd>${format.count(ledger.delivered)}</dd>
        </div>
        <div>
          <dt>waiting</dt>
          <dd>${format.count(ledger.waiting)}</dd>
        </div>
        ${reasons.map(
          ([reason, number]) => html`
            <div>
              <dt>dropped: ${reason}</dt>
              <dd>${format.count(number)}</dd>
            </div>
          `,
        )}
        <div>
          <dt>lost</dt>
          <dd>${format.count(ledger.lost)}</dd>
        </div>
      </dl>
      ${
        trace && ledger.captured
          ? html`
              <p class="sub"><a href=${link("ledger", "", { trace })}>In which request, after how many tries</a></p>
            `
          : null
      }
    </section>
  `;
}
