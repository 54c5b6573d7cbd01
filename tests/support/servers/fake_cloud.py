"""A fake cloud on loopback and Airflow connections that point at it."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest

Reply = tuple[int, dict[str, Any]]


class Cloud:
    """Answers by action; keeps what was asked. ``replies`` maps an action to a body or a function of the request."""

    def __init__(self) -> None:
        self.replies: dict[str, Any] = {}
        self.asked: list[tuple[str, str, bytes]] = []
        cloud = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def answer(self) -> None:
                body = self.rfile.read(int(self.headers.get("content-length") or 0))
                action = self.headers.get("x-tc-action") or self.headers.get("x-acs-action") or ""
                cloud.asked.append((action, self.path, body))
                status, value = cloud.reply(action)
                content = json.dumps(value).encode()
                self.send_response(status)
                self.send_header("content-length", str(len(content)))
                self.end_headers()
                self.wfile.write(content)

            do_POST = do_GET = answer  # noqa: N815 - names of the standard library

            def log_message(self, format: str, *args: Any) -> None:
                """Stay silent."""

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.port = self.server.server_address[1]
        threading.Thread(target=self.server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()

    def reply(self, action: str) -> Reply:
        step = self.replies.get(action, {"Code": "InvalidAction"})
        if isinstance(step, list):
            step = step.pop(0) if len(step) > 1 else step[0]
        status, value = step if isinstance(step, tuple) else (200, step)
        value = json.loads(json.dumps(value))
        holder = value.get("Response", value)
        holder.setdefault("RequestId", f"r{len(self.asked)}")
        return status, value

    def actions(self) -> list[str]:
        return [action for action, _, _ in self.asked]


@pytest.fixture
def cloud() -> Iterator[Cloud]:
    made = Cloud()
    yield made
    made.server.shutdown()
    made.server.server_close()


@pytest.fixture
def connection(cloud: Cloud, monkeypatch: pytest.MonkeyPatch) -> Callable[..., str]:
    """Sets an Airflow connection through the environment; returns its id."""

    def build(conn_id: str, conn_type: str, **over: Any) -> str:
        extra = {
            "region": "ap-singapore" if "wedata" in conn_id else "cn-hangzhou",
            "base_url": f"http://127.0.0.1:{cloud.port}",
            "allow_loopback_http": True,
            "limits": {"*": 1000},
            **over.pop("extra", {}),
        }
        fields = {
            "conn_type": conn_type,
            "login": "AKIDexample",
            "password": "hook-canary-secret",
            **over,
            "extra": extra,
        }
        monkeypatch.setenv(f"AIRFLOW_CONN_{conn_id.upper()}", json.dumps(fields))
        return conn_id

    return build
