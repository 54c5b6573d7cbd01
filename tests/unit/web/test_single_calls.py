"""The page of a run of single calls: every attempt, foreign text as text, and only for those who may see the DAG."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from rescind.ledger import SINGLE, Ledger, NewRun, NewSingleCall
from rescind.web.app import create_app
from tests.support.ledger.web_runs import HOSTILE
from tests.support.markup import Markup

NEW = NewRun("somebodys_dag", "manual__1", SINGLE, "ada", dry_run=False)


def call(task: str, user: str) -> NewSingleCall:
    named = {"system": "quickbi_menus", "account": "1000", "conn_id": "my_quickbi", "action": "CancelAuthorizationMenu"}
    return NewSingleCall(task, 4, **named, api_version="2022-01-01", request_digest=task, parameters={"UserIds": user})


def test_the_page_shows_every_attempt_and_its_outcome(browser: Any, ledger: Ledger) -> None:
    run = ledger.runs.begin(NEW)
    done = ledger.single_calls.begin(run.run_id, call("revoke_menus", HOSTILE[0]))
    ledger.single_calls.finish(done, "accepted", http_status=200, request_id="req-1")
    assert "accepted" in Markup.of(browser.get("runs").text).text
    ledger.single_calls.begin(run.run_id, call("revoke_more", "u7"))
    assert "sending" in Markup.of(browser.get("runs").text).text
    answer = browser.get("runs/1")
    text = Markup.of(answer.text).text
    for words in ("Single calls", "revoke_menus", "[4]", "CancelAuthorizationMenu", "my_quickbi", "Quick BI menus",
                  "accepted", "req-1", "revoke_more", "u7", "unknown", "no proof", "ada"):  # fmt: skip
        assert words in text, words
    assert HOSTILE[0] not in answer.text and "Verified" not in text


def test_only_readers_of_the_dag_see_it(ledger: Ledger, ledger_dsn: str, tmp_path: Path, browser_of: Any) -> None:
    run = ledger.runs.begin(NEW)
    ledger.single_calls.begin(run.run_id, call("t", "u7"))

    async def anybody(_request: Any) -> str:
        return "vera"

    def app(dags: set[str]) -> Any:
        readable = lambda _, known: frozenset(known) & dags  # noqa: E731
        return create_app(lambda: ledger_dsn, lambda: [tmp_path], {}, identify=anybody, readable=readable)

    assert browser_of(app({"somebodys_dag"})).get("runs/1").status_code == 200
    assert browser_of(app({"access_review"})).get("runs/1").status_code == 404
    assert ledger.views.single_calls(1, ["access_review"]) == []
