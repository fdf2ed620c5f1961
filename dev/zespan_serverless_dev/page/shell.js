// What surrounds each view: the run, the four views, whether the page is live, and the sums of the run.
import { post } from "./api.js";
import * as format from "./format.js";
import { html, signal, useSignal } from "./html.js";
import { helpOpen } from "./keys.js";
import { connection, current, isCurrent, loadRuns, missed, notice, pause, paused, run, runs, summary } from "./live.js";
import { link, replace, route, view } from "./route.js";

const TABS = [
  ["lanes", "Lanes"],
  ["traces", "Traces"],
  ["ledger", "Ledger"],
  ["runs", "Runs"],
];
const THEMES = ["system", "light", "dark"];
const theme = signal(document.documentElement.dataset.theme ?? "system");

export function Header() {
  return html`
    <header class="top">
      <a class="brand" href=${link("lanes")} aria-label="zespan dev: to the lanes">
        <img src="icon.svg" alt="" width="20" height="20" />
        <span>
          zespan${" "}
          <b>dev</b>
        </span>
      </a>
      <nav aria-label="Views">
        ${TABS.map(
          ([name, title]) => html`
            <a href=${link(name)} aria-current=${view.value === name ? "page" : undefined}>${title}</a>
          `,
        )}
      </nav>
      <div class="tools">
        <${RunPicker} />
        <${Live} />
        <button
          type="button"
          class="icon"
          aria-label=${`Theme: ${theme.value}. Change`}
          title=${`Theme: ${theme.value}`}
          onClick=${nextTheme}
        >
          <span aria-hidden="true">${{ system: "◐", light: "○", dark: "●" }[theme.value]}</span>
        </button>
        <button type="button" class="icon" aria-label="Help" title="Help (?)" onClick=${() => (helpOpen.value = true)}>
          <span aria-hidden="true">?</span>
        </button>
      </div>
    </header>
  `;
}

function nextTheme() {
  theme.value = THEMES[(THEMES.indexOf(theme.value) + 1) % THEMES.length];
  if (theme.value === "system") delete document.documentElement.dataset.theme;
  else document.documentElement.dataset.theme = theme.value;
  try {
    localStorage.setItem("theme", theme.value);
  } catch {
    // It then holds for this page only.
  }
}

function RunPicker() {
  const choose = (event) => {
    const { run: _, ...query } = route.value.query;
    const id = event.target.value;
    replace(view.value, "", { ...query, run: id === current.value?.id ? "" : id });
  };
  return html`
    <select class="run" aria-label="Run" value=${run.value} onFocus=${loadRuns} onChange=${choose}>
      ${runs.value.map(
        (each) => html`
          <option value=${each.id} selected=${each.id === run.value}>${runTitle(each)}</option>
        `,
      )}
    </select>
  `;
}

export const runTitle = (each) => `${each.name || format.day(each.started)}${each.current ? " (now)" : ""}`;

function Live() {
  const states = { live: "Live", connecting: "Connecting", offline: "Offline: trying again" };
  const state = paused.value ? "paused" : connection.value;
  const text = paused.value
    ? `Paused${missed.value ? ` · ${missed.value} new` : ""}`
    : isCurrent.value || connection.value !== "live"
      ? states[connection.value]
      : "Kept run";
  return html`
    <button
      type="button"
      class=${`live is-${state}`}
      aria-pressed=${paused.value}
      title="Pause (p)"
      onClick=${() => pause()}
    >
      <span class="dot" aria-hidden="true"></span>
      <span class="word">${text}</span>
      <span class="act" aria-hidden="true">${paused.value ? "▶" : "❙❙"}</span>
      <span class="hidden">${paused.value ? "Go on" : "Pause"}</span>
    </button>
  `;
}

// The ledger's equation is always in sight: it is what the page is for.
export function Sums() {
  const sum = summary.value;
  const ledger = sum?.ledger ?? {};
  const dropped = sum ? format.total(ledger.dropped) : null;
  return html`
    <section class=${`sums in-${view.value}`} aria-label="Sums of this run">
      <dl class="equation">
        <${Sum} name="captured" value=${ledger.captured} mark="" />
        <${Sum} name="delivered" value=${ledger.delivered} mark="=" kind="good" />
        <${Sum} name="waiting" value=${ledger.waiting} mark="+" kind="wait" />
        <${Sum} name="dropped" value=${dropped} mark="+" kind="bad" />
        <${Sum} name="lost" value=${ledger.lost} mark="+" kind="lost" />
      </dl>
      <dl class="others">
        <${Sum} name="traces" value=${sum?.traces} />
        <${Sum} name="sandboxes" value=${sum?.sandboxes} />
        <${Sum} name="tokens" value=${format.tokenSum(sum?.tokens)} />
        <${Sum} name="models' cost" text=${format.usd(sum?.cost_usd)} />
      </dl>
      ${
        isCurrent.value &&
        html`
          <${Fault} mode=${sum?.fault || "ok"} />
        `
      }
    </section>
  `;
}

function Sum({ name, value, text, mark, kind }) {
  return html`
    <div class=${`sum ${mark ? "has-mark" : ""} ${kind && value ? `is-${kind}` : ""}`}>
      ${
        mark &&
        html`
          <span class="mark" aria-hidden="true">${mark}</span>
        `
      }
      <dt>${name}</dt>
      <dd>${text ?? format.count(value)}</dd>
    </div>
  `;
}

const FAULTS = [
  ["ok", "answers", "The backend answers 200"],
  ["hang", "hangs", "The backend accepts connections and never answers"],
  ["429", "429", "The backend asks to come back later"],
  ["500", "500", "The backend answers with a server error"],
  ["refuse", "refuses", "The backend refuses connections"],
  ["drip", "drips", "The backend answers one byte at a time"],
];

function Fault({ mode }) {
  const wanted = useSignal(null); // until the summary says the same
  const shown = wanted.value ?? mode;
  const choose = async (event) => {
    wanted.value = event.target.value;
    try {
      await post("/api/fault", { mode: wanted.value });
      notice.value = `${FAULTS.find(([name]) => name === wanted.value)[2]}.`;
      summary.value = { ...summary.value, fault: wanted.value };
    } catch (problem) {
      notice.value = problem.message;
    }
    wanted.value = null;
  };
  return html`
    <fieldset class=${`fault ${shown === "ok" ? "" : "is-on"}`}>
      <legend>What if the backend</legend>
      ${FAULTS.map(
        ([name, title, hint]) => html`
          <label title=${hint}>
            <input type="radio" name="fault" value=${name} checked=${shown === name} onChange=${choose} />
            <span>${title}</span>
          </label>
        `,
      )}
    </fieldset>
  `;
}

export function Notices() {
  const dropped = summary.value?.older_dropped;
  return html`
    ${
      dropped
        ? html`
            <p class="older" role="note">${format.count(dropped)} older events are no longer kept.</p>
          `
        : null
    }
    <div class="hidden" role="status" aria-live="polite">${notice.value}</div>
  `;
}

export function Denied() {
  return html`
    <main class="denied">
      <h1>This page needs its token</h1>
      <p>
        Open the URL that${" "}
        <code>zespan-serverless dev</code>
        ${" "}has printed in its terminal. It ends in${" "}
        <code>?token=…</code>
      </p>
    </main>
  `;
}
