"""The limits of automatic approval at their borders, and the limit per day over all runs."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from rescind.ledger import Ledger, NewQuestion, NewRun, QuestionItem
from rescind.settings import AutomaticApproval
from rescind.workflow.auto_approval import measure
from tests.support.ledger.attempts import claim, execute, send
from tests.support.ledger.runs import ACCOUNT, SYSTEM, Frozen, approve, decide, freeze, frozen_run, grant, list_scope

pytestmark = pytest.mark.postgres

LIMITS: dict[str, Any] = {"max_revocations": 4, "max_percent": 100, "systems": [SYSTEM], "only_rules": ["leaver"]}


def _requests(ledger: Ledger, name: str = "automatic") -> Frozen:
    """A frozen plan over 4 of 10 grants, of a run that requests automatic approval."""
    new = NewRun("access_review", name, "manual", "rita", params={"automatic": True}, dry_run=False)
    run = ledger.runs.begin(new)
    grants = [grant(number) for number in range(10)]
    list_scope(ledger, run, grants)
    decide(ledger, run, grants, grants[:4])
    return freeze(ledger, run, [grants[:2], grants[2:4]])


def _asked(ledger: Ledger, reviewer: str, hand_to: str = "", *, answered: bool = True) -> Frozen:
    """A plan like that of :func:`_requests`, of which an owner was asked about two grants, and revoked them."""
    run = ledger.runs.begin(
        NewRun("access_review", "asks", "manual", "rita", params={"automatic": True}, dry_run=False)
    )
    grants = [grant(number) for number in range(10)]
    list_scope(ledger, run, grants)
    decide(ledger, run, grants, grants[:4])
    items = tuple(QuestionItem(one.grant_id, "line") for one in grants[:2])
    (asked,) = ledger.questions.ask(run.run_id, [NewQuestion(reviewer, "revoke", items, delegates={hand_to: ""})])
    ledger.questions.put(run.run_id, asked.digest, within=timedelta(hours=1 if answered else 0))
    at = datetime.now(UTC)
    if hand_to:
        ledger.questions.hand_over(run.run_id, asked.digest, by=reviewer, to=hand_to, comment="", at=at)
    if answered:
        gone = [item.grant_id for item in items]
        who = hand_to or reviewer
        ledger.questions.answer(run.run_id, asked.digest, revoke=gone, responded_by=who, responded_at=at)
    else:
        ledger.questions.close(run.run_id, asked.digest, at=at)
    ledger.questions.apply(run.run_id)
    return freeze(ledger, run, [grants[:2], grants[2:4]])


def _reasons(ledger: Ledger, frozen: Frozen, **change: Any) -> list[str]:
    allowed = AutomaticApproval.model_validate({**LIMITS, **change})
    return measure(ledger, ledger.runs.get(frozen.run.run_id), frozen.plan, allowed)[1]


def _revoked(ledger: Ledger, outcome: str | None = "accepted", *, calls: int = 2, name: str = "other") -> Frozen:
    """A run of a person that sent its calls of two grants each."""
    other = frozen_run(ledger, name)
    approve(ledger, other)
    lease = claim(ledger, other)
    for call in range(calls):
        attempt = send(ledger, lease, other, call=call)
        if outcome is not None:
            ledger.attempts.finish(attempt.attempt_id, outcome)
    ledger.runs.finish(other.run.run_id, "succeeded", {})
    return other


def test_every_limit_may_be_reached_and_not_passed(ledger: Ledger) -> None:
    frozen = _requests(ledger)
    assert _reasons(ledger, frozen) == []
    assert _reasons(ledger, frozen, max_percent=40) == []
    assert _reasons(ledger, frozen, max_percent=39) == ["4 of 10 grants are more than 39 %"]
    (reason,) = _reasons(ledger, frozen, max_revocations=3, max_revocations_per_day=4)
    assert reason == "4 grants are more than 3"


@pytest.mark.parametrize(
    ("people", "answered", "reasons"),
    [
        (("alice",), True, []),
        (("rita", "alice"), True, []),
        (("rita",), True, ["the requester answered for the owners of 2 grants"]),
        (("alice", "Rita"), True, ["the requester answered for the owners of 2 grants"]),
        (("alice",), False, ["nobody answered for the owners of 2 grants"]),
    ],
    ids=["an owner", "a colleague of the requester", "the requester", "the requester after a hand-over", "nobody"],
)
def test_no_answer_and_the_requester_as_owner_are_no_second_person(
    ledger: Ledger, people: tuple[str, ...], answered: bool, reasons: list[str]
) -> None:
    assert _reasons(ledger, _asked(ledger, *people, answered=answered)) == reasons


def test_other_runs_of_the_day_count_and_the_border_is_exact(ledger: Ledger) -> None:
    frozen = _requests(ledger)
    _revoked(ledger)
    assert _reasons(ledger, frozen, max_revocations_per_day=8) == []
    assert _reasons(ledger, frozen, max_revocations_per_day=7) == [
        f"4 grants of {SYSTEM} {ACCOUNT} and 4 that other runs revoked there within 24 hours are more than 7 a day"
    ]


def test_without_a_limit_per_day_that_of_one_run_applies(ledger: Ledger) -> None:
    frozen = _requests(ledger)
    assert _reasons(ledger, frozen) == []
    _revoked(ledger, calls=1)
    assert _reasons(ledger, frozen) == [
        f"4 grants of {SYSTEM} {ACCOUNT} and 2 that other runs revoked there within 24 hours are more than 4 a day"
    ]
    assert _reasons(ledger, frozen, max_revocations=6) == []


def test_zero_a_day_means_none(ledger: Ledger) -> None:
    assert len(_reasons(ledger, _requests(ledger), max_revocations_per_day=0)) == 1


@pytest.mark.parametrize(
    ("outcome", "counted"), [(None, 4), ("unknown", 4), ("refused", 0), ("throttled", 0), ("not_sent", 0)]
)
def test_what_may_have_been_revoked_counts(ledger: Ledger, outcome: str | None, counted: int) -> None:
    frozen = _requests(ledger)
    _revoked(ledger, outcome)
    assert _reasons(ledger, frozen, max_revocations_per_day=4 + counted) == []
    assert bool(_reasons(ledger, frozen, max_revocations_per_day=3 + counted)) is True


@pytest.mark.parametrize(("age", "counts"), [("23 hours 59 minutes", True), ("24 hours 1 second", False)])
def test_a_day_has_24_hours_by_the_clock_of_the_database(
    ledger: Ledger, ledger_dsn: str, age: str, counts: bool
) -> None:
    frozen = _requests(ledger)
    _revoked(ledger)
    execute(ledger_dsn, "ALTER TABLE rescind.attempt DISABLE TRIGGER USER")
    execute(ledger_dsn, f"UPDATE rescind.attempt SET intent_at = clock_timestamp() - interval '{age}'")
    assert bool(_reasons(ledger, frozen, max_revocations_per_day=7)) is counts


def test_another_account_and_this_run_itself_do_not_count(ledger: Ledger) -> None:
    elsewhere = ledger.runs.begin(NewRun("access_review", "elsewhere", "manual", "rita", dry_run=False))
    grants = [grant(number, account="alibaba:2:x") for number in range(4)]
    list_scope(ledger, elsewhere, grants)
    decide(ledger, elsewhere, grants, grants)
    other = freeze(ledger, elsewhere, [grants])
    approve(ledger, other)
    ledger.attempts.finish(send(ledger, claim(ledger, other), other).attempt_id, "accepted")
    frozen = _requests(ledger)
    approve(ledger, frozen)
    lease = claim(ledger, frozen)
    assert _reasons(ledger, frozen) == []
    ledger.attempts.finish(send(ledger, lease, frozen).attempt_id, "accepted")
    assert _reasons(ledger, frozen) == [], "what this run has sent is a part of its plan"


@pytest.mark.parametrize("value", [-1, 1.5, "many"])
def test_a_limit_per_day_is_a_count(value: object) -> None:
    with pytest.raises(ValueError, match="max_revocations_per_day"):
        AutomaticApproval.model_validate({**LIMITS, "max_revocations_per_day": value})
