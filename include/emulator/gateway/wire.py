"""HTTP/1.1 on a plain asyncio protocol: small enough to misbehave on purpose, fast enough to measure with."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import struct
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Protocol

MAX_HEAD = 256 * 1024
MAX_BODY = 64 * 1024 * 1024
_REASONS = {
    200: "OK", 301: "Moved Permanently", 302: "Found", 307: "Temporary Redirect", 308: "Permanent Redirect",
    400: "Bad Request", 401: "Unauthorized", 403: "Forbidden", 404: "Not Found", 405: "Method Not Allowed",
    409: "Conflict", 413: "Content Too Large", 429: "Too Many Requests", 431: "Request Header Fields Too Large",
    500: "Internal Server Error", 502: "Bad Gateway", 503: "Service Unavailable", 504: "Gateway Timeout",
}  # fmt: skip


class BadRequestError(Exception):
    """Bytes that are no HTTP request."""


@dataclass(slots=True)
class Request:
    """One request as it came off the wire. Header names are lower case; repeated ones are joined by a comma."""

    method: str
    path: str
    query: str
    headers: dict[str, str]
    body: bytes
    keep_alive: bool = True

    @property
    def host(self) -> str:
        """The ``Host`` header, whatever the client sent."""
        return self.headers.get("host", "")


class Delivery(Protocol):
    """A way of bringing an answer to the client other than just sending it."""

    def __call__(self, connection: Connection, answer: Answer) -> Awaitable[None]:
        """Deliver, or fail to."""


@dataclass(slots=True)
class Answer:
    """What goes back: status, headers, body bytes; a delay in seconds and a delivery for misbehavior."""

    status: int
    body: bytes
    content_type: str = "application/json"
    headers: dict[str, str] = field(default_factory=dict)
    delay: float = 0.0
    delivery: Delivery | None = None

    def head(self, *, keep_alive: bool, length: int | None = None) -> bytes:
        """Status line and headers up to and with the empty line. ``length`` overrides the true length."""
        lines = [f"HTTP/1.1 {self.status} {_REASONS.get(self.status, 'Status')}"]
        if self.content_type:
            lines.append(f"Content-Type: {self.content_type}")
        lines.append(f"Content-Length: {len(self.body) if length is None else length}")
        lines.extend(f"{name}: {value}" for name, value in self.headers.items())
        lines.append(f"Connection: {'keep-alive' if keep_alive else 'close'}")
        return ("\r\n".join(lines) + "\r\n\r\n").encode("utf-8", "replace")


Handler = Callable[[Request], Answer]


class Connection(asyncio.Protocol):
    """One client connection. Requests are answered in order; the next one waits for the one before."""

    def __init__(self, handler: Handler, registry: set[Connection]) -> None:
        self._handler = handler
        self._registry = registry
        self._buffer = bytearray()
        self._task: asyncio.Task[None] | None = None
        self._closed = asyncio.Event()
        self._invited = False
        self.transport: asyncio.Transport | None = None
        self.keep_alive = True
        self.head_only = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Take the transport and answer without Nagle's delay."""
        assert isinstance(transport, asyncio.Transport)
        self.transport = transport
        self._registry.add(self)
        sock = transport.get_extra_info("socket")
        if sock is not None:
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    def connection_lost(self, exc: Exception | None) -> None:
        """Forget the connection and whatever it was still being told."""
        self._closed.set()
        self._registry.discard(self)
        if self._task is not None:
            self._task.cancel()

    def data_received(self, data: bytes) -> None:
        """Collect bytes and answer what is complete."""
        self._buffer += data
        if self._task is None:
            self._pump()

    def _pump(self) -> None:
        while self._task is None and self.transport is not None and not self.transport.is_closing():
            try:
                request = take_request(self._buffer)
            except BadRequestError as error:
                self.keep_alive = False
                self.write(Answer(400, str(error).encode(), "text/plain"))
                return
            if request is None:
                self._invite()
                return
            self._invited = False
            self.keep_alive = request.keep_alive
            self.head_only = request.method == "HEAD"
            answer = self._handler(request)
            if answer.delivery is None and answer.delay <= 0:
                self.write(answer)
            else:
                self._task = asyncio.ensure_future(self._later(answer))

    def _invite(self) -> None:
        """Tell a client that waits for it to send the body."""
        head, end, _ = bytes(self._buffer[:MAX_HEAD]).partition(b"\r\n\r\n")
        if end and not self._invited and b"100-continue" in head.lower():
            self._invited = True
            self.write_raw(b"HTTP/1.1 100 Continue\r\n\r\n")

    async def _later(self, answer: Answer) -> None:
        with contextlib.suppress(ConnectionError):
            if answer.delay > 0:
                await asyncio.sleep(answer.delay)
            if answer.delivery is None:
                self.write(answer)
            else:
                await answer.delivery(self, answer)
        self._task = None
        self._pump()

    def write(self, answer: Answer) -> None:
        """Send a whole answer (to HEAD its head alone); close afterwards when the client or the answer wants it."""
        self.write_raw(answer.head(keep_alive=self.keep_alive) + (b"" if self.head_only else answer.body))
        if not self.keep_alive:
            self.close()

    def write_raw(self, data: bytes) -> None:
        """Send bytes as they are."""
        if self.transport is not None and not self.transport.is_closing():
            self.transport.write(data)

    def close(self) -> None:
        """Close in order, after what has been written."""
        if self.transport is not None:
            self.transport.close()

    def reset(self) -> None:
        """Drop the connection with a TCP reset."""
        if self.transport is None:
            return
        sock = self.transport.get_extra_info("socket")
        if sock is not None:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.transport.abort()

    async def gone(self, timeout: float) -> None:
        """Wait until the client has gone, at most ``timeout`` seconds."""
        with contextlib.suppress(asyncio.TimeoutError):
            await asyncio.wait_for(self._closed.wait(), timeout)


def take_request(buffer: bytearray) -> Request | None:
    """Cut one complete request off the front of the buffer, or None when more bytes are needed.

    :raises BadRequestError: when the bytes are not HTTP/1.x or larger than the limits.
    """
    end = buffer.find(b"\r\n\r\n")
    if end < 0:
        if len(buffer) > MAX_HEAD:
            raise BadRequestError("request head too large")
        return None
    lines = bytes(buffer[:end]).decode("latin-1").split("\r\n")
    parts = lines[0].split(" ")
    if len(parts) != 3 or not parts[2].startswith("HTTP/1."):
        raise BadRequestError("not an HTTP/1.1 request line")
    headers = _headers(lines[1:])
    body = _body(buffer, end + 4, headers)
    if body is None:
        return None
    content, used = body
    del buffer[:used]
    target = parts[1]
    if target.startswith("http://"):
        target = "/" + target.split("/", 3)[3] if target.count("/") >= 3 else "/"
    path, _, query = target.partition("?")
    connection = headers.get("connection", "").lower()
    keep = connection != "close" if parts[2] == "HTTP/1.1" else connection == "keep-alive"
    return Request(parts[0].upper(), path, query, headers, content, keep)


def _headers(lines: list[str]) -> dict[str, str]:
    headers: dict[str, str] = {}
    for line in lines:
        name, colon, value = line.partition(":")
        if not colon:
            raise BadRequestError("header line without a colon")
        name = name.strip().lower()
        value = value.strip()
        headers[name] = f"{headers[name]},{value}" if name in headers else value
    return headers


def _body(buffer: bytearray, start: int, headers: dict[str, str]) -> tuple[bytes, int] | None:
    if "chunked" in headers.get("transfer-encoding", "").lower():
        return _chunked(buffer, start)
    text = headers.get("content-length", "0")
    if not text.isdigit() or int(text) > MAX_BODY:
        raise BadRequestError("bad content length")
    used = start + int(text)
    if len(buffer) < used:
        return None
    return bytes(buffer[start:used]), used


def _chunked(buffer: bytearray, position: int) -> tuple[bytes, int] | None:
    content = bytearray()
    while True:
        end = buffer.find(b"\r\n", position)
        if end < 0:
            return None
        try:
            size = int(bytes(buffer[position:end]).split(b";")[0], 16)
        except ValueError as error:
            raise BadRequestError("bad chunk size") from error
        position = end + 2
        if len(content) + size > MAX_BODY:
            raise BadRequestError("body too large")
        if len(buffer) < position + size + 2:
            return None
        if size == 0:
            return bytes(content), position + 2
        content += buffer[position : position + size]
        position += size + 2
