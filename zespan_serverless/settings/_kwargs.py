"""`SettingsKwargs`: the keyword arguments of every decorator, middleware and function that takes settings.

It is for type checkers, editors, and code that reads annotations at run time. It is not imported at a cold start, where
creating a TypedDict takes 1.4 ms.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, Literal, Protocol, TypedDict

from .._base.exporter import CustomExporter, Fallback
from .._base.http_client import HttpClient
from .._base.reports import Dropped, FlushReport

ExporterName = Literal[
    "zespan",
    "console",
    "memory",
    "carbon",
    "otlp",
    "collector",
    "braintrust",
    "datadog",
    "grafana",
    "honeycomb",
    "langfuse",
    "langsmith",
    "logfire",
    "newrelic",
    "phoenix",
    "sentry",
]
SdkName = Literal[
    "agents", "braintrust", "ddtrace", "langfuse", "langsmith", "logfire", "opentelemetry", "posthog", "sentry"
]


class Strings(Protocol):
    """Several strings: a list, a tuple or a set. One string is none of them, although it can be iterated."""

    def __iter__(self) -> Iterator[str]:
        """Return the strings."""
        ...

    def __contains__(self, value: object, /) -> bool:
        """Whether it is one of them. That of a str takes only a str, so that type checkers find one string."""
        ...


class ForceFlushes(Protocol):
    """An object of another SDK with `force_flush`, as OpenTelemetry's providers have it."""

    @property
    def force_flush(self) -> Callable[..., object]:
        """The method to call."""
        ...


class Flushes(Protocol):
    """An object or a module of another SDK with `flush`."""

    @property
    def flush(self) -> Callable[..., object]:
        """The method to call."""
        ...


class FlushesTraces(Protocol):
    """An object of another SDK with `flush_traces`."""

    @property
    def flush_traces(self) -> Callable[..., object]:
        """The method to call."""
        ...


class SettingsKwargs(TypedDict, total=False):
    """Every setting. `None` means "not given": the environment variable applies, or else the default.

    A wrong name or type raises ConfigurationError. A number out of range is replaced by the nearest valid one.
    """

    api_key: str | None
    """Your API key, sent as `x-api-key`. Without a key, and with the default base_url, telemetry is off. Default: none.
    ZESPAN_API_KEY"""
    api_key_secret: str | None
    """Where AWS keeps the key: the ARN of a secret or parameter, or ssm:/name. It is read with boto3 before the first
    request, and again when the backend refuses it. `api_key` takes precedence. Default: none. ZESPAN_API_KEY_SECRET"""
    base_url: str | None
    """Events are sent to {base_url}/v1/ingest; by OTLP to {base_url}/v1/traces, or the backend's own path. Default:
    https://api.zespan.com; by OTLP see docs/backends.md. ZESPAN_BASE_URL"""
    environment: str | None
    """Name of the deployment, which every event gets. Default: production. ZESPAN_ENVIRONMENT"""
    enabled: bool | None
    """Kill switch: if False, the decorator only calls the function. Default: True. ZESPAN_ENABLED

    In pytest and its child processes (recognized by PYTEST_VERSION, which pytest sets from 8.2 on) the default is False
    if events would leave the machine, so that unit tests do not send to production. It stays True for a backend on a
    loopback address, for `console`, `memory` or an exporter of your own, and in `testing.recording()`."""
    service_name: str | None
    """Name of the root event. Default: the function's name. ZESPAN_SERVICE_NAME"""
    flush_mode: Literal["auto", "after_response", "before_return"] | None
    """When events are sent: `before_return`, `after_response`, or `auto`, which is after the response where the host
    supports that safely. Default: auto. ZESPAN_FLUSH_MODE"""
    flush_timeout: float | None
    """Seconds that one flush may take at most, 0.01 to 60. Default: 1.0. ZESPAN_FLUSH_TIMEOUT"""
    flush_reserve: float | None
    """Seconds that stay free before the invocation's deadline, 0.1 to 60. Default: 0.2. ZESPAN_FLUSH_RESERVE"""
    cap_timeouts: bool | float | None
    """Whether a model call ends before its invocation does, with the SDK's own timeout error, so that the function can
    still answer. A number is the seconds to keep for that, in addition to `flush_reserve`, 0 to 900. True is 0.5;
    False is 0.0, which is off. Default: 0.0. ZESPAN_CAP_TIMEOUTS, where 1 means True: write 1.0 for one second"""
    batch_size: int | None
    """Largest number of events in one request, 1 to 500. 50 waiting events, or this number if it is smaller, are sent
    without waiting for flush_interval. If the backend refuses more than 50 at once, later requests have at most 50.
    Default: 500. ZESPAN_BATCH_SIZE"""
    batch_bytes: int | None
    """Largest size of one request in bytes, before compression, 1,024 to 4,194,304. A larger event is shortened.
    Default: 3,670,016 (3.5 MiB). ZESPAN_BATCH_BYTES"""
    flush_interval: float | None
    """Seconds after which events of a long invocation are sent before its end, 0.1 to 3,600. Default: 5.0.
    ZESPAN_FLUSH_INTERVAL"""
    max_events: int | None
    """Events kept while the backend is unreachable or cannot keep up, 1 to 100,000. Beyond that the oldest are dropped
    and counted: set it above the number of records in your largest batch. Default: 1,000. ZESPAN_MAX_EVENTS"""
    max_bytes: int | None
    """Bytes of events kept while the backend is unreachable, 1,024 to 268,435,456. Default: 8,388,608 (8 MiB).
    ZESPAN_MAX_BYTES"""
    journal: Literal["auto", "on", "off"] | str | None
    """Whether and where events are also kept on disk until they are delivered or dropped: `off`, `on` (a folder in the
    temporary directory), the path of a folder, or `auto`, which is on where a new process may find the disk of the one
    before, as on Lambda. Default: auto. ZESPAN_JOURNAL"""
    sample_rate: float | None
    """Share of traces that is sent, 0 to 1, chosen by trace id as the SDK does. Default: 1.0. ZESPAN_SAMPLE_RATE"""
    sample_errors: bool | None
    """Whether traces that `sample_rate` leaves out are sent if they fail: everything that this process records of the
    trace from the first event with status error, timeout or crashed on, and the events of the invocation before. Up to
    500 are held back in memory for it until the invocation ends. Default: False. ZESPAN_SAMPLE_ERRORS"""
    store_prompts: bool | None
    """Whether prompts, completions and tool arguments are sent. Default: True. ZESPAN_STORE_PROMPTS

    If False, exceptions of model calls, of openai and pydantic, and those raised from them, are sent without their
    text, which may quote prompts, but with type, status and code. Your own metadata, tags, names and exception texts
    are still sent, and so are names and descriptions of tools, and a hash of the prompt."""
    redact_keys: Strings | Iterator[str] | None
    """Values under these keys are replaced before an event is stored or sent: at any depth of an event, in strings that
    contain JSON (also incomplete or nested) or the repr of a dict, and in texts of errors after `key=` and `key:`. Case
    and punctuation of a key do not matter. Default: password, secret, token, api_key. ZESPAN_REDACT_KEYS, separated by
    commas or semicolons, or, without either, by spaces"""
    propagate_to: Strings | Iterator[str] | None
    """Hosts and AWS services whose requests (httpx, requests, urllib3, aiohttp) and messages (boto3) get the context of
    the current span: hosts (`api.example.com`, with or without a port), suffixes (`*.example.com`), and `aws:sqs`,
    `aws:sns`, `aws:events` and `aws:lambda`. Default: none. ZESPAN_PROPAGATE_TO, separated by commas"""
    root_event: bool | None
    """Whether each invocation sends a root event of its own. Default: True. ZESPAN_ROOT_EVENT"""
    tags: Mapping[str, object] | None
    """Tags that every event gets; keys and values are converted to strings. Default: none. ZESPAN_TAGS, as a=1,b=2"""
    user_id: Callable[[Any], object] | None
    """A function that returns the user of an invocation. It is called once per invocation, before your function, with
    the first argument of your function: the event, the request, the ASGI scope or the WSGI environ. All events of the
    invocation get its result, as text. After None or an exception, which is logged, they have no user. Each decorated
    function or middleware has its own. Default: none. Not in the environment, not in `init()`"""
    session_id: Callable[[Any], object] | None
    """The same as `user_id`, for the session. Default: none. Not in the environment, not in `init()`"""
    conversation_id: Callable[[Any], object] | None
    """The same as `user_id`, for the conversation: OpenTelemetry's `gen_ai.conversation.id`. Default: none. Not in the
    environment, not in `init()`"""
    exporter: ExporterName | CustomExporter | Sequence[ExporterName | CustomExporter] | None
    """Where events are sent: `zespan`, `carbon`, `console`, `memory`, `otlp`, the name of a backend that takes OTLP,
    an exporter of your own, see `exporters.Exporter`, or `exporters.stores.exporter_to` a queue. Of a list each
    destination gets every event. Default: zespan. ZESPAN_EXPORTER, separated by commas, also with URLs of stores"""
    console_format: Literal["auto", "tree", "json"] | None
    """What the exporter `console` prints: `tree`, traces for people; `json`, one document a line; or `auto`, which is a
    tree on a terminal. Default: auto. ZESPAN_CONSOLE_FORMAT"""
    headers: Mapping[str, str] | None
    """Headers of each request, in addition to the others, if events are sent by OTLP; secret. Default: none.
    ZESPAN_HEADERS, as a=1,b=2"""
    http_client: HttpClient | Callable[[], HttpClient] | None
    """An HTTP client that replaces the built-in connection, for client certificates, proxies and HTTP/2: an
    `httpx.Client`, one of httpx2, or a function that makes one, which a forked process calls again. Only a client that
    the function has made is closed. Default: none. Not in the environment"""
    fallback: Fallback | str | None
    """Where events are parked if the backend cannot take them in time: at the end of the process, before the buffer is
    full, and in a long outage. The path of a directory that outlives the sandbox, a URL such as
    file:///mnt/efs/parking, or an exporter of your own, whose `send` gets the events as the backend would. Then they
    are neither pending nor dropped, but parked. Default: none. ZESPAN_FALLBACK"""
    fallback_after: float | None
    """Seconds without the backend after which a flush parks events instead of keeping them, 0 to 86,400. Default: 60.0.
    ZESPAN_FALLBACK_AFTER"""
    flush: Sequence[SdkName | Flushes | FlushesTraces | ForceFlushes | Callable[..., object]] | None
    """Other SDKs to flush together with these events, in the same time: their names (`agents`, `braintrust`, `ddtrace`,
    `langfuse`, `langsmith`, `logfire`, `opentelemetry`, `posthog`, `sentry`), objects with `force_flush`, `flush` or
    `flush_traces`, or functions, also `async def`. Default: none. ZESPAN_FLUSH, names separated by commas"""
    on_error: Callable[[Dropped], object] | None
    """A function that is called, off the request path, with each group of events that was dropped, see
    `types.Dropped`. Not in the environment"""
    on_flush: Callable[[FlushReport], object] | None
    """A function that is called, off the request path, with the report of each invocation's flush, see
    `types.FlushReport`. Not in the environment"""
    debug: bool | None
    """Whether to log the report of every flush. Default: False. ZESPAN_DEBUG"""
