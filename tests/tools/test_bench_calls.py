"""What `python -m tools.bench_calls` measures: calls of SDKs that are traced as a user's are."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from tools import bench_calls
from tools.bench_calls import Subject
from zespan_serverless import testing


@pytest.mark.slow
@pytest.mark.parametrize("sdk", bench_calls.SDKS)
def test_each_subject_is_traced_once(sdk: Callable[[], dict[str, Subject]], monkeypatch: pytest.MonkeyPatch) -> None:
    """A call and both kinds of streams have an event each, with the text; what they are compared with has none."""
    monkeypatch.setattr(bench_calls, "PIECES", 3)
    for subject in sdk().values():
        with testing.recording() as events:
            for is_ours in (False, True):
                (subject.ours if is_ours else subject.bare)()
                subject.read(is_ours)
                subject.read_async(is_ours)
        texts = [event["completion_text"] for event in events]
        assert texts == [bench_calls.ANSWER, "Sunny. " * 3, "Sunny. " * 3]
