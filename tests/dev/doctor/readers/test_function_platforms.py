"""Alibaba Cloud, Oracle, DigitalOcean, OpenFaaS, Knative and Cog: files as the vendors' templates have them."""

from __future__ import annotations

from pathlib import Path

import pytest
from zespan_serverless_dev.doctor.model import UNKNOWN, Function, Project
from zespan_serverless_dev.doctor.readers import read

ALIBABA = """
edition: 3.0.0
name: hello-world-app
access: default
vars:
  region: cn-hangzhou
resources:
  hello_world:
    component: fc3
    actions:
      pre-deploy:
        - component: fc3 build
    props:
      region: ${vars.region}
      functionName: start-python-p6jp
      runtime: python3.10
      handler: index.handler
      code: ./code
      memorySize: 128
      timeout: 10
      environmentVariables:
        ZESPAN_FLUSH_TIMEOUT: 2
        ZESPAN_API_KEY: ${env('ZESPAN_API_KEY')}
  site: {component: fc3, props: {functionName: site, runtime: custom.debian10, code: ./site}}
  other: {component: fc3, props: {functionName: other, runtime: nodejs20, code: ./other}}
  bucket: {component: oss, props: {region: cn-hangzhou}}
"""
FIRST_EDITION = """
edition: 1.0.0
name: hello-world-app
services:
  helloworld:
    component: devsapp/fc
    props:
      region: cn-hangzhou
      service: {name: hello-world-service}
      function: {name: start-python, runtime: python3, codeUri: ./code, handler: index.handler, timeout: 60}
"""
ORACLE = """
schema_version: 20180708
name: hello
version: 0.0.1
runtime: python
build_image: fnproject/python:3.11-dev
run_image: fnproject/python:3.11
entrypoint: /python/bin/fdk /function/func.py handler
memory: 256
timeout: 300
config:
  ZESPAN_ENVIRONMENT: staging
"""
IN_DOCKERFILE = 'FROM fnproject/python:3.11\nENTRYPOINT ["/python/bin/fdk", "/function/app/chat.py", "ask"]\n'
DIGITALOCEAN = """
parameters: {}
environment: {ZESPAN_ENVIRONMENT: staging, ZESPAN_API_KEY: "${ZESPAN_API_KEY}"}
packages:
  - name: sample
    environment: {ZESPAN_ENVIRONMENT: production}
    actions:
      - name: hello
        limits: {}
        runtime: 'python:default'
      - name: ping
        runtime: python:3.11
        main: pong
        limits:
          timeout: 60000
      - name: page
        runtime: nodejs:18
"""
OPENFAAS = """
version: 1.0
provider:
  name: openfaas
  gateway: http://127.0.0.1:8080
functions:
  chat:
    lang: python3-http-debian
    handler: ./chat
    image: docker.io/alexellis/chat:latest
    environment:
      RAW_BODY: True
      exec_timeout: 60s
    secrets:
      - zespan-api-key
  url-ping:
    lang: node
    handler: ./url-ping
    image: docker.io/alexellis/url-ping:latest
"""
KNATIVE = """
specVersion: 0.36.0
name: chat
runtime: python
registry: docker.io/user
created: 2026-11-30T10:00:00.000000000+00:00
build:
  builder: host
run:
  envs:
    - name: ZESPAN_ENVIRONMENT
      value: staging
    - name: ZESPAN_API_KEY
      value: '{{ secret:zespan:api-key }}'
    - value: '{{ configMap:shop }}'
"""
COG = """
# Configuration for Cog
build:
  gpu: true
  python_version: "3.11"
  python_requirements: "requirements.txt"
environment:
  - ZESPAN_ENVIRONMENT=staging
  - ZESPAN_BASE_URL=${URL}
predict: "predict.py:Predictor"
"""


def functions(folder: Path, files: dict[str, str]) -> list[Function]:
    """Return the functions of a project, which is read completely: no other reader takes a file for its own."""
    for name, text in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text)
    project: Project = read(folder)
    assert project.skipped == []
    return project.functions


def test_serverless_devs_has_functions_of_two_runtimes(tmp_path: Path) -> None:
    """A function in Python has a handler, one in the custom runtime only its variables and timeout."""
    chat, site = functions(tmp_path, {"s.yaml": ALIBABA, "code/index.py": "", "site/app.py": ""})
    assert (chat.host, chat.name, chat.handler, chat.code) == (
        *("alibaba", "start-python-p6jp", "index.handler"),
        tmp_path / "code",
    )
    assert (chat.timeout_s, chat.places["timeout_s"].line, chat.place.line) == (10, 20, 8)
    assert {name: each.value for name, each in chat.environment.items()} == {
        "ZESPAN_FLUSH_TIMEOUT": "2",
        "ZESPAN_API_KEY": UNKNOWN,
    }
    assert (site.name, site.handler, site.timeout_s) == ("site", None, None)


def test_the_first_edition_of_serverless_devs(tmp_path: Path) -> None:
    (function,) = functions(tmp_path, {"s.yml": FIRST_EDITION, "code/index.py": ""})
    assert (function.name, function.handler, function.timeout_s) == ("start-python", "index.handler", 60)
    assert function.code == tmp_path / "code"


def test_a_function_of_fn_is_named_by_its_entrypoint(tmp_path: Path) -> None:
    (function,) = functions(tmp_path, {"func.yaml": ORACLE, "func.py": ""})
    assert (function.host, function.name, function.handler) == ("oracle", "hello", "func.handler")
    assert (function.timeout_s, function.environment["ZESPAN_ENVIRONMENT"].place.line) == (300, 12)


def test_a_function_of_fn_is_named_by_its_dockerfile(tmp_path: Path) -> None:
    """Without a timeout it has Fn's default of 30 s."""
    text = "schema_version: 20180708\nname: chat\nruntime: docker\n"
    found = functions(tmp_path, {"func.yaml": text, "Dockerfile": IN_DOCKERFILE, "app/chat.py": "", "run.py": ""})
    function = next(each for each in found if each.host == "oracle")
    assert (function.handler, function.timeout_s, function.places) == ("app.chat.ask", 30, {})


def test_digitalocean_has_functions_in_folders_and_files(tmp_path: Path) -> None:
    """Variables of the function win over those of its package, and those over the project's."""
    files = {"project.yml": DIGITALOCEAN, "packages/sample/hello/__main__.py": "", "packages/sample/ping.py": ""}
    hello, ping = functions(tmp_path, files)
    assert (hello.name, hello.handler, hello.timeout_s) == ("sample/hello", "__main__.main", 3)
    assert (ping.name, ping.handler, ping.timeout_s) == ("sample/ping", "ping.pong", 60)
    assert (hello.environment["ZESPAN_ENVIRONMENT"].value, hello.place.line) == ("production", 8)
    assert hello.environment["ZESPAN_API_KEY"].value is UNKNOWN


def test_openfaas_has_a_folder_for_each_function(tmp_path: Path) -> None:
    """The file may have any name; functions of other languages are left alone."""
    (function,) = functions(tmp_path, {"shop.yml": OPENFAAS, "chat/handler.py": ""})
    assert (function.host, function.name, function.handler) == ("openfaas", "chat", "handler.handle")
    assert (function.code, function.environment_is_partial) == (tmp_path / "chat", True)
    assert function.environment["RAW_BODY"].value == "true"


@pytest.mark.parametrize("entry", ["function/func.py", "func.py"])
def test_knative_has_the_same_file_as_oracle(entry: str, tmp_path: Path) -> None:
    """It is told apart by its specVersion; a secret's value is not known."""
    (function,) = functions(tmp_path, {"func.yaml": KNATIVE, entry: ""})
    assert (function.host, function.handler) == ("knative", f"{entry[:-3].replace('/', '.')}.new")
    assert {name: each.value for name, each in function.environment.items()} == {
        "ZESPAN_ENVIRONMENT": "staging",
        "ZESPAN_API_KEY": UNKNOWN,
    }


@pytest.mark.parametrize("key", ["predict", "run"])
def test_cog_names_a_class(key: str, tmp_path: Path) -> None:
    (function,) = functions(tmp_path, {"cog.yaml": COG.replace("predict:", f"{key}:"), "predict.py": ""})
    assert (function.host, function.handler) == ("cog", "predict.Predictor")
    assert (function.environment["ZESPAN_ENVIRONMENT"].value, function.environment["ZESPAN_BASE_URL"].value) == (
        "staging",
        UNKNOWN,
    )
    assert function.environment["ZESPAN_ENVIRONMENT"].place.line == 8


OTHERS = {
    "s.yaml": ["resources: [1]", "services: {a: {component: 1}}", "resources: {a: {component: fc3, props: []}}"],
    "func.yaml": ["schema_version: 1\nruntime: go\n", "specVersion: 0.36.0\nruntime: node\n", "name: x"],
    "project.yml": ["packages: [a, {functions: [1, {name: [2]}]}]", "packages: {name: x}"],
    "stack.yaml": ["provider: openfaas", "provider: {name: openfaas}\nfunctions: [1]\n"],
    "cog.yaml": ["- 1", "image: x"],
}


@pytest.mark.parametrize(("file", "text"), [(file, text) for file, texts in OTHERS.items() for text in texts])
def test_other_files_of_these_names_have_no_function(file: str, text: str, tmp_path: Path) -> None:
    """Files of other languages or tools, and files that nobody would write, are left alone."""
    assert functions(tmp_path, {file: text}) == []


def test_variables_of_a_workers_environments_are_read(tmp_path: Path) -> None:
    """A Worker of Cloudflare may have more variables in a named environment."""
    text = 'main = "a.py"\n[vars]\nZESPAN_EXPORTER = "otlp"\n[env.staging.vars]\nZESPAN_TIMOUT = "2"\n'
    (function,) = functions(tmp_path, {"wrangler.toml": text})
    assert {name: each.place.line for name, each in function.environment.items()} == {
        "ZESPAN_EXPORTER": 3,
        "ZESPAN_TIMOUT": 5,
    }
