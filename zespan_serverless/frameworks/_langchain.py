"""LangChain and LangGraph."""

from __future__ import annotations

from contextvars import ContextVar
from typing import Any

from langchain_core.callbacks import BaseCallbackHandler  # pyright: ignore[reportMissingImports]
from langchain_core.runnables.config import var_child_runnable_config  # pyright: ignore[reportMissingImports]

from ._runs import Runs

_FRAMEWORK = "langchain"
_AGENTS = ("LangGraph", "AgentExecutor")


_model: ContextVar[Any] = ContextVar("zespan_serverless_langchain_model", default=None)
"""The id of the last model run that began here. LangChain's own variable has the enclosing step, except in a chain's
batch."""


def _now() -> Any:
    model = _model.get()
    if model is not None and RUNS.knows(model):
        return model
    config = var_child_runnable_config.get()
    return None if config is None else getattr(config.get("callbacks"), "parent_run_id", None)


RUNS = Runs(_now)


class _Handler(BaseCallbackHandler):  # type: ignore[misc,unused-ignore]
    """LangChain calls these methods, and logs their exceptions. `run_inline`: in order, and not in a thread."""

    run_inline = True

    def on_chain_start(self, serialized: Any, inputs: Any, *, run_id: Any, **kwargs: Any) -> None:
        parent, name = kwargs.get("parent_run_id"), _name(serialized, kwargs, "chain")
        agent = (kwargs.get("metadata") or {}).get("lc_agent_name")
        if name in _AGENTS or (agent and name == agent):
            RUNS.begin(run_id, parent, name, "agent", agent_name=agent or name, agent_framework=_FRAMEWORK)
        elif parent is None:
            RUNS.begin(run_id, parent, name, "chain")
        else:  # other steps of a chain are not interesting
            RUNS.skip(run_id, parent)

    def on_chain_end(self, outputs: Any, *, run_id: Any, **kwargs: Any) -> None:
        RUNS.end(run_id)

    def on_chain_error(self, error: BaseException, *, run_id: Any, **kwargs: Any) -> None:
        RUNS.end(run_id, None if _is_no_failure(error) else error)

    def on_chat_model_start(self, serialized: Any, messages: Any, *, run_id: Any, **kwargs: Any) -> None:
        RUNS.skip(run_id, kwargs.get("parent_run_id"))
        _model.set(run_id)

    def on_llm_start(self, serialized: Any, prompts: Any, *, run_id: Any, **kwargs: Any) -> None:
        RUNS.skip(run_id, kwargs.get("parent_run_id"))
        _model.set(run_id)

    def on_llm_end(self, response: Any, *, run_id: Any, **kwargs: Any) -> None:
        RUNS.end(run_id)

    def on_llm_error(self, error: BaseException, *, run_id: Any, **kwargs: Any) -> None:
        RUNS.end(run_id)

    def on_tool_start(self, serialized: Any, input_str: str, *, run_id: Any, **kwargs: Any) -> None:
        given = kwargs.get("inputs")
        name = _name(serialized, kwargs, "tool")
        RUNS.begin(run_id, kwargs.get("parent_run_id"), name, "tool", arguments=input_str if given is None else given)

    def on_tool_end(self, output: Any, *, run_id: Any, **kwargs: Any) -> None:
        RUNS.end(run_id, None, lambda target: target.result(getattr(output, "content", output)))

    def on_tool_error(self, error: BaseException, *, run_id: Any, **kwargs: Any) -> None:
        RUNS.end(run_id, None if _is_no_failure(error) else error)

    def on_retriever_start(self, serialized: Any, query: str, *, run_id: Any, **kwargs: Any) -> None:
        name = _name(serialized, kwargs, "retriever")
        RUNS.begin(run_id, kwargs.get("parent_run_id"), name, "retriever", query=query)

    def on_retriever_end(self, documents: Any, *, run_id: Any, **kwargs: Any) -> None:
        RUNS.end(run_id, None, lambda target: target.documents(documents))

    def on_retriever_error(self, error: BaseException, *, run_id: Any, **kwargs: Any) -> None:
        RUNS.end(run_id, error)


def _is_no_failure(error: BaseException) -> bool:
    """Whether a reader has left a stream, or a graph waits for a human."""
    return isinstance(error, GeneratorExit) or any(kind.__name__ == "GraphBubbleUp" for kind in type(error).__mro__)


def _name(serialized: Any, kwargs: dict[str, Any], otherwise: str) -> str:
    """Return the user's name of a step, otherwise its class."""
    known = serialized if isinstance(serialized, dict) else {}
    kind = known.get("id")
    return str(kwargs.get("name") or known.get("name") or (kind[-1] if isinstance(kind, list) and kind else otherwise))


def hook() -> BaseCallbackHandler:
    """Return a callback handler."""
    return _Handler()
