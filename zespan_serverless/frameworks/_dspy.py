"""DSPy."""

from __future__ import annotations

from typing import Any

from dspy.utils.callback import ACTIVE_CALL_ID, BaseCallback  # pyright: ignore[reportMissingImports]

from ._runs import Runs

_FRAMEWORK = "dspy"
_AGENTS = ("ReAct", "CodeAct", "ReActV2", "RLM")

RUNS = Runs(ACTIVE_CALL_ID.get)


class _Callback(BaseCallback):  # type: ignore[misc,unused-ignore]
    """DSPy calls these methods, and logs their exceptions. The enclosing step is the one that is active at a start."""

    def on_module_start(self, call_id: str, instance: Any, inputs: dict[str, Any]) -> None:
        name = type(instance).__name__
        if any(kind.__name__ in _AGENTS for kind in type(instance).__mro__):
            RUNS.begin(call_id, ACTIVE_CALL_ID.get(), name, "agent", agent_name=name, agent_framework=_FRAMEWORK)
        else:
            RUNS.begin(call_id, ACTIVE_CALL_ID.get(), name, "chain")

    def on_module_end(self, call_id: str, outputs: Any, exception: BaseException | None = None) -> None:
        RUNS.end(call_id, exception)

    def on_tool_start(self, call_id: str, instance: Any, inputs: dict[str, Any]) -> None:
        given = inputs.get("kwargs", inputs)
        name = str(getattr(instance, "name", None) or "tool")
        RUNS.begin(call_id, ACTIVE_CALL_ID.get(), name, "tool", arguments=given)

    def on_tool_end(self, call_id: str, outputs: Any, exception: BaseException | None = None) -> None:
        RUNS.end(call_id, exception, None if exception else lambda target: target.result(outputs))

    def on_lm_start(self, call_id: str, instance: Any, inputs: dict[str, Any]) -> None:
        RUNS.skip(call_id, ACTIVE_CALL_ID.get())

    def on_lm_end(self, call_id: str, outputs: Any, exception: BaseException | None = None) -> None:
        RUNS.end(call_id)

    def on_evaluate_start(self, call_id: str, instance: Any, inputs: dict[str, Any]) -> None:
        RUNS.begin(call_id, ACTIVE_CALL_ID.get(), type(instance).__name__, "chain")

    def on_evaluate_end(self, call_id: str, outputs: Any, exception: BaseException | None = None) -> None:
        RUNS.end(call_id, exception)


def hook() -> BaseCallback:
    """Return a callback."""
    return _Callback()
