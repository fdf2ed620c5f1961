"""What traces the applications of this folder, as HOW says, and the model call that each of their tasks makes."""

from __future__ import annotations

import functools
import os
import time
from typing import Any

from openai import OpenAI

HOW = os.environ.get("HOW", "bare")
ASK: Any = {"model": "gpt-4o", "messages": [{"role": "user", "content": "Hi"}]}


def start() -> None:
    """Set the official SDK up as on a server, if it is to be there: it sends every two seconds, and at exit."""
    if HOW.startswith("sdk"):
        import zespan

        backend = os.environ["ZESPAN_BASE_URL"]
        zespan.init(api_key="zsp_test", endpoint=f"{backend}/v1/ingest", base_url=backend, autopatch=False)
        zespan.patch_openai()  # not all providers' packages, which take seconds to import


def prepare() -> None:
    """Create the client of `ask`, and import what it needs."""
    _client().chat.completions  # noqa: B018


def ask() -> None:
    """Make the model call of a task or request, which the official SDK captures only of the synchronous client.

    The time of its begin is a line of the file IDS, if there is one.
    """
    if "IDS" in os.environ:
        with open(os.environ["IDS"], "a") as file:  # noqa: PTH123
            file.write(f"{time.monotonic()}\n")
    _client().chat.completions.create(**ASK)
    if HOW == "sdk flush":
        import zespan

        zespan.get_client().flush()


@functools.cache
def _client() -> OpenAI:
    return OpenAI(max_retries=0)
