"""The gate in this process: whatever goes wrong in it, and whatever is added behind it, it stays closed."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Collection
from pathlib import Path
from typing import Any

import pytest
from fastapi import FastAPI, HTTPException
from starlette.responses import PlainTextResponse
from starlette.routing import Mount, Route

from rescind.ledger import Ledger
from rescind.web import access
from rescind.web.app import create_app
from tests.support.ledger.web_runs import finished_run
from tests.support.web_routes import paths

# Airflow's API server imports Starlette's test client.
pytestmark = pytest.mark.filterwarnings("ignore:Using .httpx. with .starlette.testclient.")

SECRET = "secret-host.example.test"


async def nobody(_request: Any) -> Any:
    raise HTTPException(401, "Not authenticated " + SECRET)


async def somebody(_request: Any) -> str:
    return "vera"


def make(dsn: str, folder: Path, **gate: Any) -> FastAPI:
    return create_app(lambda: dsn, lambda: [folder], {}, **gate)


def everything(_user: Any, dags: Collection[str]) -> frozenset[str]:
    return frozenset(dags)


@pytest.fixture
def dsn(ledger: Ledger, ledger_dsn: str, tmp_path: Path) -> str:
    report = tmp_path / "r.html"
    report.write_text("<p>report</p>")
    finished_run(ledger, report)
    return ledger_dsn


def test_the_app_has_the_routes_that_are_tested(dsn: str, tmp_path: Path, browser_of: Any) -> None:
    app = make(dsn, tmp_path, identify=somebody, readable=everything)
    found = paths(app.routes)
    inside = ("bundle", "items", "items.csv", "live", "owners", "people", "person", "report")
    every = ["", "runs", "runs.csv", "runs/1", *(f"runs/1/{name}" for name in inside), "static/app.css"]
    assert sorted(found) == sorted(every)
    browser = browser_of(app)
    assert {path: browser.get(path).status_code for path in found} == {**dict.fromkeys(found, 200), "": 307}
    assert browser.get("").headers["location"] == "runs", "relative: it names no host and keeps a path prefix"


def test_a_route_that_somebody_adds_is_behind_the_gate(dsn: str, tmp_path: Path, browser_of: Any) -> None:
    app = make(dsn, tmp_path, identify=nobody, readable=everything)

    @app.get("/planted")
    def planted() -> str:
        return "open"

    app.mount("/mounted", Mount("/x", routes=[Route("/x", lambda _: PlainTextResponse("open"))]))
    app.add_route("/raw", lambda _: PlainTextResponse("open"))
    browser = browser_of(app)
    for path in ("planted", "mounted/x", "raw", "runs", "none", ""):
        answer = browser.get(path)
        assert answer.status_code == 401, path
        assert "open" not in answer.text


@pytest.mark.parametrize("reader", [None, "vera", frozenset({"access_review"}), {"dags": ["access_review"]}])
def test_a_route_that_the_gate_did_not_see_is_closed(dsn: str, tmp_path: Path, browser_of: Any, reader: Any) -> None:
    app = make(dsn, tmp_path, identify=somebody, readable=everything)
    plain = FastAPI()
    plain.state.titles = {}

    @plain.middleware("http")
    async def pretend(request: Any, call_next: Any) -> Any:
        if reader is not None:
            request.state.reader = reader
        return await call_next(request)

    plain.router.routes.extend(app.router.routes)
    browser = browser_of(plain)
    for path in paths(app.routes):
        answer = browser.get(path)
        assert answer.status_code == 401, path
        assert "rita" not in answer.text


def _refuses(browser: Any, path: str, status: int) -> None:
    answer = browser.get(path)
    assert answer.status_code == status, path
    assert SECRET not in answer.text
    assert "Traceback" not in answer.text
    assert "rita" not in answer.text
    assert "Airflow" in answer.text, "the page says what to do"
    assert answer.headers["content-security-policy"].startswith("default-src 'none'")


async def _fails(_request: Any) -> Any:
    raise RuntimeError(f"cannot reach {SECRET}")


def _check_fails(_user: Any, _dags: Collection[str]) -> frozenset[str]:
    raise RuntimeError(f"cannot reach {SECRET}")


async def _nothing(_request: Any) -> None:
    return None


@pytest.mark.parametrize(
    ("gate", "status"),
    [
        ({"identify": nobody, "readable": everything}, 401),
        ({"identify": _nothing, "readable": everything}, 401),
        ({"identify": _fails, "readable": everything}, 503),
        ({"identify": somebody, "readable": _check_fails}, 503),
        ({"identify": somebody, "readable": lambda _, dags: frozenset()}, 403),
    ],
    ids=["no token", "no user", "login fails", "check fails", "no permission"],
)
def test_every_route_is_closed_to(dsn: str, tmp_path: Path, browser_of: Any, gate: dict[str, Any], status: int) -> None:
    app = make(dsn, tmp_path, **gate)
    browser = browser_of(app)
    for path in (*paths(app.routes), "nothing"):
        _refuses(browser, path, status)


def test_without_a_ledger_every_route_is_closed(tmp_path: Path, browser_of: Any) -> None:
    app = make(f"postgresql://user:{SECRET}@127.0.0.1:9/none", tmp_path, identify=somebody, readable=everything)
    browser = browser_of(app)
    for path in paths(app.routes):
        _refuses(browser, path, 503)


def test_without_a_connection_to_the_ledger_every_route_is_closed(tmp_path: Path, browser_of: Any) -> None:
    def missing() -> str:
        raise LookupError(SECRET)

    app = create_app(missing, lambda: [tmp_path], {}, identify=somebody, readable=everything)
    browser = browser_of(app)
    for path in paths(app.routes):
        _refuses(browser, path, 503)


def test_an_error_behind_the_gate_says_nothing(
    dsn: str, tmp_path: Path, browser_of: Any, caplog: pytest.LogCaptureFixture
) -> None:
    def folders() -> list[Path]:
        raise RuntimeError(SECRET)

    browser = browser_of(create_app(lambda: dsn, folders, {}, identify=somebody, readable=everything))
    with caplog.at_level(logging.ERROR):
        _refuses(browser, "runs/1/report", 503)
    assert SECRET in caplog.text, "the log is where the cause belongs"


def test_runs_of_dags_that_the_reader_may_not_read_do_not_exist(dsn: str, tmp_path: Path, browser_of: Any) -> None:
    asked: list[set[str]] = []

    def only_revoke_access(user: Any, dags: Collection[str]) -> frozenset[str]:
        assert user == "vera"
        asked.append(set(dags))
        return frozenset({"revoke_access"})

    app = make(dsn, tmp_path, identify=somebody, readable=only_revoke_access)
    browser = browser_of(app)
    assert "rita" not in browser.get("runs").text
    for path in paths(app.routes):
        if path.startswith("runs/1"):
            _hidden(browser, path)
    assert asked[0] == {"access_review", "revoke_access", "offboard", "restore_access"}


def _hidden(browser: Any, path: str) -> None:
    answer = browser.get(path)
    assert answer.status_code == 404, path
    assert "rita" not in answer.text


def test_before_airflow_has_an_auth_manager_a_token_opens_nothing(
    dsn: str, tmp_path: Path, browser_of: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    from airflow.api_fastapi.app import _AuthManagerState

    monkeypatch.setattr(_AuthManagerState, "instance", None)
    app = make(dsn, tmp_path)
    browser = browser_of(app)
    for path in paths(app.routes):
        assert browser.get(path).status_code == 401
        for headers in ({"authorization": "Bearer a.b.c"}, {"cookie": "_token=a.b.c"}):
            assert browser.get(path, headers=headers).status_code == 503


def test_with_several_teams_a_dag_that_is_gone_is_readable_by_nobody(monkeypatch: pytest.MonkeyPatch) -> None:
    """A DAG that Airflow forgot has no team any more, which would make it everybody's."""
    from airflow.api_fastapi.app import _AuthManagerState
    from airflow.models.dag import DagModel

    class Open:
        def is_authorized_dag(self, *, details: Any, **_: Any) -> bool:
            return details.team_name in (None, "team-a")

    monkeypatch.setattr(_AuthManagerState, "instance", Open())
    monkeypatch.setattr(DagModel, "get_dag_id_to_team_name_mapping", lambda ids: {"of_a": "team-a", "of_b": "team-b"})
    monkeypatch.setattr(DagModel, "get_current", lambda dag_id: None if dag_id == "gone" else object())
    dags = {"of_a", "of_b", "of_all", "gone"}
    monkeypatch.setenv("AIRFLOW__CORE__MULTI_TEAM", "True")
    assert access.readable("vera", dags) == {"of_a", "of_all"}
    monkeypatch.setenv("AIRFLOW__CORE__MULTI_TEAM", "False")
    assert access.readable("vera", dags) == dags


def test_only_a_plain_true_is_a_yes(monkeypatch: pytest.MonkeyPatch) -> None:
    from airflow.api_fastapi.app import _AuthManagerState

    class Odd:
        def is_authorized_dag(self, **_: Any) -> object:
            return "no"

    monkeypatch.setattr(_AuthManagerState, "instance", Odd())
    assert access.readable("vera", {"access_review"}) == frozenset()


def test_a_websocket_is_closed_at_once(dsn: str, tmp_path: Path) -> None:
    app = make(dsn, tmp_path, identify=somebody, readable=everything)
    sent: list[Any] = []

    async def receive() -> dict[str, str]:
        return {"type": "websocket.connect"}

    async def send(message: Any) -> None:
        sent.append(message)

    asyncio.run(app({"type": "websocket", "path": "/runs", "headers": [], "query_string": b""}, receive, send))
    assert sent == [{"type": "websocket.close", "code": 1008}]
