"""Converts any value to JSON: as a copy in JSON's types, as text, as bytes, and shortened."""

from __future__ import annotations

import functools
import json
import math
from collections import UserString, deque
from collections.abc import Callable, ItemsView, Iterable, KeysView, Mapping, Sequence, Set, ValuesView
from itertools import islice
from types import SimpleNamespace
from typing import Any

from .._base.guard import pass_on

DATA_URL_MAX = 65_536  # characters; only the beginning of a longer one, such as a picture, is kept
_DEPTH_MAX = 20
ITEMS_MAX = 1_000_000  # in one walk; JSON has at least two bytes for each
_STRANGE_ITEMS_MAX = 100_000  # of a container that is not built in, and may be infinite
_DATA_URL_KEPT = 100
_BYTES_SHOWN = 1024  # of a longer one, all is shown if the beginning looks like text
_TRIES = 3  # attempts to read a container that another thread changes
PLAIN_MAX = 2**63  # numbers up to this, on both sides of 0, are copied as they are; NaN is not among them
_INT_BITS_MAX = 1024  # the range of a float; Python refuses to write very large integers


def plain(value: Any) -> Any:
    """Copy a value into JSON's types: dicts with text keys, lists, texts, numbers, booleans, None.

    Never raises, except what the user's signal handler raises. The user's value is neither changed nor consumed:
    iterators are not read, and methods that a subclass of a built-in container overrides are not called.
    """
    return Walk().value(value)


def json_encoder(**options: Any) -> Callable[[Any], str]:
    """Return the `encode` of a `json.JSONEncoder` without its work in Python per value, which costs as much as an
    event. Raises RecursionError for a cycle."""
    encoder: Any = json.JSONEncoder(check_circular=False, **options)
    inside: Any = json.encoder
    text = inside.encode_basestring_ascii if encoder.ensure_ascii else inside.encode_basestring
    rest = (encoder.key_separator, encoder.item_separator, encoder.sort_keys, encoder.skipkeys, encoder.allow_nan)
    try:
        pieces = inside.c_make_encoder(None, encoder.default, text, encoder.indent, *rest)
    except (AttributeError, TypeError):  # a Python with another implementation of `json`
        return encoder.encode  # type: ignore[no-any-return]
    return lambda value: "".join(pieces(value, 0))


def to_json(value: Any) -> str:
    """Return JSON for any value. Values without a JSON type become text. Raises only if even that is impossible."""
    try:
        return _encode(value)
    except Exception as error:  # odd keys, NaN, a cycle, too deep, or changed by another thread meanwhile
        pass_on(error)
        return _encode(plain(value))


def encode(value: Any) -> bytes:
    """Return the JSON of a value as one line of bytes."""
    return to_json(value).encode("utf-8", "replace")  # half a surrogate pair, which many parsers refuse


def leaf(value: Any) -> Any:
    """Return a value without contents: unchanged if JSON has its type, otherwise as text."""
    kind = type(value)
    try:
        if value is None or kind is bool:
            return value
        if issubclass(kind, str):
            return str.__str__(value)  # not str(): a subclass may have replaced `__str__`
        if issubclass(kind, int):
            whole = int.__pos__(value)
            return whole if whole.bit_length() <= _INT_BITS_MAX else hex(whole)  # no limit to the digits of that
        if issubclass(kind, float):
            number = float.__pos__(value)
            return number if math.isfinite(number) else str(number)  # NaN and the infinities are not JSON
        if issubclass(kind, (bytes, bytearray, memoryview)):
            data = bytes(value)
            if len(data) > _BYTES_SHOWN and b"\0" in data[:_BYTES_SHOWN]:  # a picture or a recording
                return f"<{len(data)} bytes>"
            return data.decode("utf-8", "replace")
        if hasattr(kind, "__next__"):
            return f"<{kind.__name__}>"  # some include their contents
        if kind.__module__ == "numpy" and value.shape == ():
            number = value.item()
            return leaf(number) if type(number) is not kind else str(number)
        # A MagicMock would record the call of its str().
        return str.__str__(repr(value) if kind.__module__ == "unittest.mock" else str(value))
    except Exception as error:
        pass_on(error)
        return f"<{kind.__name__}>"


class Walk:
    """One pass over a value, see `plain`. A subclass in the policy removes secrets."""

    TOO_DEEP = "[DEPTH_LIMIT]"

    __slots__ = ("_above", "_left")

    def __init__(self) -> None:
        self._above: set[int] = set()
        self._left = ITEMS_MAX

    def value(self, value: Any) -> Any:
        """Return the plain copy of one value."""
        kind = type(value)
        if kind is str:  # most contain nothing for a subclass, and save the call
            return self._text(value) if '"' in value or "'" in value or len(value) > DATA_URL_MAX else value
        is_mapping = kind is dict
        if is_mapping or kind is list:
            if not value:
                return kind()
            held = value.copy()  # in one step, because another thread may change it
        elif value is None or kind is bool or ((kind is int or kind is float) and -PLAIN_MAX < value < PLAIN_MAX):
            return value
        else:
            found = None if kind is int or kind is float else _held(value)
            if found is None:
                return self._leaf(value)
            is_mapping, held = found
        above, me = self._above, id(value)
        self._left -= len(held)
        if len(above) > _DEPTH_MAX or me in above or self._left < 0:
            return self.TOO_DEEP
        above.add(me)
        try:
            if is_mapping:
                return self.mapping(held) if type(held) is dict else self.pairs(held)
            return [self.value(v) for v in held]
        finally:
            above.discard(me)

    def mapping(self, held: dict[Any, Any]) -> dict[str, Any]:
        """Return a plain copy of a dict that is not shared."""
        return self.pairs(held.items())

    def pairs(self, pairs: Iterable[tuple[Any, Any]]) -> dict[str, Any]:
        """Return the plain copy of a mapping's pairs."""
        return {key_text(key): self.value(value) for key, value in pairs}

    def text(self, text: str) -> str:
        """Map a text."""
        return text

    def description(self, text: str, value: Any) -> str:
        """Map the `str()` or `repr()` of an object, `value`."""
        return text

    def _leaf(self, value: Any) -> Any:
        as_leaf, kind = leaf(value), type(value)
        if type(as_leaf) is not str:
            return as_leaf
        is_text = issubclass(kind, (str, bytes, bytearray))
        return self.text(as_leaf) if is_text else self.description(as_leaf, value)

    def _text(self, text: str) -> str:
        if len(text) > DATA_URL_MAX and text.startswith("data:"):
            return f"{text[:_DATA_URL_KEPT]}... [{len(text) - _DATA_URL_KEPT} of {len(text)} characters left out]"
        return self.text(text)


def key_text(key: Any) -> str:
    """Return a key as JSON spells it."""
    if type(key) is str:
        return key
    if key is None or type(key) is bool:
        return {None: "null", True: "true", False: "false"}[key]
    return str(leaf(key))


def _held(value: Any) -> tuple[bool, list[Any]] | None:
    """Return the contents of a container, a model or a record: (True, pairs) or (False, items); None for anything else.
    Decides by type: a value may misreport itself, and reading a mock changes it."""
    kind = type(value)
    for _ in range(_TRIES):
        try:
            return _contents(value, kind)
        except RuntimeError as error:  # changed meanwhile
            pass_on(error)
        except Exception as error:
            pass_on(error)
            return None
    return None


def _contents(value: Any, kind: type) -> tuple[bool, list[Any]] | None:
    if issubclass(kind, dict):
        return True, list(dict.items(value))
    if issubclass(kind, list):
        return False, list.copy(value)
    if issubclass(kind, (str, bytes, bytearray, memoryview, int, float, range)):
        return None
    if issubclass(kind, tuple):
        return _named([*tuple.__iter__(value)], getattr(kind, "_fields", None))
    for own in (set, frozenset, deque):
        if issubclass(kind, own):
            return False, [*own.__iter__(value)]
    return _fields(value, kind) or _strange(value, kind)


def _fields(value: Any, kind: Any) -> tuple[bool, list[Any]] | None:
    """Return the fields of a data class, of attrs or msgspec, of a namespace, or those set in a pydantic model."""
    if getattr(kind, "__pydantic_root_model__", False):
        return _contents(value.root, type(value.root)) or (False, [value.root])
    names: Any = getattr(kind, "__dataclass_fields__", None) or getattr(kind, "__struct_fields__", None)
    attrs = getattr(kind, "__attrs_attrs__", None)
    if isinstance(attrs, tuple):
        names = [field.name for field in attrs]
    if isinstance(names, (dict, tuple, list)):
        found = [(name, getattr(value, name, _MISSING)) for name in names]
        return True, [pair for pair in found if pair[1] is not _MISSING]
    if issubclass(kind, SimpleNamespace):
        return True, list(vars(value).items())
    given = getattr(kind, "__pydantic_fields_set__", None) or getattr(kind, "__fields_set__", None)
    if given is None:
        return None
    if hasattr(kind, "__pydantic_fields_set__"):
        given, known = value.__pydantic_fields_set__, kind.model_fields
    else:  # version 1
        given, known = value.__fields_set__, kind.__fields__
    kept = {**vars(value), **(getattr(value, "__pydantic_extra__", None) or {})}
    out = {name for name in known if name not in given} | _excluded(kind)
    return True, [pair for pair in kept.items() if pair[0] not in out]


@functools.lru_cache(maxsize=256)
def _excluded(kind: Any) -> set[str]:
    """Return the names of the fields that a class of pydantic's keeps out of what it writes."""
    known = kind.model_fields if hasattr(kind, "__pydantic_fields_set__") else kind.__fields__
    return {name for name, field in known.items() if getattr(field, "exclude", None) is True}


def model_fields(value: Any) -> dict[str, Any] | None:
    """Return the fields that are set in a model of pydantic's; None for anything else."""
    try:
        found = _fields(value, type(value)) if hasattr(type(value), "__pydantic_fields_set__") else None
    except Exception as error:
        pass_on(error)
        return None
    return dict(found[1]) if found is not None and found[0] else None


def _strange(value: Any, kind: type) -> tuple[bool, list[Any]] | None:
    """Return the contents of a third-party container, if they can be read without consuming them."""
    if issubclass(kind, Mapping):
        return True, [(key, value[key]) for key in islice(value, _STRANGE_ITEMS_MAX)]
    if issubclass(kind, ItemsView):
        return True, [*islice(value, _STRANGE_ITEMS_MAX)]
    if issubclass(kind, (Sequence, Set, KeysView, ValuesView)) and not issubclass(kind, UserString):
        return _named([*islice(value, _STRANGE_ITEMS_MAX)], getattr(value, "_fields", None))
    return None


def _named(items: list[Any], names: object) -> tuple[bool, list[Any]]:
    """Return a tuple's items, or pairs if it is a named tuple or a database row."""
    if isinstance(names, (tuple, list)) and len(names) == len(items):
        return True, [*zip(names, items, strict=True)]
    return False, items


_MISSING = object()
_encode = json_encoder(ensure_ascii=False, allow_nan=False, separators=(",", ":"), default=plain)
