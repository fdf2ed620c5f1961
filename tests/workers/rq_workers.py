"""RQ's workers that note which events the package has counted as dropped."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from tests.workers import noting
from zespan_serverless.rq import ZespanSimpleWorker, ZespanSpawnWorker, ZespanWorker

if TYPE_CHECKING:
    from zespan_serverless.settings import SettingsKwargs


class NotingWorker(ZespanWorker):
    zespan_settings: ClassVar[SettingsKwargs] = {"on_error": noting.dropped}


class NotingSpawnWorker(ZespanSpawnWorker):
    zespan_settings: ClassVar[SettingsKwargs] = {"on_error": noting.dropped}


class NotingSimpleWorker(ZespanSimpleWorker):
    zespan_settings: ClassVar[SettingsKwargs] = {"on_error": noting.dropped}
