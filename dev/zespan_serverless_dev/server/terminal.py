"""The terminal part of `zespan-serverless dev`."""

from __future__ import annotations

import argparse
import signal
import threading
import webbrowser
from typing import Any

from zespan_serverless.errors import ConfigurationError

from . import DevServer

_WORDS = """
zespan-serverless dev shows what your functions send to it. Its page:

    {page}

In another terminal, run your function with:

    export ZESPAN_BASE_URL={url} ZESPAN_API_KEY=zsp_local ZESPAN_ENABLED=1

or let a tool do it: zespan-serverless run -- COMMAND, or zespan-serverless invoke app.handler --dev {url}
This run is kept in {place}. Ctrl-C ends it."""


def serve(arguments: argparse.Namespace) -> int:
    """Serve until Ctrl-C, SIGTERM, or the end of the terminal."""
    if arguments.keep < 1:
        raise ConfigurationError(f"--keep must be 1 or more, not {arguments.keep}")
    if not 0 <= arguments.port <= 65535:
        raise ConfigurationError(f"--port must be from 0 to 65535, not {arguments.port}")
    folder = None if arguments.memory else arguments.folder
    ended = threading.Event()

    def end(*_: Any) -> None:
        ended.set()

    with _started(folder, arguments) as dev:
        for name in ("SIGINT", "SIGTERM", "SIGHUP"):
            number = getattr(signal, name, None)  # Windows has no SIGHUP
            if number is not None and (name != "SIGHUP" or signal.getsignal(number) != signal.SIG_IGN):  # by nohup
                signal.signal(number, end)
        place = "memory, and gone with this process" if folder is None else f"{folder}"
        print(_WORDS.format(page=dev.page_url, url=dev.url, place=place), flush=True)
        if arguments.open:
            webbrowser.open(dev.page_url)
        while not ended.wait(1.0):  # in pieces: Windows does not interrupt a wait without end
            pass
        ledger: dict[str, Any] = dev.get("summary")["ledger"]
    captured, states = ledger["captured"], ("delivered", "waiting", "lost")
    parts = [f"{ledger[state]} {state}" for state in states] + [f"{sum(ledger['dropped'].values())} dropped"]
    print(f"\n{captured} {'event' if captured == 1 else 'events'}: {', '.join(parts)}")
    return 0


def _started(folder: Any, arguments: argparse.Namespace) -> DevServer:
    try:
        return DevServer(folder, arguments.port, name=arguments.name, keep=arguments.keep)
    except OSError as error:
        raise ConfigurationError(
            f"port {arguments.port} cannot be used: {error.strerror or error}."
            " Perhaps another `dev` is running; --port 0 takes a free one"
        ) from None
