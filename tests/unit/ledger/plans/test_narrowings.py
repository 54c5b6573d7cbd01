"""What an approver left out: signed, written once, and never an approval."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import psycopg
import pytest

from rescind.approval_signature import ApprovalKeys, fits
from rescind.errors import ConfigurationError, NotApprovedError
from rescind.ledger import Ledger, Narrowing
from rescind.ledger.plans.narrowings import digest_of_grants
from rescind.ledger.store.errors import RecordConflictError
from tests.support.ledger.runs import Frozen, approve, frozen_run
from tests.support.reviews.approval import APPROVAL_PUBLIC, KEYS
from tests.support.servers.postgres import as_owner

pytestmark = pytest.mark.postgres


def ask(ledger: Ledger, frozen: Frozen, **more: Any) -> str:
    ledger.approvals.keys = KEYS
    given = {"requested_by": "rita", "valid_until": frozen.plan.valid_until, **more}
    return ledger.approvals.request(frozen.run.run_id, frozen.plan.digest, **given).nonce


def leave_out(ledger: Ledger, frozen: Frozen, nonce: str, **more: Any) -> Narrowing:
    given: dict[str, Any] = {
        "left_out": [("P1", "")],
        "grant_ids": [item.grant_id for item in ledger.plans.items(frozen.run.run_id)][:2],
        "responded_by": "7",
        "responded_by_name": "anna",
        "responded_at": frozen.plan.created_at,
        "comment": "why",
    }
    return ledger.narrowings.record(frozen.run.run_id, frozen.plan.digest, nonce=nonce, **{**given, **more})


def test_it_is_signed_and_approves_nothing(ledger: Ledger) -> None:
    frozen = frozen_run(ledger)
    nonce = ask(ledger, frozen)
    made = leave_out(ledger, frozen, nonce, left_out=[("P2", "x"), ("P1", ""), ("P2", "x")])
    assert made == ledger.narrowings.find(frozen.run.run_id) and ledger.narrowings.problem(made) == ""
    assert (made.by, made.grants, made.left_out) == ("anna (7)", 2, [["P1", ""], ["P2", "x"]])
    asked = ledger.approvals.get(frozen.run.run_id, frozen.plan.digest)
    assert asked is not None and asked.narrowed and asked.answer is None
    assert ledger.plans.get(frozen.run.run_id).state == "frozen"
    assert {str(item.state) for item in ledger.plans.items(frozen.run.run_id)} == {"planned"}
    with pytest.raises(NotApprovedError, match="only the narrowed plan can be approved"):
        ledger.approvals.require(frozen.run.run_id, frozen.plan.digest)
    for answer in ("approve", "reject"):
        with pytest.raises(RecordConflictError, match="left out a part of it"):
            ledger.approvals.answer(
                frozen.run.run_id, frozen.plan.digest, nonce=nonce, answer=answer, responded_by="bo"
            )
    assert made.statement.startswith(b"rescind-narrowing-signature/1\n")
    assert fits(made.statement, made.signature, APPROVAL_PUBLIC)
    as_approval = made.statement.replace(b"narrowing-signature", b"approval-signature")
    assert not fits(as_approval, made.signature, APPROVAL_PUBLIC)


def test_an_approved_plan_cannot_be_narrowed(ledger: Ledger) -> None:
    frozen = frozen_run(ledger)
    given = approve(ledger, frozen)
    with pytest.raises(RecordConflictError, match="answered already"):
        leave_out(ledger, frozen, given.nonce)
    assert ledger.approvals.require(frozen.run.run_id, frozen.plan.digest) == given


@pytest.mark.parametrize(
    ("more", "message"),
    [
        ({"comment": " "}, "names it and says why"),
        ({"left_out": []}, "names it and says why"),
        ({"grant_ids": []}, "names it and says why"),
        ({"nonce": "0" * 32}, "belongs to another request"),
        ({"responded_by": " ", "responded_by_name": ""}, "names no approver"),
        ({"responded_by_name": "RITA"}, "the requester cannot approve their own run"),
        ({"responded_by": "rita", "responded_by_name": ""}, "the requester cannot approve their own run"),
    ],
)
def test_the_same_rules_hold_as_for_an_approval(ledger: Ledger, more: dict[str, Any], message: str) -> None:
    frozen = frozen_run(ledger)
    nonce = ask(ledger, frozen)
    with pytest.raises(NotApprovedError, match=message):
        leave_out(ledger, frozen, more.pop("nonce", nonce), **more)
    assert ledger.narrowings.find(frozen.run.run_id) is None


def test_it_comes_in_time_and_with_a_key(ledger: Ledger) -> None:
    frozen = frozen_run(ledger)
    nonce = ask(ledger, frozen, valid_until=frozen.plan.created_at - timedelta(seconds=1))
    with pytest.raises(NotApprovedError, match="the approval window expired"):
        leave_out(ledger, frozen, nonce)
    other = frozen_run(ledger, name="manual__2")
    nonce = ask(ledger, other)
    ledger.approvals.keys = ApprovalKeys()
    with pytest.raises(ConfigurationError, match="no key to sign"):
        leave_out(ledger, other, nonce)
    assert ledger.narrowings.find(other.run.run_id) is None


def test_there_is_one_for_each_run_and_it_never_changes(ledger: Ledger) -> None:
    frozen = frozen_run(ledger)
    nonce = ask(ledger, frozen)
    made = leave_out(ledger, frozen, nonce)
    assert leave_out(ledger, frozen, nonce, responded_at=frozen.plan.created_at + timedelta(seconds=9)) == made
    for more in ({"comment": "other"}, {"left_out": [("P2", "")]}, {"responded_by": "8"}, {"grant_ids": ["0" * 64]}):
        with pytest.raises(RecordConflictError, match="which cannot change"):
            leave_out(ledger, frozen, nonce, **more)
    ledger.approvals.keys = ApprovalKeys()
    assert "not accepted" in ledger.narrowings.problem(made)
    assert ledger.narrowings.find(frozen.run.run_id) == made


@pytest.mark.parametrize("change", ["UPDATE rescind.narrowing SET comment = 'x'", "DELETE FROM rescind.narrowing"])
def test_not_even_the_owner_of_the_schema_changes_it(ledger: Ledger, ledger_dsn: str, change: str) -> None:
    frozen = frozen_run(ledger)
    made = leave_out(ledger, frozen, ask(ledger, frozen))
    with (
        psycopg.connect(as_owner(ledger_dsn)) as connection,
        pytest.raises(psycopg.errors.IntegrityConstraintViolation),
    ):
        connection.execute(change)
    assert ledger.narrowings.find(frozen.run.run_id) == made


def test_the_digest_of_grants_does_not_depend_on_order_or_repetition() -> None:
    assert digest_of_grants(["b", "a", "b"]) == digest_of_grants(["a", "b"]) != digest_of_grants(["a"])
