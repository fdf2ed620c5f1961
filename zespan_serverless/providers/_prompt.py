"""Reads a request's messages and tools."""

from __future__ import annotations

import functools
import re
from itertools import chain
from typing import TYPE_CHECKING, Any

from .._base.guard import pass_on
from .._record.model import Prompt
from .._record.values import ITEMS_MAX, PLAIN_MAX, json_encoder, leaf, model_fields, plain, to_json
from ._fields import field, items, texts_of

if TYPE_CHECKING:
    from collections.abc import Callable

    from .._process.container import Container
    from .._record.policy import Policy
    from ._request import Request

# Patterns by which the SDK `zespan` finds an agent's name and role in a system prompt.
_AGENT_NAME = (r"You are the (\w+)Agent", r"Agent Name:\s*(\w+)")
_AGENT_ROLE = (r"Role:\s*(orchestrator|specialist|planner|executor|critic)",)
_PIECE, _DEPTH = 65_536, 8  # characters of a text that are hashed at a time, and searched for texts
_MEMORY = 10  # messages; with more, the conversation counts as remembered
_dumps = json_encoder()
_THINK, _REASON, _STEP = "think step by step", "let's reason", "step 1"


def read_prompt(request: Request, container: Container) -> Prompt:
    """Copy a request's messages and tools, as far as they may be stored, and read what they suggest of an agent."""
    messages, policy, is_stored = items(request.messages), container.policy, container.settings.store_prompts
    prompt, copy = Prompt(), policy.plain if is_stored else plain
    # Everything is read from copies, because the user may change the list at any time.
    taken, prompt.digest = _taken(messages, policy if is_stored else None)
    system = texts_of({"content": copy(request.system)}) if request.system else []
    role: Any = prompt.last_role
    turn, texts, others = 0, [*system], []
    for message in taken:
        held = message if type(message) is dict else {}
        role, content = held.get("role"), held.get("content")
        inside = ([content] if type(content) is str else texts_of(held)) if content else []
        texts += inside
        if role == "system":
            system += inside
        else:
            turn += role == "user"
            others.append(message)
    prompt.turn, prompt.last_role, prompt.has_memory = turn, str(role), len(messages) > _MEMORY
    said = "\n".join(texts).lower()
    # To search for a rare character takes a tenth of the time.
    prompt.is_planning = ("1" in said and _STEP in said) or _THINK in said or ("'" in said and _REASON in said)
    if system:
        _read_agent(prompt, system)
    if is_stored:
        prompt.system = "\n".join(system)
        prompt.messages = others
    tools = items(request.tools)
    if tools:
        described = [{"name": leaf(field(tool, "name")), "description": field(tool, "description")} for tool in tools]
        prompt.tools = _simple(described, policy) or policy.plain(described)
    return prompt


def _taken(messages: list[Any], policy: Policy | None) -> tuple[list[Any], str]:
    """Return copies of messages, and the digest of all. With a policy, the copies are without secrets."""
    simple = _simple(messages, policy)
    if simple is not None:
        return simple, _digest(simple)
    walk = plain if policy is None else policy.plain
    copying = _Copying(walk)
    try:
        taken: Any = copying.copy(messages)
    except RecursionError as error:  # the walk shortens what is deep, and a cycle
        pass_on(error)
        taken, copying.is_plain = walk(messages), False
    digest = _digest(taken, copying.has_models) if copying.is_plain else _digest_in_pieces(messages)
    if policy is not None and not policy.shows(copying.keys, "\n".join(copying.texts)):
        taken = walk(taken)
    return taken if type(taken) is list else [], digest  # it is a text if it has too many parts


def _digest(messages: list[Any], had_models: bool = False) -> str:
    """Return the SDK's prompt_hash: SHA-256 of the messages' json.dumps, or of other JSON if they `had_models`."""
    try:
        text = to_json(messages) if had_models else _dumps(messages)
        return str(_sha256()(text.encode("utf-8", "replace")).hexdigest())
    except Exception as error:  # keys that JSON does not have
        pass_on(error)
        return _digest_in_pieces(messages)


def _digest_in_pieces(messages: list[Any]) -> str:
    """Do the same with messages of any kind: pictures and other long texts are not copied as a whole."""
    digest: Any = _sha256()(b"")
    long: list[str] = []
    mark = f"\0{id(long)}\0"  # JSON has one spelling, which no prompt can guess

    def short(value: Any, depth: int = 0) -> Any:
        if type(value) is str and len(value) > _PIECE:
            long.append(value)
            return mark
        if type(value) is dict and depth < _DEPTH:
            return {key: short(held, depth + 1) for key, held in value.items()}
        return [short(held, depth + 1) for held in value] if type(value) is list and depth < _DEPTH else value

    try:
        text = _dumps(short(messages))
    except Exception as error:  # the client's own objects; unreadable containers
        pass_on(error)
        long.clear()
        text = to_json(messages)
    for number, part in enumerate(text.split(_dumps(mark)) if long else (text,)):
        if number:
            digest.update(b'"')
            whole = long[number - 1]
            for at in range(0, len(whole), _PIECE):
                digest.update(_dumps(whole[at : at + _PIECE])[1:-1].encode("ascii"))
            digest.update(b'"')
        digest.update(part.encode("utf-8", "replace"))
    return str(digest.hexdigest())


def _simple(messages: list[Any], policy: Policy | None) -> list[dict[str, str]] | None:
    """Copy messages that are dicts of short texts without secrets, as most are; None if any is different."""
    copies: list[dict[str, str]] = []
    for message in messages:
        if type(message) is not dict:
            return None
        copies.append(message.copy())  # in one step, because another thread may change it
    keys, texts = [*chain.from_iterable(copies)], [*chain.from_iterable(map(dict.values, copies))]
    for part in chain(texts, keys):
        if type(part) is not str:
            return None
    said = "\n".join(texts)
    return copies if len(said) <= _PIECE and (policy is None or policy.shows(keys, said)) else None


class _Copying:
    """One pass over other messages that copies them, and collects what may contain a secret: `keys` and `texts`.

    Dicts, lists, models and short texts are copied as they are. `walk` copies everything else, and removes secrets.
    Raises RecursionError if there is too much.
    """

    __slots__ = ("_left", "_walk", "has_models", "is_plain", "keys", "texts")

    def __init__(self, walk: Callable[[Any], Any]) -> None:
        self._walk, self._left = walk, ITEMS_MAX
        self.keys: list[Any] = []
        self.texts: list[str] = []
        self.is_plain = True  # nothing had to be walked
        self.has_models = False

    def copy(self, value: Any, depth: int = 0) -> Any:
        """Return a copy of a dict or a list."""
        copy = value.copy()  # in one step, because another thread may change it
        self._left -= len(copy)
        if depth > _DEPTH or self._left < 0:
            raise RecursionError
        if type(copy) is dict:
            self.keys += copy
        for at, held in copy.items() if type(copy) is dict else enumerate(copy):
            kind = type(held)
            if kind is str and len(held) <= _PIECE:
                self.texts.append(held)
            elif kind is dict or kind is list:
                copy[at] = self.copy(held, depth + 1)
            elif held is not None and kind is not bool and not (kind is int and -PLAIN_MAX < held < PLAIN_MAX):
                copy[at] = self._other(held, depth)
        return copy

    def _other(self, value: Any, depth: int) -> Any:
        """Return a copy of anything else. An answer that the user has put back is a model of pydantic's."""
        if (fields := model_fields(value)) is None:
            self.is_plain = False
            return self._walk(value)
        self.has_models = True
        return self.copy(fields, depth + 1)


@functools.cache
def _sha256() -> Callable[[bytes], Any]:
    from hashlib import sha256  # imported here, because a cold start may not need it

    return sha256


def _read_agent(prompt: Prompt, system: list[str]) -> None:
    """Read an agent's name and role from the texts of the system prompt."""
    said = "\n".join(system).lower()
    # Few prompts have these words, and a plain search takes a tenth of a pattern's time.
    if "agent" in said:
        prompt.agent_name = _found(_AGENT_NAME, system)
    if "role:" in said and (role := _found(_AGENT_ROLE, system)):
        prompt.agent_role = role.lower()


def _found(patterns: tuple[str, ...], texts: list[str]) -> str | None:
    """Return the first match in the first text that has one."""
    matches = (re.search(pattern, text, re.IGNORECASE) for text in texts for pattern in patterns)
    return next((match[1] for match in matches if match), None)
