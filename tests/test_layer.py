"""`python -m zespan_serverless layer build`: a layer for Lambda that is reproducible, small, and holds nothing else."""

from __future__ import annotations

import ast
import io
import re
import shutil
import subprocess
import sys
import tokenize
import zipfile
from pathlib import Path

import pytest

from zespan_serverless import _layer
from zespan_serverless.cli import main

ROOT = Path(__file__).parents[1]


@pytest.fixture(scope="module")
def layer(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A layer without bytecode, built as users do. Each build costs half a second of CPU."""
    folder = tmp_path_factory.mktemp("my layer")
    command = [sys.executable, "-m", "zespan_serverless", "layer", "build"]
    printed = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=True).stdout
    (folder / "printed.txt").write_text(printed)
    return folder / "zespan-serverless-layer.zip"


@pytest.mark.slow
@pytest.mark.parametrize("pythons", [[], ["--python", sys.executable]])
def test_the_layer_is_the_same_bytes_twice(tmp_path: Path, pythons: list[str]) -> None:
    """A reproducible zip, within its size gate."""
    for name in ("a.zip", "b.zip"):
        main(["layer", "build", "--output", str(tmp_path / name), *pythons])
    assert (tmp_path / "a.zip").read_bytes() == (tmp_path / "b.zip").read_bytes()
    assert (tmp_path / "a.zip").stat().st_size <= 992_000


@pytest.mark.slow
def test_the_documentation_has_the_sizes_of_the_layer(tmp_path: Path, layer: Path) -> None:
    """With bytecode and without, give or take a tenth: Pythons differ in their bytecode."""
    main(["layer", "build", "--output", str(tmp_path / "with.zip"), "--python", sys.executable])
    page = (ROOT / "deploy" / "aws_lambda" / "README.md").read_text()
    found = re.search(r"about (\d+) KB\s+instead of (\d+)", page)
    assert found
    sizes = [file.stat().st_size / 1000 for file in (tmp_path / "with.zip", layer)]
    assert [int(number) for number in found.groups()] == [pytest.approx(size, rel=0.1) for size in sizes]


def test_the_layer_is_small(layer: Path) -> None:
    """Without bytecode; with it, see above."""
    assert layer.stat().st_size <= 341_400


def test_the_command_that_publishes_the_layer_is_printed(layer: Path) -> None:
    """`python -m zespan_serverless layer build` prints the command that publishes the zip, as the page has it."""
    printed = layer.with_name("printed.txt").read_text()
    published = printed[printed.index("aws lambda publish-layer-version") :]
    assert published in (ROOT / "deploy/aws_lambda/README.md").read_text()


def test_a_path_with_a_space_is_quoted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """The command that is printed can be pasted."""
    monkeypatch.setattr("zespan_serverless._layer.build", lambda target, pythons: 1000)
    main(["layer", "build", "--output", str(tmp_path / "my layer.zip")])
    assert f"--zip-file 'fileb://{tmp_path}/my layer.zip' " in capsys.readouterr().out


def test_every_runtime_is_named() -> None:
    """The layer is for each Python that the package is for, on the command line, with SAM and with Terraform."""
    classified = re.findall(r"Python :: (3\.\d+)", (ROOT / "pyproject.toml").read_text())
    assert [f"python{version}" for version in classified] == list(_layer.RUNTIMES)
    assert f"CompatibleRuntimes: [{', '.join(_layer.RUNTIMES)}]" in (ROOT / "sam-template.yaml").read_text()
    module = (ROOT / "deploy/aws_lambda/terraform/variables.tf").read_text()
    assert ", ".join(f'"{runtime}"' for runtime in _layer.RUNTIMES) in module


@pytest.mark.slow
def test_bytecode_comes_along_whatever_the_environment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """PYTHONPYCACHEPREFIX does not lead it elsewhere."""
    monkeypatch.setenv("PYTHONPYCACHEPREFIX", str(tmp_path / "elsewhere"))
    main(["layer", "build", "--output", str(tmp_path / "layer.zip"), "--python", sys.executable])
    with zipfile.ZipFile(tmp_path / "layer.zip") as layer:
        assert any(name.endswith(".pyc") for name in layer.namelist())


def test_the_layer_holds_this_package_and_nothing_else(layer: Path) -> None:
    """No other package comes along, so none of the user's can be shadowed; nothing depends on the architecture."""
    with zipfile.ZipFile(layer) as archive:
        names = archive.namelist()
        assert archive.getinfo("zespan/wrapper").external_attr >> 16 == 0o755
    tops = {"/".join(name.split("/")[:2]).partition("-")[0] for name in names}
    assert tops == {"zespan/wrapper", "python/zespan_serverless"}
    ours = {name.removeprefix("python/zespan_serverless/") for name in names}
    for left_out in _layer.EXCLUDED:
        assert (ROOT / "zespan_serverless" / left_out).exists()
        assert not any(Path(name).is_relative_to(left_out) for name in ours)
    assert {Path(name).suffix for name in names if name.startswith("python/zespan_serverless/")} == {".py", ".typed"}


@pytest.mark.slow
def test_sources_lose_comments_and_docstrings_only() -> None:
    """Each statement stays in its line, for tracebacks."""
    for file in (ROOT / "zespan_serverless").rglob("*.py"):
        source = file.read_bytes()
        left = _layer._code_only(source)
        assert _statements(left) == _statements(source), file
        assert len(left.splitlines()) == len(source.splitlines()), file
        texts = [node for node in ast.walk(ast.parse(left)) if isinstance(node, ast.Expr) and _is_text(node)]
        assert texts == [], file
        comments = [t for t in tokenize.tokenize(io.BytesIO(left).readline) if t.type == tokenize.COMMENT]
        assert comments == [], file


def _statements(source: bytes) -> list[tuple[int, str]]:
    return [
        (node.lineno, ast.dump(node) if not hasattr(node, "body") else type(node).__name__)
        for node in ast.walk(ast.parse(source))
        if isinstance(node, ast.stmt)
        and not isinstance(node, ast.Pass)
        and not (isinstance(node, ast.Expr) and _is_text(node))
    ]


def _is_text(node: ast.Expr) -> bool:
    return isinstance(getattr(node.value, "value", None), str)


@pytest.mark.slow
@pytest.mark.skipif(sys.platform == "win32", reason="folders have no modes there")
def test_no_other_file_of_the_checkout_gets_into_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Neither what editors leave in it, nor the modes of its folders, which may be read-only."""
    copy = tmp_path / "zespan_serverless"
    shutil.copytree(ROOT / "zespan_serverless", copy)
    main(["layer", "build", "--output", str(tmp_path / "a.zip")])
    for name in (".DS_Store", "._auto.py"):
        (copy / name).write_text("x\0")
    (copy / "providers" / "openai" / "__init__.py.orig").write_text("x")
    copy.chmod(0o555)
    monkeypatch.setattr(_layer, "__file__", str(copy / "_layer.py"))
    main(["layer", "build", "--output", str(tmp_path / "b.zip"), "--python", sys.executable])
    main(["layer", "build", "--output", str(tmp_path / "c.zip")])
    copy.chmod(0o755)
    assert (tmp_path / "a.zip").read_bytes() == (tmp_path / "c.zip").read_bytes()


@pytest.mark.slow
def test_bytecode_is_used_wherever_it_is_unpacked(tmp_path: Path) -> None:
    """It is there for every module, and taken whatever the times and the text of the sources beside it are."""
    main(["layer", "build", "--output", str(tmp_path / "layer.zip"), "--python", sys.executable])
    with zipfile.ZipFile(tmp_path / "layer.zip") as layer:
        layer.extractall(tmp_path)
    for source in (tmp_path / "python" / "zespan_serverless").rglob("*.py"):
        source.write_text("raise SystemExit('compiled')\n")
    loaded = (
        "import sys, zespan_serverless.aws_lambda as ours, zespan_serverless._process.container; print(ours.__file__)"
    )
    found = subprocess.run(
        [sys.executable, "-c", loaded], cwd=tmp_path / "python", capture_output=True, text=True, check=True
    )
    assert found.stdout.startswith(str(tmp_path))


@pytest.mark.parametrize(("script", "said"), [("exit 3", ""), ("echo too old >&2; exit 1", "too old")])
def test_a_python_that_cannot_compile_is_named(
    tmp_path: Path, script: str, said: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """The command fails with the Python's own words, and no traceback."""
    monkeypatch.setattr(_layer, "_code_only", lambda source: source)  # which takes the time
    (python := tmp_path / "python").write_text(f"#!/bin/sh\n{script}\n")
    python.chmod(0o755)
    for name in (str(python), str(tmp_path / "none")):
        with pytest.raises(SystemExit) as left:
            main(["layer", "build", "--output", str(tmp_path / "layer.zip"), "--python", name])
        assert left.value.code == 1
        printed = capsys.readouterr().err
        assert f"{name} cannot compile the package" in printed
        assert said in printed or name != str(python)
