"""The function of the SDK's guide for serverless functions: its code is unchanged, and has our decorator."""

import os
import signal
import sys
import time
from typing import Any

import openai
import zespan

from zespan_serverless import zespan_lambda

zespan.init(api_key="zsp_guide", endpoint=os.environ["BACKEND"] + "/v1/ingest")
zespan.patch_openai()

client = openai.OpenAI(max_retries=0)


@zespan_lambda
def handler(event: dict[str, Any], context: object) -> str | None:
    with zespan.with_zespan_context(user_id="u"):
        response = client.chat.completions.create(
            model="gpt-4o-mini",
            messages=[{"role": "user", "content": "Hi"}],
        )
    zespan.start_span("step").end()
    if "sleep" in event:
        time.sleep(event["sleep"])
    if "kill" in event or "exit" in event:
        time.sleep(0.1)  # the begin of an invocation is on record within 15 ms
    if "kill" in event:
        os.kill(os.getpid(), signal.SIGKILL)
    if "modules" in event:
        return " ".join(name for name in event["modules"] if name in sys.modules)
    if "exit" in event:
        os._exit(3)
    if event.get("flush", True):
        zespan.flush()  # pyright: ignore[reportAttributeAccessIssue]
    return response.choices[0].message.content
