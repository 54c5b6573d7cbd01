"""Faults on a real socket: what is bounded, what is unknown, what was surely not sent."""

from __future__ import annotations

import asyncio
import datetime
import gzip
import json
import socket
import ssl
import time
import tracemalloc
import zlib
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest

from rescind.cloud.base import Request
from rescind.cloud.clients import WeDataClient
from rescind.cloud.connection.settings import ClientSettings
from rescind.cloud.transport import tls_context
from rescind.cloud.wedata.data_sources import FromProject, RevokeDataSourceAuthorization
from rescind.cloud.wedata.inventory import ListTenantRoles
from rescind.errors import MalformedResponseError, RescindError, TransientError, UnknownOutcomeError
from tests.support.ledger.pacing import FreePacer

WRITE = RevokeDataSourceAuthorization(DataSourceId="1", target=FromProject(project_id="2", whole_project=True))
READ = ListTenantRoles()
GOLDEN = json.dumps(
    {"Response": {"Data": {"Status": True}, "RequestId": "c15b5370-4aaa-447d-87ff-269b5737e7b0"}}
).encode()

Reader = Callable[[asyncio.StreamReader], Awaitable[bytes]]


def head(length: int | None = None, status: str = "200 OK", **headers: str) -> bytes:
    lines = [f"HTTP/1.1 {status}", *(f"{name.replace('_', '-')}: {value}" for name, value in headers.items())]
    if length is not None:
        lines.append(f"content-length: {length}")
    return "\r\n".join(lines).encode() + b"\r\n\r\n"


def make(port: int, scheme: str = "http", **fields: Any) -> WeDataClient:
    settings = ClientSettings.from_fields(
        "wedata",
        {
            "login": "AKIDx", "password": "y", "region": "ap-singapore", "allow_loopback_http": True,
            "base_url": f"{scheme}://127.0.0.1:{port}", "timeout_s": 5, **fields,
        },
    )  # fmt: skip
    return WeDataClient(settings, pacer=FreePacer())


async def one(port: int, request: Request[Any] = WRITE, **fields: Any) -> Any:
    async with make(port, **fields) as client:
        return await client.dispatch(client.prepare(request))


async def failure(port: int, request: Request[Any] = WRITE, **fields: Any) -> RescindError:
    with pytest.raises(RescindError) as caught:
        await one(port, request, **fields)
    assert caught.value.__context__ is None
    return caught.value


@pytest.fixture
def says(raw_server: Any, request_reader: Reader) -> Callable[..., Any]:
    """A server that reads one request, then writes the given pieces, then hangs up."""

    def build(*pieces: bytes, pause: float = 0.0, hold: bool = False) -> Any:
        async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            await request_reader(reader)
            for piece in pieces:
                writer.write(piece)
                await writer.drain()
                if pause:
                    await asyncio.sleep(pause)
            if hold:
                await asyncio.sleep(30)

        return raw_server(talk)

    return build


def test_a_good_answer(says: Callable[..., Any]) -> None:
    async def run() -> None:
        async with says(head(len(GOLDEN)), GOLDEN) as port:
            answer = await one(port)
            assert answer.value.Status is True
            assert answer.request_id.startswith("c15b")

    asyncio.run(run())


def test_truncated_at_every_byte(raw_server: Any, request_reader: Reader) -> None:
    whole = head(len(GOLDEN), content_type="application/json") + GOLDEN
    cut = {"at": 0}

    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await request_reader(reader)
        writer.write(whole[: cut["at"]])
        await writer.drain()

    async def run() -> None:
        async with raw_server(talk) as port, make(port) as client:
            for cut["at"] in range(len(whole)):
                with pytest.raises(UnknownOutcomeError):
                    await client.dispatch(client.prepare(WRITE))
                with pytest.raises((TransientError, MalformedResponseError)):
                    await client.dispatch(client.prepare(READ))

    asyncio.run(run())


def test_chunks_that_break_off(says: Callable[..., Any]) -> None:
    async def run() -> None:
        chunked = head(transfer_encoding="chunked")
        for tail in (b'5\r\n{"Res', b'5\r\n{"Res\r\n', b"zz\r\n", b"ffffffffffffffff\r\nx", b"2\r\n{}\r\n"):
            async with says(chunked, tail) as port:
                assert isinstance(await failure(port), UnknownOutcomeError)

    asyncio.run(run())


def test_a_slow_drip_meets_the_total_deadline(says: Callable[..., Any]) -> None:
    async def run() -> None:
        async with says(head(len(GOLDEN)), *[bytes([byte]) for byte in GOLDEN], pause=0.05) as port:
            started = time.monotonic()
            error = await failure(port, timeout_s=0.4)
            assert isinstance(error, UnknownOutcomeError)
            assert "0.4 s" in str(error)
            assert time.monotonic() - started < 3

    asyncio.run(run())


def test_silence_and_hanging_up(says: Callable[..., Any]) -> None:
    async def run() -> None:
        async with says(hold=True) as port:
            assert isinstance(await failure(port, timeout_s=0.3), UnknownOutcomeError)
            assert isinstance(await failure(port, READ, timeout_s=0.3), TransientError)
        async with says() as port:
            assert isinstance(await failure(port), UnknownOutcomeError)
            assert isinstance(await failure(port, READ), TransientError)

    asyncio.run(run())


def test_a_reset_after_the_request_is_unknown(raw_server: Any, request_reader: Reader) -> None:
    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await request_reader(reader)
        sock = writer.get_extra_info("socket")
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\x01\x00\x00\x00\x00\x00\x00\x00")

    async def run() -> None:
        async with raw_server(talk) as port:
            assert isinstance(await failure(port), UnknownOutcomeError)

    asyncio.run(run())


def test_a_refused_connection_was_not_sent() -> None:
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        port = closed.getsockname()[1]
    error = asyncio.run(failure(port))
    assert type(error) is TransientError
    assert "nothing was sent" in str(error)


def test_a_connection_that_is_never_accepted_was_not_sent() -> None:
    with socket.socket() as full:
        full.bind(("127.0.0.1", 0))
        full.listen(0)
        port = full.getsockname()[1]
        fillers = [socket.socket() for _ in range(4)]
        for filler in fillers:
            filler.setblocking(False)
            filler.connect_ex(("127.0.0.1", port))
        error = asyncio.run(failure(port, timeout_s=1.5, connect_timeout_s=0.3))
        for filler in fillers:
            filler.close()
    assert type(error) is TransientError


def test_the_deadline_while_connecting_was_not_sent() -> None:
    with socket.socket() as full:
        full.bind(("127.0.0.1", 0))
        full.listen(0)
        port = full.getsockname()[1]
        fillers = [socket.socket() for _ in range(4)]
        for filler in fillers:
            filler.setblocking(False)
            filler.connect_ex(("127.0.0.1", port))
        error = asyncio.run(failure(port, timeout_s=0.3, connect_timeout_s=5))
        for filler in fillers:
            filler.close()
    assert type(error) is TransientError


@pytest.mark.parametrize("status", ["301 Moved", "302 Found", "307 Temporary Redirect", "308 Permanent Redirect"])
def test_redirects_are_not_followed(says: Callable[..., Any], raw_server: Any, status: str) -> None:
    visited: list[bytes] = []

    async def trap(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        visited.append(await reader.read(100))

    async def run() -> None:
        async with raw_server(trap) as target:
            async with says(head(0, status, location=f"http://127.0.0.1:{target}/")) as port:
                assert isinstance(await failure(port), UnknownOutcomeError)
            async with says(head(0, status, location=f"http://127.0.0.1:{target}/")) as port:
                assert isinstance(await failure(port, READ), MalformedResponseError)
            await asyncio.sleep(0.02)

    asyncio.run(run())
    assert visited == []


def test_too_large_bodies_are_cut_off_in_bounded_memory(says: Callable[..., Any]) -> None:
    async def run() -> None:
        pieces = [b"x" * 65536] * 400  # 26 MB
        async with says(head(), *pieces) as port:
            error = await failure(port, max_response_bytes=1_000_000)
            assert isinstance(error, UnknownOutcomeError)
            assert "over 1000000 bytes" in str(error)

    tracemalloc.start()
    asyncio.run(run())
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 12_000_000


@pytest.mark.parametrize("encoding", ["gzip", "deflate"])
def test_compression_that_was_not_asked_for_is_bounded(says: Callable[..., Any], encoding: str) -> None:
    pack = gzip.compress if encoding == "gzip" else zlib.compress

    async def run() -> None:
        good = pack(GOLDEN)
        async with says(head(len(good), content_encoding=encoding), good) as port:
            assert (await one(port)).value.Status is True
        bomb = pack(b" " * 20_000_000)
        async with says(head(len(bomb), content_encoding=encoding), bomb) as port:
            error = await failure(port, max_response_bytes=1_000_000)
            assert "over 1000000 bytes" in str(error)
        for broken in (good[:-6], good[:4] + b"\x00" * 20, b"plain"):
            async with says(head(len(broken), content_encoding=encoding), broken) as port:
                assert isinstance(await failure(port), UnknownOutcomeError)

    asyncio.run(run())


def test_other_encodings_are_refused(says: Callable[..., Any]) -> None:
    async def run() -> None:
        async with says(head(len(GOLDEN), content_encoding="br"), GOLDEN) as port:
            assert isinstance(await failure(port), UnknownOutcomeError)

    asyncio.run(run())


def test_a_second_answer_on_the_same_connection_is_not_taken(raw_server: Any, request_reader: Reader) -> None:
    """The first request is answered twice; the spare answer must not be given to the second request."""
    served: list[int] = []

    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while True:
            await request_reader(reader)
            served.append(1)
            body = GOLDEN.replace(b"c15b5370", f"{len(served):08d}".encode())
            writer.write((head(len(body)) + body) * (2 if len(served) == 1 else 1))
            await writer.drain()

    async def run() -> None:
        async with raw_server(talk) as port, make(port) as client:
            first = await client.dispatch(client.prepare(WRITE))
            await asyncio.sleep(0.02)
            try:
                second = await client.dispatch(client.prepare(WRITE))
            except UnknownOutcomeError:
                return
            assert second.request_id != first.request_id

    asyncio.run(run())


def test_environment_proxies_are_ignored(says: Callable[..., Any], monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "http_proxy", "https_proxy", "all_proxy"):
        monkeypatch.setenv(name, "http://127.0.0.1:1")

    async def run() -> None:
        async with says(head(len(GOLDEN)), GOLDEN) as port:
            assert (await one(port)).value.Status is True

    asyncio.run(run())


def _self_signed(folder: Path) -> ssl.SSLContext:
    from cryptography import x509
    from cryptography.hazmat.primitives import hashes, serialization
    from cryptography.hazmat.primitives.asymmetric import ec
    from cryptography.x509.oid import NameOID

    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "localhost")])
    now = datetime.datetime.now(datetime.UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(now - datetime.timedelta(days=1))
        .not_valid_after(now + datetime.timedelta(days=1))
        .sign(key, hashes.SHA256())
    )
    path = folder / "server.pem"
    path.write_bytes(
        certificate.public_bytes(serialization.Encoding.PEM)
        + key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    )
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(path)
    return context


def test_an_untrusted_certificate_stops_before_anything_is_sent(
    raw_server: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    received: list[bytes] = []
    context = _self_signed(tmp_path)
    monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "server.pem"))
    monkeypatch.setenv("SSLKEYLOGFILE", str(tmp_path / "keys.log"))

    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        received.append(await reader.read(100))

    async def run() -> RescindError:
        async with raw_server(talk, ssl=context) as port:
            return await failure(port, scheme="https")

    error = asyncio.run(run())
    assert type(error) is TransientError
    assert "certificate" in str(error)
    assert not any(received)
    assert not (tmp_path / "keys.log").exists()


def test_tls_is_verified_and_modern() -> None:
    context = tls_context()
    assert context.verify_mode is ssl.CERT_REQUIRED
    assert context.check_hostname
    assert context.minimum_version >= ssl.TLSVersion.TLSv1_2
    assert context.keylog_filename is None


def test_warm_opens_the_connection_that_is_used(raw_server: Any, request_reader: Reader) -> None:
    connections: list[list[bytes]] = []

    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        lines: list[bytes] = []
        connections.append(lines)
        while True:
            request = await request_reader(reader)
            lines.append(request.split(b"\r\n")[0])
            writer.write(head(0, "405 No") if request.startswith(b"HEAD") else head(len(GOLDEN)) + GOLDEN)
            await writer.drain()

    async def run() -> None:
        async with raw_server(talk) as port, make(port) as client:
            assert await client.warm() == 1
            await client.dispatch(client.prepare(WRITE))

    asyncio.run(run())
    assert connections == [[b"HEAD / HTTP/1.1", b"POST / HTTP/1.1"]]
