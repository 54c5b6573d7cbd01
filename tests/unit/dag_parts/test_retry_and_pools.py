"""Retries wait as the vendor asks; a missing pool is found before a task waits in it forever."""

from __future__ import annotations

import json
import os
import threading
from collections.abc import Iterator
from datetime import timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, ClassVar

import pytest

from rescind.airflow_support.pools import POOLS
from rescind.dag_parts.retry_policy import LONGEST_S, RetryAfterPolicy
from rescind.errors import ConfigurationError, LedgerError, ThrottledError, TransientError
from rescind.hooks.airflow_instance.api import AIRFLOW_CONNECTION
from rescind.hooks.airflow_instance.pools import check_pools


def _throttled(seconds: float | None) -> ThrottledError:
    return ThrottledError("slow down", vendor="tencent", action="RevokePrivileges", retry_after=seconds)


@pytest.mark.parametrize(
    ("error", "try_number", "seconds"),
    [
        (_throttled(37.0), 1, 37.0),
        (_throttled(None), 1, 20.0),
        (_throttled(None), 3, 80.0),
        (_throttled(-5.0), 2, 40.0),
        (_throttled(1e9), 1, LONGEST_S),
        (TransientError("away", vendor="alibaba", action="x"), 2, 40.0),
        (ExceptionGroup("both", [_throttled(50.0)]), 1, 50.0),
    ],
)
def test_a_retry_waits_as_asked_and_longer_each_time(error: Exception, try_number: int, seconds: float) -> None:
    decision = RetryAfterPolicy().evaluate(error, try_number, 3)
    assert decision.action.value == "retry" and decision.retry_delay == timedelta(seconds=seconds)


def test_anything_else_follows_the_task() -> None:
    decision = RetryAfterPolicy().evaluate(LedgerError("away"), 1, 3)
    assert decision.action.value == "default" and decision.retry_delay is None


def test_the_policy_survives_serialization() -> None:
    policy = RetryAfterPolicy(7.0)
    assert RetryAfterPolicy.deserialize(policy.serialize()).first_s == 7.0


class _Airflow(BaseHTTPRequestHandler):
    """As much of Airflow's API as lists pools."""

    pools: ClassVar[dict[str, int]] = {}

    def do_POST(self) -> None:
        sent = json.loads(self.rfile.read(int(self.headers["content-length"])))
        right = self.path == "/auth/token" and sent == {"username": "viewer", "password": "pool-secret"}
        self._answer(201 if right else 401, {"access_token": "t1"} if right else {})

    def do_GET(self) -> None:
        right = self.path.startswith("/api/v2/pools") and self.headers["authorization"] == "Bearer t1"
        listed = [{"name": name, "slots": slots} for name, slots in self.pools.items()]
        self._answer(200 if right else 401, {"pools": listed, "total_entries": len(listed)})

    def _answer(self, status: int, body: Any) -> None:
        self.send_response(status)
        self.end_headers()
        self.wfile.write(json.dumps(body).encode())

    def log_message(self, *_: Any) -> None:
        """Keep quiet."""


@pytest.fixture
def airflow(monkeypatch: pytest.MonkeyPatch) -> Iterator[type[_Airflow]]:
    server = ThreadingHTTPServer(("127.0.0.1", 0), _Airflow)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    _connect(monkeypatch, server.server_port, "pool-secret")
    _Airflow.pools = {"default_pool": 128, **dict.fromkeys(POOLS, 4)}
    yield _Airflow
    server.shutdown()
    server.server_close()


def _connect(monkeypatch: pytest.MonkeyPatch, port: int, password: str) -> None:
    value = {"conn_type": "http", "host": "127.0.0.1", "port": port, "login": "viewer", "password": password}
    monkeypatch.setenv(f"AIRFLOW_CONN_{AIRFLOW_CONNECTION.upper()}", json.dumps(value))


def test_pools_that_are_there_are_listed(airflow: type[_Airflow]) -> None:
    assert check_pools(POOLS) == "pools: rescind_discover 4, rescind_revoke 4, rescind_verify 4"
    airflow.pools["rescind_verify"] = -1
    assert "rescind_verify -1" in check_pools(POOLS)


def test_a_missing_pool_names_the_fix(airflow: type[_Airflow]) -> None:
    del airflow.pools["rescind_revoke"]
    with pytest.raises(ConfigurationError, match=r"no pool rescind_revoke.*pools import \S+/include/pools\.json"):
        check_pools(POOLS)


def test_a_pool_without_slots_is_as_good_as_missing(airflow: type[_Airflow]) -> None:
    airflow.pools["rescind_verify"] = 0
    with pytest.raises(ConfigurationError, match=r"rescind_verify has no slots.*Admin, Pools"):
        check_pools(POOLS)


def test_a_wrong_password_is_said_and_not_shown(airflow: type[_Airflow], monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.MonkeyPatch.context() as patched:
        port = json.loads(os.environ[f"AIRFLOW_CONN_{AIRFLOW_CONNECTION.upper()}"])["port"]
        _connect(patched, port, "wrong-secret")
        with pytest.raises(ConfigurationError, match="HTTP 401") as caught:
            check_pools(POOLS)
    assert "secret" not in str(caught.value)


def test_an_airflow_that_is_away_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    _connect(monkeypatch, 9, "x")
    with pytest.raises(ConfigurationError, match="ConnectError"):
        check_pools(POOLS)


def test_without_the_connection_pools_are_not_checked() -> None:
    assert "not checked" in check_pools(POOLS)
