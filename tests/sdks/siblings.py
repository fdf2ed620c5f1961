"""Programs that follow the guides of the SDK's packages for frameworks, with our decorator or middleware added.

`python -m tests.sdks.siblings PROGRAM MODEL BACKEND` in an environment that has the package. What each needs is
imported in its function, ours first, as the imports of a user's module are sorted.
"""

from __future__ import annotations

# mypy: disable-error-code="untyped-decorator"
import asyncio
import os
import sys
from typing import Any

import zespan_serverless
from zespan_serverless import asgi, testing, wsgi, zespan_lambda

ANSWER = {"role": "user", "content": "Hi"}


def flask(model: str, backend: str) -> None:
    """Our middleware is around the application, the extension inside."""
    import openai
    from flask import Flask
    from zespan_flask import ZespanConfig, ZespanFlaskExtension, observe_llm, set_attribute

    app = Flask(__name__)
    ZespanFlaskExtension(app, ZespanConfig(api_key="zsp_guide", base_url=backend))
    client = openai.OpenAI(base_url=model, api_key="k")

    @observe_llm(model="gpt-4o", provider="openai")
    def generate(prompt: str) -> Any:
        return client.chat.completions.create(model="gpt-4o", messages=[{"role": "user", "content": prompt}])

    @app.route("/chat")
    def chat() -> str:
        set_attribute("session.id", "s")
        return str(generate("Hi").choices[0].message.content)

    app.wsgi_app = wsgi.ZespanMiddleware(app.wsgi_app)  # type: ignore[method-assign]
    for path, status in (("/chat", 200), ("/chat", 200), ("/nowhere", 404)):
        response = app.test_client().get(path)
        assert response.status_code == status
        assert response.data
        response.close()


def fastapi(model: str, backend: str, *, outside: bool = True) -> None:
    """`outside`: our middleware is around the package's, as the one that is added last."""
    import openai
    from fastapi import FastAPI
    from fastapi.testclient import TestClient
    from zespan_fastapi import ZespanConfig, ZespanFastAPIMiddleware, observe_llm, observe_span, set_attribute

    app = FastAPI()
    if not outside:
        app.add_middleware(asgi.ZespanMiddleware)
    app.add_middleware(ZespanFastAPIMiddleware, config=ZespanConfig(api_key="zsp_guide", base_url=backend))
    if outside:
        app.add_middleware(asgi.ZespanMiddleware)
    client = openai.AsyncOpenAI(base_url=model, api_key="k")

    @observe_llm(model="gpt-4o", provider="openai")
    async def generate(prompt: str) -> Any:
        return await client.chat.completions.create(model="gpt-4o", messages=[{"role": "user", "content": prompt}])

    @observe_span("fetch", span_type="retrieval")
    async def fetch() -> str:
        return "Hi"

    @app.get("/chat")
    async def chat() -> Any:
        set_attribute("session.id", "s")
        return (await generate(await fetch())).choices[0].message.content

    with TestClient(app) as browser:
        for _ in range(2):
            assert browser.get("/chat").status_code == 200
        assert browser.get("/nowhere").status_code == 404


def fastapi_inside(model: str, backend: str) -> None:
    fastapi(model, backend, outside=False)


def autogen(model: str, backend: str) -> None:
    from autogen_agentchat.agents import AssistantAgent
    from autogen_agentchat.conditions import MaxMessageTermination
    from autogen_agentchat.teams import RoundRobinGroupChat
    from autogen_ext.models.openai import OpenAIChatCompletionClient
    from zespan_autogen import ZespanModelClient, run_with_tracing

    given: Any = {"api_key": "zsp_guide", "project_id": "p", "endpoint": backend + "/v1/ingest"}
    client: Any = ZespanModelClient(OpenAIChatCompletionClient(model="gpt-4o", base_url=model, api_key="k"), **given)
    agent = AssistantAgent("assistant", model_client=client)
    team = RoundRobinGroupChat([agent], termination_condition=MaxMessageTermination(2))

    @zespan_lambda(flush_mode="before_return")
    async def handler(event: object, context: object) -> str:
        await run_with_tracing(team=team, task="Analyze the sales data", **given)
        return "done"

    assert handler({}, testing.LambdaContext()) == "done"


def crewai(model: str, backend: str) -> None:
    os.environ |= {"CREWAI_DISABLE_TELEMETRY": "true", "OTEL_SDK_DISABLED": "true", "CREWAI_TRACING_ENABLED": "false"}
    from crewai import LLM, Agent, Crew, Task
    from zespan_crewai import ZespanCrewAIListener

    listener = ZespanCrewAIListener(api_key="zsp_guide", project_id="p", endpoint=backend + "/v1/ingest")
    llm = LLM(model="openai/gpt-4o", base_url=model, api_key="k")
    agent = Agent(role="Researcher", goal="Find", backstory="Knows", llm=llm)
    task = Task(description="Look", expected_output="Words", agent=agent)
    crew = Crew(agents=[agent], tasks=[task])

    @zespan_lambda(flush_mode="before_return")
    def handler(event: object, context: object) -> str:
        assert crew.kickoff() is not None
        return "done"

    for _ in range(2):
        assert handler({}, testing.LambdaContext()) == "done"
    assert listener


PROGRAMS = {
    "flask": flask,
    "fastapi": fastapi,
    "fastapi inside": fastapi_inside,
    "autogen": autogen,
    "crewai": crewai,
}

if __name__ == "__main__":
    asyncio.set_event_loop(None)
    PROGRAMS[sys.argv[1]](*sys.argv[2:])
    report = zespan_serverless.flush()
    assert not report.pending, report
    sys.stdout.flush()
    os._exit(0)
