"""The package's logger, and warnings that are logged once.

Each line has a code, which names its section of docs/log-lines.md: the line ends with it.

The module `warnings` is never used: under `-W error` its warnings are exceptions, which telemetry must not raise.
"""

from __future__ import annotations

import logging

logger = logging.getLogger("zespan_serverless")
DEBUG, INFO, WARNING = logging.DEBUG, logging.INFO, logging.WARNING

PREFIX = "zespan-serverless: "
"""The beginning of every line, because many formats, Lambda's among them, do not show the logger's name."""

PAGE = "docs/log-lines.md#"
"""The page of the documentation that a line ends with, followed by the line's code."""

TEXT_MAX = 1000
"""Characters of a failure's description that are kept and logged, because some quote a whole prompt."""

_LINE_MAX, _LINE_END = 2000, 500  # characters of a line, and of its end if its middle is cut
_CLAIMED_MAX = 200
"""Cap on distinct warnings in one process, against messages that embed changing values."""

_claimed: set[int] = set()  # hashes of keys


def warn_once(code: str, message: str, *args: object) -> None:
    """Log a warning, unless the same text has been logged in this process. Never raises."""
    try:
        text = message % args
        if claim(text):
            line(code, "%s", text)
    except Exception as error:  # of an argument's __repr__
        _pass_on(error)


def line(code: str, message: str, *args: object, level: int = WARNING) -> None:
    """Log a line each time. Never raises."""
    try:
        logger.log(level, message, *args, extra={"zespan_code": code})
    except Exception as error:  # of a log filter or a handler
        _pass_on(error)


def describe(error: BaseException) -> str:
    """Return type and text of an exception, at most 1,000 characters. Never raises, even if `__str__` does."""
    try:
        return f"{type(error).__name__}: {error}"[:TEXT_MAX]
    except Exception as problem:
        _pass_on(problem)
        return type(error).__name__


def claim(key: str) -> bool:
    """Whether to log what has this key: true at the first call for each key, until `reset`."""
    mark = hash(key)
    if mark in _claimed or len(_claimed) >= _CLAIMED_MAX:
        return False
    _claimed.add(mark)
    return True


def reset() -> None:
    """Allow every warning to be logged once more."""
    _claimed.clear()


def _pass_on(error: Exception) -> None:
    from .guard import pass_on

    pass_on(error)


def _as_one_line(record: logging.LogRecord) -> bool:
    """Turn each of our records into one line of bounded length, with our prefix and its code, as a filter.

    Records contain the user's names and texts. A line break in one of them would forge a line of the log, and other
    control characters would change what a terminal shows.
    """
    try:
        text = record.getMessage()
    except Exception as error:  # of an argument's __repr__
        _pass_on(error)
        text = str(record.msg)
    if len(text) > _LINE_MAX:
        cut = len(text) - _LINE_MAX
        text = f"{text[: _LINE_MAX - _LINE_END]}... [{cut} characters cut] ...{text[-_LINE_END:]}"
    code = getattr(record, "zespan_code", "")
    record.msg, record.args = PREFIX + printable(text) + (f" ({PAGE}{code})" if code else ""), None
    return True


def printable(text: str) -> str:
    """Return a text in which line breaks and other control characters are written out."""
    if text.isprintable():
        return text
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in text)


logger.addFilter(_as_one_line)
