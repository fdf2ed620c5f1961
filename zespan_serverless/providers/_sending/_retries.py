"""The pauses of SDKs between two attempts. If a call has no time for one, the SDK raises the last attempt's error at
once."""

from __future__ import annotations

import inspect
import sys
from typing import TYPE_CHECKING, Any

from ..._base.guard import Guarded, pass_on
from . import limited, replace

if TYPE_CHECKING:
    from types import ModuleType

    from . import Attempts


_RETRYING = (
    *(
        "openai._base_client",
        "anthropic._base_client",
        "groq._base_client",
        "botocore.endpoint",
        "aiobotocore.endpoint",
    ),
    "tenacity",  # for google-genai
    *("mistralai.client.utils.retries", "mistralai.utils.retries"),  # the latter before mistralai 2
    "cohere.core.http_client",
)
"""Modules that implement the pauses between two attempts."""


def limit_pauses() -> None:
    """Patch the pauses of the loaded SDKs. Idempotent; not called as long as no call is limited."""
    for name in _RETRYING:
        module = sys.modules.get(name)
        if module is not None:
            patch(module)


def patch(module: ModuleType) -> None:
    """Patch a module of an SDK, or of tenacity."""
    names = vars(module)
    if "BaseClient" in names and hasattr(module, "SyncAPIClient"):
        _patch_stainless(module.BaseClient)
    for kind in ("Endpoint", "AioEndpoint"):
        if "_needs_retry" in vars(names.get(kind, object)):
            replace(names[kind], "_needs_retry", _botocore)
    for kind in ("BaseRetrying", "AsyncRetrying"):
        if kind in names:
            replace(names[kind], "iter", _tenacity_async if kind == "AsyncRetrying" else _tenacity)
    for name in ("retry_with_backoff", "retry_with_backoff_async"):
        replace(module, name, lambda theirs: _mistral(module, theirs))
    if "_retry_timeout" in names:
        replace(module, "_should_retry", lambda theirs: _cohere(module._retry_timeout, theirs))
        for name in ("_retry_timeout", "_retry_timeout_from_retries"):
            replace(module, name, _given_up)


def _given_up(theirs: Any) -> Any:
    """Wrap a function that returns how long to wait: without the time for it there is no pause, and no next attempt."""

    def pause(*args: Any, **kwargs: Any) -> Any:
        seconds, attempts = theirs(*args, **kwargs), limited()
        if attempts is None or seconds < attempts.left:
            return seconds
        attempts.give_up()
        return 0.0

    return pause


def _allows(attempts: Attempts, pause: Any, *args: Any, **kwargs: Any) -> bool:
    """Whether there is time for the pause that this function returns."""
    with Guarded("a retry"):
        return bool(pause(*args, **kwargs) < attempts.left)
    return True


# ---------------------------------------------------------------------- openai, anthropic, groq


class _Tried:
    """Options of a request after a number of attempts, for the function that computes a pause from them."""

    def __init__(self, tries: int) -> None:
        self._tries = tries

    def get_max_retries(self, usual: int) -> int:
        return self._tries


def _patch_stainless(owner: Any) -> None:
    pause = getattr(vars(owner).get("_calculate_retry_timeout"), "__zespan_original__", None)
    pause = pause or vars(owner).get("_calculate_retry_timeout")

    def make(theirs: Any) -> Any:
        def should_retry(client: Any, response: Any) -> Any:
            should, attempts = theirs(client, response), limited()
            if should and attempts is not None and pause is not None:
                tried = _Tried(attempts.resends)
                return _allows(attempts, pause, client, 0, tried, response.headers)
            return should

        return should_retry

    replace(owner, "_should_retry", make)
    replace(owner, "_calculate_retry_timeout", _given_up)


# ---------------------------------------------------------------------- tenacity, for google-genai


def _tenacity(theirs: Any) -> Any:
    def iter(retrying: Any, retry_state: Any) -> Any:
        return _next(theirs(retrying, retry_state), retry_state)

    return iter


def _tenacity_async(theirs: Any) -> Any:
    async def iter(retrying: Any, retry_state: Any) -> Any:
        return _next(await theirs(retrying, retry_state), retry_state)

    return iter


def _next(step: Any, state: Any) -> Any:
    """Return the next step: the pause, or the end, if there is no time for it."""
    attempts = limited()
    if attempts is not None and isinstance(step, float) and step >= attempts.left and state.outcome is not None:
        return state.outcome.result()  # raises the last attempt's error
    return step


# ---------------------------------------------------------------------- mistralai


def _mistral(module: Any, theirs: Any) -> Any:
    def retry(func: Any, *args: Any, **kwargs: Any) -> Any:
        attempts = limited()
        if attempts is None:
            return theirs(func, *args, **kwargs)

        def last(error: Any) -> Any:
            """End the retries if there is no time for another attempt; otherwise the error propagates."""
            if isinstance(error, module.PermanentError) or _allows(attempts, _mistral_pause, attempts, error, *args):
                raise error
            if isinstance(error, module.TemporaryError):
                return error.response
            raise module.PermanentError(error) from error

        def attempt() -> Any:
            try:
                return func()
            except Exception as error:
                pass_on(error)
                return last(error)

        async def attempt_async() -> Any:
            try:
                return await func()
            except Exception as error:
                pass_on(error)
                return last(error)

        return theirs(attempt_async if theirs.__name__.endswith("async") else attempt, *args, **kwargs)

    return retry


def _mistral_pause(
    attempts: Attempts, error: Any, first: float = 500, longest: float = 60_000, exponent: float = 1.5, *_: Any
) -> float:
    """Return the seconds that the SDK will wait, at most; its own numbers are milliseconds."""
    asked = getattr(error, "retry_after", None)
    in_ms = getattr(error, "response", None) and error.response.headers.get("retry-after-ms")
    if in_ms:
        return float(in_ms) / 1000
    return asked / 1000 if asked else min(first / 1000 * exponent**attempts.resends + 1, longest / 1000)


# ---------------------------------------------------------------------- cohere


def _cohere(pause: Any, theirs: Any) -> Any:
    def should_retry(response: Any) -> Any:
        should, attempts = theirs(response=response), limited()
        if should and attempts is not None:
            return _allows(attempts, pause, response=response, retries=attempts.resends)
        return should

    return should_retry


# ---------------------------------------------------------------------- botocore, aiobotocore


def _botocore(theirs: Any) -> Any:
    def needs_retry(endpoint: Any, *args: Any, **kwargs: Any) -> Any:
        attempts = limited()
        return theirs(endpoint if attempts is None else _Endpoint(endpoint, attempts), *args, **kwargs)

    return needs_retry


class _Endpoint:
    """Stands in for an endpoint that decides whether to retry, and how long to wait before."""

    def __init__(self, endpoint: Any, attempts: Attempts) -> None:
        self._endpoint, self._attempts = endpoint, attempts
        self._event_emitter = self

    def __getattr__(self, name: str) -> Any:
        return getattr(self._endpoint, name)

    def emit(self, event: str, **kwargs: Any) -> Any:
        answers = self._endpoint._event_emitter.emit(event, **{**kwargs, "endpoint": self._endpoint})
        return self._awaited(answers) if inspect.isawaitable(answers) else self._allowed(answers)

    async def _awaited(self, answers: Any) -> Any:
        return self._allowed(await answers)

    def _allowed(self, answers: Any) -> Any:
        """Return the decisions, without a pause that the call has no time for."""
        pause = next((answer for _, answer in answers if answer is not None), None)
        return [] if isinstance(pause, (int, float)) and pause >= self._attempts.left else answers
