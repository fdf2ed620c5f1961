"""Keeps LLM telemetry alive in serverless functions. Importing the package imports none of its modules yet."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ._version import __version__ as __version__

if TYPE_CHECKING:
    from ._base.reports import FlushReport as FlushReport
    from ._observe.api import after_restore as after_restore
    from ._observe.api import before_snapshot as before_snapshot
    from ._observe.api import capture as capture
    from ._observe.api import flush as flush
    from ._observe.api import flush_pending_events as flush_pending_events
    from ._observe.api import init as init
    from ._observe.api import shutdown as shutdown
    from ._observe.spans import current_span as current_span
    from ._observe.spans import span as span
    from ._observe.spans import with_context as with_context
    from ._outbound.headers import trace_headers as trace_headers
    from ._outbound.headers import traceparent as traceparent
    from ._process.container import time_left as time_left
    from .agentcore import zespan_agentcore as zespan_agentcore
    from .alibaba import zespan_alibaba as zespan_alibaba
    from .aws_lambda import zespan_lambda as zespan_lambda
    from .aws_lambda._records import traced_record as traced_record
    from .aws_lambda._records import traced_records as traced_records
    from .azure_functions import zespan_azure as zespan_azure
    from .celery import zespan_celery as zespan_celery
    from .cloudflare import zespan_cloudflare as zespan_cloudflare
    from .cog import zespan_cog as zespan_cog
    from .errors import ConfigurationError as ConfigurationError
    from .errors import FlushIncomplete as FlushIncomplete
    from .errors import ZespanError as ZespanError
    from .google_cloud import zespan_cloud_event as zespan_cloud_event
    from .google_cloud import zespan_gcf as zespan_gcf
    from .google_cloud import zespan_job as zespan_job
    from .jobs import run as run
    from .logs import add_trace_ids as add_trace_ids
    from .modal import zespan_modal as zespan_modal
    from .openwhisk import zespan_openwhisk as zespan_openwhisk
    from .oracle import zespan_oracle as zespan_oracle
    from .providers._by_hand import patch as patch
    from .providers._by_hand import patch_openai as patch_openai
    from .providers._by_hand import wrap as wrap
    from .providers._by_hand import wrap_openai as wrap_openai
    from .runpod import zespan_runpod as zespan_runpod
    from .settings import Settings as Settings
    from .tasks import task_scope as task_scope
    from .vercel import zespan_vercel as zespan_vercel
    from .vercel_queue import zespan_vercel_queue as zespan_vercel_queue
    from .vercel_step import zespan_vercel_step as zespan_vercel_step
else:
    _NAMES = {
        "_base.reports": ("FlushReport",),
        "_observe.api": (
            *("after_restore", "before_snapshot", "capture", "flush", "flush_pending_events", "init", "shutdown"),
        ),
        "_observe.spans": ("current_span", "span", "with_context"),
        "_outbound.headers": ("trace_headers", "traceparent"),
        "_process.container": ("time_left",),
        "aws_lambda": ("zespan_lambda",),
        "aws_lambda._records": ("traced_record", "traced_records"),
        "azure_functions": ("zespan_azure",),
        "errors": ("ConfigurationError", "FlushIncomplete", "ZespanError"),
        "google_cloud": ("zespan_cloud_event", "zespan_gcf", "zespan_job"),
        "jobs": ("run",),
        "logs": ("add_trace_ids",),
        "providers._by_hand": ("patch", "patch_openai", "wrap", "wrap_openai"),
        "settings": ("Settings",),
        "tasks": ("task_scope",),
    }
    _HOME = {name: module for module, names in _NAMES.items() for name in names}
    _HOSTS = "agentcore alibaba celery cloudflare cog modal openwhisk oracle runpod vercel vercel_queue vercel_step"
    _HOME |= {f"zespan_{name}": name for name in _HOSTS.split()}
    __all__ = sorted([*_HOME, "__version__"])  # noqa: PLE0605

    def __getattr__(name: str) -> object:
        """Import a public name from its module on first use."""
        home = _HOME.get(name)
        if home is None:
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        from importlib import import_module

        value = getattr(import_module(f"{__name__}.{home}"), name)
        globals()[name] = value
        return value

    def __dir__() -> list[str]:
        return __all__
