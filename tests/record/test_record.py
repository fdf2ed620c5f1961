"""Records are copied, shortened and journalled without a change to the one that was made."""

from __future__ import annotations

import json
from typing import Any

import pytest

from zespan_serverless._record import noted
from zespan_serverless._record.model import Answer, Model, Prompt
from zespan_serverless._record.policy import Policy
from zespan_serverless._record.record import Record, Resource
from zespan_serverless._record.shortening import shortened
from zespan_serverless._trace import context
from zespan_serverless.exporters._event import encoded, event_of
from zespan_serverless.settings import Settings

SETTINGS = Settings(tags={"team": "a"})
RESOURCE = Resource(SETTINGS, SETTINGS.tags)


def called(question: Any = "q", answered: str = "a") -> Record:
    """Return a model call."""
    record = Record(context.new_span(), RESOURCE, "llm", "chat", 5.0)
    answer = Answer()
    answer.text = answered
    record.model = Model("openai", "m", Prompt([{"role": "user", "content": question}]), answer)
    return record


def test_a_copy_leaves_the_record_as_it_is() -> None:
    """Redaction and shortening make new records."""
    record = called({"token": "secret"}, "x" * 1000)
    record.attributes = {"password": "p"}
    before = encoded(record)
    Policy(SETTINGS).applied(record)
    shortened(record, 64)
    assert encoded(record) == before


def test_a_record_that_is_too_long_is_shortened_in_its_texts() -> None:
    """Numbers and ids stay, what is JSON stays JSON, and each text states what has been cut."""
    record = called("q" * 5000, "a" * 5000)
    record.attributes = {"note": "n" * 5000, "count": 3}
    event = event_of(shortened(record, 100))
    assert json.loads(event["prompt_text"]) == [
        {"role": "user", "content": "q" * 100 + " [4900 of 5000 characters cut]"}
    ]
    assert event["completion_text"] == "a" * 100 + " [4900 of 5000 characters cut]"
    assert event["metadata"] == {"note": "n" * 100 + " [4900 of 5000 characters cut]", "count": 3}
    assert event["event_id"] == record.event_id


def test_a_span_that_never_ended_survives_its_process() -> None:
    """What the journal has is enough for the event: same id, trace, user, model and prompt."""
    begun = called("the question")
    begun.user_id, begun.tags = "u", {"tier": "gold"}
    (record,) = noted.left_behind([noted.to_journal(begun)], [], begun.ended + 2, SETTINGS)
    event = event_of(record)
    assert (event["event_id"], event["trace_id"], event["span_id"]) == (begun.event_id, begun.trace_id, begun.span_id)
    assert (event["status"], event["user_id"], event["latency_ms"]) == ("crashed", "u", 2000)
    assert (event["provider"], event["model"], event["tags"]) == ("openai", "m", {"team": "a", "tier": "gold"})
    assert json.loads(event["prompt_text"]) == [{"role": "user", "content": "the question"}]
    assert event["metadata"] == {"error.type": "crashed"}


def test_the_next_process_redacts_by_its_own_keys() -> None:
    """A key that has been added between two deployments holds for what the old one has left."""
    begun = called({"pin": "1234"})
    begun.attributes = {"pin": "1234"}
    settings = Settings(redact_keys=["pin"])
    (record,) = noted.left_behind([noted.to_journal(begun)], [], begun.ended, settings)
    assert b"1234" not in encoded(record)


def test_the_next_process_keeps_no_prompts_if_it_stores_none() -> None:
    """`store_prompts` of the process that sends decides."""
    (record,) = noted.left_behind([noted.to_journal(called("q"))], [], 0, Settings(store_prompts=False))
    assert "prompt_text" not in event_of(record)


def test_a_copy_has_every_part() -> None:
    """One that is added to the record is added to its copy."""
    record = called()
    names = {*vars(record), *Record.__annotations__} - {"model"}
    for name in names:
        setattr(record, name, object())
    copy = record.copy()
    assert all(getattr(copy, name) is getattr(record, name) for name in names)
    assert copy.model is not None
    assert copy.model is not record.model
    assert vars(copy.model) == vars(record.model)


@pytest.mark.slow
def test_many_short_texts_are_cut_as_a_whole() -> None:
    """A prompt of thousands of parts, arguments of tools and metadata that are large only together fit, too."""
    settings = Settings()
    record = called([{"type": "text", "text": "x" * 1000}] * 10)
    assert record.model is not None
    record.model.prompt.messages = record.model.prompt.messages * 500
    record.model.answer.tools = {"f": [{"a": "y" * 100}] * 60_000}
    record.attributes = {"rows": [{"n": "z" * 100}] * 60_000}
    room = settings.batch_bytes
    lengths = [len(encoded(shortened(record, max(room // share, 32)))) for share in (4, 32, 256, 2048)]
    assert len(encoded(record)) > room
    assert lengths == sorted(lengths, reverse=True)
    assert lengths[-1] < room
    assert isinstance(json.loads(event_of(shortened(record, 1000))["prompt_text"]), str)


def test_a_part_that_is_not_there_is_not_redacted() -> None:
    """No user is no user, also where `user_id` is among the keys."""
    policy = Policy(Settings(redact_keys=["user_id", "tags", "metadata", "agent_name"]))
    event = event_of(policy.applied(Record(context.new_span(), Resource(Settings()), "general", "x")))
    assert (event["user_id"], event["tags"], "metadata" in event) == (None, None, False)


def test_attributes_that_are_redacted_lose_no_unfinished_span() -> None:
    """The event of a crash has at least its reason."""
    settings = Settings(redact_keys=["metadata"])
    begun = Policy(settings).applied(called())
    begun.attributes = "[REDACTED]"  # type: ignore[assignment]
    (record,) = noted.left_behind([noted.to_journal(begun)], [], 0, settings)
    assert record.status == "crashed"
