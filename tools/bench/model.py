"""A stand-in for OpenAI that holds a thousand calls at once, because it uses no threads."""

from __future__ import annotations

import asyncio
import json
from typing import Any

_HEAD = {"id": "chatcmpl-bench", "created": 1, "model": "gpt-4o-mini-2024-07-18"}
_USAGE = {"prompt_tokens": 12, "completion_tokens": 5, "total_tokens": 17}


class Model:
    """Answers each call after `latency` seconds, and a stream in so many `pieces`."""

    def __init__(self) -> None:
        self.latency, self.pieces = 0.05, 5
        self.url = ""

    async def listen(self) -> None:
        server = await asyncio.start_server(self._serve, "127.0.0.1", 0, backlog=1024)
        self.url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/v1"

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while True:
                head = (await reader.readuntil(b"\r\n\r\n")).lower()
                length = int(head.partition(b"\r\ncontent-length:")[2].partition(b"\r\n")[0])
                asked: dict[str, Any] = json.loads(await reader.readexactly(length))
                await asyncio.sleep(self.latency)
                writer.write(self._stream() if asked.get("stream") else _answer())
                await writer.drain()
        except (OSError, asyncio.IncompleteReadError):
            pass  # the client has left
        finally:
            writer.close()

    def _stream(self) -> bytes:
        delta = {"index": 0, "delta": {"content": "Hello. "}, "finish_reason": None}
        piece = {**_HEAD, "object": "chat.completion.chunk", "choices": [delta]}
        last = {**piece, "choices": [{"index": 0, "delta": {}, "finish_reason": "stop"}]}
        documents = [json.dumps(piece)] * self.pieces + [json.dumps(last), "[DONE]"]
        return _response("text/event-stream", "".join(f"data: {document}\n\n" for document in documents))


def _answer() -> bytes:
    choice = {"index": 0, "message": {"role": "assistant", "content": "Hello."}, "finish_reason": "stop"}
    return _response(
        "application/json",
        json.dumps({**_HEAD, "object": "chat.completion", "choices": [choice], "usage": _USAGE}),
    )


def _response(kind: str, body: str) -> bytes:
    return f"HTTP/1.1 200 OK\r\ncontent-type: {kind}\r\ncontent-length: {len(body)}\r\n\r\n{body}".encode()
