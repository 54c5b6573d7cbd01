"""Over real sockets: keep-alive, broken deliveries, loopback only, the command line as a process."""

from __future__ import annotations

import http.client
import json
import os
import signal
import socket
import subprocess
import sys
import time
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from emulator.app import App, Server, Settings, running
from emulator.build.sizes import TINY
from emulator.cli import main
from tests.support.emulator_client import sign_acs3, sign_tencent

TOKEN = "a-token-of-the-tests"
INCLUDE = Path(__file__).resolve().parents[3] / "include"


class Net:
    """A client on one connection."""

    def __init__(self, server: Server) -> None:
        self.server = server
        self.host = server.url.removeprefix("http://")
        self.connection = http.client.HTTPConnection(self.host, timeout=5)

    def tenant(self) -> http.client.HTTPResponse:
        """GetUserActiveTenant; the response, not read."""
        headers = sign_acs3("GetUserActiveTenant", "2018-11-01", "", time.time(), host=self.host)
        self.connection.request("POST", "/", headers=headers)
        return self.connection.getresponse()

    def control(self, method: str, name: str, content: Any = None) -> Any:
        """A call of the control interface on its own connection."""
        connection = http.client.HTTPConnection(self.host, timeout=5)
        headers = {"Authorization": f"Bearer {TOKEN}"}
        connection.request(method, f"/_control/{name}", None if content is None else json.dumps(content), headers)
        answer = json.loads(connection.getresponse().read())
        connection.close()
        return answer

    def script(self, **fault: Any) -> None:
        """Set one fault and take a fresh connection."""
        self.control("POST", "faults", {"faults": [fault], "replace": True})
        self.connection.close()


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    """A tiny emulator on a free port."""
    with running(Settings(sizes=TINY, limits={"wedata": 0, "dms": 0, "quickbi": 0}), token=TOKEN) as started:
        yield started


@pytest.fixture
def net(server: Server) -> Iterator[Net]:
    """A client; faults are cleared afterwards."""
    client = Net(server)
    yield client
    client.connection.close()
    client.control("DELETE", "faults")


def test_one_connection_serves_many_requests(net: Net) -> None:
    """Keep-alive, with the vendor's headers."""
    sockets = set()
    for _ in range(5):
        response = net.tenant()
        body = json.loads(response.read())
        assert (response.status, body["Success"]) == (200, True)
        assert response.getheader("x-acs-request-id") == body["RequestId"]
        assert response.getheader("Content-Type") == "application/json;charset=utf-8"
        assert net.connection.sock is not None
        sockets.add(net.connection.sock.getsockname())
    assert len(sockets) == 1


def test_chunked_and_split_requests(server: Server) -> None:
    """A body in chunks, bytes dribbling in, a request that waits for 100 Continue."""
    host = server.url.removeprefix("http://")
    headers = sign_tencent("ListTenantRoles", b"{}", int(time.time()), host=host)
    head = "POST / HTTP/1.1\r\n" + "".join(f"{name}: {value}\r\n" for name, value in headers.items())
    name, port = host.split(":")
    for extra, body in [
        ("transfer-encoding: chunked\r\n\r\n", b"1\r\n{\r\n1;x=y\r\n}\r\n0\r\n\r\n"),
        ("content-length: 2\r\nexpect: 100-continue\r\n\r\n", b"{}"),
    ]:
        with socket.create_connection((name, int(port)), timeout=5) as sock:
            data = (head + extra).encode()
            sock.sendall(data[:40])
            time.sleep(0.01)
            sock.sendall(data[40:])
            if "expect" in extra:
                assert sock.recv(100).startswith(b"HTTP/1.1 100")
            sock.sendall(body)
            answer = sock.recv(65536)
            assert b'"RoleName":"TenantAdmin"' in answer, answer


def test_rubbish_is_refused(server: Server) -> None:
    """What is no HTTP gets 400 and a closed connection; an empty request line does not end the server."""
    name, port = server.url.removeprefix("http://").split(":")
    with socket.create_connection((name, int(port)), timeout=5) as sock:
        sock.sendall(b"HELLO\r\n\r\n")
        assert sock.recv(4096).startswith(b"HTTP/1.1 400")
        assert sock.recv(4096) == b""


@pytest.mark.parametrize(("kind", "error"), [
    ("reset_before", ConnectionResetError), ("reset_after", ConnectionResetError),
    ("close_before", http.client.RemoteDisconnected), ("close_after", http.client.RemoteDisconnected),
])  # fmt: skip
def test_lost_answers(net: Net, kind: str, error: type[Exception]) -> None:
    """The connection goes without an answer; the journal knows whether the call was carried out."""
    net.script(kind=kind, action="GetUserActiveTenant")
    with pytest.raises(error):
        net.tenant()
    entry = net.control("GET", "journal?kind=request")["entries"][-1]
    assert (entry["executed"], entry["delivery"]) == (kind.endswith("after"), kind)
    net.connection.close()
    assert net.tenant().read()


def test_silence(net: Net) -> None:
    """The client's own timeout has to end it."""
    net.script(kind="hang_after", action="GetUserActiveTenant")
    net.connection = http.client.HTTPConnection(net.host, timeout=0.2)
    with pytest.raises(TimeoutError):
        net.tenant()


def test_held_answers_are_released(net: Net) -> None:
    """A call is carried out and its answer waits for a sign."""
    net.script(kind="hold", action="GetUserActiveTenant")
    headers = sign_acs3("GetUserActiveTenant", "2018-11-01", "", time.time(), host=net.host)
    net.connection.request("POST", "/", headers=headers)
    deadline = time.monotonic() + 5
    while net.control("GET", "health")["held"] != 1:
        assert time.monotonic() < deadline
        time.sleep(0.01)
    assert net.control("POST", "release", {}) == {"released": 1}
    assert json.loads(net.connection.getresponse().read())["Success"] is True


def test_truncated_in_three_ways(net: Net) -> None:
    """Cut by closing, cut with a matching length, a length that is too long."""
    net.script(kind="truncate", at=10)
    with pytest.raises(http.client.IncompleteRead):
        net.tenant().read()
    net.script(kind="truncate", at=10, mode="consistent")
    assert len(net.tenant().read()) == 10
    net.script(kind="length", delta=5)
    with pytest.raises(http.client.IncompleteRead):
        net.tenant().read()


def test_bodies_that_are_too_much(net: Net) -> None:
    """Large, many, deep, a compressed bomb, a huge number, NaN, a byte order mark, doubled keys."""
    net.script(kind="oversize", megabytes=2)
    body = net.tenant().read()
    assert len(body) > 2 << 20
    assert json.loads(body)["Success"] is True
    net.script(kind="many", count=1000)
    assert len(json.loads(net.tenant().read())["Many"]) == 1001
    net.script(kind="deep", depth=50_000)
    with pytest.raises(RecursionError):
        json.loads(net.tenant().read())
    net.script(kind="gzip_bomb", megabytes=3)
    response = net.tenant()
    packed = response.read()
    assert response.getheader("Content-Encoding") == "gzip"
    assert len(packed) < 20_000
    assert len(zlib.decompress(packed, 31)) > 3 << 20
    net.script(kind="digits", count=9)
    assert json.loads(net.tenant().read())["Number"] == 999_999_999
    net.script(kind="nan")
    assert b"NaN" in net.tenant().read()
    net.script(kind="bom")
    assert net.tenant().read().startswith(b"\xef\xbb\xbf{")
    net.script(kind="duplicate_keys")
    assert net.tenant().read().count(b'"Success"') == 2


def test_other_wrong_answers(net: Net) -> None:
    """A redirect, another content type, HTML, a header, an answer twice, the answer of an earlier request."""
    net.script(kind="redirect", location="http://127.0.0.1:9/x", status=307)
    response = net.tenant()
    assert (response.status, response.getheader("Location")) == (307, "http://127.0.0.1:9/x")
    response.read()
    net.script(kind="content_type", value="text/html")
    response = net.tenant()
    assert response.getheader("Content-Type") == "text/html"
    assert json.loads(response.read())["Success"] is True
    net.script(kind="status", status=503, body="xml")
    response = net.tenant()
    assert (response.status, response.read()[:5]) == (503, b"<?xml")
    net.script(kind="header", name="Date", value="Thu, 01 Jan 1970 00:00:00 GMT")
    response = net.tenant()
    assert response.getheader("Date") == "Thu, 01 Jan 1970 00:00:00 GMT"
    earlier = response.read()
    net.script(kind="stale")
    assert net.tenant().read() == earlier
    net.script(kind="double")
    assert json.loads(net.tenant().read())["Success"] is True
    extra = net.tenant()  # what is read here belongs to the request before
    assert json.loads(extra.read())["Success"] is True


def test_a_slow_drip(net: Net) -> None:
    """Bytes come with pauses; each is in time, the whole is not."""
    net.script(kind="drip", bytes=40, pause=0.02)
    started = time.monotonic()
    assert json.loads(net.tenant().read())["Success"] is True
    assert time.monotonic() - started > 0.1


def test_latency_and_order() -> None:
    """Answers take as long as asked, and requests sent one behind the other are answered in order."""
    with running(Settings(sizes=TINY, latency=0.03)) as slow:
        net = Net(slow)
        started = time.monotonic()
        assert net.tenant().read()
        assert time.monotonic() - started >= 0.03
        name, port = net.host.split(":")
        with socket.create_connection((name, int(port)), timeout=5) as sock:
            for action in ("GetUserActiveTenant", "ListInstances"):
                headers = sign_acs3(action, "2018-11-01", "", time.time(), host=net.host)
                lines = "".join(f"{key}: {value}\r\n" for key, value in headers.items())
                sock.sendall(f"POST / HTTP/1.1\r\n{lines}content-length: 0\r\n\r\n".encode())
            data = b""
            while data.count(b"HTTP/1.1 200") < 2 or b"InstanceList" not in data:
                data += sock.recv(65536)
            assert data.index(b"TenantName") < data.index(b"InstanceList")
        net.connection.close()


def test_loopback_only(capsys: pytest.CaptureFixture[str]) -> None:
    """Another address is refused with the reason."""
    assert main(["serve", "--preset", "tiny", "--host", "0.0.0.0", "--port", "0"]) == 2
    assert "loopback only" in capsys.readouterr().err
    assert main(["serve", "--preset", "tiny", "--mode", "wedata_rows=sideways"]) == 2
    assert "per_subject" in capsys.readouterr().err


def test_inspect_prints_numbers(capsys: pytest.CaptureFixture[str]) -> None:
    """Sizes without a server."""
    assert main(["inspect", "--preset", "tiny", "--size", "people=9"]) == 0
    printed = json.loads(capsys.readouterr().out)
    assert printed["sizes"]["people"] == 9
    assert printed["total"] == sum(printed["grants"].values())


@pytest.mark.parametrize(
    ("start", "sign"), [(["include/emulator"], signal.SIGTERM), (["-m", "emulator"], signal.SIGINT)]
)
def test_the_program(tmp_path: Path, start: list[str], sign: signal.Signals) -> None:
    """Started as a directory and as a module: ready file, answers, clean end on a signal."""
    ready = tmp_path / "ready.json"
    folder = INCLUDE.parent if start[0] != "-m" else INCLUDE
    process = subprocess.Popen(
        [sys.executable, *start, "serve", "--preset", "tiny", "--port", "0", "--ready-file", str(ready),
         "--journal", str(tmp_path / "journal.jsonl")],
        cwd=folder, stdout=subprocess.PIPE, stderr=subprocess.PIPE, env={**os.environ, "PYTHONPATH": ""},
    )  # fmt: skip
    try:
        deadline = time.monotonic() + 20
        while not ready.exists():
            assert process.poll() is None, process.communicate()
            assert time.monotonic() < deadline
            time.sleep(0.02)
        told = json.loads(ready.read_text(encoding="utf-8"))
        assert told["pid"] == process.pid
        net = Net(type("Told", (), {"url": told["url"]})())
        assert net.tenant().read()
        net.connection.close()
    finally:
        process.send_signal(sign)
        out, err = process.communicate(timeout=10)
    assert (process.returncode, err) == (0, b""), err
    assert b"listening on http://127.0.0.1:" in out
    assert not ready.exists()
    assert (tmp_path / "journal.jsonl").read_text(encoding="utf-8").count("\n") == 1


def test_a_defect_does_not_look_like_a_vendor(capsys: pytest.CaptureFixture[str]) -> None:
    """An unexpected exception gives a plain 500 that says whose fault it is."""
    from emulator.gateway.wire import Request

    app = App(Settings(sizes=TINY))
    app.gateway.handle = lambda request: 1 / 0  # type: ignore[method-assign, assignment, return-value]
    answer = app.handle(Request("POST", "/", "", {}, b""))
    assert (answer.status, answer.content_type) == (500, "text/plain")
    assert "ZeroDivisionError" in capsys.readouterr().err


def test_head_gets_no_body_so_the_connection_stays_in_step(server: Server) -> None:
    net = Net(server)
    net.connection.request("HEAD", "/")
    assert net.connection.getresponse().read() == b""
    answer = net.tenant()
    assert answer.status == 200 and "Tenant" in json.loads(answer.read())
    net.connection.close()
