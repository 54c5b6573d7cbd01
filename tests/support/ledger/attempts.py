"""Sending by hand: what tests of attempts and leases share."""

from __future__ import annotations

from typing import Any

import psycopg
import pytest

from rescind.ledger import Attempt, AttemptRecord, Batch, Lease, Ledger
from rescind.model import ItemState
from tests.support.ledger.runs import Frozen
from tests.support.servers.postgres import as_owner, tampering

pytestmark = pytest.mark.postgres
S = ItemState


def send(ledger: Ledger, lease: Lease, run: Frozen, call: int = 0, **more: Any) -> Attempt:
    given: dict[str, Any] = {
        "plan_digest": run.plan.digest,
        "request_digest": "d1",
        "action": "CancelAuthorizationMenu",
        "version": "2022-01-01",
        **more,
    }
    return ledger.attempts.begin(lease, run.call_ids[call], **given)


def claim(ledger: Ledger, run: Frozen, owner: str = "w") -> Lease:
    return ledger.batches.claim(run.run.run_id, run.batch_id, owner)


def states(ledger: Ledger, run: Frozen, call: int = 0) -> tuple[str, set[str]]:
    state = {one.call_id: one.state for one in ledger.plans.calls(run.run.run_id)}[run.call_ids[call]]
    return state, {str(i.state) for i in ledger.plans.items(run.run.run_id, call_id=run.call_ids[call])}


def attempts(ledger: Ledger, run: Frozen, call: int = 0) -> list[AttemptRecord]:
    return [one for one in ledger.attempts.each(run.run.run_id) if one.call_id == run.call_ids[call]]


def batch_now(ledger: Ledger, run: Frozen) -> Batch:
    (batch,) = ledger.plans.batches(run.run.run_id)
    assert batch.batch_id == run.batch_id
    return batch


def refuse(ledger: Ledger, lease: Lease, run: Frozen, kind: type[Exception], why: str, **more: Any) -> None:
    """A refused intent leaves no trace: no attempt, no changed state."""
    before = states(ledger, run)
    with pytest.raises(kind, match=why):
        send(ledger, lease, run, **more)
    assert attempts(ledger, run) == []
    assert states(ledger, run) == before


def execute(dsn: str, statement: str) -> None:
    """Run a statement as the owner of the ledger, bound by its triggers."""
    with psycopg.connect(as_owner(dsn)) as connection:
        connection.execute(statement)


def tamper(dsn: str, statement: str) -> None:
    """Run a statement that no trigger stops."""
    with tampering(dsn) as connection:
        connection.execute(statement)
