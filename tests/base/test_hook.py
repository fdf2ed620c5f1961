"""The import hook does no harm to imports."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from types import ModuleType

import pytest

from zespan_serverless._base.hook import WhenImported, when_imported


@pytest.fixture
def patched() -> Iterator[list[str]]:
    """Names of modules that have been patched."""
    yield []
    for finder in sys.meta_path:
        if isinstance(finder, WhenImported):
            for name in ("a_library_forbidden", "a_library_there"):
                finder.patches.pop(name, None)


def test_an_import_that_is_forbidden_keeps_no_other_from_being_patched(
    patched: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """None in `sys.modules` is how people say that a library is not to be used."""
    monkeypatch.setitem(sys.modules, "a_library_forbidden", None)
    monkeypatch.setitem(sys.modules, "a_library_there", ModuleType("a_library_there"))

    def patch(module: ModuleType) -> None:
        patched.append(module.__name__)

    when_imported({name: {"not patched": patch} for name in ("a_library_forbidden", "a_library_there")})
    assert patched == ["a_library_there"]


def test_an_import_that_fails_meanwhile_is_not_ours_to_raise(
    patched: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Another thread may be in the middle of it; what it raises is raised there."""
    monkeypatch.setitem(sys.modules, "a_library_forbidden", ModuleType("a_library_forbidden"))

    def fail(name: str) -> ModuleType:
        raise ImportError(name)

    monkeypatch.setattr("zespan_serverless._base.hook.import_module", fail)
    when_imported({"a_library_forbidden": {"not patched": lambda module: patched.append(module.__name__)}})
    assert patched == []
