"""What an event may say: `store_prompts`, `redact_keys` and the longest texts, applied once, to every event.

A secret is what stands under one of `redact_keys`: in any container or record, and in any text: JSON, whole, cut off,
or within other words, a ``repr()`` of a dict, JSON in a text of JSON, however often. Texts are not parsed for that: a
quoted name with a colon behind it is a key, and what follows is its value, to where that ends. So a text with nothing
to replace stays as it is, and none is too deep or too broken to be looked into.

Texts of errors and the descriptions that objects give of themselves are looked at more closely: there `key=value`,
`key: value` and `Bearer ...` are replaced, too.
"""

from __future__ import annotations

import functools
import re
from enum import Enum
from typing import TYPE_CHECKING, Any

from .._base.guard import pass_on
from .event import ERROR_TEXT_MAX, Event, Walk, key_text, leaf, to_json

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from ..settings import Settings

REDACTED = "[REDACTED]"
RATIONALE_MAX = 2000  # characters, as the SDK cuts it

_CONTENT = frozenset(("prompt_text", "completion_text", "system_prompt", "tool_call_args", "decision_rationale"))
_JSON = frozenset(("prompt_text", "completion_text", "tool_call_args"))  # structures, sent as the text of their JSON
_SPECIAL = _CONTENT | {"error_message"}
_LONGEST = {"decision_rationale": RATIONALE_MAX}
# An event is no event without these: no key of `redact_keys` is meant for them.
_FRAME = frozenset(
    ("event_id", "project_id", "trace_id", "span_id", "parent_span_id", "timestamp", "span_kind", "status")
)
_ERROR_READ_MAX = 65_536  # characters of an error's text that are looked at, of which ERROR_TEXT_MAX are sent
_CHAIN_MAX = 20  # exceptions that led to an exception
_QUOTING = frozenset(("openai", "pydantic", "pydantic_core"))  # packages whose exceptions quote prompts and answers
_KEY_MAX = 4096  # characters of a key in a text, with all that its comparison leaves out
_CACHED_KEYS, _CACHED_KEY_MAX = 1024, 64  # how many, and how long
_LONG = 2000  # characters of a text whose keys are all looked up first


class Redacted(str):
    """A text that has been through redaction, and need not again."""

    __slots__ = ()


class Policy:
    """What events may say under certain settings."""

    def __init__(self, settings: Settings) -> None:
        self.keys = normalized(settings.redact_keys)
        self.stores_prompts = settings.store_prompts
        self._known: dict[str, bool] = {}  # keys that have been met

    def applied(self, event: Mapping[str, Any]) -> Event:
        """A copy of an event, in what JSON has words for, without what may not be said."""
        walk, known, said = _Walk(self), self._known, dict[str, Any]()
        for key, value in [*event.items()]:
            name = key if type(key) is str else key_text(key)
            if value is None:
                said[name] = None
            elif name in _SPECIAL:
                self._special(said, name, value, walk)
            elif name in _FRAME and type(value) is str and '"' not in value:  # most: not worth a call
                said[name] = value
            elif name not in _FRAME and (known[name] if type(key) is str and name in known else self.hides(key, name)):
                said[name] = REDACTED
            else:
                said[name] = walk.value(value)
        return said

    def _special(self, said: Event, name: str, value: Any, walk: _Walk) -> None:
        """Put down what there is to say in a field that has a rule of its own."""
        if name == "error_message":
            said[name] = self.error(value)
        elif self.stores_prompts:
            if self.hides(name, name):
                said[name] = REDACTED
            elif name in _JSON and not issubclass(type(value), str):
                said[name] = self.json(value)
            else:
                said[name] = str(walk.value(value))[: _LONGEST.get(name)]
        elif name == "tool_call_args":
            said[name] = None  # as if there were none

    def hides(self, key: object, name: str) -> bool:
        """Whether what stands under a key, which is called `name` in JSON, is a secret."""
        hidden = self._known.get(name)
        if hidden is None:
            hidden = normal(name) in self.keys
            if len(name) <= _CACHED_KEY_MAX and len(self._known) < _CACHED_KEYS:
                self._known[name] = hidden
        if type(key) is str or hidden or not issubclass(type(key), Enum):
            return hidden
        words = (key.name, key.value)  # type: ignore[attr-defined]
        return any(isinstance(word, str) and normal(word) in self.keys for word in words)

    def plain(self, value: Any) -> Any:
        """Any value in what JSON has words for, without secrets."""
        return _Walk(self).value(value)

    def json(self, value: Any) -> Redacted:
        """The same as the text of its JSON."""
        return Redacted(to_json(self.plain(value)))

    def text(self, text: str) -> Redacted:
        """A text without secrets."""
        return Redacted(_without(text, self.keys))

    def error(self, error: object, text: str | None = None) -> Redacted:
        """What to say of an exception, or of somebody's words about one: its own text, or the `text` made of it."""
        if isinstance(error, BaseException):
            text = self.instead(error) or text or _words(error)
        elif text is None:
            text = error if type(error) is str else str(leaf(error))
        return Redacted(_loosely_without(text[:_ERROR_READ_MAX], self.keys)[:ERROR_TEXT_MAX])

    def instead(self, error: BaseException) -> str:
        """What to say of an exception instead of any text of it; empty if its text may be said.

        Without `store_prompts` only the kind, the status and the code of an exception that may quote a prompt or an
        answer: one that came out of a model's call, of openai or pydantic, or was raised because of such a one.
        """
        return "" if self.stores_prompts or not _quotes(error) else _kind(error)


class _Walk(Walk):
    """One pass over a value that leaves out secrets."""

    TOO_DEEP = "[REDACTED_DEPTH_LIMIT]"  # as the SDK says it

    READY = Redacted

    __slots__ = ("_keys", "_policy")

    def __init__(self, policy: Policy) -> None:
        super().__init__()
        self._policy, self._keys = policy, policy.keys

    def pairs(self, pairs: list[Any]) -> dict[str, Any]:
        said: dict[str, Any] = {}
        for key, value in pairs:
            name = key if type(key) is str else key_text(key)
            said[name] = REDACTED if self._policy.hides(key, name) else self.value(value)
        return said

    def text(self, text: str) -> str:
        return _without(text, self._keys)

    def description(self, text: str, value: Any) -> str:
        instead = self._policy.instead(value) if issubclass(type(value), BaseException) else ""
        return instead or _loosely_without(text, self._keys)


def normalized(keys: Iterable[str]) -> frozenset[str]:
    """Keys as they are compared: lower case, letters and digits only."""
    return frozenset(k for k in (normal(key) for key in keys) if k)


def normal(key: str) -> str:
    """One key as it is compared."""
    return "".join(c for c in key.lower() if c.isascii() and c.isalnum())


# ---------------------------------------------------------------------- texts


def _without(text: str, keys: frozenset[str]) -> str:
    """A text without what stands under one of `keys` in JSON, or in what looks like it."""
    if not keys or ('"' not in text and "'" not in text) or not _may_have(text, keys):
        return text
    patterns = _patterns()
    found = patterns.unicode_quote.sub(lambda m: "\\" * (2 * len(m[1]) - 1) + '"', text) if "\\u" in text else text
    pattern, wanted = patterns.colon, None
    if len(found) > _LONG:  # few of many keys are wanted: C finds them all in the time that Python takes for one in ten
        count = len(patterns.colon.findall(found))
        simple = patterns.simple.findall(found) if count else []
        if len(simple) == count:
            pattern = patterns.simple
            wanted = {key for key in {names[0] for names in simple} if _is_key(key, keys)}
            if not wanted:
                return text
    parts: list[str] = []
    done = at = 0
    while (colon := pattern.search(found, at)) is not None:
        at, quote = colon.end(), colon.start(pattern.groups)
        if wanted is not None and colon[1] not in wanted:
            continue
        opened = _opening(found, quote, keys)
        if opened is None:
            continue
        end, mark = _end_of_value(found, at, opened, found[quote], words=False)
        parts += (found[done:at], mark, REDACTED, mark)
        done = at = end
    return "".join((*parts, found[done:])) if parts else text


def _loosely_without(text: str, keys: frozenset[str]) -> str:
    """The same, and without what stands behind `key=`, `key:` or `Bearer`."""
    text = _without(text, keys)
    if not keys:
        return text
    patterns = _patterns()
    if "earer" in text or "EARER" in text:
        text = patterns.bearer.sub(rf"\1 {REDACTED}", text)
    if not _may_have(text, keys):
        return text
    parts: list[str] = []
    done = at = 0
    while (named := patterns.named.search(text, at)) is not None:
        at = named.end()
        words = named[1].split()
        if not any(normal("".join(words[n:])) in keys for n in range(len(words))):
            continue
        end, mark = _end_of_value(text, at, 0, "", words=named[2] == "=")
        parts += (text[done:at], mark, REDACTED, mark)
        done = at = end
    return "".join((*parts, text[done:])) if parts else text


def _may_have(text: str, keys: frozenset[str]) -> bool:
    """Whether any of `keys` can be a key in a text, in whatever spelling; a quick look that is never wrongly false."""
    data = text.encode("utf-8", "surrogatepass")
    bare = data.translate(_LOWER, _OTHERS)
    for key in keys:
        if key.encode() in bare:
            return True
    if b"\\" in data and _patterns().escape.search(text) is not None:
        return True
    return len(data) != len(text) and any(odd in text for odd in _ODD)


def _opening(text: str, quote: int, keys: frozenset[str]) -> int | None:
    """Whether the key whose closing quote is at `quote` is one of `keys`: the backslashes before its quotes; or None.

    A text of JSON in a text of JSON has a backslash before each quote; one level further in there are three.
    """
    mark, run = text[quote], _backslashes(text, quote)
    at = quote - run
    for _ in range(16):
        opening = text.rfind(mark, max(0, at - _KEY_MAX), at)
        if opening < 0:
            return None
        before = _backslashes(text, opening)
        if _closes(run, before):
            return before if _is_key(text[opening + 1 : quote - before], keys) else None
        at = opening - before
    return None


def _is_key(key: str, keys: frozenset[str]) -> bool:
    if "\\" not in key:
        return normal(key) in keys
    patterns = _patterns()
    key = patterns.unicode.sub(lambda m: chr(int(m[1], 16)), key)
    return normal(key) in keys or normal(patterns.escape.sub("", key)) in keys


def _closes(run: int, opened: int) -> bool:
    """Whether a quote with `run` backslashes before it ends what one with `opened` of them has begun."""
    if run == opened:
        return True
    while opened and not opened % 2 and not run % 2:  # Python has quoted it and doubled them
        run, opened = run // 2, opened // 2
    return opened in (0, 1, 3, 7, 15) and run % (2 * opened + 2) == opened  # behind backslashes of the text's own


def _backslashes(text: str, at: int) -> int:
    """How many stand before `at`."""
    begin = at
    while begin and text[begin - 1] == "\\":
        begin -= 1
    return at - begin


def _end_of_value(text: str, at: int, outer: int, quote: str, *, words: bool) -> tuple[int, str]:
    """Where the value that begins at `at` ends, and what to put before and behind what replaces it.

    A quoted text, or what stands in brackets; else all to the next comma, closing bracket or line, or with `words` to
    the next blank. It is within a text whose quotes have less than `outer` backslashes. Without an end, it is all.
    """
    patterns, begin, depth = _patterns(), at, 0
    mark = "\\" * outer + quote
    while (piece := patterns.piece.search(text, at)) is not None:
        at, what = piece.end(), piece[2]
        if what in "\"'":
            run = len(piece[1])
            if run < outer and what == quote:
                return piece.start(), mark
            is_key = depth > 0 and patterns.value.search(text, max(0, begin, piece.start() - 16), piece.start()) is None
            at = _end_of_text(text, at, run, what, within=is_key)
            if depth == 0:
                return at, mark if quote or piece.start() != begin else what
        elif what in "[{(<":
            depth += 1
        elif what in "]})" and depth == 0:
            return piece.start(), mark
        elif what in "]})>" and depth:
            depth -= 1
            if depth == 0:
                return at, mark
        elif depth == 0 and (what in ",;" or (piece.start() > begin and (words or what not in "& \t"))):
            return piece.start(), mark
    return len(text), mark


def _end_of_text(text: str, at: int, opened: int, mark: str, *, within: bool) -> int:
    """Behind the quote that ends what one with `opened` backslashes has begun; a key may be that, `within` brackets.

    Where Python has quoted JSON, a quote that belongs to a text looks like one that ends it behind a backslash of its
    own: `\\\\"` is either. What follows tells them apart at the first one, and then holds for the whole text.
    """
    exactly = False
    while (at := text.find(mark, at) + 1) > 0:
        run = _backslashes(text, at - 1)
        if run == opened:
            return at
        if not exactly and _closes(run, opened):
            if (_patterns().behind_any if within else _patterns().behind).match(text, at):
                return at
            exactly = True
        if run < opened:
            return at - 1 - run  # of the text that all this is in
    return len(text)


class _Patterns:
    """Compiled when the first text may have a secret in it, which most processes never meet."""

    def __init__(self) -> None:
        blank = r"(?:\s|\\+[nrt])*"
        self.colon = re.compile(rf"""(["']){blank}(?::|=>?){blank}""")
        self.simple = re.compile(rf"""["']([^"'\\]{{0,80}})\\*(["']){blank}(?::|=>?){blank}""")
        self.named = re.compile(r"(?<![\w.\-])((?:[\w.\-]+ ){0,2}[\w.\-]+)[\"']?\s*([:=])>?[^\S\n]*")
        self.bearer = re.compile(r"\b([Bb]earer|BEARER)\s+[\w.~+/=\-]*\d[\w.~+/=\-]*")
        self.piece = re.compile(r"""(?<!\\)(\\*)(["']|[\[{(<>\])},;&\s])""")
        self.value = re.compile(rf":{blank}\Z")
        self.behind = re.compile(rf"{blank}(?:[,}}\])]|\Z)")
        self.behind_any = re.compile(rf"{blank}(?:[,}}\]):]|\Z)")
        self.escape = re.compile(r"(?<!\\)\\+[nrtbfu]")
        self.unicode = re.compile(r"(?<!\\)\\+u([0-9a-fA-F]{4})")
        self.unicode_quote = re.compile(r"(?<!\\)(\\+)u0022")


@functools.cache
def _patterns() -> _Patterns:
    return _Patterns()


# ---------------------------------------------------------------------- errors


def _words(error: BaseException) -> str:
    """The text of an exception, else its kind, whatever its `__str__` does."""
    try:
        return str(error) or type(error).__name__
    except Exception as problem:
        pass_on(problem)
        return "<text not available>"


def _kind(error: BaseException) -> str:
    """An exception without its own words: kind, status, code."""
    codes = []
    for name in ("status_code", "code"):
        try:
            code = getattr(error, name, None)
        except Exception as problem:
            pass_on(problem)
            continue
        is_word = type(code) is str and code.isascii() and code.replace("_", "").isalnum()
        if type(code) is int or (is_word and not isinstance(error, SystemExit)):  # whose code may be any text
            codes.append(str(code)[:64])
    return ": ".join([type(error).__name__, *([", ".join(codes)] if codes else [])])


def _quotes(error: BaseException) -> bool:
    """Whether an exception may quote what was said to a model or by one; so may what was raised because of it."""
    met: list[BaseException] = []
    left = [error]
    while left and len(met) < _CHAIN_MAX:
        one = left.pop()
        if any(one is other for other in met):
            continue
        met.append(one)
        if any(c.__module__.partition(".")[0] in _QUOTING for c in type(one).__mro__) or _is_from_model(one):
            return True
        left += [e for e in (one.__cause__, one.__context__, *_arguments(one)) if e is not None]
        if isinstance(one, BaseExceptionGroup):
            left += one.exceptions
    return bool(left)


def _arguments(error: BaseException) -> list[BaseException]:
    """The exceptions that another one was made of: `sys.exit(error)`."""
    try:
        return [each for each in error.args if issubclass(type(each), BaseException)]
    except Exception as problem:
        pass_on(problem)
        return []


def _is_from_model(error: BaseException) -> bool:
    """Whether an exception has passed through a call of a model that we watch."""
    traceback = error.__traceback__
    while traceback is not None:
        if str(traceback.tb_frame.f_globals.get("__name__")).startswith(_PROVIDERS):
            return True
        traceback = traceback.tb_next
    return False


_PROVIDERS = f"{__name__.partition('._record.')[0]}.providers."
_LETTERS = b"abcdefghijklmnopqrstuvwxyz0123456789"
_LOWER = bytes(range(256)).lower()
_OTHERS = bytes(set(range(256)) - set(_LETTERS + _LETTERS.upper()))
_ODD = ("\u212a", "\u0130")  # no ASCII, but their lower case is
