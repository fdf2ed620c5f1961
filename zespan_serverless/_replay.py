"""The command `replay`: sends what is parked in a store, and removes what has been delivered from there."""

from __future__ import annotations

from argparse import ArgumentTypeError
from contextlib import closing, suppress
from typing import TYPE_CHECKING

from ._base import log
from ._forwarding import Forwarder
from .errors import ConfigurationError
from .exporters.stores import batches_of, open_store
from .settings._stores import package_of

if TYPE_CHECKING:
    from argparse import ArgumentParser, Namespace
    from collections.abc import Iterator

    from .exporters.stores import Store


def add_arguments(parser: ArgumentParser) -> None:
    """Define what may be typed after `replay`."""
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
        help="how long one batch is tried while the backend is away; default: %(default)s",
    )
    parser.set_defaults(run=run)


def run(arguments: Namespace) -> int:
    """Run the command; 0 if everything was delivered. May be run again: what was delivered is gone from the store."""
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
    except Exception as error:  # of an SDK: the store is away, or there are no credentials for it
        raise ConfigurationError(f"{store.url}: {log.describe(error)}") from error


class _Replay:
    def __init__(self, store: Store, forwarder: Forwarder, arguments: Namespace) -> None:
        self._store, self._forwarder, self._arguments = store, forwarder, arguments
        self._batches = self._events = self._left = 0

    def run(self) -> int:
        is_dry = self._arguments.dry_run
        for name, blob in self._blobs():
            going_on = self._show(name, blob) if is_dry else self._send(name, blob)
            if not going_on:
                break
        said = "would be sent" if is_dry else "delivered"
        print(f"{self._batches} batches with {self._events} events {said}, {self._left} batches not")
        return 1 if self._left else 0

    def _blobs(self) -> Iterator[tuple[str, bytes]]:
        limit = self._arguments.limit
        for number, name in enumerate(self._store.list()):
            if limit is not None and number >= limit:
                return
            try:
                blob = self._store.get(name)
            except KeyError:
                _say(name, "gone, somebody else has taken it")
            except (OSError, ValueError) as error:
                self._leave(name, log.describe(error))
            else:
                yield name, blob

    def _show(self, name: str, blob: bytes) -> bool:
        try:
            count, where = _count(blob), self._forwarder.destination(blob)
        except (ValueError, LookupError) as error:
            self._leave(name, str(error.args[0]))
        else:
            self._batches, self._events = self._batches + 1, self._events + count
            _say(name, f"{count} events for {where}")
        return True

    def _send(self, name: str, blob: bytes) -> bool:
        """Send a batch; False if the others would fare no better."""
        (outcome,) = self._forwarder.forward([blob], self._arguments.patience)
        if outcome.verdict != "delivered":
            self._leave(name, f"{outcome.verdict}, {outcome.detail}")
            return outcome.verdict == "refused"
        if not self._arguments.keep:
            self._store.delete(name)
        count = _count(blob)
        self._batches, self._events = self._batches + 1, self._events + count
        _say(name, f"{count} events delivered")
        return True

    def _leave(self, name: str, reason: str) -> None:
        self._left += 1
        _say(name, f"stays where it is: {reason}")


def _say(name: str, text: str) -> None:
    print(log.printable(f"{name}: {text}"), flush=True)  # names are others', and may change what a terminal shows


def _count(blob: bytes) -> int:
    return sum(len(events) for _, events in batches_of(blob))


def _number_of_batches(text: str) -> int:
    if text.isdecimal() and int(text):
        return int(text)
    raise ArgumentTypeError(f"use a number of batches, such as 10, not {text!r}")


def _seconds(text: str) -> float:
    with suppress(ValueError):
        if 0 < float(text) < float("inf"):
            return float(text)
    raise ArgumentTypeError(f"use a number of seconds, such as 60, not {text!r}")
