"""`--write` changes all files or none, and never what git could not give back; no diff has a key."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest
from zespan_serverless_dev.init import writing
from zespan_serverless_dev.init.draft import Change

from tests.dev.init.command import WHEEL, contents, init
from zespan_serverless.cli import main

CODE = "def handler(event, context):\n    return 'ok'\n"
TEMPLATE = """\
Transform: AWS::Serverless-2016-10-31
Resources:
  Chat:
    Type: AWS::Serverless::Function
    Properties:
      CodeUri: .
      Handler: app.handler
      Runtime: python3.13
      Environment:
        Variables:
          OPENAI_API_KEY: sk-proj-4f1c0a9d2b7e
"""
KEY = "sk-proj-4f1c0a9d2b7e"


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """A project in git, without changes."""
    (tmp_path / "app.py").write_text(CODE)
    (tmp_path / "template.yaml").write_text(TEMPLATE)
    for command in ("init -q", "add .", "-c user.name=a -c user.email=a@b commit -qm first"):
        subprocess.run(["git", *command.split()], cwd=tmp_path, check=True, timeout=60)
    return tmp_path


def test_changes_that_git_does_not_have_are_kept(root: Path) -> None:
    """A file with such changes is refused, and no other is written; --allow-dirty writes all."""
    (root / "app.py").write_text(CODE + "# mine\n")
    before = contents(root)
    ran = init(root, "--write")
    assert ran.code == 2
    assert "app.py: commit them first, or add --allow-dirty" in ran.err
    assert contents(root) == before
    assert init(root, "--write", "--allow-dirty").code == 0
    assert (root / "app.py").read_text().endswith("# mine\n")
    assert init(root, "--write").code == 0  # nothing to do is no refusal


def test_all_files_or_none(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """When the last file cannot be written, the others have their old bytes again, and new ones are gone."""
    before, replace = contents(root), writing._replace

    def failing(file: Path, content: bytes) -> None:
        if file.name == "template.yaml":
            raise OSError(28, "No space left on device")
        replace(file, content)

    monkeypatch.setattr(writing, "_replace", failing)
    ran = init(root, "--write")
    assert ran.code == 2
    assert "(No space left on device), so no file was changed" in ran.err
    assert contents(root) == before


def test_a_file_that_another_program_has_changed_is_kept(root: Path) -> None:
    """What is on the disk is compared with what was read."""
    change = Change(root / "app.py", b"other", b"new")
    with pytest.raises(writing.Refused, match="just been changed by another program"):
        writing.write([change], allow_dirty=True)
    assert (root / "app.py").read_text() == CODE


def test_no_diff_has_a_key(root: Path) -> None:
    """Lines around a change are left out if they have one; in a line that changes there are asterisks."""
    ran = init(root)
    assert KEY not in ran.out + ran.err
    assert "+          ZESPAN_API_KEY_SECRET" in ran.out
    (root / "template.yaml").write_text(
        TEMPLATE[: TEMPLATE.index("Environment")] + f"Environment: {{Variables: {{OPENAI_API_KEY: {KEY}}}}}\n"
    )
    ran = init(root)
    assert KEY not in ran.out + ran.err
    assert "{OPENAI_API_KEY: ***" in ran.out


def test_permissions_and_links_stay(root: Path) -> None:
    """A file keeps its mode, and a link to a file outside of the project is not followed."""
    (root / "app.py").chmod(0o755)
    assert init(root, "--write", "--allow-dirty").code == 0
    assert (root / "app.py").stat().st_mode & 0o777 == 0o755
    outside = root.parent / "outside.py"
    outside.write_text(CODE)
    (root / "app.py").unlink()
    (root / "app.py").symlink_to(outside)
    assert "app.py: it is outside of the project's folder" in init(root).err
    assert outside.read_text() == CODE


def test_wrong_arguments_are_explained(
    root: Path, tmp_path_factory: pytest.TempPathFactory, capsys: pytest.CaptureFixture[str]
) -> None:
    """A wrong folder or function is named with what to type; a folder of something else is exit code 3."""
    assert main(["init", str(root / "nowhere")]) == 2
    assert "there is no folder" in capsys.readouterr().err
    assert main(["init", str(root), "--function", "Chatt"]) == 2
    assert "there is no function 'Chatt': the project's are Chat" in capsys.readouterr().err
    assert main(["init", str(root), "--function", "Chat"]) == 0
    assert f"+{WHEEL}" in capsys.readouterr().out
    assert main(["init", str(tmp_path_factory.mktemp("empty"))]) == 3
    assert "found nothing that it knows how to trace" in capsys.readouterr().err


def test_a_function_without_packages_is_left_with_what_to_do(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Nothing would install this package, so nothing is written, and the function is not said to be unknown."""
    (tmp_path / "app.py").write_text("def handler(event, context):\n    return None\n")
    function = "{handler: app.handler}"
    (tmp_path / "serverless.yml").write_text(
        f"service: a\nprovider: {{name: aws, runtime: python3.13}}\nfunctions:\n  hello: {function}\n"
    )
    assert main(["init", str(tmp_path)]) == 0
    done = capsys.readouterr()
    assert done.out == ""
    assert done.err.startswith("zespan-serverless init: nothing that it can write; what is left to you:\n- hello: ")
    assert "Add a requirements.txt" in done.err
