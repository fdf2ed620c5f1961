"""Our one logger, and warnings that are said once.

Never the `warnings` module: people run with `-W error`, and telemetry must not become an exception.
"""

from __future__ import annotations

import logging

logger = logging.getLogger("zespan_serverless")

PREFIX = "zespan-serverless: "
"""What every line begins with: many formats, Lambda's among them, do not show a logger's name."""

TEXT_MAX = 1000
"""Characters of a description of a failure that are kept and logged: some quote all of a prompt."""

_LINE_MAX, _LINE_END = 2000, 500  # characters of a line, and of its end if its middle is cut
_SAID_MAX = 200
"""Different warnings in one process: what says the same in ever new words must fill neither the log nor the memory."""

_said: set[int] = set()  # hashes of texts


def warn_once(message: str, *args: object, key: str = "") -> None:
    """Log a warning unless the same one (by `key`, else by its text) has been logged in this process. Never raises."""
    try:
        text = message % args
        if first(key or text):
            logger.warning("%s", text)
    except Exception as error:  # somebody's __repr__, log filter or handler
        _pass_on(error)


def warn(message: str, *args: object) -> None:
    """Log a warning, however often it has been said. Never raises."""
    try:
        logger.warning(message, *args)
    except Exception as error:
        _pass_on(error)


def describe(error: BaseException) -> str:
    """Kind and text of an exception, whatever its `__str__` does; 1,000 characters at most."""
    try:
        return f"{type(error).__name__}: {error}"[:TEXT_MAX]
    except Exception as problem:
        _pass_on(problem)
        return type(error).__name__


def first(key: str) -> bool:
    """Whether this is to be said now: true once for each key."""
    mark = hash(key)
    if mark in _said or len(_said) >= _SAID_MAX:
        return False
    _said.add(mark)
    return True


def over(key: str) -> None:
    """End an episode: what has this key may be said again."""
    _said.discard(hash(key))


def forget() -> None:
    """Let every warning be said again (tests)."""
    _said.clear()


def _pass_on(error: Exception) -> None:
    from .guard import pass_on

    pass_on(error)


def _as_one_line(record: logging.LogRecord) -> bool:
    """A filter that makes of each record of ours one line of bounded length that says whose it is.

    Names and texts of the user's are in it: a line break in one would forge a line of the log, other control characters
    change what a terminal shows.
    """
    try:
        text = record.getMessage()
    except Exception as error:  # somebody's __repr__
        _pass_on(error)
        text = str(record.msg)
    if len(text) > _LINE_MAX:
        cut = len(text) - _LINE_MAX
        text = f"{text[: _LINE_MAX - _LINE_END]}... [{cut} characters cut] ...{text[-_LINE_END:]}"
    if not text.isprintable():
        text = "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in text)
    record.msg, record.args = PREFIX + text, None
    return True


logger.addFilter(_as_one_line)
