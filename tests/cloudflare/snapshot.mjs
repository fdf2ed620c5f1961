// A real snapshot of a Worker: Pyodide imports a module and copies its memory, which two isolates then begin with.
//
//   node --experimental-wasm-stack-switching snapshot.mjs NODE_MODULES MODULE FOLDER...
//
// Prints a line of JSON for each isolate. The variables of the Worker are those whose names begin with ZESPAN_; the
// isolates get them after the restore, as Workers do.
import { createRequire } from "node:module";
import { pathToFileURL } from "node:url";

const [modules, worker, ...folders] = process.argv.slice(2);
const { loadPyodide } = await import(pathToFileURL(createRequire(`${modules}/`).resolve("pyodide/pyodide.mjs")));

async function isolate(options) {
  const py = await loadPyodide({ ...options, stdout: console.error, stderr: console.error });
  folders.forEach((folder, index) => {
    py.FS.mkdirTree(`/packages/${index}`);
    py.mountNodeFS(`/packages/${index}`, folder);
  });
  return py;
}

const first = await isolate({ _makeSnapshot: true });
first.runPython(`
import importlib, sys
sys.path[:0] = [f"/packages/{index}" for index in range(${folders.length})]
module = importlib.import_module(${JSON.stringify(worker)})
`);
const snapshot = first.makeMemorySnapshot();
const variables = Object.entries(process.env).filter(([name]) => name.startsWith("ZESPAN_"));
for (const restored of await Promise.all([isolate({ _loadSnapshot: snapshot }), isolate({ _loadSnapshot: snapshot })])) {
  restored.globals.set("variables", restored.toPy(Object.fromEntries(variables)));
  console.log(await restored.runPythonAsync("import os; os.environ.update(variables); await module.requests()"));
}
