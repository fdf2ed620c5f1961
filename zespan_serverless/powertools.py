"""`delivery_metrics()` reports the delivery of telemetry as CloudWatch metrics, through AWS Lambda Powertools."""

from __future__ import annotations

import json
import operator
import sys
from typing import TYPE_CHECKING, Any

from . import _process
from .aws_lambda import _results
from .errors import ConfigurationError

if TYPE_CHECKING:
    from collections.abc import Callable

    from ._base.reports import FlushReport
    from ._delivery.delivery import Delivery
    from ._delivery.several import Several

__all__ = ["delivery_metrics"]


def delivery_metrics(
    namespace: str | None = None, service: str | None = None, **dimensions: str
) -> Callable[[FlushReport], None]:
    """Return a function for the setting `on_flush` that prints one line of CloudWatch's EMF per invocation.

    The metrics are FlushDuration (milliseconds), EventsDelivered, EventsPending, EventsDropped and ColdStart. Delivered
    and dropped events are counted since the previous line, also those between two flushes. ColdStart is 1 in the first
    line of a process, else 0. Your own `Metrics` are not affected.

    Args:
        namespace: Default: the environment variable POWERTOOLS_METRICS_NAMESPACE.
        service: Default: the environment variable POWERTOOLS_SERVICE_NAME.
        **dimensions: Further dimensions by name.

    Raises:
        ConfigurationError: Powertools is not installed.
    """
    try:
        from aws_lambda_powertools.metrics import EphemeralMetrics
        from aws_lambda_powertools.metrics.functions import is_metrics_disabled
    except ImportError as error:
        raise ConfigurationError("delivery_metrics needs Powertools: pip install aws-lambda-powertools") from error
    return _Metrics(EphemeralMetrics, is_metrics_disabled, namespace, service, dimensions)


class _Metrics:
    def __init__(
        self,
        make: Any,
        disabled: Callable[[], bool],
        namespace: str | None,
        service: str | None,
        dimensions: dict[str, str],
    ) -> None:
        self._make, self._disabled = make, disabled
        self._namespace, self._service, self._dimensions = namespace, service, dimensions
        self._delivery: Delivery | Several | None = None
        self._counted = (0, 0, 0)
        self._cold = True

    def __call__(self, report: FlushReport) -> None:
        delivered, dropped, parked = self._since(report)
        cold, self._cold = self._cold, False
        metrics = self._make(namespace=self._namespace, service=self._service)
        for name, value in self._dimensions.items():
            metrics.add_dimension(name, value)
        metrics.add_metric("FlushDuration", "Milliseconds", round(report.elapsed * 1000, 3))
        metrics.add_metric("EventsDelivered", "Count", delivered)
        metrics.add_metric("EventsPending", "Count", report.pending)
        metrics.add_metric("EventsDropped", "Count", dropped)
        container = _process.current()
        if container is not None and container.settings.fallback is not None:
            metrics.add_metric("EventsParked", "Count", parked)
        metrics.add_metric("ColdStart", "Count", int(cold))
        if not self._disabled():
            line = json.dumps(metrics.serialize_metric_set(), separators=(",", ":")) + "\n"
            # One write, unlike `print`, which Powertools would use: decorators around ours may be printing at this
            # moment, and the text and the line end of a `print` are two writes, between which ours could fall.
            sys.stdout.write(line if _results.returns_to_runtime() else "\n" + line)

    def _since(self, report: FlushReport) -> tuple[int, int, int]:
        """Return what was delivered, dropped and parked since the last call, including between two flushes."""
        container = _process.current()
        if container is None:
            return report.delivered, report.dropped, report.parked
        delivery, before = container.delivery, self._counted
        delivered, dropped, parked = self._counted = delivery.delivered, delivery.lost, delivery.parked
        if delivery is not self._delivery or any(map(operator.lt, self._counted, before)):
            self._delivery, before = delivery, (0, 0, 0)  # a new delivery, or one that a fork has reset
        return delivered - before[0], dropped - before[1], parked - before[2]
