// The runs that are kept: compare one with another, export one, import one.
import { exportUrl, post } from "./api.js";
import * as format from "./format.js";
import { html, useEffect, useRef, useSignal } from "./html.js";
import { current, loadRuns, notice, runs, useLive } from "./live.js";
import { link, replace, route } from "./route.js";
import { runTitle } from "./shell.js";

export function RunsView() {
  useEffect(() => void loadRuns().catch(() => {}), []);
  const list = runs.value;
  const b = route.value.query.b || current.value?.id;
  const others = list.filter((each) => each.id !== b);
  const started = list.find((each) => each.id === b)?.started;
  const a = route.value.query.a || (others.find((each) => each.started <= started) ?? others[0])?.id;
  return html`
    <div class="runs-view">
      <div class="view-head">
        <h1>Runs</h1>
        <p>
          Each start of${" "}
          <code>zespan-serverless dev</code>
          ${" "}is a run. The last ones are kept.
        </p>
        <${Import} />
      </div>
      <div class="table-box" tabindex="0" role="region" aria-label="Runs">
        <table class="table">
          <thead>
            <tr>
              <th scope="col">Run</th>
              <th scope="col">Started</th>
              <th scope="col">Ended</th>
              <th scope="col" class="number">Events</th>
              <th scope="col" class="number">Size</th>
              <th scope="col"><span class="hidden">Actions</span></th>
            </tr>
          </thead>
          <tbody>
            ${list.map(
              (each) => html`
                <${RunRow} key=${each.id} each=${each} />
              `,
            )}
          </tbody>
        </table>
      </div>
      ${
        a && b
          ? html`
              <${Compare} a=${a} b=${b} />
            `
          : html`
              <p class="empty">A second run can be compared with this one.</p>
            `
      }
    </div>
  `;
}

function RunRow({ each }) {
  return html`
    <tr>
      <th scope="row">
        <a href=${link("lanes", "", { run: each.current ? "" : each.id })}>${each.name || format.short(each.id, 16)}</a>
        ${
          each.current &&
          html`
            <span class="tag">now</span>
          `
        }
      </th>
      <td>${format.day(each.started)}</td>
      <td>${each.current ? "" : format.day(each.ended)}</td>
      <td class="number">${format.count(each.events)}</td>
      <td class="number">${format.bytes(each.bytes)}</td>
      <td class="actions">
        <a class="button small" href=${exportUrl(each.id)} download>
          Export
          <span class="hidden">${each.name || each.id}</span>
        </a>
      </td>
    </tr>
  `;
}

function Import() {
  const input = useRef(null);
  const state = useSignal("");
  const send = async () => {
    const file = input.current.files[0];
    if (!file) return;
    state.value = "Importing …";
    try {
      await post("/api/import", file);
      await loadRuns();
      state.value = "";
      notice.value = "Imported.";
    } catch (problem) {
      state.value = problem.message;
    }
    input.current.value = "";
  };
  return html`
    <span class="import">
      <button type="button" class="button" onClick=${() => input.current.click()}>Import a run</button>
      <input ref=${input} type="file" class="hidden" tabindex="-1" aria-label="File of a run" onChange=${send} />
      <span role="status">${state.value}</span>
    </span>
  `;
}

// The last: neither more nor less of it is better.
const MEASURES = [
  ["count", "Count", format.count, true],
  ["errors", "Errors", format.count],
  ["duration_ms", "Duration (median)", format.duration],
  ["tokens", "Tokens", (value) => format.count(format.tokenSum(value))],
  ["cost_usd", "Cost", format.usd],
];

function Compare({ a, b }) {
  const { data, error } = useLive("/api/compare", { a, b });
  const choose = (name) => (event) => replace("runs", "", { a, b, [name]: event.target.value });
  const options = (chosen) =>
    runs.value.map(
      (each) => html`
        <option value=${each.id} selected=${each.id === chosen}>${runTitle(each)}</option>
      `,
    );
  return html`
    <section class="compare" aria-labelledby="compare-title">
      <h2 id="compare-title">Compare</h2>
      <p class="choices">
        <label>
          Before
          <select value=${a} onChange=${choose("a")}>
            ${options(a)}
          </select>
        </label>
        <span aria-hidden="true">→</span>
        <label>
          After
          <select value=${b} onChange=${choose("b")}>
            ${options(b)}
          </select>
        </label>
      </p>
      ${
        error &&
        html`
          <p class="problem" role="alert">${error.message}</p>
        `
      }
      ${
        data &&
        html`
          <div class="table-box" tabindex="0" role="region" aria-label="Differences">
            <table class="table differences">
              <thead>
                <tr>
                  <th scope="col">Function</th>
                  <th scope="col">Span</th>
                  ${MEASURES.map(
                    ([, title]) => html`
                      <th scope="col" class="number">${title}</th>
                    `,
                  )}
                </tr>
              </thead>
              <tbody>
                ${(data.rows ?? []).map(
                  (row) => html`
                    <tr>
                      <th scope="row">${row.function || "–"}</th>
                      <td>${row.name}</td>
                      ${MEASURES.map(
                        ([name, , show, neutral]) => html`
                          <${Difference}
                            before=${row.a?.[name]}
                            after=${row.b?.[name]}
                            show=${show}
                            neutral=${neutral}
                          />
                        `,
                      )}
                    </tr>
                  `,
                )}
              </tbody>
            </table>
          </div>
          ${
            data.more
              ? html`
                  <p class="empty">${format.plural(data.more, "further row")} not shown.</p>
                `
              : null
          }
          ${
            !data.rows?.length &&
            html`
              <p class="empty">Neither run has spans.</p>
            `
          }
        `
      }
    </section>
  `;
}

function Difference({ before, after, show, neutral }) {
  const [from, to] = [format.tokenSum(before), format.tokenSum(after)];
  const share = from && to !== null ? (to - from) / from : null;
  const kind = neutral ? "" : share > 0.05 ? "is-more" : share < -0.05 ? "is-less" : "";
  return html`
    <td class="number">
      <span class="was">${show(from)}</span>
      ${show(to)}
      <span class=${`share ${kind}`}>${change(from, to, share)}</span>
    </td>
  `;
}

function change(from, to, share) {
  if (from === to) return from === null ? "" : "=";
  if (from === null) return "new";
  if (to === null) return "gone";
  if (share === null) return "";
  const percent = Math.abs(share * 100);
  return percent < 0.5 ? "=" : `${share > 0 ? "+" : "−"}${percent.toFixed(percent < 10 ? 1 : 0)} %`;
}
