"""The real SDKs by the setting `flush`: sent with our events, and left alone where their backend never answers.

docs/other-sdks.md has what the same functions take on Lambda; `python -m tests.peers.flushes` measures that.
"""

from __future__ import annotations

import functools
import json
from typing import Any

import pytest

from tests import environments
from tests.peers import flushes
from tests.peers.flushed import FLUSHED

pytestmark = pytest.mark.host(seconds=10)


@functools.cache
def seen(name: str) -> dict[str, Any]:
    python = environments.installed(*FLUSHED[name].environment)
    printed = environments.run(python, "tests.peers.flushes", name, "--here")
    found: dict[str, Any] = json.loads(printed.splitlines()[-1])
    return found


@pytest.mark.parametrize("name", FLUSHED)
def test_each_call_sends_what_the_sdk_has(name: str) -> None:
    """In the first call of a function and in the next one: nothing has been shut down."""
    for result, outcome, detail, requests in seen(name)["answers"]:
        assert (result, outcome, detail) == ({"ok": True}, "done", "")
        assert requests > 0


@pytest.mark.parametrize("name", FLUSHED)
def test_one_whose_backend_never_answers_costs_one_flush(name: str) -> None:
    """The function answers before its deadline, and the next call waits for nothing; all of our events arrive."""
    (first, outcome, *_), (second, after, *_) = seen(name)["hangs"]
    assert (first, outcome) == ({"ok": True}, "timeout")
    assert (second, after) == ({"ok": True}, "skipped")
    assert seen(name)["events"] == 4


def test_the_page_has_what_was_measured_of_each_version() -> None:
    """A row for each SDK that is tested; a new version is measured again."""
    rows = flushes.PAGE.read_text().partition(flushes.HEAD)[2].partition("\n\n")[0].splitlines()[1:]
    assert [row.split("|")[1].strip() for row in rows] == [flushes.label(name) for name in FLUSHED]
