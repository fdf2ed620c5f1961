"""A worker of an SQS queue. It asks a model about several messages at a time, each in the trace of its sender."""

import asyncio
import json
import logging
from typing import Any

from openai import AsyncOpenAI

from zespan_serverless import traced_record, zespan_lambda

AT_ONCE = 5  # concurrent model calls
RESERVE = 2.0  # seconds before the function's timeout when unfinished messages are returned to the queue

logger = logging.getLogger(__name__)
client = AsyncOpenAI()  # one per container: async handlers share an event loop, so connections are kept


@zespan_lambda
async def handler(event: dict[str, Any], context: Any) -> dict[str, Any]:
    slots = asyncio.Semaphore(AT_ONCE)
    seconds = context.get_remaining_time_in_millis() / 1000 - RESERVE

    async def done(record: dict[str, Any]) -> bool:
        try:
            async with asyncio.timeout(seconds), slots:
                with traced_record(record):
                    await classify(json.loads(record["body"])["text"])
        except Exception:
            logger.exception("message %s goes back to the queue", record["messageId"])
            return False
        return True

    records = event["Records"]
    results = await asyncio.gather(*map(done, records))
    failed = [record for record, ok in zip(records, results, strict=True) if not ok]
    return {"batchItemFailures": [{"itemIdentifier": record["messageId"]} for record in failed]}


async def classify(text: str) -> None:
    answer = await client.chat.completions.create(
        model="gpt-4o-mini",
        messages=[
            {"role": "system", "content": "Answer with the topic of the customer's message, in one word."},
            {"role": "user", "content": text},
        ],
    )
    logger.info("topic: %s", answer.choices[0].message.content)  # yours would store it
