"""Texts of exceptions, and whether they may quote a prompt or an answer."""

from __future__ import annotations

from .._base.guard import pass_on

_CHAIN_MAX = 20  # length of a chain of causes that is searched
# Packages whose exceptions quote prompts and answers.
_QUOTING = frozenset(("openai", "anthropic", "groq", "mistralai", "cohere", "pydantic", "pydantic_core"))
_QUOTING_INSIDE = "google.genai."


def text_of(error: BaseException) -> str:
    """Return the text of an exception, or its kind if `__str__` fails."""
    try:
        return str(error) or type(error).__name__
    except Exception as problem:
        pass_on(problem)
        return "<text not available>"


def kind_of(error: BaseException) -> str:
    """Return an exception's kind, status and code, without its text."""
    codes = []
    for name in ("status_code", "code"):
        try:
            code = getattr(error, name, None)
        except Exception as problem:
            pass_on(problem)
            continue
        is_word = type(code) is str and code.isascii() and code.replace("_", "").isalnum()
        if type(code) is int or (is_word and not isinstance(error, SystemExit)):  # its code may be any text
            codes.append(str(code)[:64])
    return ": ".join([type(error).__name__, *([", ".join(codes)] if codes else [])])


def quotes(error: BaseException) -> bool:
    """Whether an exception, or one that it was raised from, may quote a prompt or an answer."""
    met: list[BaseException] = []
    left = [error]
    while left and len(met) < _CHAIN_MAX:
        one = left.pop()
        if any(one is other for other in met):
            continue
        met.append(one)
        modules = [c.__module__ for c in type(one).__mro__]
        if any(name.partition(".")[0] in _QUOTING or name.startswith(_QUOTING_INSIDE) for name in modules):
            return True
        if _is_from_model(one):
            return True
        left += [e for e in (one.__cause__, one.__context__, *_arguments(one)) if e is not None]
        if isinstance(one, BaseExceptionGroup):
            left += one.exceptions
    return bool(left)


def mark_quoting(error: BaseException) -> None:
    """Mark an exception that a model call has raised, because its traceback has no frame of this package."""
    object.__getattribute__(error, "__dict__")[_MARK] = True  # bypasses its own `__setattr__`


def _arguments(error: BaseException) -> list[BaseException]:
    """Yield the exceptions that another one was made of: `sys.exit(error)`."""
    try:
        return [each for each in error.args if issubclass(type(each), BaseException)]
    except Exception as problem:
        pass_on(problem)
        return []


def _is_from_model(error: BaseException) -> bool:
    """Whether an exception has passed through a traced model call."""
    if _MARK in object.__getattribute__(error, "__dict__"):
        return True
    traceback = error.__traceback__
    while traceback is not None:
        if str(traceback.tb_frame.f_globals.get("__name__")).startswith(_PROVIDERS):
            return True
        traceback = traceback.tb_next
    return False


_MARK = "__zespan_from_model__"
_PROVIDERS = f"{__name__.partition('._record.')[0]}.providers."
