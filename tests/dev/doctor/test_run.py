"""The command: exit codes, the choice of rules, comments that ignore a finding, and the four formats."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path
from typing import Any

import pytest
import sarif_pydantic
from zespan_serverless_dev.doctor.rules import rules

from tests.dev.doctor.pages import write
from zespan_serverless.cli import main

KEY = "zsp_live_5up3rs3cr3t9"
TYPO = {".env": "ZESPAN_APIKEY=zsp_...\n"}
FAULTY = {
    **TYPO,
    "a folder/app.py": f"""\
from zespan_serverless import flush, zespan_lambda


@zespan_lambda(api_key="{KEY}")
def handler(event, context):
    flush()
    return {{}}
""",
}


@pytest.mark.parametrize(
    ("files", "options", "code"),
    [
        (TYPO, [], 0),
        (TYPO, ["--fail-on", "warning"], 1),
        (TYPO, ["--fail-on", "info", "--ignore", "ZS002"], 0),
        (FAULTY, [], 1),
        (FAULTY, ["--select", "ZS002,ZS1"], 0),
        (FAULTY, ["--ignore", "ZS005"], 0),
        (FAULTY, ["--ignore", "zs0"], 0),
        ({"notes.txt": "nothing"}, [], 3),
    ],
)
def test_the_exit_code_depends_on_the_worst_finding(
    files: dict[str, str], options: list[str], code: int, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """0 without a finding of the level --fail-on or above, 1 with one, 3 if there is nothing to check."""
    assert main(["doctor", str(write(files, tmp_path)), *options]) == code
    output = capsys.readouterr()
    assert bool(output.err) == (code == 3)


@pytest.mark.parametrize(
    ("arguments", "what_to_do"),
    [
        (["no/such/folder"], "there is no file or folder 'no/such/folder': name one"),
        (["--select", "ZS9"], "no rule's id begins with 'ZS9': --list-rules prints all"),
        (["--explain", "ZS9"], "there is no rule 'ZS9': --list-rules prints all"),
        (["--live", "--format", "sarif"], "--live has the formats text and json"),
    ],
)
def test_a_wrong_argument_is_explained(
    arguments: list[str], what_to_do: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """The exit code is 2, and the message says what to type instead."""
    assert main(["doctor", *arguments]) == 2
    assert what_to_do in capsys.readouterr().err


@pytest.mark.parametrize(
    ("name", "text", "ignored"),
    [
        (".env", "ZESPAN_APIKEY=1  # zespan: ignore ZS002\n", 1),
        (".env", "# zespan: ignore ZS010, ZS002\nZESPAN_APIKEY=1\n", 1),
        (".env", "# zespan: ignore ZS003\nZESPAN_APIKEY=1\n", 0),
        (".env", "# zespan: ignore ZS002\n\nZESPAN_APIKEY=1\n", 0),
        (".env", "ZESPAN_DEBUG=1  # zespan: ignore ZS002\nZESPAN_APIKEY=1\n", 0),
        ("Dockerfile", "FROM python\n# zespan: ignore ZS002\nENV ZESPAN_APIKEY=1\n", 1),
        ("app.py", 'import zespan\nzespan.init(api_key="zsp_123456789")  # zespan: ignore ZS005\n', 1),
        ("main.tf", 'resource "aws_lambda_function" "a" {\n environment {\n  variables = {\n   # zespan: ignore ZS002\n'
         '   ZESPAN_APIKEY = "1"\n  }\n }\n}\n', 1),
        ("template.yaml", "Resources:\n  A:\n    Type: AWS::Serverless::Function\n    Properties:\n      Environment:\n"
         "        Variables:\n          ZESPAN_APIKEY: x # zespan: ignore ZS002\n", 1),
    ],
)  # fmt: skip
def test_comment_ignores_a_finding(
    name: str, text: str, ignored: int, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """On its line, or alone on the line above, in each format that has comments; the report counts it."""
    main(["doctor", str(write({name: text}, tmp_path)), "--format", "json", "--select", "ZS002,ZS005"])
    report = json.loads(capsys.readouterr().out)
    assert report["summary"]["ignored"] == ignored
    assert len(report["findings"]) == 1 - ignored


def _report(form: str, folder: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> str:
    monkeypatch.chdir(write(FAULTY, folder))
    assert main(["doctor", "--format", form]) == 1
    return capsys.readouterr().out


def test_the_text_report_has_place_reason_and_remedy(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each finding has its place, reason, remedy and page, the worst first."""
    text = _report("text", tmp_path, capsys, monkeypatch)
    assert text.startswith(
        "error[ZS005] key-in-plain-text: api_key is written in plain text\n"
        "  --> a folder/app.py:4\n"
        "   = why: Anybody who can read the repository, or the function's configuration, has the key.\n"
    )
    assert text.endswith("1 error, 2 warnings in 2 files, 0 functions\n")


def test_the_json_report_has_all_that_the_text_has(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """One object with a version, whose findings have all that the text says."""
    report = json.loads(_report("json", tmp_path, capsys, monkeypatch))
    assert report["schema"] == "1"
    assert report["summary"] == {"error": 1, "warning": 2, "info": 0, "ignored": 0}
    assert [(one["id"], one["file"], one["line"]) for one in report["findings"]] == [
        ("ZS005", "a folder/app.py", 4),
        ("ZS002", ".env", 1),
        ("ZS107", "a folder/app.py", 6),
    ]
    assert report["findings"][1] == {
        "id": "ZS002",
        "name": "unknown-variable",
        "level": "warning",
        "message": "ZESPAN_APIKEY is not a setting: did you mean ZESPAN_API_KEY?",
        "file": ".env",
        "line": 1,
        "function": None,
        "why": rules()["ZS002"][0].why,
        "remedy": "Write ZESPAN_API_KEY.",
        "page": "docs/doctor/ZS002.md",
    }


def test_the_sarif_report_has_rules_levels_and_places(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A reader of SARIF finds rules, levels and places; a space in a path is encoded as in a URI."""
    log = sarif_pydantic.Sarif.model_validate_json(_report("sarif", tmp_path, capsys, monkeypatch))
    (run,) = log.runs
    results: Any = run.results
    assert log.version == "2.1.0"
    assert [rule.id for rule in run.tool.driver.rules or []] == ["ZS005", "ZS002", "ZS107"]
    assert [(one.rule_id, one.rule_index, one.level.value) for one in results] == [
        ("ZS005", 0, "error"),
        ("ZS002", 1, "warning"),
        ("ZS107", 2, "warning"),
    ]
    place = results[0].locations[0].physical_location
    assert (place.artifact_location.uri, place.region.start_line) == ("a%20folder/app.py", 4)


def test_the_github_report_escapes_workflow_commands(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """One annotation a line; what has a meaning in a workflow command is escaped."""
    monkeypatch.chdir(tmp_path)
    write({"50%, a:b/.env": "ZESPAN_FLUSH_TIMEOUT=1%\n"}, tmp_path)
    main(["doctor", "--format", "github"])
    assert capsys.readouterr().out == (
        "::error file=50%25%2C a%3Ab/.env,line=1,title=ZS003 invalid-value::ZESPAN_FLUSH_TIMEOUT='1%25': "
        "use a number like 1.5. Write the value as the message says.\n"
    )


@pytest.mark.parametrize("form", ["text", "json", "sarif", "github"])
def test_no_report_has_a_key(
    form: str, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Wherever a key is: under a wrong name, in a wrong form, in an address, in code."""
    lines = (
        f"ZESPAN_APIKEY={KEY}",
        f"ZESPAN_API_KEY={KEY}\u00e4",
        f"ZESPAN_API_KEY_SECRET={KEY}",
        f"ZESPAN_HEADERS={KEY}",
        f"ZESPAN_BASE_URL=http://user:{KEY}@example.com?key={KEY}",
        f"ZESPAN_FALLBACK=s3://{KEY}@bucket",
        f"OPENAI_API_KEY={KEY}",
    )
    write(
        {"some.env": "\n".join(lines), "Dockerfile": "FROM python\n" + "".join(f"ENV {line}\n" for line in lines)},
        tmp_path,
    )
    monkeypatch.setenv("ZESPAN_HEADERS", KEY)
    output = _report(form, tmp_path, capsys, monkeypatch)
    assert "ZS005" in output
    assert KEY not in output


def test_env_file_with_a_key_is_a_finding_only_in_git(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A file that stays on the machine is where a key belongs."""
    write({".env": f"ZESPAN_API_KEY={KEY}\n"}, tmp_path)
    subprocess.run(["git", "init", "-q", str(tmp_path)], check=True)
    assert main(["doctor", str(tmp_path)]) == 0
    subprocess.run(["git", "-C", str(tmp_path), "add", "-f", ".env"], check=True)
    assert main(["doctor", str(tmp_path)]) == 1
    assert "ZS005" in capsys.readouterr().out


def test_rules_can_be_listed_and_explained(capsys: pytest.CaptureFixture[str]) -> None:
    """Without any project."""
    assert main(["doctor", "--list-rules"]) == 0
    assert capsys.readouterr().out.count("\n") == len(rules())
    assert main(["doctor", "--explain", "zs002"]) == 0
    assert "ZS002 unknown-variable (warning)\n\nA variable that is not a setting" in capsys.readouterr().out


def test_variable_of_the_shell_is_checked(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Those of the environment that the command runs in, too."""
    monkeypatch.setenv("ZESPAN_FLUSH_TIMOUT", "2")
    main(["doctor", str(tmp_path)])
    assert "did you mean ZESPAN_FLUSH_TIMEOUT?\n  --> (environment)\n" in capsys.readouterr().out


@pytest.mark.parametrize(
    "text",
    [
        *("def handler(:\n", "=" * 10, "\N{SNOWMAN}" * 10, "\0"),
        *("(" * 100_000, "x = " + "-" * 100_000 + "1", "a" + ".b" * 600 + "()", "x = 1" + " + 1" * 900),
    ],
)
def test_code_that_python_cannot_read_is_skipped(text: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The report says which file, and the command goes on."""
    write({**TYPO, "app.py": text}, tmp_path)
    assert main(["doctor", str(tmp_path)]) == 0
    output = capsys.readouterr().out
    assert f"skipped {tmp_path}/app.py: " in output
    assert "ZS002" in output
