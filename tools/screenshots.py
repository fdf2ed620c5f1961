"""Pictures of the page of `zespan-serverless dev`, and what it costs a browser.

python -m tools.screenshots              makes docs/images/ anew
python -m tools.screenshots FOLDER       every view at three widths in both themes, of runs from 1 to 100,000 events
python -m tools.screenshots --measure    time to the first paint, and per frame while scrolling, at 100,000 events
"""

from __future__ import annotations

import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from zespan_serverless_dev.server import DevServer

from tools import story
from tools.chromium import Chromium, Page

DOCS = Path(__file__).parents[1] / "docs" / "images"
WIDTHS = {"desktop": (1440, 900), "tablet": (820, 1100), "phone": (390, 844)}
VIEWS = {"lanes": ".block", "traces": ".list .line a", "ledger": ".events .line", "runs": ".table tbody tr"}
MANY = 100_000
PAINT = "performance.getEntriesByName('first-contentful-paint')[0]?.startTime ?? 0"
FRAMES = """
new Promise((resolve) => {
  const box = document.querySelector(".list .scroller"), times = [];
  let last = performance.now();
  const step = (now) => {
    times.push(now - last);
    last = now;
    box.scrollTop += 400;
    times.length < 240 ? requestAnimationFrame(step) : resolve(times.slice(1));
  };
  requestAnimationFrame(step);
})
"""


def one(dev: DevServer) -> None:
    sandbox = story.Sandbox("chat", time.time() * 1000 - 2000)
    sandbox.invoke(1)
    sandbox.send(dev)


def many(number: int) -> Callable[[DevServer], None]:
    def send(dev: DevServer) -> None:
        story.many(dev, number)
        story.day(dev)

    return send


RUNS: dict[str, Callable[[DevServer], object]] = {
    "one": one,
    "day": story.day,
    "thousand": many(1000),
    "hundredthousand": many(MANY),
}


def show(page: Page, dev: DevServer, where: str, selector: str, width: str = "desktop", theme: str = "light") -> None:
    """Open a view and wait for what it is to have."""
    page.open(dev.page_url, *WIDTHS[width], theme=theme)
    page.evaluate(f"location.hash = {where!r}")
    page.wait(f"document.querySelector({selector!r}) !== null")
    time.sleep(0.7)  # until what is asked for later has come, too


def for_docs(page: Page, folder: Path) -> None:
    """Make the pictures of the docs: lanes, one trace, and two runs compared."""
    folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as runs:
        with DevServer(runs, name="before the cache") as dev:
            story.day(dev)
            story.many(dev, 600)
        with DevServer(runs, name="with a cache") as dev:
            story.day(dev)
            show(page, dev, "#/lanes", ".block .is-init")
            page.click(".lane:nth-of-type(2) .block:nth-last-of-type(1)")
            time.sleep(0.5)
            page.screenshot(folder / "dev-lanes.png")
            trace = dev.get("invocations?status=error&limit=1")["rows"][0]["trace_id"]
            show(page, dev, f"#/traces/{trace}", ".pane .message", theme="dark")
            page.screenshot(folder / "dev-trace.png")
    for file in folder.glob("dev-*.png"):
        smaller(file)
        print(f"{file.name}: {file.stat().st_size / 1000:.0f} kB")


def smaller(file: Path) -> None:
    """Make the file smaller where pngquant and optipng are installed."""
    if tool := shutil.which("pngquant"):
        subprocess.run([tool, "--force", "--skip-if-larger", "--ext", ".png", "--strip", "128", file])
    if tool := shutil.which("optipng"):
        subprocess.run([tool, "-quiet", "-o4", file], check=True)


def everything(page: Page, folder: Path) -> None:
    """Make pictures of all views of all runs, at each width, in each theme, for inspection."""
    folder.mkdir(parents=True, exist_ok=True)
    for run, send in RUNS.items():
        with DevServer() as dev:
            send(dev)
            for width in WIDTHS:
                for theme in ("light", "dark"):
                    for view, selector in VIEWS.items():
                        show(page, dev, f"#/{view}", selector, width, theme)
                        page.screenshot(folder / f"{run}-{view}-{width}-{theme}.png")
            page.open("about:blank")  # a page without its server would say so in the console
            print(run, page.problems or "no problem in the console", page.violations() or "no violation")


def measure(page: Page) -> None:
    """Print what 100,000 events cost the browser."""
    with DevServer() as dev:
        started = time.monotonic()
        story.many(dev, MANY)
        print(f"{MANY:,} events sent and answered in {time.monotonic() - started:.1f} s")
        page.open(dev.page_url)
        for view in ("lanes", "traces", "ledger"):
            paints, loads = [], []
            for _ in range(5):
                page.open("about:blank")
                page.open(f"{dev.url}/#/{view}")
                page.wait(f"document.querySelector({VIEWS[view]!r}) !== null")
                loads.append(page.evaluate("performance.now()"))
                paints.append(page.evaluate(PAINT))
            print(f"{view}: first paint {statistics.median(paints):.0f} ms, content {statistics.median(loads):.0f} ms")
        page.open(f"{dev.url}/#/traces")
        page.wait(f"document.querySelector({VIEWS['traces']!r}) !== null")
        frames = sorted(page.evaluate(FRAMES))
        middle, late = statistics.median(frames), frames[int(len(frames) * 0.95)]
        print(f"a frame while scrolling: median {middle:.1f} ms, 95 % below {late:.1f} ms, longest {frames[-1]:.1f} ms")
        nodes, heap = page.evaluate("[document.querySelectorAll('*').length, performance.memory.usedJSHeapSize / 1e6]")
        print(f"{nodes} elements in the document, {heap:.1f} MB of heap")


def main() -> None:
    with Chromium() as chromium, chromium.page() as page:
        if "--measure" in sys.argv[1:]:
            measure(page)
        elif sys.argv[1:]:
            everything(page, Path(sys.argv[1]))
        else:
            for_docs(page, DOCS)


if __name__ == "__main__":
    main()
