"""What an event says about a request's messages and tools, and about the answer."""

from __future__ import annotations

import contextlib
import json
import re
from typing import TYPE_CHECKING, Any

from ..._base.guard import pass_on
from ..._record.event import leaf, plain, to_json
from ..._record.redaction import Redacted

if TYPE_CHECKING:
    from ..._process.container import Container

# US dollars per million (input, cached input, output) tokens, https://platform.openai.com/docs/pricing: the models that
# the SDK `zespan` 1.6.1 prices, also by the dated names in which OpenAI answers.
_GPT_4O, _GPT_4O_MINI = (2.50, 1.25, 10.00), (0.15, 0.075, 0.60)
_PRICES = {
    "gpt-4o": _GPT_4O,
    "gpt-4o-2024-08-06": _GPT_4O,
    "gpt-4o-2024-11-20": _GPT_4O,
    "gpt-4o-mini": _GPT_4O_MINI,
    "gpt-4o-mini-2024-07-18": _GPT_4O_MINI,
}

# The names of OpenTelemetry's `gen_ai.provider.name`, by the end of the host.
_PROVIDERS = {
    "api.openai.com": "openai",
    "openai.azure.com": "azure.ai.openai",
    "services.ai.azure.com": "azure.ai.openai",
    "cognitiveservices.azure.com": "azure.ai.openai",
    "openai.com": "openai",
    "openrouter.ai": "openrouter",
    "deepseek.com": "deepseek",
    "groq.com": "groq",
    "mistral.ai": "mistral_ai",
    "x.ai": "x_ai",
    "perplexity.ai": "perplexity",
    "moonshot.ai": "moonshot_ai",
    "moonshot.cn": "moonshot_ai",
    "cohere.com": "cohere",
    "cohere.ai": "cohere",
    "anthropic.com": "anthropic",
    "generativelanguage.googleapis.com": "gcp.gemini",
    "aiplatform.googleapis.com": "gcp.vertex_ai",
    "amazonaws.com": "aws.bedrock",
    "api.aws": "aws.bedrock",
}
UNKNOWN_PROVIDER = "openai"
"""At an address that says nothing of who answers (this machine, a private network): what the SDK says, because it may
be a proxy for OpenAI as well as a model of one's own."""

# What the SDK takes for an agent's name and role in a system prompt.
_AGENT_NAME = (r"You are the (\w+)Agent", r"Agent Name:\s*(\w+)")
_AGENT_ROLE = (r"Role:\s*(orchestrator|specialist|planner|executor|critic)",)
_PIECE, _DEPTH = 65_536, 8  # characters of a text that are hashed at a time, and where texts are
_MEMORY = 10  # messages; more, and the conversation counts as remembered
_PLANNING = ("think step by step", "let's reason", "step 1")
_COUNT_MAX, _COST_MAX = 2**53, 1e9  # more is a mistake
_NOWHERE = frozenset(("localhost", "local", "internal", "lan", "home", "svc", "test", "example", "invalid"))
_SECOND_LEVEL = frozenset(("co", "com", "net", "org", "ac", "gov", "edu"))


class Prompt:
    """What an event says about the request's messages and tools."""

    def __init__(self, messages: Any, tools: Any, container: Container) -> None:
        messages = _items(messages)  # an iterator is openai's to read
        # Taken now, and all else from it: the user may change what is in the list, even while we look at it.
        taken = container.policy.plain(messages) if container.settings.store_prompts else plain(messages)
        taken = taken if isinstance(taken, list) else []
        roles = [role if isinstance(role := field(message, "role"), str) else str(role) for message in taken]
        texts = [_texts(message) for message in taken]
        system = [text for role, said in zip(roles, texts, strict=True) if role == "system" for text in said]
        lower = [text.lower() for said in texts for text in said]
        self.turn = roles.count("user")
        self.last_role = roles[-1] if roles else "user"
        self.digest = _digest(messages)
        self.planning = any(words in text for text in lower for words in _PLANNING)
        self.memory = len(messages) > _MEMORY
        # Few prompts have these words, and to look for one takes a tenth of what a pattern takes.
        self.agent_name = _found(_AGENT_NAME, system) if any("agent" in text for text in lower) else None
        self.agent_role = _found(_AGENT_ROLE, system) if any("role:" in text for text in lower) else None
        self.system = self.text = Redacted()
        if container.settings.store_prompts:
            self.system = Redacted("\n".join(system))
            talk = [message for message, role in zip(taken, roles, strict=True) if role != "system"]
            self.text = Redacted(to_json(talk))
        functions = [function_of(tool) for tool in _items(tools)]
        self.tools = [{"name": leaf(field(f, "name")), "description": field(f, "description")} for f in functions if f]


class Answer:
    """What an event says about the response, an object of the client's or the same in dicts.

    `text` is the first choice's: its content, else its refusal, else what its audio says. `others` are those of further
    choices. `known` tells whether there was any word about tokens.
    """

    def __init__(self) -> None:
        self.model = self.text = self.finish_reason = ""
        self.input_tokens = self.output_tokens = self.reasoning_tokens = 0
        self.cached_tokens = self.cache_write_tokens = 0
        self.known = False
        self.cost: float | None = None  # what the answer itself says that it has cost
        self.audio = False  # whose tokens have prices of their own
        self.first_token_ms: float | None = None
        self.others: list[str] = []
        self.tools: dict[str, Any] = {}
        self.calls: dict[str, int] = {}  # of each tool

    @classmethod
    def of(cls, completion: Any) -> Answer:
        answer = cls()
        answer.model = text_of(completion, "model")
        answer.count(field(completion, "usage"))
        for number, choice in enumerate(_items(field(completion, "choices"))):
            message = field(choice, "message")
            text = "".join(_texts(message)) or text_of(message, "refusal")
            text = text or text_of(field(message, "audio"), "transcript")
            if number == 0:
                answer.text, answer.finish_reason = text, text_of(choice, "finish_reason")
            else:
                answer.others.append(text)
            for call in _items(field(message, "tool_calls")):
                function = function_of(call)
                answer.tool(text_of(function, "name"), arguments_of(function))
            legacy = field(message, "function_call")
            if legacy is not None:
                answer.tool(text_of(legacy, "name"), arguments_of(legacy))
        return answer

    def count(self, usage: Any) -> None:
        """Take over the numbers of tokens. Cached ones are part of the input, those of reasoning of the output."""
        if usage is None:
            return
        before, after = field(usage, "prompt_tokens_details"), field(usage, "completion_tokens_details")
        self.known = all(_is_count(field(usage, name)) for name in ("prompt_tokens", "completion_tokens"))
        self.input_tokens = _count(usage, "prompt_tokens")
        self.output_tokens = _count(usage, "completion_tokens")
        self.reasoning_tokens = _count(after, "reasoning_tokens")
        # The others are DeepSeek's, and Anthropic's behind a proxy.
        self.cached_tokens = _count(before, "cached_tokens") or _count(usage, "prompt_cache_hit_tokens")
        self.cache_write_tokens = _count(before, "cache_write_tokens") or _count(before, "cache_creation_tokens")
        self.audio = bool(_count(before, "audio_tokens") or _count(after, "audio_tokens"))
        cost = field(usage, "cost")  # OpenRouter's
        self.cost = float(cost) if type(cost) in (int, float) and 0 <= cost < _COST_MAX else None

    def tool(self, name: str, arguments: str) -> None:
        """Note a call of a tool. If there are several of one, their arguments become a list."""
        if not name:
            return
        said: Any = arguments
        with contextlib.suppress(ValueError, RecursionError):
            said = json.loads(arguments)
        self.calls[name] = self.calls.get(name, 0) + 1
        if self.calls[name] == 1:
            self.tools[name] = said
        elif self.calls[name] == 2:
            self.tools[name] = [self.tools[name], said]
        else:
            self.tools[name].append(said)


def cost(model: str, answer: Answer) -> float | None:
    """US dollars; None if the number of tokens or the price of one is not known."""
    if answer.cost is not None:
        return answer.cost
    prices = _PRICES.get(model.rsplit("/", 1)[-1])  # OpenRouter: openai/gpt-4o
    if prices is None or not answer.known or answer.audio:
        return None
    cached = min(answer.cached_tokens, answer.input_tokens)
    tokens = (answer.input_tokens - cached, cached, answer.output_tokens)
    return sum(count * price for count, price in zip(tokens, prices, strict=True)) / 1_000_000


def provider_at(base_url: str, client: str = "") -> str:
    """Who answers at an address, as far as that says it; `client` is the name of the client's class."""
    if "openrouter.ai" in base_url:  # as in the SDK, wherever it stands: proxies keep it in the path
        return "openrouter"
    if "Azure" in client:
        return "azure.ai.openai"
    if not base_url:
        return "openai"
    host = base_url.partition("://")[2].partition("/")[0].rpartition("@")[2].lower()
    host = "" if host.startswith("[") else host.partition(":")[0].rstrip(".")
    for end, name in _PROVIDERS.items():
        if host == end or host.endswith("." + end):
            return name
    parts = host.split(".")
    if len(parts) < 2 or parts[-1].isdigit() or parts[-1] in _NOWHERE:
        return UNKNOWN_PROVIDER
    return parts[-3] if len(parts) > 2 and parts[-2] in _SECOND_LEVEL else parts[-2]


def _digest(messages: list[Any]) -> str:
    """The SDK's prompt_hash: SHA-256 of what json.dumps makes of the messages as they were passed.

    Pictures and other long texts are put through in pieces: there need not be room for them twice more.
    """
    import hashlib

    digest, long = hashlib.sha256(), list[str]()
    mark = f"\0{id(long)}\0"  # JSON spells it in one way, and no prompt can know it

    def short(value: Any, depth: int = 0) -> Any:
        if type(value) is str and len(value) > _PIECE:
            long.append(value)
            return mark
        if type(value) is dict and depth < _DEPTH:
            return {key: short(held, depth + 1) for key, held in value.items()}
        return [short(held, depth + 1) for held in value] if type(value) is list and depth < _DEPTH else value

    try:
        text = json.dumps(short(messages))
    except Exception as error:  # objects of the client's; containers that cannot be read
        pass_on(error)
        long.clear()
        text = to_json(messages)
    for number, part in enumerate(text.split(json.dumps(mark)) if long else (text,)):
        if number:
            digest.update(b'"')
            whole = long[number - 1]
            for at in range(0, len(whole), _PIECE):
                digest.update(json.dumps(whole[at : at + _PIECE])[1:-1].encode("ascii"))
            digest.update(b'"')
        digest.update(part.encode("utf-8", "replace"))
    return digest.hexdigest()


def field(value: Any, name: str) -> Any:
    """A field of a dict or of an object: messages and tools may be either."""
    if issubclass(type(value), dict):
        return dict.get(value, name)
    try:
        return getattr(value, name, None)
    except Exception as error:
        pass_on(error)
        return None


def text_of(value: Any, name: str) -> str:
    text = field(value, name)
    return str.__str__(text) if issubclass(type(text), str) else ""


def _count(value: Any, name: str) -> int:
    """A number of tokens; 0 for what cannot be one."""
    count: int = field(value, name)
    return count if _is_count(count) else 0


def _is_count(value: Any) -> bool:
    return type(value) is int and 0 <= value <= _COUNT_MAX


def _items(value: Any) -> list[Any]:
    return list(value) if issubclass(type(value), (list, tuple)) else []


def function_of(value: Any) -> Any:
    """What a tool or a call of one says about the function: custom tools have their own word for it."""
    return field(value, "function") or field(value, "custom")


def arguments_of(function: Any) -> str:
    return text_of(function, "arguments") or text_of(function, "input")


def _found(patterns: tuple[str, ...], texts: list[str]) -> str | None:
    """The first match in the first text that has one."""
    matches = (re.search(pattern, text, re.IGNORECASE) for text in texts for pattern in patterns)
    return next((match[1] for match in matches if match), None)


def _texts(message: Any) -> list[str]:
    """The text parts of a message's content."""
    content = field(message, "content")
    if isinstance(content, str):
        return [content] if content else []
    parts = content if isinstance(content, (list, tuple)) else []
    texts = (part if isinstance(part, str) else field(part, "text") for part in parts)
    return [text for text in texts if isinstance(text, str)]
