"""Changes to the bytes of an answer and to the way they reach the client."""

from __future__ import annotations

import asyncio
import struct
import zlib
from collections.abc import AsyncIterator
from typing import Any

from emulator.gateway.wire import Answer, Connection, Delivery

_HTML = b"<html><head><title>%d</title></head><body><h1>Scripted failure</h1></body></html>"
_XML = (
    b'<?xml version="1.0" encoding="UTF-8"?><Error><RequestId>0</RequestId><HostId>demo</HostId>'
    b"<Code>ServiceUnavailable</Code><Message>Scripted failure.</Message></Error>"
)
_BLOCK = 1 << 16


class Holds:
    """Answers held back until somebody releases them."""

    def __init__(self) -> None:
        self._events: list[asyncio.Event] = []

    @property
    def waiting(self) -> int:
        """How many answers are held."""
        return sum(not event.is_set() for event in self._events)

    def new(self) -> asyncio.Event:
        """Hold one more."""
        event = asyncio.Event()
        self._events.append(event)
        return event

    def release(self) -> int:
        """Let all go; how many there were."""
        count = self.waiting
        for event in self._events:
            event.set()
        self._events.clear()
        return count


def replace(answer: Answer, kind: str, options: dict[str, Any]) -> Answer:
    """Another answer altogether: a status with a JSON, HTML, XML, text or empty body, or a redirect."""
    headers = {**answer.headers, **{str(key): str(value) for key, value in options.get("headers", {}).items()}}
    if kind == "redirect":
        headers["Location"] = str(options.get("location", "http://127.0.0.1:9/"))
        return Answer(int(options.get("status", 302)), b"", "text/plain", headers, answer.delay)
    status, form = int(options.get("status", 500)), str(options.get("body", "json"))
    bodies = {
        "json": (b'{"Code":"InternalError","Message":"Scripted failure.","RequestId":"0"}', "application/json"),
        "html": (_HTML % status, "text/html; charset=utf-8"),
        "xml": (_XML, "text/xml;charset=utf-8"),
        "text": (str(options.get("text", "scripted failure")).encode(), "text/plain"),
        "empty": (b"", ""),
        "original": (answer.body, answer.content_type),
    }
    body, content_type = bodies[form]
    return Answer(status, body, str(options.get("content_type", content_type)), headers, answer.delay)


def change(answer: Answer, kind: str, options: dict[str, Any], previous: bytes) -> Answer:
    """The same answer with other bytes, headers or pace."""
    small = _small_change(answer, kind, options, previous)
    if small is not None:
        answer.body = small
    elif kind == "content_type":
        answer.content_type = str(options.get("value", "text/html"))
    elif kind == "header":
        answer.headers[str(options["name"])] = str(options.get("value", ""))
    elif kind == "gzip_bomb":
        answer.body = _bomb(answer.body, int(options.get("megabytes", 100)))
        answer.headers["Content-Encoding"] = "gzip"
    else:
        answer.delivery = _paced(kind, options)
    return answer


def _small_change(answer: Answer, kind: str, options: dict[str, Any], previous: bytes) -> bytes | None:
    body = answer.body
    if kind == "truncate" and options.get("mode") == "consistent":
        return body[: _cut_at(body, options)]
    if kind == "deep":
        depth = int(options.get("depth", 100_000))
        return b'{"Deep":' + b"[" * depth + b"]" * depth + b"," + body[1:]
    if kind == "digits":
        return b'{"Number":' + b"9" * int(options.get("count", 100_000)) + b"," + body[1:]
    if kind == "nan":
        return b'{"Number":NaN,' + body[1:]
    if kind == "duplicate_keys":
        return body[:-1] + b"," + body[1:]
    if kind == "bom":
        return b"\xef\xbb\xbf" + body
    if kind == "encoding":
        return body.decode("utf-8").encode(str(options.get("name", "gbk")), "replace")
    if kind == "stale":
        return previous or b"{}"
    return None


def _cut_at(body: bytes, options: dict[str, Any]) -> int:
    if "at" in options:
        return max(0, min(len(body), int(options["at"])))
    return int(len(body) * float(options.get("keep", 0.5)))


def _bomb(body: bytes, megabytes: int) -> bytes:
    """A gzip stream of one member; the block in its middle is packed once and repeated."""
    head, block, tail = b'{"Padding":"', b"0" * (1 << 20), b'",' + body[1:]
    checksum = zlib.crc32(head)
    for _ in range(megabytes):
        checksum = zlib.crc32(block, checksum)
    checksum = zlib.crc32(tail, checksum)
    size = len(head) + megabytes * len(block) + len(tail)
    parts = [b"\x1f\x8b\x08\x00\x00\x00\x00\x00\x00\xff", _packed(head), _packed(block) * megabytes]
    return b"".join(parts) + _packed(tail, last=True) + struct.pack("<LL", checksum, size & 0xFFFFFFFF)


def _packed(data: bytes, *, last: bool = False) -> bytes:
    """Raw deflate that can stand beside other parts: it refers to nothing before it."""
    packer = zlib.compressobj(9, zlib.DEFLATED, -zlib.MAX_WBITS)
    return packer.compress(data) + packer.flush(zlib.Z_FINISH if last else zlib.Z_FULL_FLUSH)


def _paced(kind: str, options: dict[str, Any]) -> Delivery:
    """Deliveries that need the connection."""

    async def deliver(connection: Connection, answer: Answer) -> None:
        body = answer.body
        if kind == "truncate":
            connection.write_raw(answer.head(keep_alive=False) + body[: _cut_at(body, options)])
            connection.close()
        elif kind == "length":
            length = max(0, len(body) + int(options.get("delta", 10)))
            connection.write_raw(answer.head(keep_alive=False, length=length) + body)
            connection.close()
        elif kind == "double":
            head = answer.head(keep_alive=True)
            connection.write_raw(head + body + head + body)
        elif kind == "drip":
            await _drip(connection, answer, int(options.get("bytes", 1)), float(options.get("pause", 1.0)))
        else:
            await _large(connection, answer, kind, options)

    return deliver


async def _drip(connection: Connection, answer: Answer, size: int, pause: float) -> None:
    data = answer.head(keep_alive=True) + answer.body
    for start in range(0, len(data), size):
        if connection.transport is None or connection.transport.is_closing():
            return
        connection.write_raw(data[start : start + size])
        await asyncio.sleep(pause)


async def _large(connection: Connection, answer: Answer, kind: str, options: dict[str, Any]) -> None:
    """A body far larger than it should be, sent in blocks so that only the client has to hold it."""
    if kind == "oversize":
        length = int(options.get("megabytes", 100)) << 20
        head, unit, tail = b'{"Padding":"', b"0", b'",' + answer.body[1:]
    else:
        count = int(options.get("count", 1_000_000))
        length, unit = 2 * count, b"0,"
        head, tail = b'{"Many":[', b"0]," + answer.body[1:]
    block = unit * (_BLOCK // len(unit))
    connection.write_raw(answer.head(keep_alive=False, length=len(head) + length + len(tail)) + head)
    async for size in _blocks(connection, length):
        connection.write_raw(block[:size])
    connection.write_raw(tail)
    connection.close()


async def _blocks(connection: Connection, length: int) -> AsyncIterator[int]:
    while length > 0:
        transport = connection.transport
        if transport is None or transport.is_closing():
            return
        if transport.get_write_buffer_size() > 4 * _BLOCK:
            await asyncio.sleep(0.005)
            continue
        size = min(_BLOCK, length)
        length -= size
        yield size
        await asyncio.sleep(0)


def delivery(kind: str, options: dict[str, Any], holds: Holds) -> Delivery:
    """Deliveries that lose, hold or never send the answer."""

    async def deliver(connection: Connection, answer: Answer) -> None:
        seconds = float(options.get("seconds", 3600))
        if kind.startswith("reset"):
            connection.reset()
        elif kind.startswith("close"):
            connection.close()
        elif kind.startswith("hang"):
            await connection.gone(seconds)
            connection.close()
        else:
            event = holds.new()
            waits = [asyncio.ensure_future(event.wait()), asyncio.ensure_future(connection.gone(seconds))]
            await asyncio.wait(waits, return_when=asyncio.FIRST_COMPLETED)
            for wait in waits:
                wait.cancel()
            connection.write(answer)

    return deliver
