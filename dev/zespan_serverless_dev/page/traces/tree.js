// The spans of a trace as a tree, in the order of their starts. They may name parents that are missing, or circles.
export const DEEPEST = 12; // levels that are indented

export function tree(spans) {
  const byId = new Map(spans.map((span) => [span.span_id, span]));
  const children = new Map();
  const roots = [];
  for (const span of spans.toSorted((a, b) => a.start - b.start)) {
    const parent = span.parent_span_id;
    if (parent && parent !== span.span_id && byId.has(parent)) {
      if (!children.has(parent)) children.set(parent, []);
      children.get(parent).push(span);
    } else roots.push(span);
  }
  const rows = [],
    seen = new Set();
  const visit = (start) => {
    const left = [[start, 0]];
    while (left.length) {
      const [span, depth] = left.pop();
      if (seen.has(span)) continue;
      seen.add(span);
      rows.push({ span, depth });
      for (const child of (children.get(span.span_id) ?? []).toReversed()) left.push([child, depth + 1]);
    }
  };
  roots.forEach(visit);
  spans.forEach((span) => seen.has(span) || visit(span)); // circles have no root
  return rows;
}

export function bounds(spans, now) {
  const from = Math.min(...spans.map((span) => span.start));
  const to = Math.max(...spans.map((span) => span.end ?? now));
  return { from, to: Math.max(to, from + 0.1) };
}

// A command that gets the same again; the page cannot read its token, so the shell is asked for it.
export function curl(url) {
  return `curl -H "Authorization: Bearer $TOKEN" '${url.replaceAll("'", "%27")}'`;
}
