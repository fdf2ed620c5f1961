"""Makes docs/settings.md from the code: `SettingsKwargs` has the descriptions, `FIELDS` the defaults and variables.

python -m tools.settings
"""

from __future__ import annotations

import ast
import inspect
import re
import textwrap
from pathlib import Path

from zespan_serverless import types
from zespan_serverless.settings import _kwargs
from zespan_serverless.settings._fields import FIELDS, Field

TARGET = Path(__file__).parents[1] / "docs" / "settings.md"
WIDTH = 120  # characters of a line

GROUPS = {
    "Destination": (
        *("api_key", "api_key_secret", "base_url", "exporter", "headers", "http_client", "console_format"),
        *("fallback", "fallback_after", "enabled"),
    ),
    "Delivery": (
        *("flush_mode", "flush_timeout", "flush_reserve", "flush_interval", "batch_size", "batch_bytes", "max_events"),
        *("max_bytes", "journal", "cap_timeouts", "flush"),
    ),
    "Content": (
        *("environment", "service_name", "tags", "user_id", "session_id", "conversation_id", "root_event"),
        *("store_prompts", "redact_keys", "sample_rate", "sample_errors", "propagate_to"),
    ),
    "Reports": ("on_error", "on_flush", "debug"),
}
MORE = {
    "api_key_secret": "security.md#the-key-in-aws",
    "exporter": "backends.md, stores.md, destinations.md",
    "headers": "backends.md",
    "http_client": "backends.md#your-own-http-client",
    "console_format": "see-it.md#in-the-terminal",
    "fallback": "parking.md",
    "fallback_after": "parking.md",
    "enabled": "testing.md#nothing-is-sent-by-accident",
    "flush_mode": "delivery.md",
    "flush_timeout": "delivery.md",
    "flush_reserve": "delivery.md",
    "journal": "delivery.md#what-survives-a-crash",
    "cap_timeouts": "deadlines.md",
    "flush": "other-sdks.md",
    "user_id": "by-hand.md#users-sessions-conversations-tags",
    "store_prompts": "security.md#what-leaves-the-function",
    "redact_keys": "security.md#what-leaves-the-function",
    "sample_rate": "tracing.md#which-traces-are-kept",
    "sample_errors": "tracing.md#which-traces-are-kept",
    "propagate_to": "tracing.md#in-every-request",
}

HEAD = """# Settings

<!-- `python -m tools.settings` makes this page from zespan_serverless/settings/_kwargs.py. -->

Every setting is a keyword argument of every decorator, of every middleware and of `init()`. Most settings are also
environment variables: `ZESPAN_` and the name in upper case. Code takes precedence over the environment.

* **A mistake in code** raises `ConfigurationError` while the function is decorated, and names the nearest setting.
* **A mistake in the environment** is logged once and ignored, because the environment may change without a deployment.
  Settings that keep data back are the exception: if the value of `ZESPAN_ENABLED` or `ZESPAN_STORE_PROMPTS` cannot be
  read, it counts as off, and a misspelled variable that would keep data back is obeyed.
* **A number that is out of range** is replaced by the nearest valid one, which is logged.
* **Type checkers** know every setting, its type and its choices: `flush_timout=0.5` and `flush_mode="later"` are errors
  in your editor, which completes the names of settings and shows the text of the one under the pointer.
* **Proxies**: `HTTPS_PROXY`, `HTTP_PROXY`, `ALL_PROXY` and `NO_PROXY` are honoured.
"""
TAIL = """
## Types

{types}
"""


def descriptions() -> dict[str, str]:
    """Return the docstring of each setting in `SettingsKwargs`, as paragraphs of one line."""
    (cls,) = [
        node for node in ast.parse(inspect.getsource(_kwargs.SettingsKwargs)).body if isinstance(node, ast.ClassDef)
    ]
    found: dict[str, str] = {}
    for name, text in zip(cls.body, cls.body[1:], strict=False):
        if isinstance(name, ast.AnnAssign) and isinstance(name.target, ast.Name) and isinstance(text, ast.Expr):
            value = ast.literal_eval(text.value)
            found[name.target.id] = "\n\n".join(" ".join(part.split()) for part in value.split("\n\n"))
    return found


def default(field: Field) -> str:
    """Return the default of a setting, as it is written in the environment; empty if there is none."""
    value = field.default
    return ",".join(value) if isinstance(value, tuple) else "" if value is None else str(value)


def page() -> str:
    """Return the whole page."""
    texts = descriptions()
    parts = [HEAD]
    for title, names in GROUPS.items():
        parts.append(f"\n## {title}\n\n| Setting | Default | Values |\n| --- | --- | --- |\n")
        parts += [_row(FIELDS[name]) for name in names]
        parts += [_section(name, texts[name]) for name in names]
    listed = ", ".join(f"`{name}`" for name in sorted(dir(types)) if name != "SettingsKwargs")
    text = (
        f"`zespan_serverless.types` has the types for annotations in your own code: {listed}, and `SettingsKwargs` for "
        "functions that pass settings on (`**settings: Unpack[SettingsKwargs]`)."
    )
    return "".join(parts) + TAIL.format(types=_wrapped(text))


def _row(field: Field) -> str:
    value = f"`{default(field)}`" if default(field) else ""
    choices = ", ".join(f"`{choice}`" for choice in field.choices) if len(field.choices) < 5 else ""
    limits = " to ".join(map(_number, field.bounds)) if field.bounds else choices
    return f"| [`{field.name}`](#{field.name}) | {value} | {limits} |\n"


def _number(value: float) -> str:
    return f"{int(value) if value == int(value) else value:,}"


def _section(name: str, text: str) -> str:
    text = re.sub(r"(?<!`)\b(ZESPAN_[A-Z_]+|PYTEST_VERSION|None|True|False)\b(?![`(])", r"`\1`", text)
    text = re.sub(r"docs/([\w-]+\.md)", r"[\1](\1)", text)
    text, _, rest = text.partition("\n\n")
    text, _, value = text.partition(" Default: ")
    paragraphs = [text, *filter(None, rest.split("\n\n"))]
    if value:
        paragraphs.append(f"Default: {value.rstrip('.')}.")
    if links := [f"[{link.partition('#')[0]}]({link})" for link in MORE.get(name, "").split(", ") if link]:
        paragraphs[-1] += f" More: {', '.join(links)}."
    return f"\n### `{name}`\n\n" + "\n\n".join(map(_wrapped, paragraphs)) + "\n"


def _wrapped(text: str) -> str:
    return textwrap.fill(text, WIDTH, break_long_words=False, break_on_hyphens=False)


def main() -> None:
    TARGET.write_text(page())


if __name__ == "__main__":
    main()
