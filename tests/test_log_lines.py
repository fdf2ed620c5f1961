"""The lines of the log: each has a code, which is explained on docs/log-lines.md, and says to whom and what to do."""

from __future__ import annotations

import logging
import re
import ssl
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import trustme
from zespan_serverless_dev.emulator.lambda_rie import Sandbox

from tests.documentation import PAGES
from tests.http.support import Proxy
from tests.provocations import ELSEWHERE, PROMPT, PROVOKED, SECRET
from tests.support import text_of, until
from tools import log_lines
from tools.log_catalogue import GROUPS
from zespan_serverless import capture, flush, init, testing
from zespan_serverless._base.log import PAGE
from zespan_serverless._delivery import outages
from zespan_serverless.testing import Backend

KEY = "zsp_live_0123456789abcdef4f2a"
CATALOGUE = {code: entry for group in GROUPS.values() for code, entry in group.items()}

Lines = Callable[[], list[str]]


@pytest.fixture
def lines(caplog: pytest.LogCaptureFixture) -> Lines:
    """What has been logged so far at the level WARNING, each line whole."""
    return lambda: [record.getMessage() for record in caplog.records if record.levelno >= logging.WARNING]


def code_of(line: str) -> str:
    """The code at the end of a line."""
    return line.rpartition("#")[2].rstrip(")")


def test_the_page_is_made_from_the_code() -> None:
    """docs/log-lines.md is what `python -m tools.log_lines` writes."""
    assert PAGES["log-lines"] == log_lines.page()


def test_every_line_is_in_the_catalogue() -> None:
    """The codes in the code of the package are those that the catalogue explains, and none is explained in vain."""
    assert sorted(log_lines.texts()) == sorted(CATALOGUE)


def test_nothing_is_logged_without_a_code() -> None:
    """Only the module of the log, and the notices, which pass fields to logs in JSON, call the logger itself."""
    assert sorted(log_lines.strays()) == ["_base/log.py: logger.log", "_delivery/notices.py: log.logger.warning"]


def test_every_line_has_advice() -> None:
    """Each entry explains in sentences what a line means, and what to do."""
    assert all(re.fullmatch(r"[A-Z`].*\.", text, re.DOTALL) for entry in CATALOGUE.values() for text in entry)


def test_links_of_the_catalogue_lead_to_codes() -> None:
    """A line that refers to another one refers to a section that is there."""
    referred = re.findall(r"\]\(#([\w-]+)\)", PAGES["log-lines"])
    assert referred
    assert set(referred) <= set(CATALOGUE)


def test_every_cause_of_an_outage_has_a_line() -> None:
    """The causes that are told apart are those of the catalogue."""
    causes = {cause for _, cause, _ in (*outages._BY_STATUS, *outages._BY_TEXT)} | {"other"}
    assert {f"away-{cause}" for cause in causes} == {code for code in CATALOGUE if code.startswith("away-")}


# ---------------------------------------------------------------------- one outage, one line, over real connections


def outage(lines: Lines, url: str, **settings: Any) -> str:
    """The only line of an outage, although three flushes in a row fail. It has neither the key nor the prompt."""
    settings = {"flush_timeout": 5.0, **settings}
    init(base_url=url, api_key=KEY, **settings)
    event: Any = {"prompt": "a secret prompt"}
    for _ in range(3):
        capture(event)
        flush(settings["flush_timeout"])
    until(lines)
    (line,) = [line for line in lines() if code_of(line) != "no-tls"]
    assert "0123456789" not in line
    assert "secret prompt" not in line
    assert url.rpartition("/")[2] in line
    return line


@pytest.mark.parametrize(
    ("mode", "code"),
    [
        (404, "away-path"),
        (405, "away-path"),
        (429, "away-busy"),
        (500, "away-server"),
        (503, "away-server"),
        (408, "away-other"),
        ("redirect", "away-redirect"),
        ("refuse", "away-refused"),
        ("drop", "away-other"),
    ],
)
def test_an_outage_is_one_line_and_its_end_another(backend: Backend, lines: Lines, mode: Any, code: str) -> None:
    """The first has the cause, the host, and what to do; the other has how long it took, and what was lost."""
    backend.mode = mode
    line = outage(lines, backend.url)
    assert code_of(line) == code
    assert "If this continues, " in line
    backend.mode = "ok"
    assert flush(10).pending == 0
    until(lambda: len(lines()) == 2)
    assert re.fullmatch(
        f"telemetry is delivered again to {backend.url}, after \\d+ s; events dropped meanwhile: 0", text_of(lines()[1])
    )


def test_events_dropped_in_an_outage_are_counted_at_its_end(backend: Backend, lines: Lines) -> None:
    """Also those for which the buffer had no room before the outage was noticed; but none of the time before."""
    backend.mode = "refuse"
    init(base_url=backend.url, max_events=3)
    for _ in range(2):
        for _ in range(20):
            capture({})
        flush(0.2)
        backend.mode = "ok"
        assert flush(10).pending == 0
        backend.mode = "refuse"
    until(lambda: sum(code_of(line) == "delivered-again" for line in lines()) == 2)
    assert [text_of(line)[-2:] for line in lines() if code_of(line) == "delivered-again"] == ["17", "17"]


def test_a_backend_that_hangs(backend: Backend, lines: Lines) -> None:
    """It says to look at the network, because a firewall looks like that."""
    backend.mode = "hang"
    assert code_of(outage(lines, backend.url, flush_timeout=0.3)) == "away-timeout"


def test_a_name_that_is_not_known(lines: Lines) -> None:
    """It says which name, and where it is set."""
    line = outage(lines, "http://backend.invalid:8080", flush_timeout=3.0)
    assert code_of(line) == "away-dns"
    assert "ZESPAN_BASE_URL" in line


def test_a_certificate_that_is_not_trusted(lines: Lines) -> None:
    """It says that it is the certificate."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    trustme.CA().issue_cert("127.0.0.1").configure_cert(context)
    with Backend(tls=context) as backend:
        assert code_of(outage(lines, backend.url)) == "away-tls"


@pytest.mark.parametrize("password", ["", "user:pa55word@"])
def test_a_proxy_that_is_not_there(lines: Lines, monkeypatch: pytest.MonkeyPatch, password: str) -> None:
    """The line names the proxy, without its password, because the backend is not the cause."""
    monkeypatch.setenv("HTTP_PROXY", f"http://{password}127.0.0.1:9")
    line = outage(lines, "http://ingest.example")
    assert code_of(line) == "away-proxy"
    assert "through the proxy 127.0.0.1:9" in line
    assert "pa55word" not in line


def test_a_proxy_that_wants_a_password(lines: Lines, monkeypatch: pytest.MonkeyPatch) -> None:
    """HTTP 407 is the proxy's, not the backend's; also in the answer to a CONNECT."""
    with Proxy("user:right") as proxy:
        monkeypatch.setenv("HTTPS_PROXY", f"http://user:wrong@{proxy.address}")
        assert code_of(outage(lines, "https://ingest.example")) == "away-proxy"


def test_a_page_in_place_of_an_answer() -> None:
    """A login page that answers 200 has a code of its own."""
    assert outages.advice("HTTP 200 with a page in HTML, which no ingest answers", "https://x")[0] == "away-page"


def test_a_destination_that_is_no_url() -> None:
    """A store is not said to have a base_url."""
    for detail in ("HTTP 404", "gaierror: Name or service not known", "ConnectionRefusedError"):
        assert "base_url" not in outages.advice(detail, "sqs://queue")[1]


def test_a_key_that_is_refused(lines: Lines, backend: Backend, monkeypatch: pytest.MonkeyPatch) -> None:
    """One line has the last four characters, the variable and the host; another one says when it is over."""
    monkeypatch.setenv("ZESPAN_API_KEY", KEY)
    backend.api_key = "zsp_another"
    init(base_url=backend.url)
    for _ in range(3):
        capture({})
        flush(5)
    backend.api_key = KEY
    capture({})
    flush(5)
    until(lambda: len(lines()) == 2)
    refused, again = lines()
    assert code_of(refused) == "dropped-unauthorized"
    assert text_of(refused) == (
        f"telemetry events are being dropped: unauthorized HTTP 401 from {backend.url} for the key ending in 4f2a: "
        "set ZESPAN_API_KEY to a valid one"
    )
    assert text_of(again).endswith("events dropped meanwhile: 3")


@pytest.mark.host(seconds=5)
@pytest.mark.skipif(sys.platform != "linux", reason="AWS builds its emulator for Linux only")
def test_a_function_that_leaves_no_time_says_so_once(backend: Backend, tmp_path: Path) -> None:
    """On Lambda, however many invocations end so late; their events come with the next one."""
    (tmp_path / "app.py").write_text(
        "import time\nfrom zespan_serverless import zespan_lambda\n\n"
        "@zespan_lambda\ndef handler(event, context):\n"
        "    time.sleep(max(0, context.get_remaining_time_in_millis() / 1000 - event['leave']))\n"
    )
    env = {"ZESPAN_API_KEY": KEY, "ZESPAN_BASE_URL": backend.url, "ZESPAN_FLUSH_RESERVE": "1"}
    with Sandbox("app.handler", tmp_path, env=env, timeout=2) as sandbox:
        for leave in (0.6, 0.6, 9):
            assert sandbox.invoke({"leave": leave}).payload is None
        log = sandbox.stop()
    assert log.count("#no-time") == 1
    assert len(backend.events) == 3


# ---------------------------------------------------------------------- every line


@pytest.mark.parametrize("code", PROVOKED)
def test_every_line_is_as_the_page_has_it(
    code: str, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """The package logs it with this code and text, at this level, without the key and the prompt."""
    caplog.set_level(logging.DEBUG, "zespan_serverless")
    PROVOKED[code](monkeypatch, tmp_path)
    record = next(record for record in caplog.records if getattr(record, "zespan_code", "") == code)
    assert code_of(record.getMessage()) == code
    shapes = [re.escape(one.text) for one in log_lines.texts()[code]]
    patterns = [re.sub(r"%(\\\.\d+)?[srd]|…|\\\.\\\.\\\.", ".*", shape) for shape in shapes]
    said = text_of(record.getMessage())
    assert any(re.fullmatch(pattern, said) for pattern in patterns), (said, patterns)
    assert any(record.levelname in one.level for one in log_lines.texts()[code])
    assert not any(secret in line for line in caplog.messages for secret in (SECRET, PROMPT))


def test_every_line_is_provoked() -> None:
    """By the test above, or by the one that is named, which asserts a part of the line."""
    assert sorted([*PROVOKED, *ELSEWHERE]) == sorted(CATALOGUE)
    for code, (file, part) in ELSEWHERE.items():
        assert part in (log_lines.ROOT / file).read_text(), code


# ---------------------------------------------------------------------- alarms


def test_alarms_match_the_lines_they_are_about() -> None:
    """What the page of operations has alarms look for is in the lines of the codes that begin so, and in no other."""
    page = PAGES["operations"]
    table = re.findall(r"^\| `(#[\w-]+)` \|", page, re.MULTILINE)
    commands = re.findall(r"""(?:'%|:"|contains ")(#[\w-]+)[%"]""", page)
    assert len(table) == 4
    assert sorted(commands) == ["#away-", "#dropped-", "#dropped-", "#dropped-"]
    for sought in {*table, *commands}:
        matched = {code for code in CATALOGUE if sought in f" ({PAGE}{code})"}
        assert matched == {code for code in CATALOGUE if code.startswith(sought[1:])} != set()


def test_phrase_of_the_metric_filter_is_in_every_line_about_lost_events() -> None:
    """The page's command for CloudWatch has the phrase of the templates, which is in the lines of drops alone."""
    (phrase,) = re.findall(r"""--filter-pattern '"(.*?)"'""", PAGES["operations"])
    for template in ("sam-template.yaml", "deploy/aws_lambda/terraform/main.tf"):
        assert phrase in (log_lines.ROOT / template).read_text()
    matched = {code for code, lines in log_lines.texts().items() if all(phrase in one.text for one in lines)}
    assert matched == {code for code in CATALOGUE if code.startswith("dropped-")}
    assert not any(phrase in one.text for code in {*log_lines.texts()} - matched for one in log_lines.texts()[code])


def test_a_key_under_another_name_is_found(lines: Lines, monkeypatch: pytest.MonkeyPatch) -> None:
    """The line that there is no key names a variable that resembles it, and not that of another product."""
    monkeypatch.setenv("OPENAI_API_KEY", SECRET)
    init()
    assert text_of(lines()[-1]).endswith("(or ZESPAN_ENABLED=0)")
    testing.reset()
    monkeypatch.setenv("ZSPAN_API_KEY", SECRET)
    init()
    assert text_of(lines()[-1]).endswith("; found ZSPAN_API_KEY: did you mean ZESPAN_API_KEY?")


def test_codes_that_the_pages_name_exist() -> None:
    """A code on the pages of operations and troubleshooting is that of a line, or how some begin."""
    named = re.findall(
        r"`#([\w-]+?)(?:\.\.\.)?`|log-lines\.md#([\w-]+)", PAGES["operations"] + PAGES["troubleshooting"]
    )
    assert named
    titles = {title.lower().replace(" ", "-") for title in GROUPS}
    for code in {one or other for one, other in named} - titles:
        assert any(known == code or (code.endswith("-") and known.startswith(code)) for known in CATALOGUE), code
