"""`--live`: sends one event with the environment's settings and exporter, and times each step.

At most the last four characters of a key are shown.
"""

from __future__ import annotations

import json
import os
import socket
import ssl
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import asdict, dataclass
from functools import partial
from typing import Any, Literal
from urllib.parse import urlsplit

from zespan_serverless import _trace
from zespan_serverless._base.log import describe, printable
from zespan_serverless._http.proxy import Proxy, from_environment
from zespan_serverless._process.container import build_exporter
from zespan_serverless._record.record import Record, Resource
from zespan_serverless.errors import ConfigurationError
from zespan_serverless.settings import Settings, lacks, resolve
from zespan_serverless.settings._carbon import target as carbon_target
from zespan_serverless.settings._fields import ADDRESSED, FIELDS, without_secrets
from zespan_serverless.settings._otlp import target as otlp_target

Status = Literal["OK", "WARN", "FAIL", "SKIP"]
PATIENCE = 10.0
"""Seconds that each step may take."""
_SHOWN_FROM = 16  # characters of a key whose last four may be shown


@dataclass(frozen=True)
class Step:
    """One step, to one destination. `ms` is None if it is not timed."""

    destination: str
    name: str
    status: Status
    detail: str
    ms: float | None = None


def check(form: str) -> int:
    """Print each step as text, or all as JSON; 0 if the event was accepted, 1 if not, 3 if there is nothing to send."""
    steps = []
    for step in _steps(resolve({})):
        steps.append(step)
        if form == "text":
            taken = "" if step.ms is None else f"{step.ms:7.1f} ms"
            print(f"{step.status:<4}  {step.destination}  {step.name:<10}  {taken:>10}  {printable(step.detail)}")
    if form == "json":
        print(json.dumps({"schema": "1", "steps": [asdict(step) for step in steps]}, indent=2))
    if any(step.status == "FAIL" for step in steps):
        return 1
    return 0 if any(step.name == "event" and step.status != "SKIP" for step in steps) else 3


def _steps(settings: Settings) -> Iterator[Step]:
    if not settings.enabled:
        problem = _problem_of_address()
        off = "telemetry is off in this environment: see ZESPAN_ENABLED"
        yield Step("-", "settings", "FAIL" if problem else "SKIP", problem or off)
        return
    for name in settings.names:
        if missing := lacks(settings, name):
            yield Step(name, "settings", "FAIL", missing)
        elif name in ("console", "memory"):
            yield Step(name, "settings", "SKIP", "sends nothing to another machine")
        else:
            yield from _destination(name, settings.alone(name))


def _problem_of_address() -> str:
    """Return why ZESPAN_BASE_URL is unusable, which switches telemetry off; empty if it is usable."""
    try:
        if text := os.environ.get("ZESPAN_BASE_URL", "").strip():
            FIELDS["base_url"].parse(text)
    except ConfigurationError as error:
        return str(error)
    return ""


def _destination(name: str, settings: Settings) -> Iterator[Step]:
    """Yield all steps to one destination, up to the first that fails."""
    yield Step(name, "settings", "OK", _described(name, settings))
    spent = 0.0
    for step in _connection(name, settings) if "://" not in name else ():
        yield step
        spent += step.ms or 0.0
        if step.status == "FAIL":
            yield Step(name, "event", "SKIP", "not sent")
            return
    yield from _event(name, settings, spent)


def _described(name: str, settings: Settings) -> str:
    if name != "zespan":
        return f"to {_address(name, settings)[0] if name in ADDRESSED else without_secrets(name)}"
    key = settings.api_key or ""
    if not key and settings.api_key_secret:
        return f"to {settings.base_url}, with the key from {settings.api_key_secret}"
    which = f"the key ending in {key[-4:]}" if len(key) >= _SHOWN_FROM else "a key" if key else "no key"
    return f"to {settings.base_url}, with {which}"


def _connection(name: str, settings: Settings) -> Iterator[Step]:
    """Yield the steps of name resolution, connection and TLS to the destination, or to its proxy."""
    url, certificate = _address(name, settings)
    parts = urlsplit(url)
    port = parts.port or (443 if parts.scheme == "https" else 80)
    host = parts.hostname or ""
    try:
        proxy = from_environment(parts.scheme, f"{host}:{port}")
    except ValueError as error:
        yield Step(name, "proxy", "FAIL", str(error))
        return
    yield _proxy_step(name, proxy)
    first, at = (proxy.host, proxy.port) if proxy else (host, port)
    yield _timed(name, "dns", partial(_resolved, first, at))
    connected: list[socket.socket] = []
    yield _timed(name, "tcp", partial(_connected, first, at, connected))
    for sock in connected:
        with closing(sock):
            if parts.scheme == "https" and proxy is None:
                yield _timed(name, "tls", partial(_secured, sock, host, certificate))
            else:
                why = (
                    "the proxy is asked for a tunnel, in which the event is sent" if proxy else "the address is http://"
                )
                yield Step(name, "tls", "SKIP", why)


def _address(name: str, settings: Settings) -> tuple[str, str | None]:
    """Return where an exporter sends, and the file of certificates that it trusts, if not the system's."""
    if name == "zespan":
        return settings.base_url, None
    if name == "carbon":
        return carbon_target(settings).url, None
    found = otlp_target(settings)
    return found.url, found.certificate


def _proxy_step(name: str, proxy: Proxy | None) -> Step:
    return Step(name, "proxy", "OK", f"{proxy.host}:{proxy.port}") if proxy else Step(name, "proxy", "SKIP", "none")


def _resolved(host: str, port: int) -> str:
    addresses = {str(found[4][0]) for found in socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)}
    return f"{host}: {', '.join(sorted(addresses)[:4])}"


def _connected(host: str, port: int, connected: list[socket.socket]) -> str:
    connected.append(socket.create_connection((host, port), PATIENCE))
    return f"port {port}"


def _secured(sock: socket.socket, host: str, certificate: str | None) -> str:
    with ssl.create_default_context(cafile=certificate).wrap_socket(sock, server_hostname=host) as secure:
        issued = secure.getpeercert() or {}
        return f"{secure.version()}, certificate valid until {issued.get('notAfter', 'an unknown day')}"


def _timed(name: str, what: str, act: Callable[[], str]) -> Step:
    began = time.perf_counter()
    status: Status = "OK"
    try:
        detail = act()
    except (OSError, UnicodeError) as error:  # UnicodeError: a name that cannot be one of a host
        status, detail = "FAIL", describe(error)
    return Step(name, what, status, detail, (time.perf_counter() - began) * 1000)


def _event(name: str, settings: Settings, spent: float) -> Iterator[Step]:
    """Yield the step that sends one event with the exporter."""
    exporter: Any = None
    try:
        exporter = build_exporter(settings)
        record = Record(_trace.new_span(), Resource(settings), "general", "zespan-serverless doctor")
        batch = [exporter.encode(record)]
        exporter.prepare(PATIENCE)
        began = time.perf_counter()
        outcome = exporter.send(batch, PATIENCE)
        ms = (time.perf_counter() - began) * 1000
    except Exception as error:
        yield Step(name, "event", "FAIL", describe(error))
        return
    finally:
        if exporter is not None:
            exporter.close()
    if outcome.verdict == "unauthorized":
        yield Step(name, "key", "FAIL", outcome.detail)
        yield Step(name, "event", "FAIL", "not taken", ms)
    elif outcome.verdict != "delivered" or outcome.rejected:
        yield Step(name, "event", "FAIL", outcome.detail or outcome.verdict, ms)
    else:
        yield Step(name, "key", "OK", "accepted")
        yield Step(name, "event", "OK", f"{record.event_id} was accepted", ms)
        yield _total(name, settings, spent + ms)


def _total(name: str, settings: Settings, ms: float) -> Step:
    if ms > settings.flush_timeout * 1000:
        text = f"a first flush takes longer than flush_timeout={settings.flush_timeout:g} s: raise that"
        return Step(name, "in all", "WARN", text, ms)
    return Step(name, "in all", "OK", f"within flush_timeout={settings.flush_timeout:g} s", ms)
