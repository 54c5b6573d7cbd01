"""Scope locks: held by approved runs alone, all or none, one holder at a time."""

from __future__ import annotations

import hashlib
import threading
from datetime import UTC, datetime, timedelta
from itertools import count
from typing import ClassVar

import psycopg
import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule, run_state_machine_as_test

from rescind.ledger import Ledger, NewBatch, NewCall, NewItem, NewPlan, NewRun, Run
from rescind.ledger.store.errors import ScopeLockedError
from rescind.model import ItemState, PlannedCall
from tests.support.ledger.attempts import claim, execute, refuse, send, tamper
from tests.support.ledger.runs import (
    ACCOUNT,
    SYSTEM,
    Frozen,
    approve,
    decide,
    freeze,
    frozen_run,
    grant,
    list_scope,
    ready_run,
)
from tests.support.servers.postgres import tampering

pytestmark = pytest.mark.postgres


def holders(dsn: str) -> dict[str, int]:
    """Run number by account of every lock that has not expired."""
    with psycopg.connect(dsn) as connection:
        query = "SELECT account, run_no FROM rescind.scope_lock WHERE expires_at > clock_timestamp()"
        return dict(connection.execute(query).fetchall())


def test_a_question_locks_nothing_and_its_approval_does(ledger: Ledger, ledger_dsn: str) -> None:
    first, second = frozen_run(ledger, "one"), frozen_run(ledger, "two")
    assert holders(ledger_dsn) == {}
    approve(ledger, second)
    assert holders(ledger_dsn) == {ACCOUNT: second.run.number}
    approve(ledger, first)
    assert holders(ledger_dsn) == {ACCOUNT: second.run.number}
    with pytest.raises(
        ScopeLockedError, match=f"is blocked by run {second.run.number} .*approved and sends there since"
    ):
        ledger.scope_locks.take(first.run.run_id)
    refuse(ledger, claim(ledger, first), first, ScopeLockedError, "does not hold the lock")
    ledger.runs.finish(second.run.run_id, "succeeded", {})
    assert holders(ledger_dsn) == {}
    ledger.scope_locks.take(first.run.run_id)
    assert holders(ledger_dsn) == {ACCOUNT: first.run.number}
    assert send(ledger, claim(ledger, first), first).n == 1


def test_plans_that_may_not_be_sent_take_no_lock(ledger: Ledger, ledger_dsn: str) -> None:
    waiting, dry = frozen_run(ledger, "one"), frozen_run(ledger, "dry", dry_run=True)
    ledger.scope_locks.take(waiting.run.run_id)
    approve(ledger, dry)
    ledger.scope_locks.take(dry.run.run_id)
    rejected = frozen_run(ledger, "rejected")
    asked = ledger.approvals.request(
        rejected.run.run_id, rejected.plan.digest, requested_by="rita", valid_until=rejected.plan.valid_until
    )
    ledger.approvals.answer(
        rejected.run.run_id, rejected.plan.digest, nonce=asked.nonce, answer="reject", responded_by="anna"
    )
    ledger.scope_locks.take(rejected.run.run_id)
    abandoned = ready_run(ledger, "abandoned")
    ledger.runs.finish(abandoned.run.run_id, "abandoned", {"by": "rita", "reason": "a test"})
    ledger.scope_locks.take(abandoned.run.run_id)
    assert holders(ledger_dsn) == {}
    expired = ready_run(ledger, "expired")
    tamper(ledger_dsn, "UPDATE rescind.plan SET valid_until = clock_timestamp() - interval '1 second'")
    execute(ledger_dsn, "DELETE FROM rescind.scope_lock")
    ledger.scope_locks.take(expired.run.run_id)
    assert holders(ledger_dsn) == {}
    # It does not wait for others either: its sending task has to say that the plan has expired.
    holder = ready_run(ledger, "holder")
    ledger.scope_locks.take(expired.run.run_id)
    assert holders(ledger_dsn) == {ACCOUNT: holder.run.number}


def test_a_late_rejection_of_a_replaced_plan_does_not_free_the_plan_that_is_sent(
    ledger: Ledger, ledger_dsn: str
) -> None:
    frozen = frozen_run(ledger)
    asked = ledger.approvals.request(
        frozen.run.run_id, frozen.plan.digest, requested_by="rita", valid_until=frozen.plan.valid_until
    )
    approve(ledger, freeze(ledger, frozen.run, [frozen.grants[:1]]))
    ledger.approvals.answer(
        frozen.run.run_id, frozen.plan.digest, nonce=asked.nonce, answer="reject", responded_by="anna"
    )
    assert holders(ledger_dsn) == {ACCOUNT: frozen.run.number}


def test_an_expired_lock_is_free(ledger: Ledger, ledger_dsn: str) -> None:
    ready_run(ledger, "one")
    execute(ledger_dsn, "UPDATE rescind.scope_lock SET expires_at = clock_timestamp() - interval '1 second'")
    second = ready_run(ledger, "two")
    assert holders(ledger_dsn) == {ACCOUNT: second.run.number}


def test_two_runs_approved_at_the_same_instant_leave_one_holder(ledger: Ledger, ledger_dsn: str) -> None:
    for turn in range(4):
        runs = [frozen_run(ledger, f"{turn} {name}") for name in ("one", "two", "three")]
        barrier = threading.Barrier(len(runs))

        def answer(frozen: Frozen, barrier: threading.Barrier = barrier) -> None:
            barrier.wait()
            approve(ledger, frozen)

        threads = [threading.Thread(target=answer, args=(frozen,)) for frozen in runs]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert {ledger.plans.get(frozen.run.run_id).state for frozen in runs} == {"approved"}
        held = holders(ledger_dsn)[ACCOUNT]
        blocked = []
        for frozen in runs:
            try:
                ledger.scope_locks.take(frozen.run.run_id)
            except ScopeLockedError:
                blocked.append(frozen.run.number)
        assert sorted([held, *blocked]) == sorted(frozen.run.number for frozen in runs)
        for frozen in runs:
            ledger.runs.finish(frozen.run.run_id, "succeeded", {})


def test_the_page_names_the_run_that_blocks(ledger: Ledger) -> None:
    first, second, third = ready_run(ledger, "one"), ready_run(ledger, "two"), frozen_run(ledger, "three")
    lines = {line.number: line for line in ledger.views.runs(["access_review"])}
    assert lines[second.run.number].blocked_by == first.run.number
    assert lines[second.run.number].blocked_since is not None
    assert lines[first.run.number].blocked_by is None
    assert lines[third.run.number].blocked_by is None, "a run that waits for an answer is not blocked"
    ledger.runs.finish(first.run.run_id, "succeeded", {})
    assert all(line.blocked_by is None for line in ledger.views.runs(["access_review"]))


_names = count()


def planned(ledger: Ledger, accounts: list[str], *, kind: str = "policy") -> tuple[Run, NewPlan]:
    """A frozen plan with one call in each account."""
    run = ledger.runs.begin(
        NewRun("access_review", f"lock {next(_names)}", "manual", "rita", params={"kind": kind}, dry_run=False)
    )
    calls = []
    for account in accounts:
        one = grant(1, account=account)
        list_scope(ledger, run, [one])
        calls.append((one, PlannedCall(SYSTEM, account, one.cell.container, (one.cell.row,), (one.cell[2:],))))
    decide(ledger, run, [one for one, _ in calls], [one for one, _ in calls])
    effects = repr((run.number, accounts)).encode()
    plan = NewPlan(hashlib.sha256(effects).hexdigest(), effects, datetime.now(UTC) + timedelta(hours=1), "0.1.0")
    batches = [NewBatch(SYSTEM, call.account, "c", [NewCall(call)]) for _, call in calls]
    ledger.plans.freeze(
        run.run_id, plan, batches, [NewItem(one.grant_id, call.call_id, ItemState.PLANNED) for one, call in calls]
    )
    return run, plan


def allow(ledger: Ledger, run: Run, plan: NewPlan, answer: str = "approve") -> None:
    asked = ledger.approvals.request(run.run_id, plan.digest, requested_by="rita", valid_until=plan.valid_until)
    ledger.approvals.answer(run.run_id, plan.digest, nonce=asked.nonce, answer=answer, responded_by="anna")


def test_a_run_about_named_people_goes_before_reviews_that_wait(ledger: Ledger, ledger_dsn: str) -> None:
    busy, review, incident = (planned(ledger, ["x"], kind=kind) for kind in ("policy", "policy", "targets"))
    for run, plan in (busy, review, incident):
        allow(ledger, run, plan)
    ledger.scope_locks.take(busy[0].run_id)  # the holder itself is not asked to wait
    ledger.runs.finish(busy[0].run_id, "succeeded", {})
    with pytest.raises(ScopeLockedError, match=f"run {incident[0].number}, which is about named people"):
        ledger.scope_locks.take(review[0].run_id)
    ledger.scope_locks.take(incident[0].run_id)
    assert holders(ledger_dsn) == {"x": incident[0].number}
    ledger.runs.finish(incident[0].run_id, "succeeded", {})
    ledger.scope_locks.take(review[0].run_id)
    assert holders(ledger_dsn) == {"x": review[0].number}


def test_a_run_that_cannot_have_all_its_scopes_takes_none(ledger: Ledger, ledger_dsn: str) -> None:
    one, both = planned(ledger, ["b"]), planned(ledger, ["a", "b"])
    allow(ledger, *one)
    allow(ledger, *both)
    with pytest.raises(ScopeLockedError, match="of account b is blocked"):
        ledger.scope_locks.take(both[0].run_id)
    assert holders(ledger_dsn) == {"b": one[0].number}


class Locks(RuleBasedStateMachine):
    """Any order of plans, answers, sends, ends and expiries of runs over three scopes, against a model."""

    ledger: ClassVar[Ledger]
    dsn: ClassVar[str]

    def __init__(self) -> None:
        super().__init__()
        self.turn = next(_names)
        self.runs: list[tuple[Run, NewPlan, frozenset[str], str]] = []
        self.state: dict[int, str] = {}
        self.held: dict[str, int] = {}
        self.finished: set[int] = set()

    @precondition(lambda self: len(self.runs) < 5)
    @rule(scopes=st.sets(st.sampled_from("abc"), min_size=1), incident=st.booleans())
    def plan(self, scopes: set[str], incident: bool) -> None:
        accounts = frozenset(f"{self.turn} {name}" for name in scopes)
        kind = "targets" if incident else "policy"
        run, plan = planned(self.ledger, sorted(accounts), kind=kind)
        self.runs.append((run, plan, accounts, kind))
        self.state[run.number] = "waiting"

    def may_take(self, number: int, accounts: frozenset[str], kind: str) -> bool:
        for account in accounts:
            if self.held.get(account, number) != number:
                return False
            waits = any(
                other.number != number
                and of == "targets"
                and account in scopes
                and self.state[other.number] == "approved"
                and other.number not in self.finished
                for other, _, scopes, of in self.runs
            )
            if kind == "policy" and waits and account not in self.held:
                return False
        return True

    @precondition(lambda self: "waiting" in self.state.values())
    @rule(data=st.data(), yes=st.booleans())
    def answer(self, data: st.DataObject, yes: bool) -> None:
        run, plan, accounts, kind = data.draw(
            st.sampled_from([one for one in self.runs if self.state[one[0].number] == "waiting"])
        )
        allow(self.ledger, run, plan, "approve" if yes else "reject")
        self.state[run.number] = "approved" if yes else "rejected"
        if yes and self.may_take(run.number, accounts, kind):
            self.held |= dict.fromkeys(accounts, run.number)

    @precondition(lambda self: self.runs)
    @rule(data=st.data())
    def send(self, data: st.DataObject) -> None:
        run, _, accounts, kind = data.draw(st.sampled_from(self.runs))
        if self.state[run.number] != "approved":
            self.ledger.scope_locks.take(run.run_id)
        elif self.may_take(run.number, accounts, kind):
            self.ledger.scope_locks.take(run.run_id)
            self.held |= dict.fromkeys(accounts, run.number)
        else:
            with pytest.raises(ScopeLockedError):
                self.ledger.scope_locks.take(run.run_id)

    @precondition(lambda self: self.runs)
    @rule(data=st.data())
    def finish(self, data: st.DataObject) -> None:
        """A finished run frees its scopes; a task of it that is cleared may take them again."""
        run = data.draw(st.sampled_from(self.runs))[0]
        self.ledger.runs.finish(run.run_id, "succeeded", {})
        self.finished.add(run.number)
        self.held = {account: number for account, number in self.held.items() if number != run.number}

    @precondition(lambda self: self.runs)
    @rule(data=st.data())
    def expire(self, data: st.DataObject) -> None:
        run = data.draw(st.sampled_from(self.runs))[0]
        with tampering(self.dsn) as connection:
            past = "clock_timestamp() - interval '1 second'"
            connection.execute(f"UPDATE rescind.scope_lock SET expires_at = {past} WHERE run_no = {run.number}")
            connection.execute(f"UPDATE rescind.plan SET valid_until = {past} WHERE run_no = {run.number}")
        self.state[run.number] = "expired"
        self.held = {account: number for account, number in self.held.items() if number != run.number}

    @invariant()
    def the_locks_are_those_of_the_model(self) -> None:
        found = {
            account: number for account, number in holders(self.dsn).items() if account.startswith(f"{self.turn} ")
        }
        assert found == self.held


def test_the_life_of_scope_locks(ledger: Ledger, ledger_dsn: str) -> None:
    run_state_machine_as_test(  # type: ignore[no-untyped-call]
        type("Bound", (Locks,), {"ledger": ledger, "dsn": ledger_dsn}),
        settings=settings(
            max_examples=20,
            stateful_step_count=20,
            deadline=None,
            suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
        ),
    )


def test_changes_of_other_runs_since_a_listing_are_named(ledger: Ledger) -> None:
    waiting = frozen_run(ledger, "waiting")
    other = ready_run(ledger, "other")
    place = (waiting.run.run_id, SYSTEM, ACCOUNT)
    ids = [one.grant_id for one in other.grants]
    assert ledger.scope_locks.changed_since(*place) == []
    lease = claim(ledger, other)
    attempt = send(ledger, lease, other)
    assert ledger.scope_locks.changed_since(*place) == [other.run.number]
    ledger.attempts.finish(attempt.attempt_id, "refused")
    assert ledger.scope_locks.changed_since(*place) == []
    ledger.attempts.finish(send(ledger, lease, other, call=1).attempt_id, "accepted")
    ledger.runs.finish(other.run.run_id, "succeeded", {})
    assert ledger.scope_locks.changed_since(*place) == [other.run.number]
    assert ledger.scope_locks.changed_since(waiting.run.run_id, SYSTEM, "another") == []
    assert ledger.scope_locks.changed_since(other.run.run_id, SYSTEM, ACCOUNT) == []
    gone = {one.grant_id for one in other.calls[other.call_ids[1]]}
    assert ledger.scope_locks.removed_since(*place, ids) == dict.fromkeys(gone, other.run.number)
    later = frozen_run(ledger, "later")
    assert ledger.scope_locks.changed_since(later.run.run_id, SYSTEM, ACCOUNT) == []
    assert ledger.scope_locks.removed_since(later.run.run_id, SYSTEM, ACCOUNT, ids) == {}
