// The ledger: the state of every captured event, and the requests that carried it.
import * as format from "./format.js";
import { html, table, useEffect, useMemo } from "./html.js";
import { changes, run, useLive } from "./live.js";
import { Pages } from "./pages.js";
import { link, replace, route } from "./route.js";
import { VirtualRows } from "./virtual.js";

const ROW = 44;
const LOOK_EVERY = 1000;
const STATES = [
  ["", "All"],
  ["waiting", "Waiting"],
  ["dropped", "Dropped"],
  ["lost", "Lost"],
  ["late", "With a later call"],
  ["again", "Sent twice"],
];
const SIGNS = table({ delivered: "✓", waiting: "…", dropped: "✕", lost: "!" });

export function LedgerView() {
  const { state = "", trace = "" } = route.value.query;
  const { data, error } = useLive("/api/ledger", { run: run.value, trace, limit: 1 });
  const key = JSON.stringify([run.value, trace, state]);
  const pages = useMemo(() => new Pages("/api/ledger", { run: run.value, trace, state }), [key]);
  useEffect(() => () => pages.close(), [pages]);
  useEffect(() => {
    const timer = setInterval(
      () => pages.seen !== changes.value.number && ((pages.seen = changes.value.number), pages.reload()),
      LOOK_EVERY,
    );
    return () => clearInterval(timer);
  }, [pages]);
  return html`
    <div class="ledger-view">
      <div class="view-head">
        <h1>Ledger</h1>
        <p>Every captured event is in exactly one place.</p>
      </div>
      ${
        error &&
        html`
          <p class="problem" role="alert">${error.message}</p>
        `
      }
      <${Balance} sum=${data?.sum} />
      <div class="filters" role="group" aria-label="Which events">
        ${STATES.map(
          ([name, title]) => html`
            <button
              type="button"
              class="button small"
              aria-pressed=${state === name}
              onClick=${() => replace("ledger", "", { trace, state: name })}
            >
              ${title}
            </button>
          `,
        )}
        ${
          trace &&
          html`
            <span class="tag">trace ${format.short(trace)}</span>
            <button type="button" class="button small" onClick=${() => replace("ledger", "", { state })}>
              All traces
            </button>
          `
        }
      </div>
      <${Events} key=${key} pages=${pages} />
    </div>
  `;
}

function Balance({ sum }) {
  const ledger = sum ?? {};
  const dropped = format.total(ledger.dropped);
  const parts = [
    ["delivered", ledger.delivered ?? 0, "good"],
    ["waiting", ledger.waiting ?? 0, "wait"],
    ["dropped", dropped, "bad"],
    ["lost", ledger.lost ?? 0, "lost"],
  ];
  const captured = ledger.captured ?? 0;
  const adds = parts.reduce((all, [, number]) => all + number, 0) === captured;
  const reasons = Object.entries(ledger.dropped ?? {}).filter(([, number]) => number);
  return html`
    <section class="balance" aria-label="Balance">
      <div class="stripe" aria-hidden="true">
        ${parts.map(
          ([name, number, kind]) =>
            number > 0 &&
            html`
              <i class=${`is-${kind}`} style=${{ flexGrow: number }} title=${name}></i>
            `,
        )}
      </div>
      <p class="proof">
        <b>${format.count(sum ? captured : null)}</b>
        captured
        ${parts.map(
          ([name, number, kind], index) => html`
            <span class="mark">${index ? "+" : "="}</span>
            <span class=${number ? `is-${kind}` : ""}>
              <b>${format.count(sum ? number : null)}</b>
              ${" "}${name}
            </span>
          `,
        )}
        ${
          sum &&
          html`
            <span class=${`verdict ${adds && !ledger.lost ? "is-good" : "is-lost"}`}>
              ${!adds ? "! does not add up" : ledger.lost ? `! ${format.plural(ledger.lost, "event")} lost` : "✓ adds up"}
            </span>
          `
        }
      </p>
      ${
        reasons.length > 0 &&
        html`
          <p class="reasons">
            Dropped:
            ${reasons.map(
              ([reason, number]) => html`
                <span class="tag">${reason} ${format.count(number)}</span>
              `,
            )}
          </p>
        `
      }
    </section>
  `;
}

const HEAD = html`
  <div class="line head" role="row" aria-rowindex="1">
    <span role="columnheader">State</span>
    <span role="columnheader">Event</span>
    <span role="columnheader">Trace</span>
    <span role="columnheader">Requests</span>
  </div>
`;

function Events({ pages }) {
  pages.version.value; // drawn again when a page has come
  const total = pages.total.value;
  const want = useMemo(() => (first, last) => pages.want(first, last), [pages]);
  return html`
    <div class="rows events">
      ${
        pages.error.value &&
        html`
          <p class="problem" role="alert">${pages.error.value.message}</p>
        `
      }
      <${VirtualRows}
        count=${total ?? 0}
        height=${ROW}
        want=${want}
        label="Events"
        columns=${4}
        head=${HEAD}
        row=${(index) => html`
          <${Event} event=${pages.row(index)} index=${index} />
        `}
      />
      ${
        total === 0 &&
        html`
          <p class="empty">No such event.</p>
        `
      }
    </div>
  `;
}

function Event({ event, index }) {
  if (!event)
    return html`
      <div class="line is-loading" role="row" aria-rowindex=${index + 2}><span role="gridcell">…</span></div>
    `;
  return html`
    <div class="line" role="row" aria-rowindex=${index + 2}>
      <span role="gridcell" class=${`status is-${event.state}`}>
        <i aria-hidden="true">${SIGNS[event.state] ?? "·"}</i>
        ${" "}${event.state}${
          event.reason &&
          html`
            ${" "}
            <em>${event.reason}</em>
          `
        }
      </span>
      <span role="gridcell" class="mono" title=${event.event_id}>${format.short(event.event_id, 13)}</span>
      <span role="gridcell" class="mono">
        ${
          event.trace_id
            ? html`
                <a href=${link("traces", event.trace_id)}>${format.short(event.trace_id)}</a>
              `
            : "–"
        }
      </span>
      <span role="gridcell" class="requests">
        ${
          event.late &&
          html`
            <em class="is-late">arrived with a later call</em>
          `
        }
        ${
          event.again &&
          html`
            <em class="is-again">sent twice, same id</em>
          `
        }
        <${Attempts} deliveries=${event.deliveries ?? []} />
      </span>
    </div>
  `;
}

export function Attempts({ deliveries }) {
  if (!deliveries.length)
    return html`
      <span class="attempts">in no request yet</span>
    `;
  return html`
    <span class="attempts">
      ${deliveries.map(
        (delivery, index) => html`
          <span
            class=${`attempt ${delivery.status >= 200 && delivery.status < 300 ? "is-good" : "is-bad"}`}
            title=${`${delivery.path}, ${format.bytes(delivery.bytes)}, ${format.plural(delivery.events ?? 0, "event")}`}
          >
            <b>${delivery.status ?? delivery.fault ?? "no answer"}</b>
            ${" "}${`${deliveries.length > 1 ? `try ${index + 1}, ` : ""}request ${delivery.id} at ${format.clock(delivery.at)}`}
          </span>
        `,
      )}
    </span>
  `;
}
