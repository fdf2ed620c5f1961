"""Event loops inside and around invocations."""

from __future__ import annotations

import signal
from typing import Any

from tests.conformance.program import LONG, Door, event, flush, linger, say, send, sends, steps
from tests.conformance.situations.table import is_sync, situation


@situation("loops", few=True, needs=("trio", "anyio"))
def trio_inside(door: Door) -> None:
    """trio and anyio have the process for themselves while they run, their signals included."""
    import anyio
    import trio

    async def main() -> None:
        with trio.open_signal_receiver(signal.SIGUSR1, signal.SIGTERM) as signals:
            for number in (signal.SIGUSR1, signal.SIGTERM):
                send(number)
                say("received", int(await anext(signals)))
        await trio.lowlevel.checkpoint()

    def run() -> str:
        event()
        trio.run(main)
        anyio.run(anyio.sleep, 0, backend="trio")
        return "result"

    say(door.serve(run))
    say(run())
    say(door.serve(run))
    flush()  # trio has left the default action behind
    send(signal.SIGTERM)
    linger()


@situation("loops", twice=True)
def asyncio_inside(door: Door) -> None:
    """A loop's own signal handlers work while it runs, and when it is over the process can be ended."""
    import asyncio

    async def main() -> str:
        loop, heard = asyncio.get_running_loop(), asyncio.Queue[int]()
        event()
        for number in (signal.SIGUSR1, signal.SIGTERM):
            loop.add_signal_handler(number, heard.put_nowait, number)
        for number in (signal.SIGUSR1, signal.SIGTERM, signal.SIGUSR1):
            send(number)
            say("heard", int(await asyncio.wait_for(heard.get(), LONG)))
        for number in (signal.SIGUSR1, signal.SIGTERM):
            say("removed", loop.remove_signal_handler(number))
        return "result"

    door.here()
    say(door.serve_async(main))
    say(door.serve())
    say(door.serve_async(main))
    flush()  # asyncio has left the default action behind
    send(signal.SIGTERM)
    linger()


@situation("loops", twice=True, few=True, fits=is_sync)
def asyncio_outside(door: Door) -> None:
    """A loop around invocations hears its signals while they are served, and afterwards."""
    import asyncio

    async def main() -> None:
        loop, heard = asyncio.get_running_loop(), asyncio.Queue[int]()
        for number in (signal.SIGUSR1, signal.SIGTERM):
            loop.add_signal_handler(number, heard.put_nowait, number)
        for number in (signal.SIGUSR1, signal.SIGTERM) * 2:
            door.serve(steps(event, sends(number)))
            say("heard in", int(await asyncio.wait_for(heard.get(), LONG)))
            send(number)
            say("heard between", int(await asyncio.wait_for(heard.get(), LONG)))

    door.here()
    asyncio.run(main())
    flush()
    send(signal.SIGTERM)
    linger()


@situation("loops", few=True, needs=("gevent",))
def gevent_inside(door: Door) -> None:
    """gevent's hub, its greenlets and its signal handlers."""
    import importlib

    gevent: Any = importlib.import_module("gevent")  # has no types
    heard: list[int] = []

    def run() -> str:
        handler = gevent.signal_handler(signal.SIGTERM, heard.append, 1)
        for greenlet in [gevent.spawn(event) for _ in range(3)]:
            greenlet.join()
        send(signal.SIGTERM)
        for _ in range(1000):
            if heard:
                break
            gevent.sleep(0.001)
        handler.cancel()
        return "result"

    say(door.serve(run))
    say("heard", heard)
    say(door.serve())
