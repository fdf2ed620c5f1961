"""Nothing here lets pip take this package from an index: before the first release its name may be anybody's there."""

from __future__ import annotations

import os
import re
import shlex
import subprocess
import sys
import threading
import zipfile
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from io import BytesIO
from pathlib import Path

import pytest

from zespan_serverless import __version__

ROOT = Path(__file__).parents[1]
WHEEL = f"zespan_serverless-{__version__}-py3-none-any.whl"
DOCKERFILE = ROOT / "deploy/aws_lambda/Dockerfile"
REQUIREMENTS = sorted((ROOT / "examples").rglob("requirements*.txt"))
PAGES = [
    *ROOT.glob("*.md"),
    *(page for folder in ("deploy", "docs", "examples") for page in (ROOT / folder).rglob("*.md")),
]
CODE = [file for folder in ("zespan_serverless", "dev") for file in (ROOT / folder).rglob("*.py")]  # its messages
COMMANDS = [ROOT / "Makefile", ROOT / "sam-template.yaml", DOCKERFILE, *(ROOT / "deploy").rglob("Makefile"), *PAGES]

INSTALL = re.compile(r"(?:pip|uv|pipx|poetry)\S* (?:pip )?(?:install|download|wheel|add)\b([^`&|;#\n]*)")
BY_NAME = re.compile(r"zespan[-_.]+serverless *($|[\[=<>!~;@ ])", re.IGNORECASE)


def installed(text: str) -> list[str]:
    """Return what the commands in a text have pip install, options among it."""
    lines = text.replace("\\\n", " ")
    return [word.strip("'\"") for found in INSTALL.findall(lines) for word in found.split()]


@pytest.mark.parametrize("file", REQUIREMENTS, ids=lambda file: file.parent.relative_to(ROOT / "examples").as_posix())
def test_requirements_name_the_wheel_by_its_path(file: Path) -> None:
    """Of this version, where the pages say that it is built; and they switch no index on that might have the name."""
    lines = file.read_text().splitlines()
    assert not [line for line in lines if BY_NAME.match(line) or line.startswith("-")]
    assert [line for line in lines if "zespan" in line] in ([f"./dist/{WHEEL}"], [])


@pytest.mark.parametrize("file", COMMANDS, ids=lambda file: file.relative_to(ROOT).as_posix())
def test_commands_do_not_install_this_package_by_name(file: Path) -> None:
    """No command for a shell, in a Dockerfile or on a page, installs this package by its bare name."""
    text = file.read_text()
    assert not [word for word in installed(text) if BY_NAME.match(word)]
    assert set(re.findall(r"zespan_serverless-[\w.]*\d[\w.-]*\.whl", text)) <= {WHEEL}


def test_messages_do_not_install_this_package_by_name() -> None:
    """What the package and the developers' tools print can be pasted as well as what the pages show."""
    named = {file.name: [word for word in installed(file.read_text()) if BY_NAME.match(word)] for file in CODE}
    assert {name: words for name, words in named.items() if words} == {}


def test_the_reader_of_commands_finds_them() -> None:
    """What the tests above would not see, they would not forbid."""
    text = "RUN pip install --target . \\\n  zespan-serverless && rm x\n`uv add zespan_serverless==1`, pip wheel ."
    assert installed(text) == ["--target", ".", "zespan-serverless", "zespan_serverless==1", "."]
    assert [bool(BY_NAME.match(word)) for word in installed(text)] == [False, False, True, True, False]


def wheel(name: str, version: str) -> bytes:
    """Return a wheel with nothing in it."""
    info = f"{name.replace('-', '_')}-{version}.dist-info"
    with zipfile.ZipFile(content := BytesIO(), "w") as archive:
        archive.writestr(f"{info}/METADATA", f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n")
        archive.writestr(f"{info}/WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n")
        archive.writestr(f"{info}/RECORD", "")
    return content.getvalue()


class Index(ThreadingHTTPServer):
    """A package index where a stranger has registered every name; `asked` are the names that it was asked for."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Answer)
        self.asked: set[str] = set()

    def pip(self, command: str, folder: Path) -> int:
        """Run a command in a folder, with a pip that knows this index only; its exit code."""
        env = {name: value for name, value in os.environ.items() if not name.startswith("PIP_")}
        url = f"http://127.0.0.1:{self.server_port}/simple"
        env |= {"PIP_INDEX_URL": url, "PIP_CONFIG_FILE": os.devnull, "PIP_NO_CACHE_DIR": "1"}
        env["PIP_DISABLE_PIP_VERSION_CHECK"] = "1"
        env["PATH"] = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
        return subprocess.run(command, shell=True, cwd=folder, env=env, capture_output=True, timeout=60).returncode


class _Answer(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        assert isinstance(self.server, Index)
        project = self.path.strip("/").split("/")[1]
        if self.path.endswith(".whl"):
            body = wheel(project, "99")
        else:
            self.server.asked.add(project)
            body = f'<a href="/file/{project}/{project.replace("-", "_")}-99-py3-none-any.whl">x</a>'.encode()
        self.send_response(200)
        self.send_header("content-type", "text/html")
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:
        pass


@pytest.fixture
def index() -> Iterator[Index]:
    with Index() as index:
        thread = threading.Thread(target=index.serve_forever)
        thread.start()
        yield index
        index.shutdown()
        thread.join()


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Of an application that needs openai, beside the wheel of this package."""
    (tmp_path / "dist").mkdir()
    (tmp_path / "dist" / WHEEL).write_bytes(wheel("zespan-serverless", __version__))
    (tmp_path / "requirements.txt").write_text("openai\n")
    return tmp_path


@pytest.mark.slow
def test_pip_asks_no_index_for_this_package(index: Index, folder: Path) -> None:
    """All requirements are got, ours from the file; without the file nothing is, rather than the stranger's."""
    options = shlex.join(part for file in REQUIREMENTS for part in ("-r", str(file)))
    assert index.pip(f"pip download --quiet --dest got {options}", folder) == 0
    assert {"openai", "fastapi", "flask"} < index.asked
    assert "zespan-serverless" not in index.asked
    assert (folder / "got" / WHEEL).exists()
    (folder / "dist" / WHEEL).unlink()
    assert index.pip(f"pip download --quiet --dest none {options}", folder) != 0
    assert "zespan-serverless" not in index.asked
    assert index.pip("pip download --quiet --dest none zespan-serverless", folder) == 0  # so it would be
    assert "zespan-serverless" in index.asked


@pytest.mark.slow
def test_the_image_has_this_package_from_the_file(index: Index, folder: Path) -> None:
    """The Dockerfile's command installs both, leaves no wheel behind, and fails where there is none."""
    (command,) = re.findall(r"^RUN (.*)", DOCKERFILE.read_text(), re.MULTILINE)
    assert index.pip(command, folder) == 0
    assert index.asked == {"openai"}
    assert (folder / f"zespan_serverless-{__version__}.dist-info").is_dir()
    assert (folder / "openai-99.dist-info").is_dir()
    assert not list(folder.rglob("*.whl"))
    assert index.pip(command, folder) != 0
    assert index.asked == {"openai"}
