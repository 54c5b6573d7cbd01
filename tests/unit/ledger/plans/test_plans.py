from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from rescind.errors import LedgerError, PlanError, PlanStaleError
from rescind.ledger import Ledger, NewBatch, NewCall, NewItem, NewPlan, VerdictRecord
from rescind.ledger.store.errors import RecordConflictError, SnapshotClosedError
from rescind.model import ItemState, PlannedCall, Verdict, digest
from tests.support.ledger.runs import (
    ACCOUNT,
    SYSTEM,
    approve,
    begin,
    call_for,
    decide,
    effects_of,
    freeze,
    frozen_run,
    grant,
    list_scope,
    ready_run,
)
from tests.support.servers.postgres import tampering

pytestmark = pytest.mark.postgres

SOON = datetime(2090, 1, 1, tzinfo=UTC)


def plan_of(effects: bytes, **more: Any) -> NewPlan:
    return NewPlan(hashlib.sha256(effects).hexdigest(), effects, SOON, "0.1.0", **more)


def test_a_plan_comes_back_as_it_was(ledger: Ledger) -> None:
    frozen = frozen_run(ledger)
    run_id = frozen.run.run_id
    plan = ledger.plans.get(run_id)
    assert plan == frozen.plan
    assert (plan.state, plan.calls, plan.items, plan.operation, plan.source_run_id) == (
        "frozen",
        2,
        4,
        "revoke",
        run_id,
    )
    assert (plan.guards, plan.caps, plan.lower_bound) == ({"max": 10}, {"count": 100, "percent": 10}, 1)
    assert b"".join(ledger.plans.effects(run_id, plan.digest)) == effects_of(frozen.grants)
    (batch,) = ledger.plans.batches(run_id)
    assert (batch.batch_id, batch.calls, batch.items, batch.state) == (frozen.batch_id, 2, 4, "open")
    calls = list(ledger.plans.calls(run_id))
    assert [call.call_id for call in calls] == frozen.call_ids
    assert [call.planned for call in calls] == [call_for(group) for group in frozen.calls.values()]
    assert calls[0].inverse == {"give": "back"}
    pairs = ledger.plans.item_grants(run_id, frozen.call_ids[0])
    assert {one.grant_id: one for _, one in pairs} == {one.grant_id: one for one in frozen.calls[frozen.call_ids[0]]}
    assert all(item.state is ItemState.PLANNED and item.call_id == frozen.call_ids[0] for item, _ in pairs)


def test_effects_may_come_in_pieces_of_any_size(ledger: Ledger, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("rescind.ledger.plans.rows._CHUNK", 10)
    run = begin(ledger)
    whole = bytes(range(256)) * 2
    pieces = (whole[n : n + 7] for n in range(0, 512, 7))
    plan = ledger.plans.freeze(run.run_id, replace(plan_of(whole), effects=pieces), [], [])
    assert list(ledger.plans.effects(run.run_id, plan.digest)) == [whole[n : n + 10] for n in range(0, 512, 10)]


def test_a_digest_that_is_not_of_these_effects_is_refused(ledger: Ledger) -> None:
    run = begin(ledger)
    with pytest.raises(PlanError, match="have the digest"):
        ledger.plans.freeze(run.run_id, replace(plan_of(b"a"), effects=b"b"), [], [])
    assert ledger.plans.find(run.run_id) is None


@pytest.mark.parametrize(
    "tamper",
    [
        "UPDATE rescind.plan_effect SET chunk = overlay(chunk placing '\\x00' from 5)",
        "UPDATE rescind.plan_effect SET chunk = chunk || '\\x20'",
        "UPDATE rescind.plan_effect SET chunk = substr(chunk, 1, length(chunk) - 1)",
        "DELETE FROM rescind.plan_effect",
        "INSERT INTO rescind.plan_effect SELECT run_no, digest, 1, '\\x5d' FROM rescind.plan_effect",
    ],
)
def test_changed_effects_are_never_handed_out(ledger: Ledger, ledger_dsn: str, tamper: str) -> None:
    frozen = frozen_run(ledger)
    with tampering(ledger_dsn) as connection:
        connection.execute(tamper)
    with pytest.raises(PlanError, match="changed or cut"):
        next(ledger.plans.effects(frozen.run.run_id, frozen.plan.digest))


def test_a_changed_call_is_never_handed_out(ledger: Ledger, ledger_dsn: str) -> None:
    frozen = frozen_run(ledger)
    with tampering(ledger_dsn) as connection:
        connection.execute("UPDATE rescind.call SET rows = rows || ARRAY['m9']")
    with pytest.raises(LedgerError, match="content that does not match its id"):
        list(ledger.plans.calls(frozen.run.run_id))


def test_freezing_the_same_plan_again_changes_nothing(ledger: Ledger) -> None:
    frozen = ready_run(ledger)
    again = freeze(ledger, frozen.run, list(frozen.calls.values()), valid_for=timedelta(days=9))
    assert again.plan == replace(frozen.plan, state="approved")
    assert {item.state for item in ledger.plans.items(frozen.run.run_id)} == {ItemState.APPROVED}


def test_another_plan_takes_its_place_while_nothing_was_sent(ledger: Ledger) -> None:
    frozen = ready_run(ledger)
    other = freeze(ledger, frozen.run, [frozen.grants[:1]])
    run_id = frozen.run.run_id
    assert ledger.plans.get(run_id).digest == other.plan.digest
    assert ledger.plans.get(run_id, frozen.plan.digest).state == "superseded"
    assert [item.grant_id for item in ledger.plans.items(run_id)] == [frozen.grants[0].grant_id]
    with pytest.raises(PlanStaleError, match="has no batch"):
        ledger.batches.claim(run_id, frozen.batch_id, "w")


def test_a_superseded_plan_can_come_back_and_has_to_be_answered_for_again(ledger: Ledger) -> None:
    frozen = ready_run(ledger)
    freeze(ledger, frozen.run, [frozen.grants[:1]])
    back = freeze(ledger, frozen.run, list(frozen.calls.values()))
    assert (back.plan.digest, back.plan.state) == (frozen.plan.digest, "frozen")
    approve(ledger, back)
    assert ledger.plans.get(frozen.run.run_id).state == "approved"
    assert {item.state for item in ledger.plans.items(frozen.run.run_id)} == {ItemState.APPROVED}


def test_once_something_was_sent_no_other_plan_takes_its_place(ledger: Ledger) -> None:
    ready = ready_run(ledger)
    lease = ledger.batches.claim(ready.run.run_id, ready.batch_id, "w")
    ledger.attempts.begin(
        lease, ready.call_ids[0], plan_digest=ready.plan.digest, request_digest="d", action="A", version="1"
    )
    with pytest.raises(SnapshotClosedError):
        freeze(ledger, ready.run, [ready.grants[:1]])
    assert ledger.plans.get(ready.run.run_id).digest == ready.plan.digest
    assert len(ledger.plans.batches(ready.run.run_id)) == 1


def one_call(*grants: Any) -> list[NewBatch]:
    return [NewBatch(SYSTEM, ACCOUNT, "c", [NewCall(call_for(list(grants)))])]


@pytest.mark.parametrize(
    ("items", "problem"),
    [
        (lambda g: [NewItem(g[0].grant_id, None)], "no call of the plan"),
        (lambda g: [NewItem(g[0].grant_id, "a" * 64)], "no call of the plan"),
        (lambda g: [NewItem("b" * 64, call_for(g[:1]).call_id)], "not grants of a complete scope"),
        (lambda g: [NewItem(g[1].grant_id, call_for(g[:1]).call_id)], "with the decision revoke"),
        (lambda g: [NewItem(g[0].grant_id, call_for(g[:1]).call_id)] * 2, "the plan contains a grant twice"),
        (lambda g: [NewItem("zz", call_for(g[:1]).call_id)], "64 characters"),
    ],
)
def test_items_have_to_fit_snapshot_decisions_and_calls(
    ledger: Ledger, items: Callable[[list[Any]], list[NewItem]], problem: str
) -> None:
    run = begin(ledger)
    grants = [grant(0), grant(1)]
    list_scope(ledger, run, grants)
    decide(ledger, run, grants, grants[:1])
    with pytest.raises(LedgerError, match=problem):
        ledger.plans.freeze(run.run_id, plan_of(b"x"), one_call(grants[0]), items(grants))
    assert ledger.plans.find(run.run_id) is None


def test_nothing_of_an_incomplete_scope_is_planned(ledger: Ledger) -> None:
    run = begin(ledger)
    grants = [grant(0)]
    list_scope(ledger, run, grants, complete=False)
    decide(ledger, run, grants, grants)
    with pytest.raises(LedgerError, match="complete scope"):
        freeze(ledger, run, [grants])
    held = [NewItem(grants[0].grant_id, None, ItemState.HELD, "the listing is short")]
    assert ledger.plans.freeze(run.run_id, plan_of(b"x"), [], held).items == 1


def test_a_call_stands_in_the_plan_once_and_in_a_batch_of_its_own_account(ledger: Ledger) -> None:
    run = begin(ledger)
    call = NewCall(PlannedCall(SYSTEM, ACCOUNT, "p", ("m",), (("user", ("u",)),)))
    with pytest.raises(RecordConflictError, match="the plan contains a call or a batch twice"):
        ledger.plans.freeze(run.run_id, plan_of(b"x"), [NewBatch(SYSTEM, ACCOUNT, "c", [call, call])], [])
    with pytest.raises(LedgerError, match="One batch has one system and account"):
        ledger.plans.freeze(run.run_id, plan_of(b"x"), [NewBatch(SYSTEM, "other", "c", [call])], [])


def test_a_restore_plans_over_what_another_run_has_proven_gone(ledger: Ledger) -> None:
    source = ready_run(ledger, "one")
    ledger.runs.finish(source.run.run_id, "succeeded", {})
    run = begin(ledger, "restore")
    group = list(source.grants[:2])
    ids = [one.grant_id for one in group]
    plan = plan_of(b"back", operation="restore", source_run_id=source.run.run_id)
    planned = one_call(*group), [NewItem(one, call_for(group).call_id) for one in ids]
    for proof in (None, Verdict.STILL_PRESENT, Verdict.UNVERIFIED, Verdict.ALREADY_ABSENT):
        if proof is not None:
            ledger.verdicts.record(
                source.run.run_id, [VerdictRecord(one, proof, "listed", datetime.now(UTC)) for one in ids]
            )
        with pytest.raises(LedgerError, match=r"2 items .* that its run proved gone"):
            ledger.plans.freeze(run.run_id, plan, *planned)
    ledger.plans.freeze(run.run_id, plan, (), [NewItem(one, None, ItemState.HELD, "cannot be restored") for one in ids])
    ledger.verdicts.record(
        source.run.run_id, [VerdictRecord(one, Verdict.VERIFIED_GONE, "listed", datetime.now(UTC)) for one in ids]
    )
    ledger.plans.freeze(run.run_id, plan_of(b"again", operation="restore", source_run_id=source.run.run_id), *planned)
    pairs = ledger.plans.item_grants(run.run_id, call_for(group).call_id)
    assert {one.grant_id for _, one in pairs} == {one.grant_id for one in group}
    assert ledger.plans.get(run.run_id).operation == "restore"


def test_batches_are_named_by_their_content() -> None:
    calls = [NewCall(call_for([grant(n)])) for n in range(2)]
    batch = NewBatch(SYSTEM, ACCOUNT, "c", calls)
    assert batch.batch_id == digest([call.call_id for call in calls])
    assert batch.batch_id == replace(batch, label="other", conn_id="d").batch_id
    assert batch.batch_id != replace(batch, calls=calls[::-1]).batch_id


def test_an_empty_plan_is_a_plan(ledger: Ledger) -> None:
    run = begin(ledger)
    plan = ledger.plans.freeze(run.run_id, plan_of(b"[]"), [], [])
    assert (plan.calls, plan.items) == (0, 0)
    assert list(ledger.plans.calls(run.run_id)) == []
