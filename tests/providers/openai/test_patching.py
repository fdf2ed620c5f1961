"""How the client comes to be traced: whenever it is imported, once, and without being imported by us."""

from __future__ import annotations

import inspect
import os
import subprocess
import sys
import textwrap
import zipfile
from importlib import import_module
from pathlib import Path
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any
from unittest.mock import Mock

import openai
import pytest
import wrapt
from zespan_serverless_dev.emulator.model import WORDS, ModelEndpoint

import zespan_serverless
from zespan_serverless import patch_openai, providers, wrap_openai
from zespan_serverless._base import hook
from zespan_serverless.providers import ROOMS, _patch
from zespan_serverless.providers.openai import CHOKES

if TYPE_CHECKING:
    from .conftest import Recorded, Side

METHODS = CHOKES[0]
ROOT = Path(zespan_serverless.__file__).parents[1]
FAKE = """
class Completions:
    def create(self, **request):
        return "answer"

class AsyncCompletions:
    async def create(self, **request):
        return "answer"
"""


def run(script: str, *arguments: object) -> str:
    """Run a script that asserts, in a process of its own; what it logs is returned."""
    command = [sys.executable, "-W", "error", "-c", textwrap.dedent(script), *map(str, arguments)]
    environ = {**os.environ, "PYTHONPATH": str(ROOT)}
    done = subprocess.run(command, env=environ, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stderr
    return done.stderr


@pytest.fixture
def fake(tmp_path: Path) -> Path:
    """A package `openai` with nothing in it but what we patch, in a zip file."""
    path = tmp_path / "fake.zip"
    with zipfile.ZipFile(path, "w") as file:
        for package in ("openai", "openai/resources", "openai/resources/chat", "openai/resources/chat/completions"):
            file.writestr(f"{package}/__init__.py", "")
        file.writestr("openai/resources/chat/completions/completions.py", FAKE)
        file.writestr("openai/resources/chat/completions/other.py", "x = 1")
    return path


@pytest.fixture
def unpatched(monkeypatch: pytest.MonkeyPatch) -> None:
    """The client's methods are its own, and starting a container leaves them so."""
    methods = ("create", "parse", "request")
    classes = [name for choke in CHOKES for name in choke.classes]
    for name in ROOMS:
        module = vars(sys.modules.get(name, SimpleNamespace()))
        for owner in filter(None, map(module.get, classes)):
            for method in methods:
                original = getattr(vars(owner).get(method), "__zespan_original__", None)
                if original is not None:
                    monkeypatch.setattr(owner, method, original)
    monkeypatch.setattr(providers, "watch", lambda: None)


@pytest.mark.parametrize("first", [pytest.param("openai", marks=pytest.mark.slow), "zespan_serverless"])
def test_the_order_of_imports(first: str, model: ModelEndpoint) -> None:
    """A decorated function's calls are traced whether openai is imported before, or in the function; never by us."""
    script = """
        import sys
        if sys.argv[1] == "openai":
            import openai
        from zespan_serverless import testing, zespan_lambda

        @zespan_lambda
        def handler(event, context):
            assert ("openai" in sys.modules) == (sys.argv[1] == "openai")
            import openai
            with openai.OpenAI(base_url=sys.argv[2], api_key="k") as client:
                client.chat.completions.create(model="a", messages=[])
                usage = {"include_usage": True}
                list(client.chat.completions.create(model="b", messages=[], stream=True, stream_options=usage))

        with testing.recording() as events:
            handler({}, testing.LambdaContext())
        assert [e["model"] for e in events] == ["a", "b", ""], events
    """
    assert not run(script, first, model.url)


def test_importing_costs_little() -> None:
    """Watching for openai imports neither that nor anything heavy."""
    script = """
        import logging, sys
        before = set(sys.modules)  # logging imports inspect and copy on Python 3.14
        from zespan_serverless import patch_openai
        patch_openai()
        heavy = {"openai", "asyncio", "inspect", "hashlib", "copy", "typing_extensions", "http.client", "ssl"}
        assert not heavy & (sys.modules.keys() - before), heavy & sys.modules.keys()
    """
    assert not run(script)


def test_a_process_without_the_client_imports_no_room() -> None:
    """A start of telemetry reads the table and the import hook, and no provider's room until its SDK is imported."""
    script = """
        import sys
        from zespan_serverless import testing
        with testing.recording():
            prefix = "zespan_serverless.providers"
            loaded = {name for name in sys.modules if name.startswith(prefix)}
            assert loaded == {prefix}, loaded
    """
    assert not run(script)


@pytest.mark.slow
def test_what_the_client_imports_late_stays_late() -> None:
    """Newer clients import what is asked for; we ask for nothing."""
    script = """
        import sys
        if sys.argv[1] == "patched":
            from zespan_serverless import patch_openai
            patch_openai()
        import openai.resources.chat.completions
        print(*sorted(name for name in sys.modules if name.startswith("openai.")), file=sys.stderr)
    """
    assert run(script, "patched") == run(script, "plain") != "\n"


@pytest.mark.slow
def test_patched_while_another_thread_imports() -> None:
    """Even the moment in which the module is there but not yet complete is not too late."""
    script = """
        import sys, threading, time
        from importlib.machinery import PathFinder
        from zespan_serverless import patch_openai

        begun = threading.Event()

        class Slow:
            def find_spec(name, path=None, target=None):
                if name != sys.argv[1]:
                    return None
                spec = PathFinder.find_spec(name, path, target)
                load = spec.loader.exec_module
                def exec_module(module):
                    begun.set()
                    time.sleep(0.1)
                    load(module)
                spec.loader.exec_module = exec_module
                return spec

        def use():
            import openai
            openai.OpenAI(api_key="k").chat.completions

        sys.meta_path.insert(0, Slow)
        thread = threading.Thread(target=use)
        thread.start()
        assert begun.wait(50)
        patch_openai()
        thread.join()
        import openai
        assert hasattr(openai.OpenAI(api_key="k").chat.completions.create, "__zespan_original__")
    """
    with openai.OpenAI(api_key="k") as client:
        assert not run(script, type(client.chat.completions).__module__)


@pytest.mark.slow
def test_a_reloaded_module_is_patched_again() -> None:
    """A reload restores the plain methods, and they are patched again."""
    script = """
        import importlib, sys
        from zespan_serverless import patch_openai
        patch_openai()
        import openai
        module = sys.modules[type(openai.OpenAI(api_key="k").chat.completions).__module__]
        before = module.Completions.create
        importlib.reload(module)
        assert module.Completions.create is not before
        assert hasattr(module.Completions.create, "__zespan_original__")
    """
    assert not run(script)


def test_from_a_zip_file(fake: Path) -> None:
    """Its modules share one loader, which is left as it was."""
    script = """
        import asyncio, sys
        sys.path.insert(0, sys.argv[1])
        from zespan_serverless import patch_openai
        patch_openai()
        from openai.resources.chat.completions import completions, other
        assert other.x == 1
        assert completions.Completions().create() == "answer"
        assert asyncio.run(completions.AsyncCompletions().create()) == "answer"
        assert hasattr(completions.Completions.create, "__zespan_original__")
        assert type(completions.__spec__.loader).__name__ == type(completions.__loader__).__name__ == "zipimporter"
    """
    assert not run(script, fake)


def test_a_loader_that_cannot_be_changed(fake: Path) -> None:
    """Its module is patched like any, and has its own loader, also when it is loaded again."""
    script = """
        import importlib, sys
        from importlib.util import spec_from_loader
        sys.path.insert(0, sys.argv[1])

        class Loader:
            __slots__ = ()
            def create_module(self, spec):
                return None
            def exec_module(self, module):
                assert module.__loader__ is module.__spec__.loader is loader
                class Completions:
                    def create(self):
                        return "answer"
                module.Completions = Completions

        loader = Loader()

        class Finder:
            def find_spec(name, path=None, target=None):
                return spec_from_loader(name, loader) if name.endswith("completions.completions") else None

        sys.meta_path.insert(0, Finder)
        from zespan_serverless import patch_openai
        patch_openai()
        from openai.resources.chat.completions import completions
        for _ in range(2):
            assert completions.Completions().create() == "answer"
            assert hasattr(completions.Completions.create, "__zespan_original__")
            assert completions.__loader__ is completions.__spec__.loader is loader
            importlib.reload(completions)
    """
    assert not run(script, fake)


def test_two_similar_import_hooks_work(fake: Path) -> None:
    """A second copy of the package, such as a vendored one, asks ours, which asks it: the import comes through."""
    script = """
        import sys
        sys.path.insert(0, sys.argv[1])
        from zespan_serverless._base.hook import WhenImported
        from zespan_serverless import patch_openai
        patch_openai()
        (ours,) = (finder for finder in sys.meta_path if isinstance(finder, WhenImported))
        sys.meta_path[:0] = [WhenImported(ours.patches), WhenImported(ours.patches)]
        from openai.resources.chat.completions import completions
        assert completions.Completions().create() == "answer"
        assert hasattr(completions.Completions.create, "__zespan_original__")
    """
    assert not run(script, fake)


def test_a_module_that_is_only_looked_up(fake: Path) -> None:
    """What others ask of its spec, they get."""
    script = """
        import importlib.util, sys
        sys.path.insert(0, sys.argv[1])
        from zespan_serverless import patch_openai
        patch_openai()
        spec = importlib.util.find_spec("openai.resources.chat.completions.completions")
        assert "class Completions" in spec.loader.get_source(spec.name)
        module = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(module)
        assert hasattr(module.Completions.create, "__zespan_original__")
        assert type(module.__spec__.loader).__name__ == "zipimporter"
    """
    assert not run(script, fake)


def test_finders_of_old(fake: Path) -> None:
    """Some packages still put a finder of Python 2's kind into sys.meta_path: it is passed over."""
    script = """
        import sys, warnings
        warnings.simplefilter("ignore")
        sys.path.insert(0, sys.argv[1])

        class Old:
            def find_module(name, path=None):
                return None

        sys.meta_path.insert(0, Old)
        from zespan_serverless import patch_openai
        patch_openai()
        from openai.resources.chat.completions import completions
        assert hasattr(completions.Completions.create, "__zespan_original__")
    """
    assert not run(script, fake)


def test_an_import_that_fails(fake: Path) -> None:
    """What a finder or the module itself raises is what the importer gets."""
    script = """
        import sys
        sys.path.insert(0, sys.argv[1])

        class Finder:
            def find_spec(name, path=None, target=None):
                if name.endswith("completions.completions"):
                    raise RuntimeError("theirs")

        sys.meta_path.insert(0, Finder)
        from zespan_serverless import patch_openai
        patch_openai()
        try:
            from openai.resources.chat.completions import completions
        except RuntimeError as error:
            assert str(error) == "theirs"
        else:
            raise AssertionError
    """
    said = "zespan-serverless: openai calls are not traced: RuntimeError('theirs')"
    assert run(script, fake) == f"{said} (docs/log-lines.md#not-patched)\n"


@pytest.mark.slow
def test_patching_is_idempotent(side: Side, recorded: Recorded) -> None:
    """However often: one wrapper around each method, one import hook, one event a call."""
    create = type(side.client.chat.completions).create
    patch_openai()
    patch_openai()
    wrap_openai(side.client)
    assert type(side.client.chat.completions).create is create
    assert sum(isinstance(finder, hook.WhenImported) for finder in sys.meta_path) == 1
    side.ask()
    assert len(recorded.calls()) == 1


def test_the_methods_look_the_same(side: Side, recorded: Recorded) -> None:
    """Name, documentation, signature, and whether it is a coroutine function, are the client's."""
    owner = type(side.client.chat.completions)
    for name in set(METHODS.methods) & vars(owner).keys():
        method = vars(owner)[name]
        original = method.__zespan_original__
        assert (method.__name__, method.__doc__, method.__module__) == (name, original.__doc__, original.__module__)
        assert inspect.signature(method) == inspect.signature(original)
        assert inspect.iscoroutinefunction(method) == inspect.iscoroutinefunction(original)
        assert inspect.iscoroutinefunction(method) == inspect.iscoroutinefunction(original)


def test_arguments_are_rejected_when_they_are_given(side: Side, recorded: Recorded) -> None:
    """The async client, too, says that one is missing at the call, not when that is awaited."""
    with pytest.raises(TypeError, match="Missing required arguments"):
        side.client.chat.completions.create()
    assert recorded.one()["status"] == "error"


@pytest.mark.parametrize("_side", ["async"], indirect=True)
def test_an_unawaited_call_has_no_event(side: Side, recorded: Recorded) -> None:
    """Nothing is sent, no event is made, and Python's warning names the client's method."""
    with pytest.warns(RuntimeWarning, match=r"'AsyncCompletions\.create' was never awaited"):
        side.client.chat.completions.create(model="m", messages=[])
    assert recorded.calls() == []


@pytest.mark.usefixtures("unpatched")
def test_one_client_only(side: Side, recorded: Recorded, model: ModelEndpoint) -> None:
    """wrap_openai gives the client back, traced; others, also those made from it, are not."""
    other = side.connect(model.url)
    client = side.connect(model.url)
    assert wrap_openai(wrap_openai(client)) is client
    side.client, plain = client, side.client
    try:
        side.ask()
        assert "".join(c.choices[0].delta.content or "" for c in side.take(side.ask(stream=True))) == "".join(WORDS)
        assert side.run(client.chat.completions.with_raw_response.create(model="m", messages=[])).status_code == 200
        side.parse(model="m", messages=[])
        assert len(recorded.calls()) == 4
        for untraced in (other, client.with_options(timeout=5)):
            side.client = untraced
            side.ask()
        assert len(recorded.calls()) == 4
    finally:
        side.client = plain
        side.run(client.close())
        side.run(other.close())


@pytest.mark.usefixtures("unpatched")
def test_on_top_of_another_tools_wrapper(side: Side, recorded: Recorded, monkeypatch: pytest.MonkeyPatch) -> None:
    """A wrapper that asks the descriptor protocol which object it is on is told, and its arguments are without it."""
    owner = type(side.client.chat.completions)
    seen: list[tuple[Any, ...]] = []

    def theirs(wrapped: Any, instance: Any, args: Any, kwargs: Any) -> Any:
        seen.append((instance, args))
        return wrapped(**kwargs)

    monkeypatch.setattr(owner, "create", wrapt.FunctionWrapper(vars(owner)["create"], theirs))
    _patch.patch(sys.modules[owner.__module__], CHOKES)
    assert side.ask().choices[0].message.content == "".join(WORDS)
    assert seen == [(side.client.chat.completions, ())]
    assert recorded.one()["completion_text"] == "".join(WORDS)


@pytest.mark.usefixtures("unpatched")
def test_on_top_of_a_mock(side: Side, recorded: Recorded, monkeypatch: pytest.MonkeyPatch) -> None:
    """What is no descriptor is called as it would be without us: a test's mock sees the arguments, and no object."""
    owner = type(side.client.chat.completions)
    mock = Mock(return_value="answer")
    monkeypatch.setattr(owner, "create", mock)
    _patch.patch(sys.modules[owner.__module__], CHOKES)
    assert side.client.chat.completions.create(model="m") == "answer"
    mock.assert_called_once_with(model="m")
    assert len(recorded.calls()) == 1


def test_a_third_party_client(recorded: Recorded) -> None:
    """wrap_openai takes whatever has chat.completions with the methods."""

    class Completions:
        def create(self, **request: Any) -> Any:
            return SimpleNamespace(model="theirs", usage=SimpleNamespace(prompt_tokens=3, completion_tokens=4))

        parse = create

    client = wrap_openai(SimpleNamespace(chat=SimpleNamespace(completions=Completions())))
    assert client.chat.completions.create(messages=[{"role": "user", "content": "Hi"}]).model == "theirs"
    event = recorded.one()
    assert (event["model"], event["input_tokens"], event["output_tokens"]) == ("theirs", 3, 4)


class _Slotted:
    """Whose methods cannot be replaced."""

    __slots__ = ()

    def create(self, **request: Any) -> str:
        return "answer"


class _Raising:
    """A module whose lazy attributes fail."""

    def __getattr__(self, name: str) -> Any:
        raise RuntimeError(f"no {name}")


class _OnlyCreate:
    def create(self, **request: Any) -> str:
        return "answer"


def _client(completions: Any) -> Any:
    return SimpleNamespace(chat=SimpleNamespace(completions=completions))


@pytest.mark.parametrize(
    "client",
    [
        None,
        object(),
        SimpleNamespace(chat=None),
        _client(_Slotted()),
        _client(_Raising()),
        SimpleNamespace(chat=_Raising()),
        _Raising(),
    ],
    ids=["none", "no chat", "no completions", "slotted", "no methods", "lazy chat", "lazy client"],
)
def test_clients_that_cannot_be_traced(client: Any, recorded: Recorded, caplog: pytest.LogCaptureFixture) -> None:
    """wrap_openai gives each back as it is, and says once that it is not traced: it is called where users import."""
    assert wrap_openai(wrap_openai(client)) is client
    (record,) = caplog.records
    assert record.getMessage().startswith(f"zespan-serverless: calls of this {type(client).__name__} are not traced: ")


def test_a_client_with_one_method(recorded: Recorded) -> None:
    """One that cannot parse is traced for what it can; a mock is, too."""
    client = wrap_openai(_client(_OnlyCreate()))
    assert client.chat.completions.create(model="m") == "answer"
    mock = wrap_openai(Mock())
    mock.chat.completions.create(model="mock")
    assert [event["model"] for event in recorded.calls()] == ["m", "mock"]


def test_a_client_that_another_tool_has_wrapped(side: Side, recorded: Recorded, model: ModelEndpoint) -> None:
    """A tool that keeps the method which it found in one client, before we came, does not hide its calls from us."""
    owner = type(side.client.chat.completions)
    side.client = side.connect(model.url)
    found = owner.create.__zespan_original__.__get__(side.client.chat.completions)
    side.client.chat.completions.create = lambda **request: found(**request)
    side.ask()
    side.take(side.ask(stream=True))
    raw = side.run(side.client.chat.completions.with_raw_response.create(model="m", messages=[]))
    assert raw.parse().choices[0].message.content == "".join(WORDS)
    with pytest.raises(openai.InternalServerError):
        side.ask(model="error-500")
    assert [event["completion_text"] for event in recorded.calls()] == ["".join(WORDS)] * 3 + [""]
    assert [event["stream"] for event in recorded.calls()] == [False, True, False, False]


def test_other_resources_are_left_alone(recorded: Recorded) -> None:
    """Only the methods that complete a chat are touched, and the one that sends requests."""
    with openai.OpenAI(api_key="k") as client:
        module = import_module(type(client.chat.completions).__module__)
    owners = {name: vars(value) for name, value in dict(vars(module)).items() if inspect.isclass(value)}
    methods = [(name, method) for name, owner in owners.items() for method in owner]
    touched = {(name, method) for name, method in methods if hasattr(owners[name][method], "__zespan_original__")}
    completing = {(name, method) for name, method in methods if name in METHODS.classes and method in METHODS.methods}
    assert touched == completing
    base, (_, inner, _) = import_module("openai._base_client"), CHOKES
    assert all(hasattr(getattr(base, name).request, "__zespan_original__") for name in inner.classes)
    assert touched >= {("Completions", "create"), ("AsyncCompletions", "create")}
