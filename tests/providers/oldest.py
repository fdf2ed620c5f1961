"""Runs rows of `apis` with the SDKs that the interpreter has: `python -m tests.providers.oldest ROW...`.

For each row that this version has: answers and streams, sync and async, with the package and without it. Prints what
differs from what the row expects, by row.
"""

from __future__ import annotations

import json
import sys
import warnings
from typing import Any

from .apis import APIS
from .apis.api import Api
from .endpoint import serving
from .test_apis import play


def checked(api: Api, what: str, *, is_async: bool) -> str:
    """Return what is wrong with one way to call an API; empty if nothing is."""
    with serving(api.reply) as endpoint:
        bare = play(api, endpoint, what, is_async=is_async, traced=False)
        ours = play(api, endpoint, what, is_async=is_async)
    if ours.seen != bare.seen:
        return f"{ours.seen} instead of {bare.seen}"
    if "raised" in ours.seen[-1]:
        return f"the SDK itself {ours.seen[-1]}"
    if len(ours.calls) != 1:
        return f"{len(ours.calls)} events"
    (event,) = ours.calls
    expected = {**api.event, **(api.later if what == "read" else {})}
    wrong = {name: (event.get(name), value) for name, value in expected.items() if event.get(name) != value}
    return repr(wrong) if wrong else ""


def main(*names: str) -> None:
    warnings.simplefilter("ignore")
    found: dict[str, Any] = {}
    for name in names:
        api = APIS[name]
        for what in ["ask"] if api.stream is None else ["ask", "read"]:
            for is_async in (False, True):
                found[f"{name}, {what}, {'async' if is_async else 'sync'}"] = checked(api, what, is_async=is_async)
    print(json.dumps(found))


if __name__ == "__main__":
    main(*sys.argv[1:])
