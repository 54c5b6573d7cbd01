from __future__ import annotations

import threading
from dataclasses import replace

import psycopg
import pytest

from rescind.errors import LedgerError
from rescind.ledger import Ledger, NewRun
from rescind.ledger.store.errors import RecordConflictError
from tests.support.ledger.runs import begin, ready_run
from tests.support.servers.postgres import as_owner

pytestmark = pytest.mark.postgres

NEW = NewRun(
    "access_review",
    "scheduled__2026-01-01",
    "scheduled",
    "",
    reason="weekly",
    ticket="AR-7",
    params={"systems": ["quickbi_menus"], "share": 0.5},
    dry_run=False,
    policy_version="p1",
    code_version="0.1.0",
)


def test_everything_about_a_run_is_kept(ledger: Ledger) -> None:
    run = ledger.runs.begin(NEW)
    assert ledger.runs.get(run.run_id) == run
    assert {name: getattr(run, name) for name in NEW.__dataclass_fields__} == {
        name: getattr(NEW, name) for name in NEW.__dataclass_fields__
    }
    assert (run.number, run.state, run.finished_at) == (1, "created", None)
    assert run.run_id.startswith("run-000001-")
    assert run.started_at.tzinfo is not None


def test_the_same_airflow_run_is_the_same_run(ledger: Ledger) -> None:
    first = ledger.runs.begin(NEW)
    assert ledger.runs.begin(NEW) == first
    assert ledger.runs.begin(replace(NEW, code_version="0.2.0")) == first
    assert ledger.runs.find("access_review", NEW.airflow_run_id) == first
    assert ledger.runs.find("access_review", "manual__x") is None


@pytest.mark.parametrize("changed", [{"dry_run": True}, {"params": {"systems": []}}, {"kind": "manual"}])
def test_the_same_airflow_run_with_another_purpose_is_refused(ledger: Ledger, changed: dict[str, object]) -> None:
    ledger.runs.begin(NEW)
    with pytest.raises(RecordConflictError, match="Trigger a new run"):
        ledger.runs.begin(replace(NEW, **changed))  # type: ignore[arg-type]


def test_two_dags_may_use_the_same_airflow_run_id(ledger: Ledger) -> None:
    assert ledger.runs.begin(NEW).number == 1
    assert ledger.runs.begin(replace(NEW, dag_id="leaver")).number == 2


def test_numbers_have_no_gaps_even_when_a_beginning_fails(ledger: Ledger) -> None:
    begin(ledger, "a")
    with pytest.raises(LedgerError):
        ledger.runs.begin(replace(NEW, kind="nonsense"))
    assert begin(ledger, "b").number == 2


def test_many_beginners_of_the_same_run_get_one(ledger: Ledger) -> None:
    found: list[str] = []
    threads = [threading.Thread(target=lambda: found.append(ledger.runs.begin(NEW).run_id)) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(found) == 8
    assert len(set(found)) == 1
    assert [run.number for run in ledger.runs.latest()] == [1]


def test_finishing_keeps_the_first_time_and_the_last_word_and_frees_the_scopes(ledger: Ledger, ledger_dsn: str) -> None:
    frozen = ready_run(ledger)
    first = ledger.runs.finish(frozen.run.run_id, "failed", {"left": 1})
    second = ledger.runs.finish(frozen.run.run_id, "succeeded", {"left": 0})
    assert first.finished_at is not None
    assert second.finished_at == first.finished_at
    assert (second.state, second.summary) == ("succeeded", {"left": 0})
    with psycopg.connect(ledger_dsn) as connection:
        assert connection.execute("SELECT count(*) FROM rescind.scope_lock").fetchone() == (0,)


def test_runs_cannot_be_removed(ledger: Ledger, ledger_dsn: str) -> None:
    begin(ledger)
    with psycopg.connect(as_owner(ledger_dsn), autocommit=True) as connection:
        for statement in ("DELETE FROM rescind.run", "TRUNCATE rescind.run CASCADE"):
            with pytest.raises(psycopg.errors.IntegrityError, match="append only"):
                connection.execute(statement)


def test_an_unknown_run_is_an_error_that_says_so(ledger: Ledger) -> None:
    for ask in (ledger.runs.get, ledger.scopes.all, ledger.summary.per_system, ledger.plans.get):
        with pytest.raises(LedgerError, match="no run 'run-9'"):
            ask("run-9")
