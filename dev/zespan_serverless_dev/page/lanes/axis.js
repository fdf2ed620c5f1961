// The axis of time of a lane. Between invocations, and while a sandbox is frozen, time is folded: hours take no more
// room than seconds, and their length is written into the fold.
const FOLD = 64; // px
const BREATH = 12; // px between invocations that follow at once
const LONGEST = 640; // px; a stretch that would be longer is compressed, and is marked

// Whether an invocation, a call or a span goes on.
export const isOpen = ({ end }) => end === null || end === undefined;

// When an invocation is over; `now` for one that goes on.
export function endOf(invocation, now) {
  if (!isOpen(invocation)) {
    return Math.max(invocation.end, ...invocation.flushes.map((flush) => flush.end ?? 0));
  }
  const known = [invocation.start, invocation.response ?? 0, now ?? 0];
  for (const part of [...invocation.calls, ...invocation.flushes]) known.push(part.end ?? part.start);
  return Math.max(...known);
}

export const startOf = (invocation) => Math.min(invocation.init?.start ?? invocation.start, invocation.start);

// Stretches of [from, to] in which the sandbox was frozen, by its marks.
export function frozen(marks, to) {
  const stretches = [];
  let since = null;
  for (const mark of marks) {
    if (mark.type === "freeze") since ??= mark.at;
    else if (since !== null) {
      stretches.push([since, mark.at]);
      since = null;
    }
  }
  if (since !== null && to > since) stretches.push([since, to]);
  return stretches;
}

function union(ranges) {
  const joined = [];
  for (const [from, to] of ranges.toSorted((a, b) => a[0] - b[0])) {
    const last = joined.at(-1);
    if (last && from <= last[1]) last[1] = Math.max(last[1], to);
    else joined.push([from, Math.max(from, to)]);
  }
  return joined;
}

function without(ranges, holes) {
  let left = ranges;
  for (const [from, to] of holes) {
    left = left.flatMap(([a, b]) =>
      to <= a || from >= b
        ? [[a, b]]
        : [
            [a, from],
            [to, b],
          ].filter(([x, y]) => y > x),
    );
  }
  return left;
}

// Segments from left to right: {kind: "busy" | "frozen" | "idle", t0, t1, x0, x1, compressed}.
export function makeAxis(ranges, holes, { scale, fold = FOLD, longest = LONGEST, shortest = 0 }) {
  const busy = without(union(ranges), holes);
  const segments = [];
  let x = 0;
  const add = (kind, t0, t1, width, compressed = false) => {
    segments.push({ kind, t0, t1, x0: x, x1: x + width, compressed });
    x += width;
  };
  busy.forEach(([from, to], index) => {
    if (index) addGap(add, segments.at(-1).t1, from, holes, { scale, fold });
    const width = Math.max((to - from) * scale, shortest);
    add("busy", from, to, Math.min(width, longest), width > longest);
  });
  const last = segments.at(-1);
  const open = last && holes.find(([from, to]) => from >= last.t1 - 1 && to > last.t1);
  if (open) add("frozen", last.t1, open[1], fold);
  return { segments, width: x, scale };
}

function addGap(add, from, to, holes, { scale, fold }) {
  const still = holes.reduce((sum, [a, b]) => sum + Math.max(0, Math.min(b, to) - Math.max(a, from)), 0);
  const kind = still * 2 > to - from ? "frozen" : "idle";
  const width = (to - from) * scale;
  add(kind, from, to, kind === "idle" ? Math.min(Math.max(width, BREATH), fold) : fold);
}

export function at(axis, time) {
  const { segments } = axis;
  if (!segments.length || time <= segments[0].t0) return 0;
  let low = 0,
    high = segments.length - 1;
  while (low < high) {
    const middle = (low + high + 1) >> 1;
    if (segments[middle].t0 <= time) low = middle;
    else high = middle - 1;
  }
  const { t0, t1, x0, x1 } = segments[low];
  return t1 > t0 ? Math.min(x0 + ((time - t0) / (t1 - t0)) * (x1 - x0), x1) : x0;
}

export function span(axis, from, to) {
  const left = at(axis, from);
  return { left, width: at(axis, to) - left };
}

// Rows for parts that overlap in time: each gets the first row that is free.
export function stack(parts, end) {
  const free = [];
  return parts.map((part) => {
    let row = free.findIndex((time) => time <= part.start);
    if (row < 0) row = free.push(0) - 1;
    free[row] = end(part);
    return row;
  });
}

// Round steps for the ticks of a ruler of `length` ms, at most `most` of them.
export function ticks(length, most) {
  if (!(length > 0)) return [0];
  const rough = length / most;
  const size = 10 ** Math.floor(Math.log10(rough));
  const step = [1, 2, 5, 10].map((factor) => factor * size).find((each) => each >= rough);
  return Array.from({ length: Math.floor(length / step) + 1 }, (_, index) => index * step);
}
