"""Headless Chromium, driven by its own protocol: what the tests of the page and its screenshots look at the page with.

python -m tools.chromium   installs it as root on Debian, or says why the tests that need it will be skipped
"""

from __future__ import annotations

import base64
import json
import os
import shutil
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

from tools.docker import may_change_system

if TYPE_CHECKING:
    from websockets.sync.client import ClientConnection

NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
MISSING = "Chromium is not installed: install it, or set ZESPAN_TEST_SYSTEM=1 for `make test` to install it as root"
FLAGS = (
    *(
        "--headless=new",
        "--no-sandbox",
        "--disable-gpu",
        "--disable-dev-shm-usage",
        "--hide-scrollbars",
        "--mute-audio",
    ),
    *("--no-first-run", "--disable-background-networking", "--disable-component-update", "--disable-sync"),
    *("--force-color-profile=srgb", "--font-render-hinting=none", "--remote-debugging-port=0"),
)
# What a page reports of violations of its security policy, from its first script on.
WATCH = """
window.violations = [];
addEventListener("securitypolicyviolation", ({ violatedDirective, blockedURI }) => {
  violations.push(`${violatedDirective} ${blockedURI}`);
});
"""


class ChromiumUnavailable(RuntimeError):
    """No page can be shown here; says why."""


def executable() -> str:
    """Path of Chromium."""
    found = os.environ.get("ZESPAN_CHROMIUM") or next((path for name in NAMES if (path := shutil.which(name))), None)
    if found is None:
        raise ChromiumUnavailable(MISSING)
    return found


class Page:
    """One tab. Errors of its scripts and of its console are in `problems`."""

    def __init__(self, socket: ClientConnection) -> None:
        self.problems: list[str] = []
        self._socket = socket
        self._number = 0
        for domain in ("Page", "Runtime", "Log", "Network"):
            self.send(f"{domain}.enable")
        self.send("Page.addScriptToEvaluateOnNewDocument", source=WATCH)

    def send(self, method: str, **parameters: Any) -> dict[str, Any]:
        """Call a method of the protocol; return its result."""
        self._number += 1
        self._socket.send(json.dumps({"id": self._number, "method": method, "params": parameters}))
        while True:
            message = json.loads(self._socket.recv(timeout=60))
            if message.get("id") == self._number:
                if "error" in message:
                    raise RuntimeError(f"{method}: {message['error']['message']}")
                return dict(message["result"])
            self._note(message)

    def open(self, url: str, width: int = 1440, height: int = 900, theme: str = "light", touch: bool = False) -> None:
        """Load a page in a window of this size, and wait until it is loaded."""
        self.send("Emulation.setDeviceMetricsOverride", width=width, height=height, deviceScaleFactor=1, mobile=touch)
        self.send("Emulation.setEmulatedMedia", features=[{"name": "prefers-color-scheme", "value": theme}])
        self.send("Page.navigate", url=url)
        self.wait("document.readyState === 'complete'")

    def evaluate(self, expression: str) -> Any:
        """Return the value of an expression in the page; promises are awaited."""
        result = self.send("Runtime.evaluate", expression=expression, awaitPromise=True, returnByValue=True)
        if "exceptionDetails" in result:
            details = result["exceptionDetails"]
            raise RuntimeError(details.get("exception", {}).get("description") or details["text"])
        return result["result"].get("value")

    def wait(self, expression: str, timeout: float = 30) -> Any:
        """Wait until an expression is true in the page; return its value."""
        end = time.monotonic() + timeout
        while not (value := self.evaluate(expression)):
            if time.monotonic() > end:
                raise TimeoutError(f"the page does not come to: {expression}\n{self.text()[:2000]}\n{self.problems}")
            time.sleep(0.05)
        return value

    def text(self) -> str:
        """Return the text that a reader sees."""
        return str(self.evaluate("document.body.innerText"))

    def click(self, selector: str) -> None:
        """Press the mouse on the middle of the first element that matches, as a hand would."""
        where = f"document.querySelector({json.dumps(selector)})"
        self.wait(f"{where} !== null")
        place = f"{where}.scrollIntoView({{block: 'nearest'}}), {where}.getBoundingClientRect().toJSON()"
        box, before, end = self.evaluate(place), None, time.monotonic() + 2
        while box != before and time.monotonic() < end:  # a page that is being laid out moves it from under the mouse
            time.sleep(0.05)
            box, before = self.evaluate(place), box
        at = {"x": box["x"] + box["width"] / 2, "y": box["y"] + box["height"] / 2, "button": "left", "clickCount": 1}
        self.send("Input.dispatchMouseEvent", type="mousePressed", **at)
        self.send("Input.dispatchMouseEvent", type="mouseReleased", **at)

    def press(self, key: str) -> None:
        """Press one key: a letter, or a name such as Enter."""
        named = {"Enter": ("\r", 13), "Escape": ("", 27), "Tab": ("", 9), "ArrowDown": ("", 40), "ArrowUp": ("", 38)}
        text, code = named.get(key, (key, ord(key[0].upper())))
        event = {"key": key, "windowsVirtualKeyCode": code}
        self.send("Input.dispatchKeyEvent", type="keyDown", text=text, **event)
        self.send("Input.dispatchKeyEvent", type="keyUp", **event)

    def type(self, text: str) -> None:
        """Insert text where the focus is."""
        self.send("Input.insertText", text=text)

    def choose(self, selector: str, file: Path) -> None:
        """Choose a file in an input for files."""
        root = self.send("DOM.getDocument")["root"]["nodeId"]
        node = self.send("DOM.querySelector", nodeId=root, selector=selector)["nodeId"]
        self.send("DOM.setFileInputFiles", nodeId=node, files=[str(file)])

    def screenshot(self, path: Path) -> None:
        """Write what the window shows as a PNG."""
        path.write_bytes(base64.b64decode(self.send("Page.captureScreenshot", format="png")["data"]))

    def violations(self) -> list[str]:
        """Return what the page's security policy has refused since it was loaded."""
        return list(self.evaluate("window.violations"))

    def _note(self, message: dict[str, Any]) -> None:
        method, parameters = message.get("method"), message.get("params", {})
        if method == "Runtime.exceptionThrown":
            details = parameters["exceptionDetails"]
            self.problems.append(details.get("exception", {}).get("description") or details["text"])
        elif method == "Log.entryAdded" and parameters["entry"]["level"] in ("error", "warning"):
            self.problems.append(f"{parameters['entry']['text']} {parameters['entry'].get('url', '')}")
        elif method == "Runtime.consoleAPICalled" and parameters["type"] in (
            "error",
            "warning",
            "assert",
        ):
            self.problems.append(str([argument.get("value") for argument in parameters["args"]]))


class Chromium:
    """A browser with a profile of its own; it ends with the block."""

    def __init__(self) -> None:
        self._profile = tempfile.TemporaryDirectory(prefix="zespan-chromium-", ignore_cleanup_errors=True)
        command = [executable(), *FLAGS, f"--user-data-dir={self._profile.name}", "about:blank"]
        self._process = subprocess.Popen(
            command, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._process.terminate()
        try:
            self._process.wait(10)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._profile.cleanup()

    @contextmanager
    def page(self) -> Iterator[Page]:
        """Open a new tab."""
        from websockets.sync.client import connect

        port, path = self._address()
        with connect(f"ws://127.0.0.1:{port}{path}", max_size=None, compression=None, proxy=None) as browser:
            browser.send(json.dumps({"id": 1, "method": "Target.createTarget", "params": {"url": "about:blank"}}))
            target = json.loads(browser.recv(timeout=60))["result"]["targetId"]
            address = f"ws://127.0.0.1:{port}/devtools/page/{target}"
            with connect(address, max_size=None, compression=None, proxy=None) as socket:
                yield Page(socket)
            browser.send(json.dumps({"id": 2, "method": "Target.closeTarget", "params": {"targetId": target}}))
            browser.recv(timeout=60)

    def _address(self) -> tuple[str, str]:
        file = Path(self._profile.name) / "DevToolsActivePort"
        end = time.monotonic() + 60
        while True:
            lines = file.read_text().split() if file.exists() else []
            if len(lines) == 2:
                return lines[0], lines[1]
            if self._process.poll() is not None or time.monotonic() > end:
                raise ChromiumUnavailable(f"{executable()} does not start")
            time.sleep(0.05)


def main() -> None:
    try:
        if may_change_system() and shutil.which("apt-get") and not any(map(shutil.which, NAMES)):
            print("installing chromium ...", flush=True)
            for command in (
                ["update"],
                ["install", "--yes", "--no-install-recommends", "chromium", "fonts-dejavu-core"],
            ):
                subprocess.run(["apt-get", "--quiet", *command], stdin=subprocess.DEVNULL, capture_output=True)
        executable()
    except ChromiumUnavailable as problem:
        print(f"The tests that look at the page of `dev` will be skipped: {problem}")


if __name__ == "__main__":
    main()
