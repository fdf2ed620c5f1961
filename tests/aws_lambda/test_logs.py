"""`add_trace_ids`: every log line says which trace and span it belongs to."""

from __future__ import annotations

import io
import json
import logging
import logging.handlers
import queue
from collections.abc import Iterator
from typing import Any

import pytest
from aws_lambda_powertools import Logger
from aws_lambda_powertools.logging.buffer import LoggerBufferConfig

from tests.aws_lambda.support import StartFunction, roots
from zespan_serverless import ConfigurationError, add_trace_ids, flush, span, testing, with_context, zespan_lambda
from zespan_serverless.testing import Backend, LambdaContext


class Lines(logging.StreamHandler[io.StringIO]):
    """What a format of one's own makes of records."""

    def __init__(self) -> None:
        super().__init__(io.StringIO())
        self.setFormatter(logging.Formatter("%(message)s %(trace_id)s %(span_id)s"))

    def read(self) -> list[str]:
        return self.stream.getvalue().splitlines()


@pytest.fixture(autouse=True)
def filters() -> Iterator[None]:
    """The handlers of pytest, which are on the root logger, are left as they were."""
    root = logging.getLogger()
    before = {holder: list(holder.filters) for holder in (root, *root.handlers)}
    yield
    for holder, filters in before.items():
        holder.filters[:] = filters


@pytest.fixture
def out(filters: None) -> Iterator[Lines]:
    """What the logger `tests.logs` writes to."""
    logger, handler = logging.getLogger("tests.logs"), Lines()
    logger.setLevel(logging.DEBUG)
    logger.addHandler(handler)
    yield handler
    logger.removeHandler(handler)
    logger.filters.clear()


LOGGER = logging.getLogger("tests.logs")


def test_the_ids_are_those_of_where_it_was_logged(out: Lines) -> None:
    """The invocation's, a step's; and of child loggers and libraries, which have no handler of their own."""
    add_trace_ids(LOGGER)

    @zespan_lambda
    def handler(event: Any, context: Any) -> None:
        LOGGER.info("root")
        with span("step"):
            logging.getLogger("tests.logs.library").info("step")

    with testing.recording() as events:
        handler({}, LambdaContext())
    step, root = events
    assert out.read() == [
        f"root {root['trace_id']} {root['span_id']}",
        f"step {root['trace_id']} {step['span_id']}",
    ]


def test_ids_are_empty_outside_a_trace(out: Lines) -> None:
    """The attributes are there, so that no format fails; a trace without a span yet has its own id."""
    add_trace_ids(LOGGER)
    LOGGER.info("outside")
    with with_context(user_id="ada"):
        LOGGER.info("in")
    outside, inside = out.read()
    assert outside == "outside None None"
    assert inside.split()[2] == "None"
    assert len(inside.split()[1]) == 32


def test_extra_fields_of_the_user_stay(out: Lines) -> None:
    """`extra=` with these very names is the user's: it neither raises nor is overwritten."""
    add_trace_ids(LOGGER)
    LOGGER.info("mine", extra={"trace_id": "one", "span_id": "two"})
    assert out.read() == ["mine one two"]


def test_logger_without_handlers_stands_for_those_above_it(out: Lines) -> None:
    """A logger without handlers stands for those that its records go to."""
    add_trace_ids(logging.getLogger("tests.logs.deep.child"))
    logging.getLogger("tests.logs.other").info("all")
    out.filters.clear()
    add_trace_ids(out)
    LOGGER.info("again")
    assert out.read() == ["all None None", "again None None"]


def test_installing_twice_adds_nothing(out: Lines) -> None:
    """Nothing piles up."""
    for _ in range(3):
        add_trace_ids(LOGGER)
    assert len(LOGGER.filters) == len(out.filters) == 1


def test_default_is_every_handler_of_the_root_logger() -> None:
    """Records of any logger that reach one of the root logger's handlers have the ids."""
    root, handler = logging.getLogger(), Lines()
    root.addHandler(handler)
    add_trace_ids()
    logging.getLogger("anybody").error("help")
    root.removeHandler(handler)
    assert handler.read() == ["help None None"]


def test_queued_record_has_the_ids_of_its_step(out: Lines) -> None:
    """A record that another thread formats, after the step, has the ids of the step."""
    records: queue.SimpleQueue[Any] = queue.SimpleQueue()
    handler = logging.handlers.QueueHandler(records)
    LOGGER.addHandler(handler)
    add_trace_ids(LOGGER)
    with testing.recording() as events:
        with span("step"):
            LOGGER.info("in a step")
        flush()
        LOGGER.removeHandler(handler)
        assert (records.get().span_id, records.empty()) == (events[0]["span_id"], True)


@pytest.mark.parametrize("wrong", ["root", 7, print, object()])
def test_an_object_that_is_no_logger_is_refused(wrong: Any) -> None:
    """Is said when it is given."""
    with pytest.raises(ConfigurationError, match="takes a logger or a handler"):
        add_trace_ids(wrong)


def powertools_lines(stream: io.StringIO) -> list[dict[str, Any]]:
    return [json.loads(line) for line in stream.getvalue().splitlines()]


def test_logger_of_powertools_prints_the_ids() -> None:
    """Its Logger prints the ids as keys, its child's too, also after its state was cleared; outside there are none."""
    stream = io.StringIO()
    logger = Logger(service="logs", stream=stream)
    child = Logger(service="logs", child=True)
    add_trace_ids(logger)

    @zespan_lambda
    @logger.inject_lambda_context(clear_state=True)
    def handler(event: Any, context: Any) -> None:
        logger.info("mine")
        child.info("my child's", extra={"order": 7})

    with testing.recording() as events:
        for _ in range(2):
            handler({}, LambdaContext())
    logger.info("outside")
    *inside, outside = powertools_lines(stream)
    ids = [(line["trace_id"], line["span_id"]) for line in inside]
    assert ids == [(event["trace_id"], event["span_id"]) for event in events for _ in range(2)]
    assert inside[1]["order"] == 7
    assert not {"trace_id", "span_id"} & set(outside)


def test_powertools_keys_of_the_users_own() -> None:
    """What he has appended under these names is printed as ever where there is no trace."""
    stream = io.StringIO()
    logger = Logger(service="mine", stream=stream)
    add_trace_ids(logger)
    logger.append_keys(trace_id="mine")
    logger.info("outside")
    assert [line["trace_id"] for line in powertools_lines(stream)] == ["mine"]


def test_powertools_child_alone() -> None:
    """Given a child, it is its parent's handler that prints."""
    stream = io.StringIO()
    Logger(service="family", stream=stream)
    child = Logger(service="family", child=True)
    add_trace_ids(child)
    with with_context():
        child.info("hello")
    assert [len(line["trace_id"]) for line in powertools_lines(stream)] == [32]


def test_buffered_log_lines_have_the_ids_of_the_trace_that_prints_them() -> None:
    """Lines that it keeps until something goes wrong belong to the trace in which it prints them."""
    stream = io.StringIO()
    config = LoggerBufferConfig(flush_on_error_log=True)
    logger = Logger(service="buffered", stream=stream, level="DEBUG", buffer_config=config)
    add_trace_ids(logger)

    @zespan_lambda
    def handler(event: Any, context: Any) -> None:
        logger.debug("kept")
        logger.error("wrong")

    with pytest.MonkeyPatch.context() as patch, testing.recording() as events:
        patch.setenv("_X_AMZN_TRACE_ID", "Root=1-5759e988-bd862e3fe1be46a994272793")
        handler({}, LambdaContext())
    assert {line["message"]: line["trace_id"] for line in powertools_lines(stream)} == dict.fromkeys(
        ("kept", "wrong"), events[0]["trace_id"]
    )


def test_lambdas_json_format(start: StartFunction, backend: Backend) -> None:
    """The runtime client's own JSON has the ids of all that is logged through its handler; none at import."""
    env = {"AWS_LAMBDA_LOG_FORMAT": "JSON", "AWS_LAMBDA_LOG_LEVEL": "INFO"}
    answer = start("logs.handler", env=env).invoke()
    step, root = (next(e for e in roots(backend.events) if e["operation"] == name) for name in ("step", "emulated"))
    found = {}
    for line in answer.log.splitlines():
        if '"message":' in line:
            said = json.loads(line[line.index("{") :])
            found[said["message"]] = (said.get("requestId"), said.get("trace_id"), said.get("span_id"))
    assert found["importing"][1:] == (None, None)
    assert found["in the handler"] == (answer.request_id, root["trace_id"], root["span_id"])
    assert found["in a step"] == (answer.request_id, root["trace_id"], step["span_id"])
