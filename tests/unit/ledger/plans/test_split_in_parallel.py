"""Several calls of one batch, or of several batches, are split at the same moment."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor

import psycopg
import pytest

from rescind.ledger import Lease, Ledger, NewCall
from rescind.ledger.store.database import Connection
from rescind.ledger.store.errors import DatabaseError
from rescind.model import Grant
from tests.support.ledger.attempts import batch_now, claim
from tests.support.ledger.runs import Frozen, call_for, ready_run
from tests.support.servers.postgres import as_owner

pytestmark = pytest.mark.postgres
AT_ONCE = 4  # as many connections as a task has


def _split(ledger: Ledger, lease: Lease, call_id: str, grants: list[Grant], gate: threading.Barrier) -> None:
    parts = [call_for([grant]) for grant in grants]
    owner = {grant.grant_id: part.call_id for grant, part in zip(grants, parts, strict=True)}
    gate.wait(30)
    ledger.batches.split(lease, call_id, [NewCall(part) for part in parts], owner, reason="refused")


def _split_all(ledger: Ledger, lease: Lease, run: Frozen) -> None:
    gate = threading.Barrier(AT_ONCE)
    with ThreadPoolExecutor(AT_ONCE) as pool:
        jobs = [
            pool.submit(_split, ledger, lease, call_id, list(grants), gate)
            for call_id, grants in list(run.calls.items())[: len(run.calls) // AT_ONCE * AT_ONCE]
        ]
        for job in jobs:
            job.result(60)


def test_calls_of_one_batch_are_split_at_once(ledger: Ledger, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("rescind.ledger.store.database._TRIES", 1)  # none of them may even meet a deadlock
    run = ready_run(ledger, groups=10 * AT_ONCE)
    lease = claim(ledger, run)
    _split_all(ledger, lease, run)
    calls = {call.call_id: call.state for call in ledger.plans.calls(run.run.run_id)}
    assert all(calls[call_id] == "skipped" for call_id in run.calls)
    items = {item.grant_id: item for item in ledger.plans.items(run.run.run_id)}
    assert {str(item.state) for item in items.values()} == {"approved"}
    assert all(items[grant.grant_id].call_id == call_for([grant]).call_id for grant in run.grants)
    batch = batch_now(ledger, run)
    assert (batch.calls, batch.items) == (len(run.calls) + len(run.grants), len(run.grants))


def _deadlock(ledger: Ledger, tries: list[int], times: int) -> Connection:
    """A transaction that PostgreSQL ends as the victim of a deadlock, the first ``times`` times."""

    def work(connection: Connection) -> str:
        tries.append(1)
        connection.execute("CREATE TEMP TABLE IF NOT EXISTS probe (n int) ON COMMIT DROP")
        if len(tries) <= times:
            connection.execute("DO $$ BEGIN RAISE EXCEPTION USING ERRCODE = '40P01'; END $$")
        return "done"

    return ledger.database.write(work)  # type: ignore[return-value]


def test_the_victim_of_a_deadlock_is_repeated_and_not_without_end(ledger: Ledger) -> None:
    tries: list[int] = []
    assert _deadlock(ledger, tries, 3) == "done"
    assert len(tries) == 4
    tries.clear()
    with pytest.raises(DatabaseError) as caught:
        _deadlock(ledger, tries, 1000)
    assert caught.value.sqlstate == "40P01"
    assert 2 < len(tries) < 10


@pytest.mark.parametrize("code", ["23505", "57014", "08006"])
def test_no_other_failed_write_is_repeated(ledger: Ledger, code: str) -> None:
    tries: list[int] = []

    def work(connection: Connection) -> None:
        tries.append(1)
        connection.execute(f"DO $$ BEGIN RAISE EXCEPTION USING ERRCODE = '{code}'; END $$")

    with pytest.raises(DatabaseError):
        ledger.database.write(work)
    assert len(tries) == 1


def test_a_real_deadlock_is_survived_by_both(ledger: Ledger, ledger_dsn: str) -> None:
    with psycopg.connect(as_owner(ledger_dsn), autocommit=True) as connection:
        connection.execute("CREATE TABLE probe (n int PRIMARY KEY, v int); INSERT INTO probe VALUES (1, 0), (2, 0)")
        connection.execute("GRANT ALL ON probe TO PUBLIC")
    gate = threading.Barrier(2)

    def add(first: int, second: int) -> None:
        met: list[bool] = []

        def work(connection: Connection) -> None:
            connection.execute("UPDATE probe SET v = v + 1 WHERE n = %s", (first,))
            if not met:
                met.append(True)
                gate.wait(30)
            connection.execute("UPDATE probe SET v = v + 1 WHERE n = %s", (second,))

        ledger.database.write(work)

    with ThreadPoolExecutor(2) as pool:
        for job in [pool.submit(add, 1, 2), pool.submit(add, 2, 1)]:
            job.result(60)
    with psycopg.connect(ledger_dsn) as connection:
        assert connection.execute("SELECT v FROM probe ORDER BY n").fetchall() == [(2,), (2,)]
