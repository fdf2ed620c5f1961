// One span in full. All that came with an event is shown as text, whatever it looks like.
import * as format from "../format.js";
import { html, useSignal } from "../html.js";
import { isOpen } from "../lanes/axis.js";
import { run } from "../live.js";
import { Attempts } from "../ledger.js";

const LONG = 4000; // characters of a text before it is cut

export function Span({ span, deliveries }) {
  const mine = deliveries.filter(
    (delivery) => !span.event_id || !Array.isArray(delivery.event_ids) || delivery.event_ids.includes(span.event_id),
  );
  return html`
    <section class="span" aria-label="Span">
      <h3>
        ${span.name}
        <span class="tag">${span.kind}</span>
        ${
          span.model &&
          html`
            <span class="tag">${span.model}</span>
          `
        }${
          span.provider &&
          html`
            <span class="tag">${span.provider}</span>
          `
        }
      </h3>
      <${Numbers} span=${span} />
      ${
        span.error &&
        html`
          <div class="error-box" role="note">
            <h4>✕ ${span.status === "ok" ? "Error" : span.status}</h4>
            <${Long} text=${text(span.error)} />
          </div>
        `
      }
      <${Said} title="Prompt" value=${span.input} />
      <${Said} title="Answer" value=${span.output} />
      <${Block} title="Tools" value=${span.tools} />
      <${Attributes} value=${span.attributes} />
      ${
        mine.length > 0 &&
        html`
          <section class="part">
            <h4>Delivered</h4>
            <${Attempts} deliveries=${mine} />
          </section>
        `
      }
      ${
        span.event_id &&
        html`
          <p class="sub">
            <a
              href=${`/api/event/${encodeURIComponent(span.event_id)}?run=${encodeURIComponent(run.value)}`}
              target="_blank"
              rel="noreferrer"
            >
              The event as it arrived
            </a>
          </p>
        `
      }
    </section>
  `;
}

function Numbers({ span }) {
  const tokens = span.tokens ?? {};
  const known = [
    ["Duration", !isOpen(span) && format.duration(span.end - span.start)],
    ["First token", span.first_token_ms && format.duration(span.first_token_ms)],
    ["Input tokens", tokens.input && format.count(tokens.input)],
    ["of these cached", tokens.cached && format.count(tokens.cached)],
    ["written to cache", tokens.cache_write && format.count(tokens.cache_write)],
    ["Output tokens", tokens.output && format.count(tokens.output)],
    ["of these reasoning", tokens.reasoning && format.count(tokens.reasoning)],
    ["Cost", (span.cost_usd ?? null) !== null && format.usd(span.cost_usd)],
    ["Event", span.event_id ? (span.state ?? "not yet arrived") : "not yet captured"],
  ].filter(([, value]) => value);
  return html`
    <dl class="factline">
      ${known.map(
        ([name, value]) => html`
          <div>
            <dt>${name}</dt>
            <dd>${value}</dd>
          </div>
        `,
      )}
    </dl>
  `;
}

function text(value) {
  return typeof value === "string" ? value : JSON.stringify(value, null, 2);
}

function parsed(value) {
  if (typeof value !== "string" || !/^\s*[[{]/.test(value)) return value;
  try {
    return JSON.parse(value);
  } catch {
    return value;
  }
}

// Messages with their roles, in OpenTelemetry's form or a provider's; anything else as it is.
function Said({ title, value }) {
  if (value === null || value === undefined || value === "") return null;
  const found = parsed(value);
  const messages =
    Array.isArray(found) &&
    found.length &&
    found.every((each) => each && typeof each === "object" && typeof each.role === "string")
      ? found
      : null;
  return html`
    <section class="part">
      <h4>${title}</h4>
      ${
        messages
          ? messages.map(
              (message) => html`
                <${Message} message=${message} />
              `,
            )
          : html`
              <${Long} text=${text(found)} />
            `
      }
    </section>
  `;
}

function Message({ message }) {
  const parts = message.parts ?? message.content;
  const list = Array.isArray(parts) ? parts : [parts];
  return html`
    <article class="message">
      <h5>${message.role}</h5>
      ${list.map(
        (part) => html`
          <${Part} part=${part} />
        `,
      )}
    </article>
  `;
}

function Part({ part }) {
  if (part === null || part === undefined) return null;
  if (typeof part !== "object")
    return html`
      <${Long} text=${String(part)} />
    `;
  if (part.type === "tool_call")
    return html`
      <p class="tool"><b>calls ${text(part.name ?? "a tool")}</b></p>
      <${Long} code=${true} text=${text(parsed(part.arguments) ?? "")} />
    `;
  if (part.type === "tool_call_response")
    return html`
      <p class="tool"><b>tool answers</b></p>
      <${Long} code=${true} text=${text(parsed(part.response ?? part.result) ?? "")} />
    `;
  const plain = part.content ?? part.text;
  return typeof plain === "string"
    ? html`
        <${Long} text=${plain} />
      `
    : html`
        <${Long} code=${true} text=${text(part)} />
      `;
}

function Block({ title, value }) {
  if (!value || (Array.isArray(value) && !value.length)) return null;
  return html`
    <section class="part">
      <h4>${title}</h4>
      <${Long} code=${true} text=${text(parsed(value))} />
    </section>
  `;
}

function Attributes({ value }) {
  const entries = Object.entries(value ?? {});
  if (!entries.length) return null;
  return html`
    <section class="part">
      <h4>Attributes</h4>
      <dl class="attributes">
        ${entries.map(
          ([name, each]) => html`
            <div>
              <dt>${name}</dt>
              <dd><${Long} text=${text(each) ?? ""} /></dd>
            </div>
          `,
        )}
      </dl>
    </section>
  `;
}

function Long({ text, code }) {
  const all = useSignal(false);
  const whole = String(text ?? "");
  const cut = whole.length > LONG && !all.value;
  // `dir` keeps marks for right-to-left text inside this text.
  return html`
    <pre class=${code ? "text is-code" : "text"} dir="auto">${cut ? whole.slice(0, LONG) : whole}</pre>
    ${
      cut &&
      html`
        <button type="button" class="button small" onClick=${() => (all.value = true)}>
          Show all ${format.bytes(whole.length)}
        </button>
      `
    }
  `;
}
