from __future__ import annotations

import pytest

from rescind.errors import LedgerError
from rescind.ledger import Ledger
from rescind.ledger.store.errors import RecordConflictError
from rescind.model import Choice, Decision
from tests.support.ledger_runs import begin, decide, frozen_run, grant, list_scope

pytestmark = pytest.mark.postgres


def test_decisions_come_back_with_their_grants(ledger: Ledger) -> None:
    run = begin(ledger)
    grants = [grant(1), grant(2)]
    list_scope(ledger, run, grants)
    decisions = [
        Decision(grants[0].grant_id, Choice.REVOKE, "leaver", "left\t\\on", "high", ("CC6.2", "A.5.18"), {"days": 3}),
        Decision(grants[1].grant_id, Choice.KEEP, "default", "nothing against it"),
    ]
    counts = ledger.decisions.write(run.run_id, iter(decisions))
    assert (counts.decided, counts.keep, counts.revoke) == (2, 1, 1)
    found = list(ledger.decisions.each(run.run_id))
    assert found == sorted(zip(grants, decisions, strict=True), key=lambda pair: pair[0].grant_id)
    assert [d for _, d in ledger.decisions.each(run.run_id, choice=Choice.REVOKE)] == [decisions[0]]
    assert list(ledger.decisions.each(run.run_id, system="dms_permissions")) == []
    assert ledger.decisions.get(run.run_id, grants[0].grant_id) == decisions[0]
    assert ledger.decisions.get(run.run_id, "0" * 64) is None
    assert {(rule.rule, rule.choice, rule.grants) for rule in ledger.decisions.by_rule(run.run_id)} == {
        ("leaver", "revoke", 1),
        ("default", "keep", 1),
    }


def test_writing_again_replaces_all(ledger: Ledger) -> None:
    run = begin(ledger)
    grants = [grant(1), grant(2)]
    list_scope(ledger, run, grants)
    decide(ledger, run, grants, grants)
    decide(ledger, run, grants, [])
    assert [decision.choice for _, decision in ledger.decisions.each(run.run_id)] == [Choice.KEEP, Choice.KEEP]


@pytest.mark.parametrize(
    ("decided", "problem"),
    [
        ([1], "grants of the snapshot have no decision"),
        ([1, 2, 3], "name grants that are not in the snapshot"),
        ([1, 1, 2], "two decisions"),
    ],
)
def test_every_grant_is_decided_exactly_once(ledger: Ledger, decided: list[int], problem: str) -> None:
    run = begin(ledger)
    grants = [grant(1), grant(2)]
    list_scope(ledger, run, grants)
    decide(ledger, run, grants, [])
    with pytest.raises(LedgerError, match=problem) as caught:
        ledger.decisions.write(run.run_id, [Decision(grant(n).grant_id, Choice.REVOKE, "r", "x") for n in decided])
    assert isinstance(caught.value, RecordConflictError) == (problem == "two decisions")
    assert ledger.decisions.get(run.run_id, grants[0].grant_id) == Decision(
        grants[0].grant_id, Choice.KEEP, "default", "left the company"
    )


def test_deciding_again_supersedes_a_plan_that_was_not_sent(ledger: Ledger) -> None:
    frozen = frozen_run(ledger)
    decide(ledger, frozen.run, [grant(number) for number in range(10)], [])
    assert ledger.plans.find(frozen.run.run_id) is None
