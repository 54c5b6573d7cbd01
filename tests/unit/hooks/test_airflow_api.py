"""A run's note: what it says, what of people's words stays, and that no failure of it is a failure of the run.

That Airflow's own API takes it is seen with the live stack, see ``tests/e2e``.
"""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, ClassVar

import pytest

from rescind.hooks.airflow_instance.api import AIRFLOW_CONNECTION, MOST_NOTE, joined, write_note

RUN = "manual__2026-06-01T06:00:00+00:00"
PATH = "/api/v2/dags/access_review/dagRuns/manual__2026-06-01T06%3A00%3A00%2B00%3A00"


class _Airflow(BaseHTTPRequestHandler):
    """As much of Airflow's API as keeps the note of one run."""

    note: ClassVar[str | None] = None
    status: ClassVar[int] = 200
    body: ClassVar[bytes | None] = None

    def do_POST(self) -> None:
        sent = self._sent()
        right = self.path == "/auth/token" and sent == {"username": "bot", "password": "note-secret"}
        self._answer(201 if right else 401, {"access_token": "t1"} if right else {})

    def do_GET(self) -> None:
        right = self.path == PATH and self.headers["authorization"] == "Bearer t1"
        self._answer(200 if right else 404, {"note": self.note})

    def do_PATCH(self) -> None:
        right = self.path == f"{PATH}?update_mask=note" and self.headers["authorization"] == "Bearer t1"
        sent = self._sent()
        if right and self.status == 200:
            type(self).note = sent["note"]
        self._answer(self.status if right else 404, {})

    def _sent(self) -> Any:
        return json.loads(self.rfile.read(int(self.headers["content-length"])))

    def _answer(self, status: int, body: Any) -> None:
        self.send_response(status)
        self.end_headers()
        self.wfile.write(json.dumps(body).encode() if self.body is None else self.body)

    def log_message(self, *_: Any) -> None:
        """Keep quiet."""


@pytest.fixture
def airflow(monkeypatch: pytest.MonkeyPatch) -> Iterator[type[_Airflow]]:
    server = ThreadingHTTPServer(("127.0.0.1", 0), _Airflow)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    _connect(monkeypatch, server.server_port)
    _Airflow.note, _Airflow.status, _Airflow.body = None, 200, None
    yield _Airflow
    server.shutdown()
    server.server_close()


def _connect(monkeypatch: pytest.MonkeyPatch, port: int, password: str = "note-secret") -> None:
    value = {"conn_type": "http", "host": "127.0.0.1", "port": port, "login": "bot", "password": password}
    monkeypatch.setenv(f"AIRFLOW_CONN_{AIRFLOW_CONNECTION.upper()}", json.dumps(value))


def test_a_note_is_written_and_written_anew(airflow: type[_Airflow]) -> None:
    assert write_note("access_review", RUN, "Run 1: failed") == "the note on the DAG run is written"
    assert airflow.note == "[Rescind] Run 1: failed"
    write_note("access_review", RUN, "Run 1: succeeded")
    assert airflow.note == "[Rescind] Run 1: succeeded"


def test_what_people_wrote_stays(airflow: type[_Airflow]) -> None:
    airflow.note = "asked for by audit\n\nsee TICKET-7"
    write_note("access_review", RUN, "Run 1: failed")
    write_note("access_review", RUN, "Run 1: succeeded")
    assert airflow.note == "[Rescind] Run 1: succeeded\n\nasked for by audit\n\nsee TICKET-7"


def test_a_note_fits_and_people_are_never_cut() -> None:
    assert len(joined("", "x" * 5000)) == MOST_NOTE
    long = joined("p" * 800, "x" * 5000)
    assert len(long) == MOST_NOTE and long.startswith("[Rescind] x") and long.endswith("x…\n\n" + "p" * 800)
    assert joined(long, "Run 1") == "[Rescind] Run 1\n\n" + "p" * 800
    with pytest.raises(ValueError, match="full"):
        joined("p" * 950, "Run 1")


@pytest.mark.parametrize("status", [401, 403, 404, 422, 500])
def test_a_refusal_is_a_sentence(airflow: type[_Airflow], status: int) -> None:
    airflow.status = status
    told = write_note("access_review", RUN, "Run 1")
    assert told == f"no note on the DAG run: connection 'rescind_airflow' does not let it be written (HTTP {status})"


def test_a_full_note_is_left_alone(airflow: type[_Airflow]) -> None:
    airflow.note = "p" * 990
    assert "ValueError" in write_note("access_review", RUN, "Run 1")
    assert airflow.note == "p" * 990


@pytest.mark.parametrize("body", [b"", b"<html>", b"[]", b"null", b'{"access_token": 7}'])
def test_an_answer_that_is_none_is_a_sentence(airflow: type[_Airflow], body: bytes) -> None:
    airflow.body = body
    assert "does not let it be written" in write_note("access_review", RUN, "Run 1")


def test_what_fails_names_no_secret_and_no_address(airflow: type[_Airflow], monkeypatch: pytest.MonkeyPatch) -> None:
    _connect(monkeypatch, 9)
    away = write_note("access_review", RUN, "Run 1")
    assert "ConnectError" in away
    odd_host = '{"conn_type": "http", "host": "a b\\u0001", "port": 1}'
    monkeypatch.setenv(f"AIRFLOW_CONN_{AIRFLOW_CONNECTION.upper()}", odd_host)
    odd = write_note("access_review", RUN, "Run 1")
    assert "does not let it be written" in odd
    monkeypatch.delenv(f"AIRFLOW_CONN_{AIRFLOW_CONNECTION.upper()}")
    none = write_note("access_review", RUN, "Run 1")
    assert "there is no connection 'rescind_airflow'" in none
    for told in (away, odd, none):
        assert "secret" not in told and "127.0.0.1" not in told and "a b" not in told
