"""A Celery application with one task."""

from __future__ import annotations

import os

from celery import Celery
from celery.signals import worker_process_init

from tests.figures import subject
from zespan_serverless import zespan_celery

app = Celery("figures", broker=os.environ["BROKER"])
app.conf.update(worker_prefetch_multiplier=1, task_ignore_result=True, worker_hijack_root_logger=False)
if subject.HOW == "package":
    zespan_celery(app)
elif subject.HOW == "sdk in each process":
    worker_process_init.connect(lambda **_: subject.start(), weak=False)
else:
    subject.start()


@app.task(name="work")
def work() -> None:
    subject.ask()
