"""Shared by the tests of settings: their ranges, and values that are wrong."""

from __future__ import annotations

import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

from zespan_serverless import settings as _settings
from zespan_serverless.exporters.memory import MemoryExporter
from zespan_serverless.settings._fields import FIELDS

ROOT = Path(_settings.__file__).parents[2]
BOUNDS = {name: field.bounds for name, field in FIELDS.items() if field.bounds}
Warnings = Callable[[], list[str]]

WRONG: list[tuple[str, Any]] = [
    ("api_key", b"zsp_1"),
    ("api_key", 5),
    ("api_key", "zsp\n1"),
    ("api_key", "zsp_ü"),
    ("base_url", 5),
    ("base_url", ""),
    ("base_url", "api.zespan.com"),
    ("base_url", "ftp://api.zespan.com"),
    ("base_url", "https://"),
    ("base_url", "https:///v1"),
    ("base_url", "https://host:port"),
    ("base_url", "https://host:99999"),
    ("base_url", "https://host:0"),
    ("base_url", "https://[::1"),
    ("base_url", "https://a host"),
    ("base_url", "https://host/pa th"),
    ("base_url", "https://host\n.example"),
    ("base_url", "https://hóst"),
    ("base_url", "https://host/?a=1"),
    ("base_url", "https://host/#a"),
    ("base_url", "https://user:hunter2@host"),
    ("base_url", "https://hunter2@host"),
    ("base_url", "https://user:hunter2@host:port"),
    ("base_url", "user:hunter2@host"),
    ("base_url", "https://host?key=hunter2"),
    ("environment", 1),
    ("enabled", 1),
    ("enabled", "yes"),
    ("service_name", ["x"]),
    ("flush_mode", "never"),
    ("flush_mode", True),
    ("flush_timeout", "1"),
    ("flush_timeout", True),
    ("flush_timeout", math.nan),
    ("flush_reserve", [1]),
    ("cap_timeouts", "yes"),
    ("cap_timeouts", math.nan),
    ("batch_size", 1.5),
    ("batch_size", "50"),
    ("batch_size", True),
    ("sample_rate", "0.1"),
    ("store_prompts", 0),
    ("journal", True),
    ("redact_keys", "password"),
    ("redact_keys", 5),
    ("redact_keys", [1]),
    ("redact_keys", b"ab"),
    ("tags", "team=search"),
    ("tags", ["team"]),
    ("exporter", "zipkin"),
    ("exporter", object()),
    ("fallback", 5),
    ("fallback", object()),
    ("fallback", MemoryExporter),
    ("fallback", "parking"),
    ("fallback", "s4://bucket"),
    ("fallback", "file://mnt/efs"),
    ("fallback", "file://"),
    ("fallback", "s3://key:secret@bucket"),
    ("fallback", "s3://bucket?regio=eu-west-1"),
    ("fallback", "pubsub://project"),
    ("fallback", "azurequeue://account/queue/x"),
    ("exporter", "s4://bucket"),
    ("exporter", "sqs://"),
    ("exporter", ["zespan", "sqs://"]),
    ("fallback_after", "soon"),
    ("on_error", "print"),
    ("on_flush", 5),
    ("debug", "1"),
]
