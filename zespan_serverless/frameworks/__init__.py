"""Hooks that record the agents, tools, handoffs and retrievals of frameworks.

* OpenAI Agents SDK: `agents.add_trace_processor(agents_processor())`
* LangChain, LangGraph: `agent.invoke(..., config={"callbacks": [langchain_handler()]})`
* DSPy: `dspy.configure(callbacks=[dspy_callback()])`

Each function returns the object to register with the framework. Model calls need no hook; with one they are children of
the framework's step, and carry its agent. Only model calls have tokens and costs.

A hook never raises in the framework, and changes none of its results. A step that is still open at the end of an
invocation is closed with it.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from ..errors import ConfigurationError

if TYPE_CHECKING:
    from agents.tracing import TracingProcessor  # pyright: ignore[reportMissingImports]
    from dspy.utils.callback import BaseCallback  # pyright: ignore[reportMissingImports]
    from langchain_core.callbacks import BaseCallbackHandler  # pyright: ignore[reportMissingImports]

__all__ = ["agents_processor", "dspy_callback", "langchain_handler"]


def agents_processor() -> TracingProcessor:
    """Return a processor for `agents.add_trace_processor`: agents, tools, handoffs, guardrails of OpenAI's SDK.

    It records nothing while the SDK's own tracing is disabled (OPENAI_AGENTS_DISABLE_TRACING, `set_tracing_disabled`).

    Raises ConfigurationError if the SDK is not installed.
    """
    return _made("openai_agents", "openai-agents")  # type: ignore[no-any-return,unused-ignore]


def langchain_handler() -> BaseCallbackHandler:
    """Return a callback handler for LangChain and LangGraph: agents, chains, tools and retrievers.

    Pass it in the `config` of the outermost call: `config={"callbacks": [langchain_handler()]}`. One handler serves any
    number of concurrent calls.

    Raises ConfigurationError if `langchain-core` is not installed.
    """
    return _made("langchain", "langchain-core")  # type: ignore[no-any-return,unused-ignore]


def dspy_callback() -> BaseCallback:
    """Return a callback for `dspy.configure(callbacks=[...])`: modules, agents and tools of DSPy, also in its threads.

    Raises ConfigurationError if DSPy is not installed.
    """
    return _made("dspy", "dspy")  # type: ignore[no-any-return,unused-ignore]


def _made(framework: str, package: str) -> Any:
    try:
        return import_module(f"{__name__}._{framework}").hook()
    except ImportError as error:
        raise ConfigurationError(f"this hook needs the package {package}: pip install {package} ({error})") from error
