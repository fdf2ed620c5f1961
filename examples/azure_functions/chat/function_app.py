"""A chat behind HTTP, a worker on a Service Bus queue, and a digest on a schedule: one app, traced."""

import json
from concurrent.futures import ThreadPoolExecutor
from contextvars import copy_context
from typing import List  # noqa: UP035  # Azure's worker does not understand `list[...]`

import azure.functions as func
from openai import AsyncOpenAI, OpenAI

from zespan_serverless import span, with_context, zespan_azure

app = func.FunctionApp(http_auth_level=func.AuthLevel.FUNCTION)
client, aclient = OpenAI(), AsyncOpenAI()  # one per process; OPENAI_API_KEY comes from the app's settings

TOPICS = ("weather", "traffic", "markets")


@app.route(route="chat", methods=["POST"])
@zespan_azure
async def chat(req: func.HttpRequest) -> func.HttpResponse:
    """{"prompt": "...", "user": "..."}"""
    try:
        asked = req.get_json()
        prompt, user = asked["prompt"], asked.get("user")
    except (ValueError, KeyError, TypeError, AttributeError):
        return func.HttpResponse('the body must be JSON: {"prompt": "..."}', status_code=400)
    with with_context(user_id=user):
        answer = await aclient.chat.completions.create(model="gpt-4o", messages=[{"role": "user", "content": prompt}])
    said = {"answer": answer.choices[0].message.content}
    return func.HttpResponse(json.dumps(said), mimetype="application/json")


@app.service_bus_queue_trigger(arg_name="messages", queue_name="prompts", connection="BUS", cardinality="many")
@zespan_azure
def work(messages: List[func.ServiceBusMessage]) -> None:  # noqa: UP006
    """Several prompts at a time. The event of the invocation links to the sender of each."""
    for message in messages:
        with span("answer", metadata={"message_id": message.message_id}):
            ask(message.get_body().decode())


@app.timer_trigger(arg_name="timer", schedule="0 0 6 * * *")
@zespan_azure
def digest(timer: func.TimerRequest) -> None:
    """Several concurrent calls. Your own threads belong to the trace of the invocation if they get its context."""
    with ThreadPoolExecutor(len(TOPICS)) as pool:
        answers = [pool.submit(copy_context().run, ask, f"The news on {topic}, in a sentence.") for topic in TOPICS]
        ask("Sum this up:\n" + "\n".join(answer.result() for answer in answers))


def ask(prompt: str) -> str:
    answer = client.chat.completions.create(model="gpt-4o", messages=[{"role": "user", "content": prompt}])
    return answer.choices[0].message.content or ""
