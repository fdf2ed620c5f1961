// One lane for each sandbox, newest first, and beside them the invocation that the reader has chosen.
import * as format from "../format.js";
import { html, useSignal } from "../html.js";
import { useKeys } from "../keys.js";
import { useLive, run } from "../live.js";
import { go, replace, route } from "../route.js";
import { Inspector } from "./inspector.js";
import { Lane } from "./lane.js";
import { Legend } from "./legend.js";

const AT_ONCE = 12; // lanes; more on demand

export function LanesView() {
  const shown = useSignal(AT_ONCE);
  const latest = useSignal(null); // [sandbox, invocation, marks] of the lane that was active last
  const { data, error } = useLive("/api/sandboxes", { run: run.value });
  const { sandbox, request } = route.value.query;
  const close = () => replace("lanes");
  useKeys({ ...(request ? { Escape: close } : {}), j: () => moveFocus(1), k: () => moveFocus(-1) });
  if (error && !data)
    return html`
      <p class="empty" role="alert">${error.message}</p>
    `;
  if (!data)
    return html`
      <p class="empty">Loading …</p>
    `;
  if (!data.sandboxes.length)
    return html`
      <${Nothing} />
    `;
  // By their starts, which do not change: lanes must not change places whenever one of them is called.
  const lanes = data.sandboxes.toSorted((a, b) => b.first - a.first).slice(0, shown.value);
  const active = data.sandboxes.reduce((one, other) => (other.last > one.last ? other : one));
  // A link may lead to a sandbox that is further down.
  const linked = data.sandboxes.find((each) => each.id === sandbox);
  if (linked && !lanes.includes(linked)) lanes.push(linked);
  const chosen = request ? { sandbox, request } : null;
  return html`
    <div class=${`lanes-view ${chosen ? "has-chosen" : ""}`}>
      <div class="lanes">
        <div class="view-head">
          <h1>Lanes</h1>
          <p>One lane for each sandbox, the newest first. Time runs to the right.</p>
          <${Legend} />
        </div>
        ${lanes.map(
          (each) => html`
            <${Lane}
              key=${each.id}
              sandbox=${each}
              chosen=${chosen?.sandbox === each.id ? chosen.request : null}
              onChoose=${(invocation) => choose(each, invocation)}
              onLatest=${each.id === active.id ? (found) => (latest.value = found) : null}
            />
          `,
        )}
        ${
          data.sandboxes.length > lanes.length &&
          html`
            <button type="button" class="button more" onClick=${() => (shown.value += AT_ONCE)}>
              Show more of ${format.plural(data.sandboxes.length, "sandbox", "sandboxes")}
            </button>
          `
        }
      </div>
      <${Inspector} chosen=${chosen} latest=${latest.value} onClose=${close} />
    </div>
  `;
}

function choose(sandbox, invocation) {
  go("lanes", "", { sandbox: sandbox.id, request: invocation.request_id || invocation.trace_id });
}

function moveFocus(step) {
  const blocks = [...document.querySelectorAll(".block")];
  const index = blocks.indexOf(document.activeElement);
  const target = blocks[index < 0 ? 0 : Math.min(Math.max(index + step, 0), blocks.length - 1)];
  target?.focus();
  target?.scrollIntoView({ block: "nearest", inline: "nearest" });
}

function Nothing() {
  const origin = location.origin;
  return html`
    <section class="nothing">
      <h1>Nothing has arrived yet</h1>
      <p>Run a function in another terminal:</p>
      <pre><code>zespan-serverless invoke app.handler event.json --dev</code></pre>
      <p>Or let a function that runs elsewhere on this machine send its events here:</p>
      <pre tabindex="0"><code>export ZESPAN_BASE_URL=${origin} ZESPAN_API_KEY=zsp_local</code></pre>
    </section>
  `;
}
