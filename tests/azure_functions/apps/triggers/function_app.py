"""A function for every kind of trigger; each does nothing."""

from typing import List  # noqa: UP035  # the worker knows no other

import azure.functions as func

from zespan_serverless import zespan_azure

app = func.FunctionApp(http_auth_level=func.AuthLevel.ANONYMOUS)


@app.route(route="orders/{id:int}", methods=["POST"])
@zespan_azure
def http(req: func.HttpRequest) -> str:
    return "ok"


@app.timer_trigger(arg_name="timer", schedule="0 */5 * * * *")
@zespan_azure
def timer(timer: func.TimerRequest) -> None: ...


@app.queue_trigger(arg_name="msg", queue_name="prompts", connection="STORAGE")
@zespan_azure
def queue(msg: func.QueueMessage) -> None: ...


@app.queue_trigger(arg_name="msg", queue_name="prompts", connection="STORAGE")
@app.blob_input(arg_name="template", path="templates/chat.txt", connection="STORAGE")
@zespan_azure
def queue_text(msg: str, template: func.InputStream) -> None: ...


@app.service_bus_queue_trigger(arg_name="msg", queue_name="prompts", connection="BUS")
@zespan_azure
def bus(msg: func.ServiceBusMessage) -> None: ...


@app.service_bus_topic_trigger(
    arg_name="msgs", topic_name="questions", subscription_name="chat", connection="BUS", cardinality="many"
)
@zespan_azure
async def bus_batch(msgs: List[func.ServiceBusMessage]) -> None: ...  # noqa: UP006


@app.event_hub_message_trigger(arg_name="event", event_hub_name="clicks", connection="HUB", cardinality="one")
@zespan_azure
def hub(event: func.EventHubEvent) -> None: ...


@app.event_hub_message_trigger(
    arg_name="events", event_hub_name="clicks", connection="HUB", cardinality="many", consumer_group="llm"
)
@zespan_azure
def hub_batch(events: List[func.EventHubEvent]) -> None: ...  # noqa: UP006


@app.kafka_trigger(arg_name="event", topic="prompts", broker_list="BROKERS", cardinality="one")
@zespan_azure
def kafka(event: func.KafkaEvent) -> None: ...


@app.blob_trigger(arg_name="blob", path="prompts/{name}", connection="STORAGE")
@zespan_azure
def blob(blob: func.InputStream) -> None: ...


@app.cosmos_db_trigger(arg_name="documents", database_name="shop", container_name="orders", connection="COSMOS")
@zespan_azure
def cosmos(documents: func.DocumentList) -> None: ...


@app.event_grid_trigger(arg_name="event")
@zespan_azure
def grid(event: func.EventGridEvent) -> None: ...


@app.event_grid_trigger(arg_name="event")
@zespan_azure
def cloud_event(event: func.CloudEvent) -> None: ...


@app.sql_trigger(arg_name="changes", table_name="dbo.orders", connection_string_setting="SQL")
@zespan_azure
def sql(changes: str) -> None: ...


@app.warm_up_trigger("warmup")
@zespan_azure
def warmup(warmup) -> None: ...  # type: ignore[no-untyped-def]


@app.generic_trigger(arg_name="msg", type="rabbitMQTrigger", queueName="prompts", connectionStringSetting="RABBIT")
@zespan_azure
def generic(msg: str) -> None: ...


@app.generic_trigger(arg_name="city", type="activityTrigger")
@zespan_azure
def activity(city: str) -> None: ...
