"""As much of Airflow's API as shows the human-in-the-loop records of one task."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import unquote

POOLS = ("rescind_discover", "rescind_revoke", "rescind_verify")


@dataclass
class AirflowRecord:
    """The records by try; a try without a record asked nobody.

    :param status: what every question for a record answers with.
    :param triggered_by: what started the run.
    :param audit: rows of the audit log: user, body of the request.
    """

    tries: dict[int, Mapping[str, Any] | None] = field(default_factory=lambda: {1: None})
    status: int = 200
    triggered_by: str | None = "ui"
    port: int = 0
    asked: list[str] = field(default_factory=list)
    audit: list[tuple[str, Mapping[str, Any]]] = field(default_factory=list)
    rows: list[Mapping[str, Any]] = field(default_factory=list)
    """Further rows of the audit log, as they are."""

    def sent(self, user: str, extra: Mapping[str, Any]) -> None:
        """Record that a user sent an asset event."""
        self.audit.append((user, {"asset_id": 1, "extra": dict(extra), "method": "POST"}))

    def connection(self) -> str:
        """The connection to this server, as an environment variable holds it."""
        return json.dumps({"conn_type": "http", "host": "127.0.0.1", "port": self.port, "login": "b", "password": "p"})

    def answered(self, option: str, user: str, number: int = 1) -> None:
        """Record an answer for a try."""
        self.tries[number] = {
            "options": [option, "Reject"],
            "chosen_options": [option],
            "responded_by_user": {"id": user, "name": user},
            "response_received": True,
        }


@contextmanager
def airflow_record() -> Iterator[AirflowRecord]:
    """Serve a record until the end of the block."""
    record = AirflowRecord()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            self._answer(201, {"access_token": "t1"})

        def do_GET(self) -> None:
            path = unquote(self.path)
            record.asked.append(path)
            if record.status != 200:
                self._answer(record.status, {})
            elif path.startswith("/api/v2/eventLogs?event=create_asset_event&"):
                rows: list[Mapping[str, Any]] = [
                    {"owner": user, "extra": json.dumps(body)} for user, body in record.audit
                ]
                rows = [*record.rows, *rows]
                self._answer(200, {"event_logs": rows[:100], "total_entries": len(rows)})
            elif path.startswith("/api/v2/pools"):
                pools = [{"name": name, "slots": 8} for name in POOLS]
                self._answer(200, {"pools": pools, "total_entries": len(pools)})
            elif "/taskInstances/" not in path:
                self._answer(200, {"triggered_by": record.triggered_by})
            elif path.endswith("/tries"):
                self._answer(200, {"task_instances": [{"try_number": one} for one in record.tries]})
            else:
                last = path.rpartition("/")[2]
                found = record.tries.get(max(record.tries, default=0) if last == "hitlDetails" else int(last))
                self._answer(200 if found else 404, found or {"detail": "none"})

        def _answer(self, status: int, body: Any) -> None:
            self.send_response(status)
            self.end_headers()
            self.wfile.write(json.dumps(body).encode())

        def log_message(self, *_: Any) -> None:
            """Keep quiet."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    record.port = server.server_port
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield record
    finally:
        server.shutdown()
        server.server_close()
