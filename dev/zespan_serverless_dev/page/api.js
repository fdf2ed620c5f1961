// Requests to the server's API, as dev/PROTOCOL.md describes it.
export class ApiError extends Error {
  constructor(status, text) {
    super(text);
    this.status = status;
  }
}

function address(path, query = {}) {
  const url = new URL(path, location.origin);
  for (const [name, value] of Object.entries(query)) {
    if (value !== undefined && value !== null && value !== "") url.searchParams.set(name, value);
  }
  return url;
}

async function answer(response) {
  if (response.ok) return response.status === 204 ? null : response.json();
  const text = await response.text();
  let message = text.trim().slice(0, 300);
  try {
    message = JSON.parse(text).error ?? message;
  } catch {
    // Not JSON: the text itself says what is wrong.
  }
  if (response.status === 401) message = "The token is missing: open the URL that `zespan-serverless dev` has printed.";
  throw new ApiError(response.status, String(message) || `The server answered ${response.status}.`);
}

export async function get(path, query, signal) {
  return answer(await fetch(address(path, query), { signal, headers: { Accept: "application/json" } }));
}

export async function post(path, body) {
  const raw = body instanceof Blob;
  const headers = { "Content-Type": raw ? "application/octet-stream" : "application/json" };
  return answer(await fetch(address(path), { method: "POST", headers, body: raw ? body : JSON.stringify(body) }));
}

export const exportUrl = (run) => address("/api/export", { run }).href;
export const traceUrl = (trace, run) => address(`/api/trace/${encodeURIComponent(trace)}`, { run }).href;
