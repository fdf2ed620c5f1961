"""The entries of `propagate_to`: hosts, and services of AWS."""

from __future__ import annotations

import re

from .._base.guard import pass_on
from ..errors import ConfigurationError

AWS_SERVICES = ("events", "lambda", "sns", "sqs")
_FORMS = "api.example.com, api.example.com:8443, *.example.com, [::1]:8080 or aws:sqs"

_LABEL = r"[a-z0-9_](?:[a-z0-9_-]*[a-z0-9_])?"
_NAME = re.compile(rf"(\*\.)?({_LABEL}(?:\.{_LABEL})*)(?::(\d{{1,5}}))?")
_IPV6 = re.compile(r"\[([0-9a-f:.]+)\](?::(\d{1,5}))?")


def host_entry(text: str) -> str:
    """Normalize an entry: lower case, a suffix with `*.`. Raises ConfigurationError for any other text."""
    entry = text.lower().removesuffix(".")
    if entry.startswith("."):
        entry = f"*{entry}"
    if entry.startswith("aws:"):
        if entry[4:] not in AWS_SERVICES:
            services = ", ".join(f"aws:{service}" for service in AWS_SERVICES)
            raise ConfigurationError(f"propagate_to supports {services}, not {text!r}")
        return entry
    if "/" in entry or "@" in entry:
        raise ConfigurationError(f"propagate_to takes hosts, not URLs: write {_FORMS}, not {text!r}")
    if not entry.isascii():
        raise ConfigurationError(f"propagate_to must be in ASCII, as in xn--bcher-kva.example, not {text!r}")
    if not _is_host(entry):
        raise ConfigurationError(f"propagate_to takes entries like {_FORMS}, not {text!r}")
    return entry


def _is_host(entry: str) -> bool:
    found = _NAME.fullmatch(entry)
    if found is not None:
        suffix, name, port = found.groups()
        is_number = name.rpartition(".")[2].isdigit()  # an IPv4 address, which has no suffix
        return not (suffix and is_number) and (port is None or 0 < int(port) < 65_536)
    found = _IPV6.fullmatch(entry)
    return found is not None and _is_ipv6(found[1]) and (found[2] is None or 0 < int(found[2]) < 65_536)


def _is_ipv6(address: str) -> bool:
    from ipaddress import IPv6Address

    try:
        IPv6Address(address)
    except ValueError as error:
        pass_on(error)
        return False
    return True
