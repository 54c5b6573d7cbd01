"""A receiver on loopback that answers as the webhooks of DingTalk, Feishu, WeCom and Teams do.

It checks what a message must have by code of its own, and keeps what arrived. One path for each chat: ``/dingtalk``,
``/feishu``, ``/wecom``, ``/teams``.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlsplit

SECRET = "SECtest"
WIDTH = {"dingtalk": 3600_000, "feishu": 3600}
"""How far the clock of a sender may be off: milliseconds for DingTalk, seconds for Feishu."""


@dataclass
class Received:
    """One request.

    :param answer: status and body that it got.
    """

    chat: str
    query: dict[str, str]
    body: dict[str, Any]
    size: int
    answer: tuple[int, bytes]

    @property
    def accepted(self) -> bool:
        """Whether the chat would show it."""
        status, body = self.answer
        return status == 200 and (not body or 0 in json.loads(body).values())

    @property
    def text(self) -> str:
        """What people read, in one piece."""
        return json.dumps(self.body, ensure_ascii=False)

    @property
    def title(self) -> str:
        """The first line."""
        if self.chat == "feishu":
            return str(self.body["content"]["post"]["en_us"]["title"])
        if self.chat == "teams":
            return str(self.body["attachments"][0]["content"]["body"][0]["text"])
        shown = self.body["markdown"].get("text") or self.body["markdown"]["content"]
        return str(shown).partition("\n")[0].removeprefix("### ")


@dataclass
class ChatServer:
    """What arrived, and how the next requests are answered.

    :param script: answers to give instead of the usual ones, in order: (status, headers, body), or a function that
        gets the handler.
    :param always: such an answer for every further request.
    """

    url: str = ""
    received: list[Received] = field(default_factory=list)
    script: list[Any] = field(default_factory=list)
    always: Any = None
    looks: list[Callable[[], None]] = field(default_factory=list)
    """Called while a request waits for its answer."""

    def accepted(self, chat: str = "") -> list[Received]:
        """What the chat would show."""
        return [one for one in self.received if one.accepted and chat in ("", one.chat)]

    def connection(self, chat: str, *, secret: str = SECRET, **extra: Any) -> str:
        """An Airflow connection for one chat, as JSON."""
        token = {"dingtalk": "?access_token=tok", "wecom": "?key=tok", "feishu": "/tok", "teams": "?sig=tok"}[chat]
        given = {"allow_loopback_http": True, **({"secret": secret} if secret else {}), **extra}
        return json.dumps({"conn_type": "chat_webhook", "password": f"{self.url}/{chat}{token}", "extra": given})

    def judge(self, chat: str, query: dict[str, str], raw: bytes) -> tuple[int, bytes]:
        """The answer to a request, as the chat gives it."""
        body = json.loads(raw)
        now = time.time()
        if chat == "dingtalk":
            stamp = query.get("timestamp", "0")
            fresh = abs(now * 1000 - int(stamp)) < WIDTH[chat]
            good = fresh and query.get("sign") == _sign(SECRET.encode(), f"{stamp}\n{SECRET}".encode())
            good = good and query.get("access_token") == "tok"
            right = body["msgtype"] == "markdown" and bool(body["markdown"]["title"]) and len(raw) < 20_000
            return _code("errcode", 0 if good and right else 310000 if right else 400)
        if chat == "feishu":
            stamp = body.get("timestamp", "0")
            fresh = abs(now - int(stamp)) < WIDTH[chat]
            good = fresh and body.get("sign") == _sign(f"{stamp}\n{SECRET}".encode(), b"")
            right = body["msg_type"] == "post" and len(raw) < 20_000
            return _code("code", 0 if good and right else 19021 if right else 9499)
        if chat == "wecom":
            fits = body["msgtype"] == "markdown" and len(body["markdown"]["content"].encode()) <= 4096
            return _code("errcode", 0 if fits and query.get("key") == "tok" else 93000 if fits else 40058)
        card = body["attachments"][0]
        right = body["type"] == "message" and card["contentType"] == "application/vnd.microsoft.card.adaptive"
        return (200, b"") if right and card["content"]["type"] == "AdaptiveCard" and len(raw) < 28_000 else (413, b"")


def _sign(key: bytes, message: bytes) -> str:
    return base64.b64encode(hmac.new(key, message, hashlib.sha256).digest()).decode()


def _code(name: str, code: int) -> tuple[int, bytes]:
    return 200, json.dumps({name: code, "errmsg": "<b>no text of the vendor is repeated</b>"}).encode()


@contextmanager
def chat_server() -> Iterator[ChatServer]:
    """Run a receiver until the block ends."""
    state = ChatServer()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            parts = urlsplit(self.path)
            chat = parts.path.split("/")[1]
            query = {name: values[0] for name, values in parse_qs(parts.query).items()}
            raw = self.rfile.read(int(self.headers["Content-Length"]))
            for look in state.looks:
                look()
            step = state.script.pop(0) if state.script else state.always
            if callable(step):
                step(self)
                return
            status, headers, body = step or (0, {}, b"")
            status, body = (status, body) if status else state.judge(chat, query, raw)
            state.received.append(Received(chat, query, json.loads(raw), len(raw), (status, body)))
            self.send_response(status)
            for name, value in headers.items():
                self.send_header(name, value)
            self.send_header("Content-Length", str(len(body)))
            self.send_header("Connection", "close")
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: Any) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = False  # closing the server waits for the requests, and so for their connections
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    state.url = f"http://127.0.0.1:{server.server_address[1]}"
    try:
        yield state
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
