"""The emulator inside the test process: the same application and bytes, without a process and without sockets.

For reviews that are not about the network. Requests are built, signed and read by the product as ever; only the sockets
are missing. Faults that break a connection need :func:`tests.support.servers.emulator.running_emulator`.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import httpx
import pytest

from emulator.app import App
from emulator.cli import parser, settings_from
from emulator.gateway.wire import Request
from tests.support.servers.emulator import Emulator

URL = "http://127.0.0.1:9"
"""Nobody listens there: a request that goes around this module fails."""


@dataclass(frozen=True)
class InsideEmulator(Emulator):
    """An emulator in this process."""

    app: App

    def _control(self, path: str, body: bytes | None = None) -> bytes:
        place, _, query = path.partition("?")
        method = "GET" if body is None else "POST"
        answer = self.app.handle(Request(method, f"/_control/{place}", query, {}, body or b""))
        assert answer.status == 200, answer.body
        return answer.body

    async def answer(self, request: httpx.Request) -> httpx.Response:
        """Answer a request of the product; takes the place of httpx's transport."""
        headers = {name.lower(): value for name, value in request.headers.items()}
        path, _, query = request.url.raw_path.decode().partition("?")
        given = self.app.handle(Request(request.method, path, query, headers, await request.aread()))
        assert given.delivery is None, "broken connections need an emulator of their own"
        await asyncio.sleep(given.delay)
        kind = {"content-type": given.content_type}
        return httpx.Response(given.status, headers={**kind, **given.headers}, content=given.body, request=request)


@contextmanager
def emulator_inside(monkeypatch: pytest.MonkeyPatch, *options: str) -> Iterator[InsideEmulator]:
    """Make an emulator with these command-line options, and lead every request for its address to it."""
    app = App(settings_from(parser().parse_args(["serve", *options])))
    emulator = InsideEmulator(URL, app.world.keys.public(), "", app)
    send = httpx.AsyncHTTPTransport.handle_async_request

    async def led(transport: httpx.AsyncHTTPTransport, request: httpx.Request) -> httpx.Response:
        here = f"{request.url.scheme}://{request.url.netloc.decode()}" == URL
        return await (emulator.answer(request) if here else send(transport, request))

    monkeypatch.setattr(httpx.AsyncHTTPTransport, "handle_async_request", led)
    try:
        yield emulator
    finally:
        app.world.journal.close()
