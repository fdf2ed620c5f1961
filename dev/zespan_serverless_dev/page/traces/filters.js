// What the list of traces is narrowed to. It is a part of the URL, so that a link shows the same list.
import { html, useRef, useSignal } from "../html.js";
import { useKeys } from "../keys.js";
import { summary } from "../live.js";
import { replace, route } from "../route.js";

const FIELDS = ["function", "status", "start", "user", "session", "model", "text"];
const STATUSES = ["ok", "error", "timeout", "crashed", "running"];
const DELAY = 250; // ms after the last letter

export function filters(query) {
  return Object.fromEntries(FIELDS.map((name) => [name, query[name]]).filter(([, value]) => value));
}

export function Filters({ filter, id }) {
  const search = useRef(null);
  const timer = useRef(null);
  const text = useSignal(filter.text ?? "");
  useKeys({ "/": () => search.current.focus() });
  const set = (name, value) => replace("traces", id, { ...filters(route.value.query), [name]: value });
  const type = (event) => {
    text.value = event.target.value;
    clearTimeout(timer.current);
    timer.current = setTimeout(() => set("text", text.value), DELAY);
  };
  const sum = summary.value;
  const active = Object.keys(filter).length > 0;
  return html`
    <form class="filters" role="search" onSubmit=${(event) => event.preventDefault()}>
      <input
        ref=${search}
        class="wide"
        type="search"
        placeholder="Search prompts, answers, names"
        aria-label="Text"
        aria-keyshortcuts="/"
        value=${text.value}
        onInput=${type}
      />
      <${Choice} name="function" title="Any function" options=${sum?.functions} value=${filter.function} set=${set} />
      <${Choice} name="status" title="Any status" options=${STATUSES} value=${filter.status} set=${set} />
      <${Choice} name="start" title="Cold or warm" options=${["cold", "warm"]} value=${filter.start} set=${set} />
      <${Choice} name="model" title="Any model" options=${sum?.models} value=${filter.model} set=${set} />
      <${Typed} name="user" title="User" value=${filter.user} set=${set} />
      <${Typed} name="session" title="Session" value=${filter.session} set=${set} />
      ${
        active &&
        html`
          <button
            type="button"
            class="button small"
            onClick=${() => {
              text.value = "";
              replace("traces", id);
            }}
          >
            Clear
          </button>
        `
      }
    </form>
  `;
}

function Choice({ name, title, options, value, set }) {
  const names = (options ?? []).map((option) => (typeof option === "object" ? option?.name : option)).filter(Boolean);
  if (value && !names.includes(value)) names.push(value);
  return html`
    <select
      aria-label=${name}
      value=${value ?? ""}
      class=${value ? "is-set" : ""}
      onChange=${(event) => set(name, event.target.value)}
    >
      <option value="">${title}</option>
      ${names.map(
        (option) => html`
          <option value=${option} selected=${option === value}>${option}</option>
        `,
      )}
    </select>
  `;
}

function Typed({ name, title, value, set }) {
  return html`
    <input
      type="text"
      placeholder=${title}
      aria-label=${title}
      class=${value ? "is-set" : ""}
      value=${value ?? ""}
      onChange=${(event) => set(name, event.target.value.trim())}
    />
  `;
}
