// Numbers as people read them. Each function takes null, and then returns a dash.
const COUNT = new Intl.NumberFormat("en");
const NONE = "–";

const known = (value) => typeof value === "number" && Number.isFinite(value);

export function count(value) {
  return known(value) ? COUNT.format(value) : NONE;
}

export function duration(ms) {
  if (!known(ms)) return NONE;
  if (ms < 0) return `−${duration(-ms)}`;
  if (ms === 0) return "0 ms";
  if (ms < 10) return `${ms.toFixed(1)} ms`;
  if (ms < 999.5) return `${Math.round(ms)} ms`;
  if (ms < 59_950) return `${(ms / 1000).toFixed(ms < 9_950 ? 2 : 1)} s`;
  const seconds = Math.round(ms / 1000);
  if (seconds < 3600) return `${Math.floor(seconds / 60)} min ${String(seconds % 60).padStart(2, "0")} s`;
  const minutes = Math.round(seconds / 60);
  return `${Math.floor(minutes / 60)} h ${String(minutes % 60).padStart(2, "0")} min`;
}

export function usd(value) {
  if (!known(value)) return NONE;
  if (value === 0) return "$0";
  const size = Math.abs(value);
  if (size >= 1) return `$${value.toFixed(2)}`;
  const digits = Math.min(12, Math.ceil(-Math.log10(size)) + 1);
  return `$${value.toFixed(Math.max(digits, 3))}`;
}

export function bytes(value) {
  if (!known(value)) return NONE;
  if (value < 1000) return `${value} B`;
  if (value < 1_000_000) return `${(value / 1000).toFixed(1)} kB`;
  return `${(value / 1_000_000).toFixed(1)} MB`;
}

const two = (value) => String(value).padStart(2, "0");

export function clock(at, digits = 3) {
  if (!known(at)) return NONE;
  const date = new Date(at);
  if (Number.isNaN(date.getTime())) return NONE;
  const time = `${two(date.getHours())}:${two(date.getMinutes())}:${two(date.getSeconds())}`;
  return digits ? `${time}.${String(date.getMilliseconds()).padStart(3, "0").slice(0, digits)}` : time;
}

export function day(at) {
  if (!known(at)) return NONE;
  const date = new Date(at);
  if (Number.isNaN(date.getTime())) return NONE;
  const today = new Date().toDateString() === date.toDateString();
  return today
    ? clock(at, 0)
    : `${date.getFullYear()}-${two(date.getMonth() + 1)}-${two(date.getDate())} ${clock(at, 0)}`;
}

export function short(id, length = 8) {
  const text = String(id ?? "");
  return text.length > length ? text.slice(0, length) : text;
}

// Sandboxes of one function differ in the last characters of their ids more often than in the first.
export function tail(id, length = 12) {
  const text = String(id ?? "");
  return text.length > length ? `…${text.slice(-length)}` : text;
}

export function plural(number, one, many = `${one}s`) {
  return `${count(number)} ${number === 1 ? one : many}`;
}

export function total(dropped) {
  return Object.values(dropped ?? {}).reduce((sum, number) => sum + (Number(number) || 0), 0);
}

// `tokens` is one number, or its parts; cached and reasoning tokens are parts of input and output.
export function tokenSum(tokens) {
  if (known(tokens)) return tokens;
  if (!tokens) return null;
  if (known(tokens.total)) return tokens.total;
  return (tokens.input ?? 0) + (tokens.output ?? 0);
}
