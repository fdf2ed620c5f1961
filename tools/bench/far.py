"""A proxy that makes a server on this machine far away: what it forwards, it delays by half a round trip.

A connection waits one more round trip, as for the handshake of TCP, which the kernel answers at once here.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import suppress


async def listen(port: int, round_trip: float, seen: list[str] | None = None) -> int:
    """Return the port of a proxy in front of a port of this machine. `round_trip` is in seconds.

    `seen` gets what the proxy has seen: `c` for a connection, `>` for a piece of a client, `<` for one of the server.
    """
    seen = [] if seen is None else seen

    async def connected(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        seen.append("c")
        await asyncio.sleep(round_trip)
        try:
            there, back = await asyncio.open_connection("127.0.0.1", port)
        except OSError:
            writer.close()
            return
        await asyncio.gather(
            _forward(reader, back, round_trip / 2, lambda: seen.append(">")),
            _forward(there, writer, round_trip / 2, lambda: seen.append("<")),
        )

    server = await asyncio.start_server(connected, "127.0.0.1", 0)
    found: int = server.sockets[0].getsockname()[1]
    return found


async def _forward(
    reader: asyncio.StreamReader, writer: asyncio.StreamWriter, delay: float, note: Callable[[], object]
) -> None:
    """Forward in order, and without waiting for one piece before the next is read."""
    loop = asyncio.get_running_loop()
    with suppress(OSError):
        while piece := await reader.read(65536):
            note()
            loop.call_later(delay, writer.write, piece)
    loop.call_later(delay, writer.close)
