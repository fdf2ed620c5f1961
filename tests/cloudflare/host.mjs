// A host of Python Workers for tests: Pyodide in Node, with Cloudflare's own SDK (PyPI: workers-runtime-sdk).
//
//   node --experimental-wasm-stack-switching host.mjs PORT NODE_MODULES MODULE FOLDER...
//
// Cloudflare's runtime, workerd, cannot start Python without a bundle that it downloads by itself. This keeps what
// matters for a library: CPython in WebAssembly, no threads, no sockets, `fetch`, one instance of the entrypoint for
// each request, and `waitUntil` after the response. While the Worker's module is imported, randomness, clocks' timers
// and `fetch` are refused, as in workerd's global scope. The Worker's variables are those of the environment whose
// names begin with CF_.
//
// /@CLASS calls the `fetch` of another class than Default; /__scheduled/CLASS, /__queue/CLASS and
// /__call/CLASS/METHOD/ARGUMENTS call other handlers. /__idle is answered when no request is under way any more, what
// they have passed to `waitUntil` included.
import http from "node:http";
import nodeCrypto from "node:crypto";
import { AsyncLocalStorage } from "node:async_hooks";
import { createRequire, syncBuiltinESMExports } from "node:module";
import { pathToFileURL } from "node:url";

const [port, modules, worker, ...folders] = process.argv.slice(2);
const pyodide = createRequire(`${modules}/`).resolve("pyodide/pyodide.mjs");
let importing = false;
const guarded = (what, original) =>
  function (...args) {
    if (importing) throw new Error(`Disallowed operation called within global scope: ${what}`);
    return original.apply(this === undefined ? globalThis : this, args);
  };
const getRandomValues = guarded("entropy", globalThis.crypto.getRandomValues.bind(globalThis.crypto));
Object.defineProperty(globalThis.crypto, "getRandomValues", { value: getRandomValues, configurable: true });
nodeCrypto.randomFillSync = guarded("entropy", nodeCrypto.randomFillSync);
syncBuiltinESMExports();
globalThis.fetch = guarded("fetch", globalThis.fetch); // before Pyodide is loaded, which keeps a reference
globalThis.setTimeout = guarded("setTimeout", globalThis.setTimeout);

const { loadPyodide } = await import(pathToFileURL(pyodide));
const write = (line) => process.stderr.write(`${line}\n`);
const py = await loadPyodide({ stdout: write, stderr: write });
folders.forEach((folder, index) => {
  py.FS.mkdirTree(`/packages/${index}`);
  py.mountNodeFS(`/packages/${index}`, folder);
});

const env = Object.fromEntries(
  Object.entries(process.env)
    .filter(([name]) => name.startsWith("CF_"))
    .map(([name, value]) => [name.slice(3), value]),
);
const requests = new AsyncLocalStorage();
const underWay = new Set();
class ExecutionContext {
  pending = [];
  waitUntil(promise) {
    const kept = promise.copy ? promise.copy() : promise; // Pyodide ends a borrowed proxy with the call
    this.pending.push(Promise.resolve(kept).finally(() => kept.destroy?.()));
  }
}
let latest = null; // Pyodide's event loop does not pass the context of Node on
py.registerJsModule("_pyodide_entrypoint_helper", {
  cloudflareWorkersModule: { env, waitUntil: (promise) => (requests.getStore() ?? latest).waitUntil(promise) },
  cloudflareSocketsModule: {},
  doAnImport: (name) => import(name),
  patchWaitUntil: () => {},
  patch_env_helper: function* () {
    yield;
  },
});
py.runPython(`
import sys, types
flags = types.ModuleType("_cloudflare_compat_flags")
flags.__getattr__ = lambda name: not name.startswith("__")
sys.modules["_cloudflare_compat_flags"] = flags
sys.path[:0] = [f"/packages/{index}" for index in range(${folders.length})]
import asyncio, inspect, json, random, secrets, tempfile, uuid  # which workerd has in its snapshot
import openai  # its parts that are written in Rust ask for randomness, which workerd allows them
`);
importing = true;
const began = performance.now();
py.runPython(`
import importlib
module = importlib.import_module(${JSON.stringify(worker)})
import workers

async def call(kind, name, ctx, env, *arguments):
    if name == "fetch":
        arguments = [workers.Request(arguments[0])]
    result = getattr(getattr(module, kind)(ctx, env), name)(*arguments)
    if inspect.isawaitable(result):
        result = await result
    return getattr(result, "js_object", result)
`);
importing = false;
write(`imported in ${Math.round(performance.now() - began)} ms`);
const call = py.globals.get("call");

async function handled(request, ctx) {
  const [name, kind = "Default", method, ...given] = new URL(request.url).pathname.slice(1).split("/");
  const argument = {
    __scheduled: { cron: "*/5 * * * *", scheduledTime: 1764460800000 },
    __queue: { queue: "jobs", messages: [{ body: 1 }, { body: 2 }] },
  }[name];
  if (argument) await call(kind, name.slice(2), ctx, env, argument, env, ctx);
  else if (name === "__call") await call(kind, method, ctx, env, ...given);
  else return call(name.startsWith("@") ? name.slice(1) : "Default", "fetch", ctx, env, request);
  return new Response("done");
}

async function served(received, answer) {
  const chunks = [];
  for await (const chunk of received) chunks.push(chunk);
  const { method, headers, url } = received;
  const body = ["GET", "HEAD"].includes(method) ? undefined : Buffer.concat(chunks);
  const request = new Request(`http://worker.example${url}`, { method, headers, body });
  const ctx = new ExecutionContext();
  latest = ctx;
  try {
    const response = await requests.run(ctx, () => handled(request, ctx));
    answer.writeHead(response.status, Object.fromEntries(response.headers));
    if (response.body) for await (const chunk of response.body) answer.write(chunk);
    answer.end();
  } catch (error) {
    write(String(error.message));
    answer.writeHead(500);
    answer.end("Internal Server Error");
  }
  for (let count = 0; count < ctx.pending.length; count++) await ctx.pending[count].catch((error) => write(String(error)));
}

const server = http.createServer(async (received, answer) => {
  if (received.url === "/__idle") {
    while (underWay.size) await Promise.allSettled(underWay);
    answer.end();
    return;
  }
  const serving = served(received, answer);
  underWay.add(serving);
  await serving;
  underWay.delete(serving);
});
server.listen(Number(port), "127.0.0.1");
