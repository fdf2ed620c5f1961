"""A real function under AWS's emulator, on the page: nothing of what is shown is made up by a test."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from zespan_serverless_dev.server import DevServer

from tests.dev.page.support import exists, says, show
from tools.chromium import Page

pytestmark = pytest.mark.host(seconds=12)

CHAT = Path(__file__).parents[3] / "examples" / "aws_lambda" / "chat"


@pytest.mark.skipif(sys.platform != "linux", reason="AWS builds its emulator for Linux only")
def test_a_function_that_is_invoked_is_seen_and_can_be_called_from_the_page(page: Page, dev: DevServer) -> None:
    """Its lane grows while it runs, a button invokes it once more, and its trace has the prompt and the answer."""
    program = [sys.executable, "-m", "zespan_serverless", "invoke", "app.handler", '{"prompt": "Where is my parcel?"}']
    options = ["--event", "apigw-v2 POST /ask", "--model", "--stay", "--dev", dev.page_url]
    show(page, dev)
    with subprocess.Popen([*program, *options], cwd=CHAT, stdout=subprocess.DEVNULL) as function:
        try:
            page.wait(exists(".block .bar.is-init"), timeout=60)
            page.wait(exists(".controls .is-again"))
            page.click(".controls .is-again")
            page.wait("document.querySelectorAll('.block').length === 2", timeout=60)
            page.wait("document.querySelector('.equation .is-good dd')?.textContent === '4'", timeout=60)
            page.wait("document.querySelectorAll('.block .bar.is-flush').length === 2")
            page.press("2")
            page.wait(exists(".list .line a"))
            page.press("Enter")
            page.wait(says("Where is my parcel?"))
        finally:
            function.terminate()
            function.wait(30)
