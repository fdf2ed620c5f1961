// A long list of rows of one height, of which only those in sight are in the document.
import { html, useEffect, useLayoutEffect, useRef, useSignal } from "./html.js";

const SPARE = 8; // rows above and below what is in sight

// `row(index)` draws one row; `selected` is kept in sight when it changes; `want(first, last)` says what is in sight.
export function VirtualRows({ count, height, row, want, selected, label, columns, head, role = "grid" }) {
  const box = useRef(null);
  const top = useSignal(0);
  const room = useSignal(600);
  const first = Math.max(0, Math.floor(top.value / height) - SPARE);
  const last = Math.min(count - 1, Math.ceil((top.value + room.value) / height) + SPARE);
  useLayoutEffect(() => {
    const observer = new ResizeObserver(() => (room.value = box.current.clientHeight));
    observer.observe(box.current);
    room.value = box.current.clientHeight;
    return () => observer.disconnect();
  }, []);
  useEffect(() => want?.(first, Math.max(last, first)), [first, last, want]);
  useEffect(() => {
    if (selected < 0 || selected === undefined) return;
    const [from, to] = [selected * height, (selected + 1) * height];
    const element = box.current;
    if (from < element.scrollTop) element.scrollTop = from;
    else if (to > element.scrollTop + element.clientHeight) element.scrollTop = to - element.clientHeight;
  }, [selected]);
  const rows = [];
  for (let index = first; index <= last; index++)
    rows.push(html`
      <div
        key=${index}
        class="slot"
        role="presentation"
        style=${{ transform: `translateY(${index * height}px)`, height: `${height}px` }}
      >
        ${row(index)}
      </div>
    `);
  return html`
    <div
      class="virtual"
      role=${role}
      aria-label=${label}
      aria-rowcount=${count + (head ? 1 : 0)}
      aria-colcount=${columns}
    >
      ${head}
      <div
        class="scroller"
        ref=${box}
        role="rowgroup"
        tabindex="0"
        onScroll=${() => (top.value = box.current.scrollTop)}
      >
        <div class="sizer" role="presentation" style=${{ height: `${count * height}px` }}>${rows}</div>
      </div>
    </div>
  `;
}
