"""The command `replay`: sends the events parked in a store, and deletes what has been delivered."""

from __future__ import annotations

from argparse import ArgumentTypeError
from contextlib import closing, suppress
from typing import TYPE_CHECKING

from ._base import log
from ._forwarding import Forwarder, kinds_of
from .errors import ConfigurationError
from .exporters.stores import batches_of, open_store
from .settings._stores import package_of

if TYPE_CHECKING:
    from argparse import ArgumentParser, Namespace
    from collections.abc import Iterator

    from ._forwarding import Kind
    from .exporters.stores import Store


def add_arguments(parser: ArgumentParser) -> None:
    """Define the arguments of `replay`."""
    parser.add_argument("url", metavar="URL", help="a directory, s3://bucket/prefix, sqs://queue, azurequeue://queue")
    parser.add_argument("--to", metavar="BASE_URL", help="send there instead of where ZESPAN_BASE_URL says")
    parser.add_argument("--dry-run", action="store_true", help="only tell what there is, and where it would be sent")
    parser.add_argument("--limit", type=_number_of_batches, metavar="N", help="stop after N batches")
    parser.add_argument("--keep", action="store_true", help="do not remove what has been delivered")
    parser.add_argument(
        "--patience",
        type=_seconds,
        default=60.0,
        metavar="SECONDS",
        help="how long one batch is tried while the backend is unavailable; default: %(default)s",
    )
    parser.set_defaults(run=run)


def run(arguments: Namespace) -> int:
    """Run the command; return 0 if everything was delivered. It can be repeated: delivered batches are deleted."""
    store = open_store(arguments.url)
    try:
        with closing(store), closing(Forwarder({"base_url": arguments.to} if arguments.to else {})) as forwarder:
            return _Replay(store, forwarder, arguments).run()
    except ConfigurationError:
        raise
    except KeyboardInterrupt:
        raise ConfigurationError("interrupted: run the same command again, which goes on where it was") from None
    except ImportError as error:
        package = package_of(arguments.url)
        raise ConfigurationError(f"{store.url} needs a package that is missing: {package} ({error})") from error
    except Exception as error:  # raised by an SDK: the store is unreachable, or there are no credentials
        raise ConfigurationError(f"{store.url}: {log.describe(error)}") from error


class _Replay:
    def __init__(self, store: Store, forwarder: Forwarder, arguments: Namespace) -> None:
        self._store, self._forwarder, self._arguments = store, forwarder, arguments
        self._batches = self._events = self._left = self._untried = 0
        self._unavailable: set[Kind] = set()  # kinds of events whose backend has failed

    def run(self) -> int:
        is_dry = self._arguments.dry_run
        for name, blob in self._blobs():
            if is_dry:
                self._show(name, blob)
            else:
                self._send(name, blob)
        if self._untried:
            print(f"not tried, because their backends have failed: {_counted(self._untried, 'more batch', 'es')}")
        said = "would be sent" if is_dry else "delivered"
        sent = f"{_counted(self._batches, 'batch', 'es')} with {_counted(self._events, 'event')} {said}"
        print(f"{sent}, {_counted(self._left, 'batch', 'es')} left")
        return 1 if self._left else 0

    def _blobs(self) -> Iterator[tuple[str, bytes]]:
        limit = self._arguments.limit
        for number, name in enumerate(self._store.list()):
            if limit is not None and number >= limit:
                return
            try:
                blob = self._store.get(name)
            except KeyError:
                _say(name, "gone: another process has taken it")
            except (OSError, ValueError) as error:
                self._leave(name, log.describe(error))
            else:
                yield name, blob

    def _show(self, name: str, blob: bytes) -> None:
        try:
            count, where = _count(blob), self._forwarder.destination(blob)
        except (ValueError, LookupError) as error:
            self._leave(name, str(error.args[0]))
        else:
            self._batches, self._events = self._batches + 1, self._events + count
            _say(name, f"{count} events for {where}")

    def _send(self, name: str, blob: bytes) -> None:
        """Send a batch, unless every backend that it is for has failed; other backends may be available."""
        if self._unavailable and _is_known(blob, self._unavailable):
            self._left, self._untried = self._left + 1, self._untried + 1
            return
        (outcome,) = self._forwarder.forward([blob], self._arguments.patience, self._unavailable)
        if outcome.verdict != "delivered":
            self._leave(name, f"{outcome.verdict}, {outcome.detail}")
            return
        if not self._arguments.keep:
            self._store.delete(name)
        count = _count(blob)
        self._batches, self._events = self._batches + 1, self._events + count
        _say(name, f"{_counted(count, 'event')} delivered")

    def _leave(self, name: str, reason: str) -> None:
        self._left += 1
        _say(name, f"stays where it is: {reason}")


def _say(name: str, text: str) -> None:
    print(log.printable(f"{name}: {text}"), flush=True)  # names come from outside, and may contain control characters


def _counted(number: int, noun: str, plural: str = "s") -> str:
    return f"{number} {noun}{'' if number == 1 else plural}"


def _count(blob: bytes) -> int:
    return sum(len(events) for _, events in batches_of(blob))


def _is_known(blob: bytes, unavailable: set[Kind]) -> bool:
    with suppress(ValueError):
        return kinds_of(blob) <= unavailable
    return False


def _number_of_batches(text: str) -> int:
    if text.isdecimal() and int(text):
        return int(text)
    raise ArgumentTypeError(f"use a number of batches, such as 10, not {text!r}")


def _seconds(text: str) -> float:
    with suppress(ValueError):
        if 0 < float(text) < float("inf"):
            return float(text)
    raise ArgumentTypeError(f"use a number of seconds, such as 60, not {text!r}")
