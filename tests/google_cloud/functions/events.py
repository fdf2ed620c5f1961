"""Functions that events trigger. The framework reads a typed function's annotations as they are: no strings here."""

import time
from typing import Any

import functions_framework
import functions_framework.aio
from cloudevents.http import CloudEvent
from google.cloud.functions.context import Context

from zespan_serverless import span, zespan_cloud_event


class Order:
    def __init__(self, pieces: int) -> None:
        self.pieces = pieces

    @staticmethod
    def from_dict(found: dict[str, int]) -> "Order":
        return Order(found["pieces"])

    def to_dict(self) -> dict[str, int]:
        return {"pieces": self.pieces}


@functions_framework.cloud_event
@zespan_cloud_event
def on_event(event: CloudEvent) -> None:
    with span("work"):
        if event.data == {"fail": True}:
            raise ValueError("boom")
        if isinstance(event.data, dict):
            time.sleep(event.data.get("sleep", 0))
            event.data.clear()  # what the function does with its event is its own


@zespan_cloud_event
@functions_framework.aio.cloud_event
async def on_event_async(event: CloudEvent) -> None:
    with span("work"):
        if event.data == {"fail": True}:
            raise ValueError("boom")


@zespan_cloud_event
def on_background(data: dict[str, Any], context: Context) -> None:
    with span("work"):
        assert context.event_id


@functions_framework.typed  # type: ignore[untyped-decorator]
@zespan_cloud_event
def on_order(order: Order) -> Order:
    with span("work"):
        return Order(order.pieces * 2)


@zespan_cloud_event
@functions_framework.typed(Order)  # type: ignore[no-untyped-call]
def on_order_above(order):  # type: ignore[no-untyped-def]
    return Order(order.pieces * 3)
