"""What other pages, other machines' names and hostile input cannot do."""

from __future__ import annotations

import json
import re
import socket
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from zespan_serverless_dev import ingest
from zespan_serverless_dev.server import CONNECTIONS_MAX, DevServer, files
from zespan_serverless_dev.server.guard import Guard

from tests.dev.server.support import CALL, ROOT, TRACE, ask, event, owner, root, send

TELEMETRY = [*ingest.PATHS, "/v1/lifecycle"]


@pytest.fixture
def dev() -> Iterator[DevServer]:
    with DevServer() as dev:
        yield dev


@pytest.fixture(scope="module")
def closed() -> Iterator[DevServer]:
    """A server that gets nothing but requests that are refused."""
    with DevServer() as dev:
        yield dev


@pytest.fixture
def page(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """A page with one script, beside a secret."""
    folder = tmp_path / "page"
    (folder / "style").mkdir(parents=True)
    (folder / "index.html").write_text("<title>page</title>")
    (folder / "style" / "base.css").write_text("a {}")
    (folder / "app.js").write_text("run()")
    (folder / "notes.py").write_text("secret")
    (tmp_path / "secret.js").write_text("secret")
    monkeypatch.setattr(files, "FOLDER", folder)
    return folder


def test_it_listens_on_the_loopback_interface_only(dev: DevServer) -> None:
    """No other address of this machine answers."""
    other = _other_address()
    if other is None:
        pytest.skip("this machine has no other address")
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection((other, dev.port), timeout=5)


def _other_address() -> str | None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as one:
        try:
            one.connect(("192.0.2.1", 9))  # sends nothing
            address = str(one.getsockname()[0])
        except OSError:
            return None
    return None if address.startswith("127.") else address


@pytest.mark.parametrize("path", ["/", "/api/summary", "/app.js", *TELEMETRY])
@pytest.mark.parametrize("host", ["evil.example:{port}", "127.0.0.1", "127.0.0.1:{port}.evil.example", ""])
def test_a_name_that_leads_here_is_refused(closed: DevServer, page: Path, path: str, host: str) -> None:
    """A page of an attacker's, whose name has been led to 127.0.0.1, gets nothing, even with the token."""
    headers = {**owner(closed), "host": host.format(port=closed.port)}
    reply = ask(closed, "POST" if path in TELEMETRY else "GET", path, b"", headers)
    assert reply.status == 403
    assert closed.get("summary")["deliveries"] == 0


@pytest.mark.parametrize("path", ["/api/summary", "/api/fault", "/"])
@pytest.mark.parametrize(
    "headers",
    [
        {"origin": "http://evil.example"},
        {"origin": "null"},
        {"origin": "http://127.0.0.1:1"},
        {"sec-fetch-site": "same-site"},
    ],
    ids=str,
)
def test_another_page_is_refused(closed: DevServer, path: str, headers: dict[str, str]) -> None:
    """A page of another origin, also of another port of this machine, may not ask, even with the cookie."""
    cookie = {"cookie": closed.guard.set_cookie().partition(";")[0], "content-type": "application/json"}
    body = b'{"mode": "hang"}'
    reply = ask(closed, "POST" if path == "/api/fault" else "GET", path, body, {**cookie, **headers})
    assert reply.status == 403
    assert closed.fault == "ok"


@pytest.mark.parametrize("path", TELEMETRY)
@pytest.mark.parametrize("name", ["origin", "sec-fetch-site"])
def test_pages_cannot_send_telemetry(closed: DevServer, path: str, name: str) -> None:
    """No page can write into a run, not even this server's own: functions send neither header."""
    reply = ask(closed, "POST", path, json.dumps(event()).encode(), {name: closed.url})
    assert reply.status == 403
    assert closed.get("summary")["deliveries"] == 0


def test_pages_cannot_take_commands(closed: DevServer) -> None:
    """A GET of a page's, which has no Origin, cannot take the commands that are meant for a tool."""
    assert ask(closed, "GET", "/v1/commands?sandbox=s&wait=0", headers={"sec-fetch-site": "cross-site"}).status == 403


def test_a_preflight_gets_no_permission(closed: DevServer) -> None:
    """No answer has a header that would allow another page to read it."""
    asks = {"origin": "http://evil.example", "access-control-request-method": "POST"}
    replies = [
        ask(closed, "OPTIONS", "/api/summary", headers=asks),
        ask(closed, "GET", "/api/summary", headers=owner(closed)),
    ]
    assert not [name for reply in replies for name in reply.headers if name.startswith("access-control")]
    assert replies[0].status == 403


@pytest.mark.parametrize("path", ["/api/summary", "/api/runs", "/api/export", "/api/stream", "/api/nothing"])
def test_the_api_needs_the_token(closed: DevServer, path: str) -> None:
    """Without the token, or with another one, everything below /api is answered 401."""
    wrong = [
        {},
        {"authorization": "Bearer no"},
        {"authorization": closed.token},
        {"cookie": f"{closed.guard.cookie}=no"},
    ]
    for headers in (*wrong, {"cookie": f"other={closed.token}"}, {"cookie": "\x01;;="}):
        assert ask(closed, "GET", path, headers=headers).status == 401


@pytest.mark.parametrize("other", ['theme={"dark": true}', "a[b]=1", "flag", "", "zespan_dev_1=no"])
def test_cookies_of_other_servers(closed: DevServer, other: str) -> None:
    """A browser sends what other servers of this machine have set, in whatever form: ours counts beside them."""
    own = closed.guard.set_cookie().partition(";")[0]
    for cookie in (f"{other}; {own}", f"{own}; {other}"):
        assert ask(closed, "GET", "/api/runs", headers={"cookie": cookie}).status == 200
    assert ask(closed, "GET", "/api/runs", headers={"cookie": f"{other}; x{own}"}).status == 401


def test_on_the_usual_port_of_http() -> None:
    """Browsers leave out port 80."""
    assert Guard(80, "token").knows_host({"host": "127.0.0.1"}, is_telemetry=False)
    assert not Guard(80, "token").knows_host({"host": "evil.example"}, is_telemetry=True)


def test_the_token_becomes_a_cookie(dev: DevServer, page: Path) -> None:
    """The URL with the token leads to one without it; its cookie is for this server's pages and requests only."""
    first = ask(dev, "GET", f"/?token={dev.token}")
    assert (first.status, first.headers["location"]) == (303, "/")
    cookie = first.headers["set-cookie"]
    assert {"HttpOnly", "SameSite=Strict", "Path=/"} <= set(cookie.split("; "))
    sent = {"cookie": cookie.partition(";")[0]}
    assert ask(dev, "GET", "/", headers=sent).body == b"<title>page</title>"
    assert ask(dev, "GET", "/api/summary", headers=sent).status == 200
    assert ask(dev, "GET", "/?token=no").status == 401
    without = ask(dev, "GET", "/")
    assert (without.status, b"printed" in without.body) == (401, True)


def test_a_link_on_another_page(dev: DevServer, page: Path) -> None:
    """A link may lead to the page in a tab of its own, not into a frame, and to nothing else."""
    came = {"sec-fetch-site": "cross-site", "sec-fetch-mode": "navigate", "sec-fetch-dest": "document"}
    first = ask(dev, "GET", f"/?token={dev.token}", headers=came)
    assert (first.status, b'content="0;url=/"' in first.body, dev.token.encode() in first.body) == (200, True, False)
    assert "set-cookie" in first.headers
    assert ask(dev, "GET", "/", headers=came).status == 401
    assert ask(dev, "GET", "/", headers={**came, "sec-fetch-dest": "iframe"}).status == 403
    for path in ("/api/summary", "/api/export", "/app.js"):
        assert ask(dev, "GET", path, headers={**came, **owner(dev)}).status == 403


def test_each_answer_has_the_headers_of_a_page_that_trusts_nothing(dev: DevServer, page: Path) -> None:
    """Scripts and styles come from this server only, and nothing is taken for another type than it says."""
    own = owner(dev)
    for path in ("/", "/app.js", "/api/summary", "/no", "/v1/ingest"):
        headers = ask(dev, "POST" if path == "/v1/ingest" else "GET", path, headers=own).headers
        policy = dict(part.strip().split(" ", 1) for part in headers["content-security-policy"].split(";"))
        assert policy["default-src"] == "'none'"
        assert (policy["script-src"], policy["style-src"], policy["connect-src"]) == ("'self'", "'self'", "'self'")
        assert policy["img-src"] == "'self' data:"
        assert {policy[name] for name in ("base-uri", "form-action", "frame-ancestors")} == {"'none'"}
        assert (headers["x-content-type-options"], headers["referrer-policy"]) == ("nosniff", "no-referrer")
        assert headers["cache-control"] == "no-store"


def test_files_of_the_page(dev: DevServer, page: Path) -> None:
    """The page's files have their types; in its folder and below, and nowhere else."""
    own = owner(dev)
    css = ask(dev, "GET", "/style/base.css", headers=own)
    assert (css.body, css.headers["content-type"]) == (b"a {}", "text/css; charset=utf-8")
    assert ask(dev, "HEAD", "/app.js", headers=own).body == b""
    paths = [
        *("/../secret.js", "/style/../../secret.js", "/%2e%2e/secret.js", "/..%2fsecret.js", "//secret.js"),
        *(f"/{page.parent}/secret.js", "/notes.py", "/style", "/style/", "/.", "/..", "/app.js/", "/app.js%00.css"),
        "/\\..\\secret.js",
    ]
    for path in paths:
        assert ask(dev, "GET", path, headers=own).status in (400, 404), path


HOSTILE = [
    *("<script>alert(1)</script>", '"><img src=x onerror=alert(1)>', "\x1b]0;x\x07", "\u202e\u2066", "\x00"),
    *("'; DROP TABLE events; --", "../../etc/passwd", "\ud800", "\r\nset-cookie: a=b", "x" * 200_000),
]


@pytest.mark.parametrize("text", HOSTILE, ids=range(len(HOSTILE)))
def test_hostile_texts_stay_texts(dev: DevServer, text: str) -> None:
    """Whatever text is in every field of an event, it is answered as JSON, and nothing else of the run is harmed."""
    names = [name for name, value in event().items() if isinstance(value, str) and not name.endswith("timestamp")]
    metadata = {text: text, "faas.name": text, "faas.instance": text}
    hostile = root(**dict.fromkeys(names, text), user_id=text, tags={text: text}, metadata=metadata)
    send(dev, event(), root())
    assert send(dev, hostile) == 200
    dev.post_lifecycle({"type": "sandbox", "sandbox": text, "function": text, "controls": [text]})
    for value in (text, {text: text}, [text], 1e300, None):
        told = ("request_id", "trace_id", "span_id", "parent_span_id", "name", "duration_ms")
        fields = {**dict.fromkeys(told, value), "trace_id": TRACE}
        dev.post_lifecycle(*({"type": kind, "sandbox": text, **fields} for kind in ("invoke", "begun", "first_token")))
    for path in ("summary", "sandboxes", "invocations", "ledger", "compare"):
        reply = ask(dev, "GET", f"/api/{path}", headers=owner(dev))
        assert (reply.status, reply.headers["content-type"]) == (200, "application/json")
        reply.json()
    spans = dev.get(f"trace/{TRACE}")["spans"]
    assert [span["span_id"] for span in spans if span["end"]] == [ROOT, CALL]
    assert dev.get("summary")["traces"] == 2


@pytest.mark.parametrize("fields", [{"cost_usd": 1.7e308}, {"input_tokens": 2**53}, {"latency_ms": 1e308}], ids=str)
def test_numbers_whose_sum_is_none(dev: DevServer, fields: dict[str, float]) -> None:
    """Numbers so large that their sum is infinite, or has more than 63 bits, spoil neither a sum nor a request."""
    assert send(dev, *(event(**fields) for _ in range(2000))) == 200
    assert send(dev, *(event(trace_id="1" * 32, **fields) for _ in range(2))) == 200
    for path in ("summary", "invocations", "ledger", "compare", f"trace/{TRACE}"):
        reply = ask(dev, "GET", f"/api/{path}", headers=owner(dev))
        assert (reply.status, b"Infinity" in reply.body) == (200, False)
    assert dev.get("summary")["events"] == 2002


def test_no_key_is_kept(tmp_path: Path) -> None:
    """The keys of functions are neither in the run's file nor in an answer."""
    secret = "zsp_live_do_not_keep"
    with DevServer(tmp_path / "runs") as dev:
        headers = {"x-api-key": secret, "authorization": f"Bearer {secret}"}
        reply = ask(dev, "POST", "/v1/ingest", json.dumps(event()).encode(), headers)
        assert (reply.status, reply.body) == (200, b"{}")
        assert secret not in json.dumps([dev.get("ledger"), dev.get(f"trace/{TRACE}")])
    assert not [path for path in (tmp_path / "runs").iterdir() if secret.encode() in path.read_bytes()]


@pytest.mark.parametrize(
    ("head", "status"),
    [
        ("POST /v1/ingest HTTP/1.1\r\ncontent-length: -5\r\n", 400),
        ("POST /v1/ingest HTTP/1.1\r\ncontent-length: 99999999999\r\n", 413),
        ("POST /v1/ingest HTTP/1.1\r\ncontent-length: \u0661\r\n", 400),
        ("POST /v1/ingest HTTP/1.1\r\ntransfer-encoding: chunked\r\n\r\nzz\r\n", 400),
        ("POST /v1/ingest HTTP/1.1\r\ntransfer-encoding: chunked\r\n\r\nffffffff\r\n", 413),
        ("BREW / HTTP/1.1\r\n", 501),
        ("GET http://[ HTTP/1.1\r\n", 400),
        ("PUT /v1/ingest HTTP/1.1\r\n", 405),
        ("GET /v1/ingest HTTP/1.1\r\n", 405),
        ("POST /v1/nothing HTTP/1.1\r\n", 404),
    ],
)
def test_requests_that_are_none(dev: DevServer, head: str, status: int) -> None:
    """They are refused, and the server goes on."""
    line, _, rest = head.partition("\r\n")
    with socket.create_connection(("127.0.0.1", dev.port), timeout=30) as connection:
        connection.sendall(f"{line}\r\nhost: 127.0.0.1:{dev.port}\r\n{rest}\r\n".encode())
        answer = connection.recv(2000)
        assert answer.split(b" ")[1] == str(status).encode()
        assert b"content-security-policy: default-src 'none'" in answer
    assert send(dev, event()) == 200


def test_a_body_that_is_too_large(dev: DevServer) -> None:
    """The client sees why, although it has not been listened to until the end."""
    reply = ask(dev, "POST", "/v1/ingest", b" " * (ingest.BODY_MAX + 1))
    assert (reply.status, "16,777,216 bytes" in reply.json()["error"]) == (413, True)


def test_a_container_on_a_desktop(dev: DevServer) -> None:
    """Functions in containers may send to the name that this machine has there; the API does not answer to it."""
    headers = {"host": f"host.docker.internal:{dev.port}", **owner(dev)}
    assert ask(dev, "POST", "/v1/ingest", json.dumps(event()).encode(), headers).status == 200
    assert ask(dev, "GET", "/api/summary", headers=headers).status == 403


def test_a_body_in_chunks(dev: DevServer) -> None:
    """A client that does not know its length may send chunks."""
    body = json.dumps(event()).encode()
    chunks = b"".join(b"%x\r\n%b\r\n" % (len(part), part) for part in (body[:30], body[30:]))
    head = f"POST /v1/ingest HTTP/1.1\r\nhost: 127.0.0.1:{dev.port}\r\ntransfer-encoding: chunked\r\n\r\n"
    with socket.create_connection(("127.0.0.1", dev.port), timeout=30) as connection:
        connection.sendall(head.encode() + chunks + b"0\r\n\r\n")
        assert connection.recv(100).startswith(b"HTTP/1.1 200")


def test_more_connections_than_it_takes(dev: DevServer) -> None:
    """Connections beyond the bound are closed at once; when others have gone, new ones are served."""
    idle = [socket.create_connection(("127.0.0.1", dev.port), timeout=30) for _ in range(CONNECTIONS_MAX)]
    with socket.create_connection(("127.0.0.1", dev.port), timeout=30) as one_more:
        assert one_more.recv(1) == b""
    for connection in idle:
        connection.close()
    served = threading.Event()
    for _ in range(100):
        try:
            served.set() if send(dev, event()) == 200 else None
            break
        except (OSError, ValueError):
            served.wait(0.05)
    assert served.is_set()


def test_the_token_is_in_no_file_that_is_served(dev: DevServer) -> None:
    """The token is long, and no answer repeats it."""
    assert re.fullmatch(r"[\w-]{32}", dev.token)
    assert dev.token not in str([dev.get("summary"), dev.get("runs"), dev.get("sandboxes")])
