// What the shapes of a lane mean.
import { html } from "../html.js";

const PARTS = [
  ["init", "init"],
  ["handler", "handler"],
  ["after", "after response"],
  ["call", "model or tool call"],
  ["token", "first token"],
  ["flush", "flush"],
  ["response", "response"],
  ["frozen", "frozen"],
  ["deadline", "deadline"],
  ["reserve", "reserve"],
];

export function Legend() {
  return html`
    <ul class="legend" aria-label="Legend">
      ${PARTS.map(
        ([kind, text]) => html`
          <li>
            <span class=${`swatch is-${kind}`} aria-hidden="true"></span>
            ${text}
          </li>
        `,
      )}
    </ul>
  `;
}
