import asyncio
import time
from collections.abc import AsyncIterator

from fastapi import BackgroundTasks, FastAPI
from fastapi.responses import StreamingResponse

from zespan_serverless import span, zespan_vercel

app = FastAPI()


@app.get("/greetings/{name}")
async def greet(name: str) -> dict[str, str]:
    with span("work"):
        return {"hello": name}


@app.get("/sync")
def in_thread() -> str:
    with span("work"):
        return "sync"


@app.get("/slow")
async def slow() -> str:
    with span("work"):
        await asyncio.sleep(1)
    return "slow"


@app.get("/boom")
async def boom() -> str:
    raise ValueError("boom")


@app.get("/background")
async def background(tasks: BackgroundTasks) -> str:
    tasks.add_task(later)
    return "background"


@app.get("/wait-until")
async def waits() -> str:
    from vercel.functions import wait_until  # pyright: ignore[reportMissingImports]

    wait_until(asyncio.to_thread(later))
    return "wait until"


@app.get("/stream")
async def stream() -> StreamingResponse:
    async def pieces() -> AsyncIterator[str]:
        for number in range(3):
            with span("piece"):
                await asyncio.sleep(0.05)
            yield f"{number}\n"

    return StreamingResponse(pieces())


def later() -> None:
    time.sleep(0.3)
    with span("later"):
        pass


app = zespan_vercel(app)
