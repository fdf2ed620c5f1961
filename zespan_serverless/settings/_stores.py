"""How a store for events is named: a directory's path, or a URL. Imported when a setting names one."""

from __future__ import annotations

from importlib.util import find_spec

from ..errors import ConfigurationError

FORMS = {"file": "file:///mnt/efs/parking"}
"""An example of a URL for each scheme."""

PACKAGES: dict[str, str] = {}
"""What has to be installed for a scheme: a module that can be imported."""


def checked(value: object, setting: str) -> object:
    """A value of a setting that names a store or is an exporter. Raises ConfigurationError for any other."""
    if isinstance(value, str):
        return store(value, setting)
    calls = [getattr(value, "send", None), *(getattr(value, name, print) for name in ("prepare", "cancel", "close"))]
    if isinstance(value, type) or not all(map(callable, calls)):
        raise ConfigurationError(f"{setting} must be a directory's path, a URL or an exporter, not {value!r}")
    return value


def store(text: str, setting: str) -> str:
    """A store's URL or path as it was typed. Raises ConfigurationError, which says what to write instead."""
    scheme, separator, rest = text.partition("://")
    scheme = scheme.lower() if separator else "file"
    form = FORMS.get(scheme)
    if form is None or not (separator or "/" in text or "\\" in text):
        raise ConfigurationError(f"{setting} must be a directory's path, or like {', '.join(FORMS.values())}: {text!r}")
    is_place = "/" in rest if scheme == "file" else bool(rest.strip("/"))
    if separator and (not is_place or (scheme == "file" and rest.partition("/")[0] not in ("", "localhost"))):
        raise ConfigurationError(f"{setting} must be like {form}, not {text!r}")
    package = PACKAGES.get(scheme)
    if package is not None and not _is_installed(package):
        raise ConfigurationError(
            f"{setting}={text!r} needs the package {package.replace('.', '-')}, not installed here"
        )
    return text


def _is_installed(module: str) -> bool:
    try:
        return find_spec(module) is not None
    except ModuleNotFoundError:  # not even the package that it would be in
        return False
