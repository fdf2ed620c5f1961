"""Traces as trees for people, as JSON for programs, as Markdown for an issue or a model."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterable
from typing import Any

from zespan_serverless.exporters._trees.nodes import node_of
from zespan_serverless.exporters._trees.style import safe, style_of, writable
from zespan_serverless.exporters._trees.tree import Node, draw, duration, forest, money, walk

Span = dict[str, Any]
"""SPAN of PROTOCOL.md."""


def node(span: Span) -> Node:
    """Return a span of `dev` as a node of a tree."""
    tokens, kind, status = span.get("tokens") or {}, span.get("kind"), span.get("status")
    start, end = span.get("start"), span.get("end")
    made = node_of(
        {
            **span,
            "operation": span.get("name"),
            "span_kind": "general" if kind == "invocation" else kind,
            "status": "running" if end is None else "success" if status in ("ok", None) else status,
            "error_message": span.get("error"),
            "input_tokens": tokens.get("input"),
            "output_tokens": tokens.get("output"),
            "cached_tokens": tokens.get("cached"),
            "ttft_ms": span.get("first_token_ms"),
            "tools_used": (span.get("attributes") or {}).get("tools_used"),
            "metadata": span.get("attributes"),
        }
    )
    if end is None:
        made.error = None
    made.start = start
    made.duration = None if start is None or end is None else end - start
    if span.get("state") not in ("delivered", None):
        made.notes.insert(0, safe(span["state"]))
    return made


def human(spans: Iterable[Span], stream: Any = None) -> str:
    """Trees, in the style of the stream; by default of standard output."""
    stream = stream or sys.stdout
    return writable(stream, draw(map(node, spans), style_of(stream)))


def as_json(spans: Iterable[Span], stream: Any = None) -> str:
    """Return a document a span."""
    return "".join(f"{json.dumps(span)}\n" for span in spans)


def markdown(spans: Iterable[Span], stream: Any = None) -> str:
    """Nested lists."""
    lines = []
    for root in forest(map(node, spans)):
        for before, _, one in walk(root):
            lines.append(f"{'  ' * (len(before) // 3)}- {_sentence(one)}\n")
    return "".join(lines)


def _sentence(one: Node) -> str:
    parts = [" ".join(map(_code, filter(None, [one.name, one.label]))), duration(one.duration)]
    if one.is_model and (one.input_tokens is not None or one.output_tokens is not None):
        parts.append(f"{one.input_tokens or 0:,.0f} → {one.output_tokens or 0:,.0f} tokens")
    if one.cost is not None:
        parts.append(money(one.cost))
    parts += map(_code, one.notes)
    if one.error is not None:
        parts.append(f"**error**: {_code(one.error)}")
    return ", ".join(parts)


def _code(text: str) -> str:
    """Return a text that Markdown leaves as it is."""
    return f"`{text.replace('`', chr(39))}`"


FORMATS: dict[str, Callable[..., str]] = {"human": human, "json": as_json, "md": markdown}
