"""The victim of a deadlock, or of a serialization failure, is repeated: in every method of the ledger that writes."""

from __future__ import annotations

import asyncio
import hashlib
import re
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

import rescind
from rescind.ledger import Ledger, NewBatch, NewCall, NewItem, NewPlan, RetainedCheck, ScopeSpec, VerdictRecord
from rescind.ledger.plans import plans
from rescind.ledger.ratelimit.db_thread import DatabaseThread
from rescind.ledger.runs.owner_questions import NewQuestion, QuestionItem
from rescind.ledger.store.database import Connection, Database
from rescind.model import Choice, Decision, Verdict
from tests.support.ledger import runs as ledger_runs
from tests.support.ledger.runs import ACCOUNT, SYSTEM
from tests.support.servers.postgres import as_owner

pytestmark = pytest.mark.postgres


def fail_every_second_time(monkeypatch: pytest.MonkeyPatch, code: str) -> list[int]:
    """Make PostgreSQL end the first try of every transaction, after its last statement; the list counts those."""
    genuine, failed, turn = Database.transaction, [], [0]

    @contextmanager
    def transaction(self: Database, **limits: bool) -> Iterator[Connection]:
        with genuine(self, **limits) as connection:
            yield connection
            turn[0] += 1
            if turn[0] % 2:
                failed.append(1)
                connection.execute(f"DO $$ BEGIN RAISE EXCEPTION USING ERRCODE = '{code}'; END $$")

    monkeypatch.setattr(Database, "transaction", transaction)
    return failed


@pytest.mark.parametrize("code", ["40P01", "40001"])
def test_a_run_is_the_same_when_every_transaction_is_a_victim_once(
    ledger: Ledger, monkeypatch: pytest.MonkeyPatch, code: str
) -> None:
    failed = fail_every_second_time(monkeypatch, code)
    run = ledger_runs.begin(ledger)
    grants = [ledger_runs.grant(number) for number in range(10)]
    spec = ScopeSpec(SYSTEM, ACCOUNT, "", "quickbi_default")
    assert len(ledger.scopes.open(run.run_id, iter([spec]))) == 1
    ledger.snapshot.replace_scope(
        run.run_id, spec.scope_id, iter(grants), iter(()), iter(()), ledger_runs.certificate(10)
    )
    sealed = ledger.scopes.seal(run.run_id)
    assert sealed.complete == {(SYSTEM, ACCOUNT): True}
    gone = grants[:2]
    counts = ledger.decisions.write(
        run.run_id,
        (Decision(one.grant_id, Choice.REVOKE if one in gone else Choice.KEEP, "leaver", "left") for one in grants),
    )
    assert (counts.decided, counts.revoke) == (10, 2)
    asked = NewQuestion("olga", "keep", (QuestionItem(grants[2].grant_id, "u, view, m2"),))
    ledger.questions.ask(run.run_id, [asked])
    now = datetime.now(UTC)
    ledger.questions.answer(
        run.run_id, asked.digest, revoke={grants[2].grant_id}, responded_by="olga", responded_at=now
    )
    assert ledger.questions.apply(run.run_id) == 1
    gone = grants[:3]
    call = ledger_runs.call_for(gone)
    whole = ledger_runs.effects_of(gone)
    plan = ledger.plans.freeze(
        run.run_id,
        replace(_plan(whole), effects=(whole[place : place + 7] for place in range(0, len(whole), 7))),
        iter([NewBatch(SYSTEM, ACCOUNT, "c", [NewCall(call)])]),
        (NewItem(one.grant_id, call.call_id) for one in gone),
    )
    assert (plan.calls, plan.items) == (1, 3)
    assert b"".join(ledger.plans.effects(run.run_id, plan.digest)) == whole
    (batch,) = ledger.plans.batches(run.run_id)
    ledger_runs.approve(ledger, ledger_runs.Frozen(run, plan, batch.batch_id, {call.call_id: gone}, gone))
    lease = ledger.batches.claim(run.run_id, batch.batch_id, "worker")
    attempt = ledger.attempts.begin(
        lease, call.call_id, plan_digest=plan.digest, request_digest="d", action="Cancel", version="2022"
    )
    ledger.attempts.finish(attempt.attempt_id, "accepted", request_id="r", http_status=200)
    ledger.batches.release(lease, done=True)
    ledger.verdicts.record(
        run.run_id, (VerdictRecord(one.grant_id, Verdict.VERIFIED_GONE, "listing", now) for one in gone)
    )
    ledger.verdicts.record_retained(run.run_id, RetainedCheck(SYSTEM, ACCOUNT, 7, (), True, now))
    ledger.progress.note(run.run_id, "verify", "x", label="x", done=1, total=1, per_second=1.0)
    ledger.kill_switch.stop(by="rita", reason="a test")
    ledger.kill_switch.resume(by="rita", reason="a test")
    assert ledger.runs.finish(run.run_id, "success", {}).finished_at is not None

    (line,) = ledger.summary.per_system(run.run_id)
    assert (line.discovered, line.items, line.accepted, line.calls, line.attempts, line.verified_gone) == (
        10, 3, 3, 1, 1, 3,
    )  # fmt: skip
    assert len(list(ledger.verdicts.every(run.run_id))) == 3, "each verdict is written once"
    assert len(ledger.kill_switch.history()) == 2
    assert len(failed) > 20, "so many transactions were victims"


def _plan(effects: bytes) -> NewPlan:

    return NewPlan(hashlib.sha256(effects).hexdigest(), effects, datetime.now(UTC) + timedelta(hours=1), "0.1.0")


def test_a_plan_that_meets_a_real_deadlock_is_frozen_all_the_same(
    ledger: Ledger, ledger_dsn: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One transaction holds the run and wants to write items; the other holds the table of items and wants the run."""
    run = ledger_runs.begin(ledger)
    grants = [ledger_runs.grant(number) for number in range(4)]
    ledger_runs.list_scope(ledger, run, grants)
    ledger_runs.decide(ledger, run, grants, grants)
    locked = threading.Event()
    tries = {"plan": 0, "other": 0}
    genuine = plans._insert

    def insert(*arguments: object) -> None:
        tries["plan"] += 1
        genuine(*arguments)  # type: ignore[arg-type]

    def other(connection: Connection) -> None:
        tries["other"] += 1
        connection.execute("LOCK TABLE rescind.plan_item IN ACCESS EXCLUSIVE MODE")
        locked.set()
        if tries["other"] == 1:
            _until_somebody_waits(ledger)
        connection.execute("UPDATE rescind.run SET state = 'changed' WHERE run_id = %s", (run.run_id,))

    monkeypatch.setattr(plans, "_insert", insert)
    with Ledger(as_owner(ledger_dsn)) as owner, ThreadPoolExecutor(2) as pool:
        second = pool.submit(owner.database.write, other)
        assert locked.wait(30)
        first = pool.submit(ledger_runs.freeze, ledger, run, [grants])
        frozen = first.result(60)
        second.result(60)
    assert frozen.plan.items == 4
    assert ledger.runs.get(run.run_id).state == "changed"
    # The victim may begin again before the other one has woken up, and be the victim again.
    assert tries["plan"] + tries["other"] >= 3, "one of the two was the victim"


def _until_somebody_waits(ledger: Ledger) -> None:
    for _ in range(3000):
        row = ledger.database.read(
            lambda connection: connection.execute(
                "SELECT count(*) AS n FROM pg_locks WHERE NOT granted AND relation = 'rescind.plan_item'::regclass"
            ).fetchone()
        )
        if row and row["n"]:
            return
        time.sleep(0.01)
    pytest.fail("nobody waits for the lock")


def test_the_rate_limiter_repeats_a_victim_too(ledger: Ledger) -> None:
    tries: list[int] = []

    def work(connection: Connection) -> str:
        tries.append(connection.info.backend_pid)
        if len(tries) < 3:
            connection.execute("DO $$ BEGIN RAISE EXCEPTION USING ERRCODE = '40P01'; END $$")
        return "done"

    thread = DatabaseThread(ledger.database)
    result, started, ended = asyncio.run(thread.ask(work))
    thread.close()
    assert (result, len(tries), len(set(tries))) == ("done", 3, 1)
    assert started <= ended


def test_every_transaction_of_the_ledger_goes_through_the_place_that_repeats() -> None:
    package = Path(rescind.__file__).parent
    direct = [
        str(path.relative_to(package))
        for path in package.rglob("*.py")
        if re.search(r"(_db|database|_database)\.transaction\(", path.read_text(encoding="utf-8"))
    ]
    assert direct == []
