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

import openai
import pytest

import zespan_serverless
from emulator.model import WORDS, ModelEndpoint
from zespan_serverless import openai as room
from zespan_serverless import patch_openai, wrap_openai

if TYPE_CHECKING:
    from .conftest import Recorded, Side

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
    for name in room._MODULES:
        for owner in map(vars(sys.modules.get(name, SimpleNamespace())).get, room._CLASSES):
            for method in room._METHODS:
                original = getattr(vars(owner).get(method) if owner else None, "__zespan_original__", None)
                if original is not None:
                    monkeypatch.setattr(owner, method, original)
    monkeypatch.setattr(room, "patch_openai", lambda: None)


@pytest.mark.parametrize("first", ["openai", "zespan_serverless"])
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
                list(client.chat.completions.create(model="b", messages=[], stream=True))

        with testing.recording() as events:
            handler({}, testing.LambdaContext())
        assert [e["model"] for e in events] == ["a", "b", ""], events
    """
    assert not run(script, first, model.url)


def test_importing_costs_little() -> None:
    """Watching for openai imports neither that nor anything heavy."""
    script = """
        import sys
        from zespan_serverless.openai import patch_openai
        patch_openai()
        heavy = {"openai", "asyncio", "inspect", "hashlib", "copy", "typing_extensions", "http.client", "ssl"}
        assert not heavy & sys.modules.keys(), heavy & sys.modules.keys()
    """
    assert not run(script)


def test_what_the_client_imports_late_stays_late() -> None:
    """Newer clients import what is asked for; we ask for nothing."""
    script = """
        import sys
        if sys.argv[1] == "patched":
            from zespan_serverless.openai import patch_openai
            patch_openai()
        import openai.resources.chat.completions
        print(*sorted(name for name in sys.modules if name.startswith("openai.")), file=sys.stderr)
    """
    assert run(script, "patched") == run(script, "plain") != "\n"


def test_patched_while_another_thread_imports() -> None:
    """Even the moment in which the module is there but not yet complete is not too late."""
    script = """
        import sys, threading, time
        from importlib.machinery import PathFinder
        from zespan_serverless import openai as room

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
        assert begun.wait(10)
        room.patch_openai()
        thread.join()
        import openai
        assert hasattr(openai.OpenAI(api_key="k").chat.completions.create, "__zespan_original__")
    """
    with openai.OpenAI(api_key="k") as client:
        assert not run(script, type(client.chat.completions).__module__)


def test_imported_again() -> None:
    """A reload brings back the plain methods, and they are patched again."""
    script = """
        import importlib, sys
        from zespan_serverless.openai import patch_openai
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
        from zespan_serverless.openai import patch_openai
        patch_openai()
        from openai.resources.chat.completions import completions, other
        assert other.x == 1
        assert completions.Completions().create() == "answer"
        assert asyncio.run(completions.AsyncCompletions().create()) == "answer"
        assert hasattr(completions.Completions.create, "__zespan_original__")
        assert "exec_module" not in vars(completions.__spec__.loader)
    """
    assert not run(script, fake)


def test_a_loader_that_cannot_be_watched(fake: Path) -> None:
    """The module is imported as without us, and that it is not traced is said."""
    script = """
        import sys
        from importlib.util import spec_from_loader
        sys.path.insert(0, sys.argv[1])

        class Loader:
            __slots__ = ()
            def create_module(self, spec):
                return None
            def exec_module(self, module):
                module.Completions = 1

        class Finder:
            def find_spec(name, path=None, target=None):
                return spec_from_loader(name, Loader()) if name.endswith("completions.completions") else None

        sys.meta_path.insert(0, Finder)
        from zespan_serverless.openai import patch_openai
        patch_openai()
        from openai.resources.chat.completions import completions
        assert completions.Completions == 1
    """
    assert run(script, fake).startswith("zespan-serverless: openai calls are not traced: AttributeError")


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
        from zespan_serverless.openai import patch_openai
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
        from zespan_serverless.openai import patch_openai
        patch_openai()
        try:
            from openai.resources.chat.completions import completions
        except RuntimeError as error:
            assert str(error) == "theirs"
        else:
            raise AssertionError
    """
    assert run(script, fake) == "zespan-serverless: openai calls are not traced: RuntimeError('theirs')\n"


def test_patching_is_idempotent(side: Side, recorded: Recorded) -> None:
    """However often: one wrapper around each method, one import hook, one event a call."""
    create = type(side.client.chat.completions).create
    patch_openai()
    patch_openai()
    wrap_openai(side.client)
    assert type(side.client.chat.completions).create is create
    assert sum(isinstance(finder, room._WhenImported) for finder in sys.meta_path) == 1
    side.ask()
    assert len(recorded.calls()) == 1


def test_the_methods_look_the_same(side: Side, recorded: Recorded) -> None:
    """Name, documentation and signature are the client's."""
    create = type(side.client.chat.completions).create
    original = create.__zespan_original__
    assert (create.__name__, create.__doc__, create.__module__) == ("create", original.__doc__, original.__module__)
    assert inspect.signature(create) == inspect.signature(original)
    assert inspect.iscoroutinefunction(create) == (side.name == "async")


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


def test_a_client_of_somebody_elses(recorded: Recorded) -> None:
    """wrap_openai takes whatever has chat.completions with the methods."""

    class Completions:
        def create(self, **request: Any) -> Any:
            return SimpleNamespace(model="theirs", usage=SimpleNamespace(prompt_tokens=3, completion_tokens=4))

        parse = create

    client = wrap_openai(SimpleNamespace(chat=SimpleNamespace(completions=Completions())))
    assert client.chat.completions.create(messages=[{"role": "user", "content": "Hi"}]).model == "theirs"
    event = recorded.one()
    assert (event["model"], event["input_tokens"], event["output_tokens"]) == ("theirs", 3, 4)


def test_other_resources_are_left_alone(recorded: Recorded) -> None:
    """Only the methods that complete a chat are touched."""
    with openai.OpenAI(api_key="k") as client:
        module = import_module(type(client.chat.completions).__module__)
    owners = {name: vars(value) for name, value in dict(vars(module)).items() if inspect.isclass(value)}
    methods = [(name, method) for name, owner in owners.items() for method in owner]
    touched = {(name, method) for name, method in methods if hasattr(owners[name][method], "__zespan_original__")}
    assert touched == {(name, method) for name, method in methods if name in room._CLASSES and method in room._METHODS}
    assert touched >= {("Completions", "create"), ("AsyncCompletions", "create")}
