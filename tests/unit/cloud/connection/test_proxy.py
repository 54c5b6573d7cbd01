"""A connection's own proxy and authorities, on real sockets: tunnels only, and only what the connection names."""

from __future__ import annotations

import asyncio
import json
import socket
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Any

import pytest

from rescind.cloud.clients import DmsClient, WeDataClient
from rescind.cloud.connection.settings import ClientSettings
from rescind.cloud.wedata.data_sources import FromProject, RevokeDataSourceAuthorization
from rescind.errors import ConfigurationError, RescindError, TransientError
from tests.support.ledger.pacing import FreePacer
from tests.support.servers.private_network import Authority, TunnelProxy, private_authority, tls_front, tunnel_proxy

HOST = "wedata.intl.tencentcloudapi.com"
WRITE = RevokeDataSourceAuthorization(DataSourceId="1", target=FromProject(project_id="2", whole_project=True))
GOOD = json.dumps(
    {"Response": {"Data": {"Status": True}, "RequestId": "c15b5370-4aaa-447d-87ff-269b5737e7b0"}}
).encode()
PASSWORD = "proxy-canary-0001"


class _Vendor(BaseHTTPRequestHandler):
    """Answers everything with one success."""

    protocol_version = "HTTP/1.1"
    seen: list[tuple[str, str]]

    def do_POST(self) -> None:
        self.rfile.read(int(self.headers["content-length"]))
        self.seen.append((self.headers["host"], self.headers["x-tc-action"]))
        self.send_response(200)
        self.send_header("content-length", str(len(GOOD)))
        self.end_headers()
        self.wfile.write(GOOD)

    def log_message(self, *_: Any) -> None:
        """Keep quiet."""


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return private_authority(tmp_path_factory.mktemp("authority"), [HOST])


@pytest.fixture
def vendor() -> Iterator[tuple[int, list[tuple[str, str]]]]:
    """The port of a plain server, and what it was asked for."""
    handler = type("Vendor", (_Vendor,), {"seen": []})
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True).start()
    yield server.server_port, handler.seen  # type: ignore[attr-defined]
    server.shutdown()
    server.server_close()


def settings(**fields: Any) -> ClientSettings:
    key = {"login": "AKIDx", "password": "y", "region": "ap-singapore", "timeout_s": 10}
    return ClientSettings.from_fields("wedata", {**key, **fields})


def sent(fields: ClientSettings) -> Any:
    async def run() -> Any:
        async with WeDataClient(fields, pacer=FreePacer()) as client:
            return await client.dispatch(client.prepare(WRITE))

    return asyncio.run(run())


def failed(fields: ClientSettings) -> RescindError:
    with pytest.raises(RescindError) as caught:
        sent(fields)
    assert caught.value.__context__ is None and PASSWORD not in str(caught.value)
    return caught.value


def test_a_request_goes_through_a_tunnel_to_the_vendors_own_host(vendor: Any, authority: Authority) -> None:
    port, seen = vendor
    with tls_front(port, authority.server) as front, tunnel_proxy(front, login=f"audit:{PASSWORD}") as proxy:
        answer = sent(
            settings(proxy=proxy.address, proxy_login="audit", proxy_password=PASSWORD, ca_bundle=str(authority.bundle))
        )
    assert answer.value.Status is True
    assert seen == [(HOST, "RevokeDataSourceAuthorization")]
    assert proxy.asked == [f"CONNECT {HOST}:443 HTTP/1.1"], "the proxy sees the host and nothing of the call"


def test_a_private_certificate_is_not_trusted_without_its_authority(vendor: Any, authority: Authority) -> None:
    port, seen = vendor
    with tls_front(port, authority.server) as front, tunnel_proxy(front) as proxy:
        error = failed(settings(proxy=proxy.address))
    assert type(error) is TransientError and "nothing was sent" in str(error)
    assert "certificate not accepted: if a private authority has signed it, name its file in 'ca_bundle'" in str(error)
    assert seen == []


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"login": "audit:other"}, "HTTP 407: it wants proxy_login and proxy_password"),
        ({"refuse": "403 Forbidden by <b>policy</b>"}, "HTTP 403: it does not allow this host"),
        ({"refuse": "502 Bad Gateway"}, "HTTP 502"),
    ],
)
def test_a_write_that_the_proxy_refuses_was_not_sent(
    vendor: Any, authority: Authority, options: dict[str, str], words: str
) -> None:
    port, seen = vendor
    with tls_front(port, authority.server) as front, tunnel_proxy(front, **options) as proxy:
        error = failed(
            settings(proxy=proxy.address, proxy_login="audit", proxy_password=PASSWORD, ca_bundle=str(authority.bundle))
        )
    assert type(error) is TransientError, "not an unknown outcome"
    assert words in str(error) and "policy" not in str(error) and "nothing was sent" in str(error)
    assert seen == []


def test_a_proxy_that_hangs_up_or_is_not_there_has_sent_nothing(raw_server: Any, authority: Authority) -> None:
    async def hang_up(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")

    async def run(port: int) -> RescindError:
        async with WeDataClient(settings(proxy=f"http://127.0.0.1:{port}"), pacer=FreePacer()) as client:
            with pytest.raises(RescindError) as caught:
                await client.dispatch(client.prepare(WRITE))
            return caught.value

    async def both() -> list[RescindError]:
        async with raw_server(hang_up) as port:
            found = [await run(port)]
        with socket.socket() as closed:
            closed.bind(("127.0.0.1", 0))
            return [*found, await run(closed.getsockname()[1])]

    for error in asyncio.run(both()):
        assert type(error) is TransientError and "nothing was sent" in str(error)


def test_a_tunnel_that_breaks_after_the_request_leaves_it_unknown(raw_server: Any, authority: Authority) -> None:
    async def silent(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")

    async def run() -> str:
        async with raw_server(silent, ssl=authority.server) as port:
            with tunnel_proxy(port) as proxy:
                fields = settings(proxy=proxy.address, ca_bundle=str(authority.bundle))
                async with WeDataClient(fields, pacer=FreePacer()) as client:
                    with pytest.raises(RescindError) as caught:
                        await client.dispatch(client.prepare(WRITE))
        return type(caught.value).__name__

    assert asyncio.run(run()) == "UnknownOutcomeError"


def test_the_environment_names_neither_proxy_nor_authority(
    vendor: Any, authority: Authority, monkeypatch: pytest.MonkeyPatch
) -> None:
    port, seen = vendor
    with tls_front(port, authority.server) as front, tunnel_proxy(front) as other, tunnel_proxy(front) as proxy:
        for name in ("HTTPS_PROXY", "ALL_PROXY", "https_proxy", "all_proxy"):
            monkeypatch.setenv(name, other.address)
        monkeypatch.setenv("SSL_CERT_FILE", str(authority.bundle))
        assert "certificate" in str(failed(settings(proxy=proxy.address)))
        sent(settings(proxy=proxy.address, ca_bundle=str(authority.bundle)))
    assert other.asked == [] and len(seen) == 1


def test_a_metadata_service_is_asked_without_the_proxy(vendor: Any, authority: Authority) -> None:
    asked: list[str] = []

    class Metadata(BaseHTTPRequestHandler):
        def do_PUT(self) -> None:
            self.do_GET()

        def do_GET(self) -> None:
            asked.append(self.path)
            self.send_response(404)
            self.send_header("content-length", "0")
            self.end_headers()

        def log_message(self, *_: Any) -> None:
            """Keep quiet."""

    from rescind.cloud.credentials import Sources

    server = ThreadingHTTPServer(("127.0.0.1", 0), Metadata)
    Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True).start()
    try:
        with tunnel_proxy(vendor[0]) as proxy:
            fields = ClientSettings.from_fields("dms", {"credentials": "instance_role", "proxy": proxy.address})
            source = Sources(
                fields, DmsClient(fields)._ask, metadata={"base": f"http://127.0.0.1:{server.server_port}"}
            )
            with pytest.raises(RescindError):
                asyncio.run(source.make().current())
    finally:
        server.shutdown()
        server.server_close()
    assert asked and proxy.asked == []


BAD_PROXIES = [
    "127.0.0.1:3128", "socks5://127.0.0.1:1080", "http://127.0.0.1", "http://127.0.0.1:0", "http://127.0.0.1:65536",
    "http://user:pass@127.0.0.1:3128", "http://127.0.0.1:3128/path", "http://127.0.0.1:3128?x", "http://:3128",
    "http://proxy .example:3128", "HTTP://proxy.example:3128", "http://proxy.example:3128\n",
]  # fmt: skip


@pytest.mark.parametrize("proxy", BAD_PROXIES, ids=ascii)
def test_other_spellings_of_a_proxy_are_refused(proxy: str) -> None:
    with pytest.raises(ConfigurationError, match="proxy: is not an address") as caught:
        settings(proxy=proxy)
    assert "pass" not in str(caught.value).replace("proxy_password", "")


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"proxy_login": "audit"}, "there is no proxy"),
        ({"proxy_password": PASSWORD}, "there is no proxy"),
        (
            {"proxy": "http://127.0.0.1:1", "base_url": "http://127.0.0.1:2", "allow_loopback_http": True},
            "emulator without TLS",
        ),
    ],
)
def test_settings_that_would_be_ignored_are_refused(fields: dict[str, Any], words: str) -> None:
    with pytest.raises(ConfigurationError, match=words) as caught:
        settings(**fields)
    assert PASSWORD not in str(caught.value)


def test_a_bundle_that_cannot_be_used_is_refused_before_anything_is_sent(tmp_path: Path, authority: Authority) -> None:
    (tmp_path / "text.pem").write_text("no certificate")
    served = authority.bundle.with_name("private-server.pem")
    for path, words in (
        ("ca.pem", "not an absolute path"),
        (str(tmp_path / "missing.pem"), "FileNotFoundError"),
        (str(tmp_path), "cannot be used"),
        (str(tmp_path / "text.pem"), "cannot be used"),
        (str(served), "no certificate of an authority"),
    ):
        with pytest.raises(ConfigurationError, match="ca_bundle") as caught:
            settings(ca_bundle=path)
        assert words in str(caught.value)


def test_secrets_of_a_proxy_are_not_shown() -> None:
    shown = settings(proxy="http://proxy.example:3128/", proxy_login="audit", proxy_password=PASSWORD)
    assert PASSWORD not in repr(shown) + str(shown) + shown.model_dump_json()


def test_the_proxy_of_a_test_refuses_what_is_no_tunnel() -> None:
    assert TunnelProxy(1).answer("GET http://a/ HTTP/1.1\r\n\r\n").startswith("405")
