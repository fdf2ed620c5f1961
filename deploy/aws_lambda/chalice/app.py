"""A REST API and a worker of a queue, traced."""

from chalice import Chalice, ConvertToMiddleware
from chalice.app import SQSEvent
from openai import OpenAI

from zespan_serverless import traced_record, zespan_lambda

app = Chalice(app_name="chat")
app.register_middleware(ConvertToMiddleware(zespan_lambda))  # the first one, so that it is around all others
client = OpenAI(timeout=12, max_retries=1)  # both attempts end within lambda_timeout


@app.route("/ask", methods=["POST"])
def chat() -> dict[str, str | None]:
    return {"answer": ask(app.current_request.json_body["prompt"])}


@app.on_sqs_message(queue="questions")
def work(event: SQSEvent) -> None:
    for record in event:
        with traced_record(record.to_dict()):
            print(ask(record.body))


def ask(prompt: str) -> str | None:
    answer = client.chat.completions.create(model="gpt-4o", messages=[{"role": "user", "content": prompt}])
    return answer.choices[0].message.content
