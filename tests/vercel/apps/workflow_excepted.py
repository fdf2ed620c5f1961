"""A workflow whose steps use what is excepted from the sandbox of Vercel's SDK."""

from __future__ import annotations

from typing import Any

from openai import OpenAI
from vercel.workflow import Workflows
from vercel.workflow.sandbox import SandboxPolicy

from zespan_serverless import span, zespan_vercel_step

excepted = SandboxPolicy(passthrough_modules=frozenset({"openai", "zespan_serverless"}))
wf: Any = Workflows(namespace="excepted", sandbox_policy=excepted)


@wf.step
@zespan_vercel_step
async def ask(prompt: str) -> str:
    with span("inside"):
        OpenAI().chat.completions.create(model="gpt-4o", messages=[{"role": "user", "content": prompt}])
    return prompt


@wf.workflow
async def asks(prompt: str) -> str:
    result: str = await ask(prompt)
    return result
