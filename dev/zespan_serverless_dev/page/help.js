// What the keys do, and what the words mean.
import { html, useEffect, useRef } from "./html.js";
import { helpOpen, keysOn, switchKeys } from "./keys.js";

const KEYS = [
  ["1 2 3 4", "Lanes, Traces, Ledger, Runs"],
  ["j k", "Next row, previous row"],
  ["Enter", "Open the row"],
  ["Esc", "Close what is open"],
  ["/", "Search"],
  ["p", "Pause or resume"],
  ["?", "This help"],
];
const WORDS = [
  ["init", "Starting the sandbox: loading the code. Billed with the first call."],
  ["after response", "Work that runs after the caller has the response. Billed, but nobody waits for it."],
  ["frozen", "Between calls the platform stops the sandbox. Nothing runs, and nothing is billed."],
  ["reserve", "Time before the deadline that telemetry does not use."],
  ["waiting", "Captured, but not yet delivered. It is sent with the next call, or at the end."],
  ["lost", "Captured, but the sandbox ended without delivering or keeping it. This must never happen."],
];

export function Help() {
  const dialog = useRef(null);
  useEffect(() => {
    if (helpOpen.value && !dialog.current.open) dialog.current.showModal();
    else if (!helpOpen.value && dialog.current.open) dialog.current.close();
  }, [helpOpen.value]);
  const close = () => (helpOpen.value = false);
  return html`
    <dialog ref=${dialog} class="help" aria-labelledby="help-title" onClose=${close}>
      <h2 id="help-title">Help</h2>
      <div class="columns">
        <section>
          <h3>Keys</h3>
          <dl class="keys">
            ${KEYS.map(
              ([keys, text]) => html`
                <dt>
                  ${keys.split(" ").map(
                    (key) => html`
                      <kbd>${key}</kbd>
                    `,
                  )}
                </dt>
                <dd>${text}</dd>
              `,
            )}
          </dl>
          <label class="check">
            <input type="checkbox" checked=${keysOn.value} onChange=${(event) => switchKeys(event.target.checked)} />
            Use single keys as shortcuts
          </label>
        </section>
        <section>
          <h3>Words</h3>
          <dl class="words">
            ${WORDS.map(
              ([word, text]) => html`
                <dt>${word}</dt>
                <dd>${text}</dd>
              `,
            )}
          </dl>
        </section>
      </div>
      <button type="button" class="button" onClick=${close}>Close</button>
    </dialog>
  `;
}
