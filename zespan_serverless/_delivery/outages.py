"""What to do about an outage, by what has failed. Imported when the first outage is logged."""

from __future__ import annotations

import re

_BY_STATUS = (
    (r"\d+ with a page", "page", "check that {0} is the backend: a login or a proxy may answer in its place"),
    (r"3", "redirect", "set base_url (ZESPAN_BASE_URL) to where {0} redirects to: redirects are not followed"),
    (r"407", "proxy", "give the proxy in HTTPS_PROXY or HTTP_PROXY its user and password: {0}"),
    (r"40[45]", "path", "check base_url (ZESPAN_BASE_URL): {0} answers, but not at the ingest path"),
    (r"429", "busy", "send less, or ask for a higher limit: {0} limits the rate"),
    (r"5", "server", "check the status of {0}: it fails at these requests"),
)
_BY_TEXT = (
    (r"API key cannot be read", "key", "check that the key can be read from AWS, see api_key_secret"),
    (r"SSL|TLS|[Cc]ertificate", "tls", "check the certificate of {0}: it is not one that this machine trusts"),
    (r"[Pp]roxy", "proxy", "check that the proxy in HTTPS_PROXY or HTTP_PROXY lets this pass, or set NO_PROXY: {0}"),
    (
        r"gaierror|getaddrinfo|[Nn]ame or service|nodename|name resolution|No address",
        "dns",
        "check the host's name in base_url (ZESPAN_BASE_URL), and that this network resolves names: {0}",
    ),
    (r"[Rr]efused", "refused", "check the port in base_url (ZESPAN_BASE_URL), and that the backend runs: {0}"),
    (
        r"[Tt]ime|no answer|[Uu]nreachable|interrupted",
        "timeout",
        "check that {0} can be reached from here: a subnet without NAT, or a firewall, lets requests wait",
    ),
)
_OTHER = "check that {0} can be reached from here"


def advice(detail: str, destination: str) -> tuple[str, str]:
    """Return the code of an outage's log line, and what to do, from an outcome's detail and the address."""
    status, by = detail.removeprefix("HTTP "), _BY_STATUS
    if status == detail:
        by = _BY_TEXT
        if " through the proxy " in destination and not re.search(_BY_TEXT[1][0], detail):
            status = "proxy"
    for pattern, cause, todo in by:
        if (re.search if by is _BY_TEXT else re.match)(pattern, status):
            is_url = destination.startswith("http")  # otherwise a store, or the user's exporter
            return f"away-{cause}", (todo if is_url else _OTHER).format(destination)
    return "away-other", _OTHER.format(destination)
