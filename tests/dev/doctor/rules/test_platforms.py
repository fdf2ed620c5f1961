"""What rules say on platforms other than AWS."""

from __future__ import annotations

from pathlib import Path

import pytest
from zespan_serverless_dev.doctor.readers import read
from zespan_serverless_dev.doctor.run import diagnose, selected

from tests.dev.doctor.pages import write

HANDLER = "from openai import OpenAI\n\n\ndef {}(event, context):\n    return OpenAI().models.list()\n"
PROJECTS = {
    "@zespan_alibaba": {
        "s.yaml": "resources: {a: {component: fc3, props: {runtime: python3.12, handler: a.main, "
        "environmentVariables: {ZESPAN_API_KEY: zsp_9d8c7b6a5f4e}}}}",
        "a.py": HANDLER.format("main"),
    },
    "task_scope": {
        "stack.yaml": "provider: {name: openfaas}\nfunctions: {a: {lang: python3-http, handler: ./a, "
        "environment: {ZESPAN_API_KEY: zsp_9d8c7b6a5f4e}}}",
        "a/handler.py": HANDLER.format("handle"),
    },
}


@pytest.mark.parametrize("wanted", PROJECTS)
def test_remedies_are_those_of_the_platform(wanted: str, tmp_path: Path) -> None:
    """A finding about a handler names what the platform has, and one about a key does not send the user to AWS."""
    result = diagnose(read(write(PROJECTS[wanted], tmp_path)), selected(["ZS005", "ZS101"], []))
    key, handler = sorted(result.findings, key=lambda one: one.rule.id)
    assert wanted in handler.remedy
    assert key.remedy == "Revoke the key; have the platform put a new one there from its own secrets."


def test_a_missing_key_is_not_looked_for_on_aws(tmp_path: Path) -> None:
    """The remedy on another cloud names the variable, and not the one with a secret of AWS."""
    files = {name: text.replace("ZESPAN_API_KEY", "OTHER") for name, text in PROJECTS["@zespan_alibaba"].items()}
    files["a.py"] = f"import zespan_serverless\n{files['a.py']}"
    (found,) = diagnose(read(write(files, tmp_path)), selected(["ZS001"], [])).findings
    assert found.remedy == "Set ZESPAN_API_KEY, or ZESPAN_BASE_URL to send elsewhere."


KNATIVE = "from zespan_serverless.asgi import ZespanMiddleware\n\n\ndef new(): ...\n"
COG = (
    "from cog import BasePredictor\nfrom zespan_serverless import zespan_cog\n\n\nclass Predictor(BasePredictor): ...\n"
)
UNLISTED = {
    "in the dependencies of pyproject.toml.": {
        "func.yaml": "specVersion: 0.36.0\nname: chat\nruntime: python\n",
        "pyproject.toml": '[project]\nname = "function"\ndependencies = ["httpx"]\n',
        "function/func.py": KNATIVE,
    },
    "Move python_packages to requirements.txt": {
        "cog.yaml": "build:\n  python_packages: [torch==2.0]\npredict: predict.py:Predictor\n",
        "predict.py": COG,
    },
}


@pytest.mark.parametrize("wanted", UNLISTED)
def test_a_missing_package_has_the_remedy_of_the_platform(wanted: str, tmp_path: Path) -> None:
    """It names the list that the platform reads, and no layer, which only AWS has."""
    (found,) = diagnose(read(write(UNLISTED[wanted], tmp_path)), selected(["ZS218"], [])).findings
    assert wanted in found.remedy
    assert "layer" not in found.remedy


@pytest.mark.parametrize(("listed", "is_found"), [("zespan-serverless\n", False), ("torch\n", True)])
def test_the_list_of_a_model_is_the_one_that_cog_reads(listed: str, is_found: bool, tmp_path: Path) -> None:
    """It may have any name, and other lists beside it have no effect."""
    files = {
        "cog.yaml": "build:\n  python_requirements: lists/model.txt\npredict: predict.py:Predictor\n",
        "lists/model.txt": listed,
        "requirements.txt": "torch\n" if not is_found else "zespan-serverless\n",
        "pyproject.toml": "[tool.ruff]\n",
        "predict.py": COG,
    }
    found = diagnose(read(write(files, tmp_path)), selected(["ZS218"], [])).findings
    assert [one.place.file.name for one in found if one.place] == ["model.txt"] * is_found


def test_a_name_of_several_functions_is_reported_once(tmp_path: Path) -> None:
    """A folder that is deployed to two platforms has two functions of one name."""
    code = "from openai import OpenAI\nfrom zespan_serverless import zespan_cog, zespan_runpod\n"
    files = {
        "cog.yaml": "build:\n  python_requirements: requirements.txt\npredict: predict.py:Predictor\n",
        "requirements.txt": "zespan-serverless\n",
        "predict.py": code,
        "handler.py": code,
        "Dockerfile": 'FROM python:3.13-slim\nCOPY . .\nCMD ["python", "handler.py"]\n',
    }
    (found,) = diagnose(read(write(files, tmp_path)), selected(["ZS007"], [])).findings
    assert found.message == f"prompts and answers are sent by {tmp_path.name}"


def test_handlers_of_other_templates_of_openfaas_are_not_known(tmp_path: Path) -> None:
    """A template that is not one of OpenFaaS' own may call anything, so that no name is missing."""
    (tmp_path / "chat").mkdir()
    (tmp_path / "chat/handler.py").write_text(
        "import zespan_serverless\nfrom fastapi import FastAPI\n\napp = FastAPI()\n"
    )
    for lang, found in (("python3-http", ["ZS310"]), ("python3-fastapi", [])):
        functions = f"functions: {{chat: {{lang: {lang}, handler: ./chat}}}}\n"
        (tmp_path / "stack.yaml").write_text(f"provider: {{name: openfaas}}\n{functions}")
        result = diagnose(read(tmp_path), selected(["ZS310"], []))
        assert [finding.rule.id for finding in result.findings] == found
