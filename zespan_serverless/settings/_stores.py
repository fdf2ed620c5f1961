"""Names of stores for events: a directory's path, or a URL. Imported when a setting names one."""

from __future__ import annotations

import re
from importlib.util import find_spec

from ..errors import ConfigurationError

KNOWN = {
    "file": ("file:///mnt/efs/parking", ""),
    "s3": ("s3://bucket/prefix", "boto3"),
    "sqs": ("sqs://queue", "boto3"),
    "kinesis": ("kinesis://stream", "boto3"),
    "firehose": ("firehose://stream", "boto3"),
    "pubsub": ("pubsub://project/topic", "google.auth"),
    "azurequeue": ("azurequeue://queue", "azure.storage.queue"),
}
"""For each scheme an example of its URLs, and the module that has to be installed, if any."""

_PLACES = {
    "file": r"(localhost)?/.*",
    "pubsub": r"[^/@?]+/[^/@?]+(\?subscription=[^/&]+)?",
    "azurequeue": r"([^/@?]+/)?[^/@?]+",
}
_PLACE = r"[^/@?]+(/[^@?]*)?(\?region=[\w-]+)?"  # of the others, which are in AWS


def checked(value: object, setting: str) -> object:
    """Check a setting that names a store or is an exporter. Raises ConfigurationError for any other value."""
    if isinstance(value, str):
        return store(value, setting)
    calls = [getattr(value, "send", None), *(getattr(value, name, print) for name in ("prepare", "cancel", "close"))]
    if isinstance(value, type) or not all(map(callable, calls)):
        raise ConfigurationError(f"{setting} must be a directory's path, a URL or an exporter, not {value!r}")
    return value


def url(text: str, setting: str) -> str:
    """Check a store's URL. Raises ConfigurationError for a path, and for a misspelled name."""
    if "://" not in text:
        form = "a name, or a URL like file:///mnt/efs/parking or s3://bucket/prefix"
        raise ConfigurationError(f"{setting} must be {form}, not {text!r}")
    return store(text, setting)


def store(text: str, setting: str) -> str:
    """Check a store's URL or path. Raises ConfigurationError, which says what to write instead."""
    scheme, separator, rest = text.partition("://")
    form, module = KNOWN.get(scheme.lower() if separator else "file", ("", ""))
    if not form or not (separator or "/" in text or "\\" in text):
        forms = ", ".join(example for example, _ in KNOWN.values())
        raise ConfigurationError(f"{setting} must be a directory's path, or like one of {forms}, not {text!r}")
    if separator and not re.fullmatch(_PLACES.get(scheme.lower(), _PLACE), rest):
        shown = "" if "@" in text else f", not {text!r}"  # does not repeat a password
        raise ConfigurationError(f"{setting} must be like {form}{shown}")
    if module and not _is_installed(module):
        raise ConfigurationError(f"{setting}={text!r} needs a package that is missing: {package_of(text)}")
    return text


def package_of(text: str) -> str:
    """Return the name of the package that a store needs; empty if it needs none."""
    scheme, separator, _ = text.partition("://")
    return KNOWN[scheme.lower() if separator else "file"][1].replace(".", "-")


def _is_installed(module: str) -> bool:
    try:
        return find_spec(module) is not None
    except ModuleNotFoundError:  # not even the package that it would be in
        return False
