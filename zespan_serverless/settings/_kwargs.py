"""The keyword arguments of every decorator, middleware and function that takes settings, as type checkers see them.

Imported by type checkers, editors, and code that asks for annotations at run time; never on a cold start, where making
a TypedDict takes 1.4 ms.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Literal, TypedDict

from .._base.exporter import CustomExporter
from .._base.reports import Dropped, FlushReport


class SettingsKwargs(TypedDict, total=False):
    """Every setting. `None` means "not given": then the environment variable counts, and without it the default."""

    api_key: str | None
    """Sent as `x-api-key`. Without one, and with the default base_url, telemetry is off. Default: none.
    ZESPAN_API_KEY"""
    api_key_secret: str | None
    """Where to read the key instead, when there is something to send: the ARN of a secret or parameter, or ssm:/name.
    Needs boto3. The key is kept, and read again when the backend refuses it. `api_key` wins. Default: none.
    ZESPAN_API_KEY_SECRET"""
    base_url: str | None
    """Events go to {base_url}/v1/ingest. Default: https://api.zespan.com. ZESPAN_BASE_URL"""
    environment: str | None
    """Name of the deployment, put on every event. Default: production. ZESPAN_ENVIRONMENT"""
    enabled: bool | None
    """Kill switch: if False, the decorator only calls the function. Default: True. ZESPAN_ENABLED

    In a process that pytest has started (8.2 or later sets PYTEST_VERSION), and in its children, the default is False
    if events would leave the machine: unit tests do not send to production. Events to a backend on a loopback address,
    to `console`, `memory` or an exporter of your own, and in `testing.recording()`, are sent all the same; all are if
    this is set to True."""
    service_name: str | None
    """Name of the root event. Default: the function's name. ZESPAN_SERVICE_NAME"""
    flush_mode: Literal["auto", "after_response", "before_return"] | None
    """When events are sent: `before_return`, `after_response`, or `auto`: after the response where the host supports it
    safely. Default: auto. ZESPAN_FLUSH_MODE"""
    flush_timeout: float | None
    """Longest time in seconds that one flush may take, 0.01 to 60. Default: 1.0. ZESPAN_FLUSH_TIMEOUT"""
    flush_reserve: float | None
    """Seconds that stay free before the invocation's deadline, 0.1 to 60. Default: 0.2. ZESPAN_FLUSH_RESERVE"""
    batch_size: int | None
    """Largest number of events in one request, 1 to 500. Default: 50. ZESPAN_BATCH_SIZE"""
    batch_bytes: int | None
    """Largest size of one request in bytes before compression, 1,024 to 4,194,304; a larger event is shortened.
    Default: 3,670,016 (3.5 MiB). ZESPAN_BATCH_BYTES"""
    flush_interval: float | None
    """Seconds after which a long invocation's events are sent before it ends, 0.1 to 3,600. Default: 5.0.
    ZESPAN_FLUSH_INTERVAL"""
    max_events: int | None
    """Events kept while the backend is away, 1 to 100,000; beyond that the oldest are dropped and counted.
    Default: 1,000. ZESPAN_MAX_EVENTS"""
    max_bytes: int | None
    """Bytes kept while the backend is away, 1,024 to 268,435,456. Default: 8,388,608 (8 MiB). ZESPAN_MAX_BYTES"""
    journal: Literal["auto", "on", "off"] | str | None
    """Whether events are also kept on disk until they are delivered or dropped, and where: `off`, `on` (a folder in the
    temporary directory), a folder's path, or `auto`: on where a sandbox is started anew with its disk, as Lambda does.
    Default: auto. ZESPAN_JOURNAL"""
    sample_rate: float | None
    """Share of traces kept, 0 to 1, decided by the trace id as the SDK does. Default: 1.0. ZESPAN_SAMPLE_RATE"""
    store_prompts: bool | None
    """Whether prompts, completions and tool arguments are sent. Default: True. ZESPAN_STORE_PROMPTS

    Without them, an exception that came out of a model's call, of openai or pydantic, or was raised because of such a
    one is sent as its kind, status and code, for its text may quote them. What you say yourself is sent: metadata,
    tags, names, texts of your own exceptions; so are the names and descriptions of tools, and a hash of the prompt."""
    redact_keys: Iterable[str] | None
    """Values under these keys are replaced before an event is stored or sent: at any depth of what an event holds, in
    texts of JSON, whole, cut off, within other words or within JSON, in Python's words for a dict, and in the texts of
    errors also behind `key=` and `key:`. Case and punctuation of a key do not matter. Default: password, secret, token,
    api_key. ZESPAN_REDACT_KEYS, where a comma or a semicolon separates them; where there is neither, a blank does."""
    root_event: bool | None
    """Whether every invocation sends an event of its own. Default: True. ZESPAN_ROOT_EVENT"""
    tags: Mapping[str, object] | None
    """Put on every event, keys and values as text. Default: none. ZESPAN_TAGS, as a=1,b=2"""
    exporter: Literal["zespan", "console", "memory"] | CustomExporter | None
    """Where events go: `zespan`, `console`, `memory`, or an exporter of your own, see `exporters.Exporter`.
    Default: zespan. ZESPAN_EXPORTER"""
    on_error: Callable[[Dropped], object] | None
    """Called, off the request path, with every group of events that had to be dropped. Not in the environment."""
    on_flush: Callable[[FlushReport], object] | None
    """Called, off the request path, with the report of each invocation's flush. Not in the environment."""
    debug: bool | None
    """Whether to log what every flush did. Default: False. ZESPAN_DEBUG"""
