// Puts the page together: the shell around the view that the URL names.
import { html, render, useEffect, useErrorBoundary } from "./html.js";
import { Help } from "./help.js";
import { installKeys } from "./keys.js";
import { LanesView } from "./lanes/view.js";
import { LedgerView } from "./ledger.js";
import { connection, runs, start } from "./live.js";
import { view } from "./route.js";
import { RunsView } from "./runs.js";
import { Denied, Header, Notices, Sums } from "./shell.js";
import { TracesView } from "./traces/view.js";

const VIEWS = { lanes: LanesView, traces: TracesView, ledger: LedgerView, runs: RunsView };

function App() {
  const View = VIEWS[view.value];
  useEffect(() => {
    document.title = `${view.value[0].toUpperCase()}${view.value.slice(1)} · zespan dev`;
  }, [view.value]);
  if (connection.value === "denied")
    return html`
      <${Denied} />
    `;
  return html`
    <a class="skip" href="#main" onClick=${toMain}>Skip to the content</a>
    <${Header} />
    <${Sums} />
    <main id="main" tabindex="-1" class=${`view view-${view.value}`}>
      ${
        runs.value.length
          ? html`<${Guarded} key=${view.value}><${View} /></${Guarded}>`
          : html`
              <p class="empty">Connecting …</p>
            `
      }
    </main>
    <${Notices} />
    <${Help} />
  `;
}

// A view that fails says so, and leaves the others alone.
function Guarded({ children }) {
  const [error, again] = useErrorBoundary();
  if (!error) return children;
  return html`
    <section class="nothing">
      <h1>This view has failed</h1>
      <p>${String(error.message ?? error)}</p>
      <button type="button" class="button" onClick=${again}>Try again</button>
    </section>
  `;
}

// The hash is the route: the link must move the focus without changing it.
function toMain(event) {
  event.preventDefault();
  document.getElementById("main").focus();
}

installKeys();
render(
  html`
    <${App} />
  `,
  document.getElementById("app"),
);
start();
