from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest

from rescind.errors import LedgerError
from rescind.ledger import Ledger
from rescind.ledger.store.errors import RecordConflictError
from rescind.model import Cell, Choice, Decision, Grant
from tests.support.ledger.runs import begin, decide, frozen_run, grant, list_scope

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


def test_the_grants_of_some_columns_are_those_that_a_pass_over_all_would_find(ledger: Ledger) -> None:
    run = begin(ledger)
    columns = [("user", ("1",)), ("user", ("1", "QUERY")), ("group", ("1",)), ("user", ('a"b\\c,{}',)), ("user", ())]
    grants = [
        replace(grant(9 * number + place), cell=Cell(f"portal-{place % 2}", f"row-{place}", kind, column))
        for number, (kind, column) in enumerate(columns)
        for place in range(3)
    ]
    list_scope(ledger, run, grants)
    decide(ledger, run, grants, grants[::4])
    kept = {one.grant_id for one, _ in ledger.decisions.each(run.run_id, choice=Choice.KEEP)}
    place = {"choice": Choice.KEEP, "system": grants[0].key.system, "account": grants[0].key.account}
    for number, (kind, column) in enumerate(columns):
        found = list(ledger.decisions.in_columns(run.run_id, [("portal-0", kind, column)], **place))
        mine = [one for one in grants[3 * number : 3 * number + 3] if one.cell.container == "portal-0"]
        assert sorted(one.grant_id for one in found) == sorted(kept & {one.grant_id for one in mine})
        assert all(one in mine for one in found)
    both = [(box, kind, column) for box in ("portal-0", "portal-1") for kind, column in columns]
    assert {one.grant_id for one in ledger.decisions.in_columns(run.run_id, both, **place)} == kept
    assert list(ledger.decisions.in_columns(run.run_id, [], **place)) == []
    assert list(ledger.decisions.in_columns(run.run_id, both, **{**place, "account": "other"})) == []


def test_grants_of_some_entitlements(ledger: Ledger) -> None:
    run = begin(ledger)
    grants = [grant(number) for number in range(3)]
    list_scope(ledger, run, grants)
    held = {one.key.entitlement for one in grants}
    assert {one.grant_id for one in ledger.snapshot.grants(run.run_id, entitlements=held)} == {
        one.grant_id for one in grants
    }
    assert list(ledger.snapshot.grants(run.run_id, entitlements=["other"])) == []
    assert list(ledger.snapshot.grants(run.run_id, entitlements=[])) == []


def test_retained_grants_by_value_are_those_that_a_pass_over_all_would_find(ledger: Ledger) -> None:
    run = begin(ledger)
    grants = [grant(number, portal=f"portal-{number % 3}") for number in range(12)]
    grants[5:8] = [replace(one, attributes={"ListedIn": "db-1"}) for one in grants[5:8]]
    list_scope(ledger, run, grants)
    decide(ledger, run, grants, grants[::4])
    kept = [one for number, one in enumerate(grants) if number % 4]
    place = {"system": grants[0].key.system, "account": grants[0].key.account}

    def found(**values: list[str]) -> list[str]:
        return [one.grant_id for one in ledger.decisions.retained(run.run_id, values, **place)]

    def ids(wanted: Callable[[Grant], bool]) -> list[str]:
        return sorted(one.grant_id for one in kept if wanted(one))

    assert found(containers=["portal-0", "portal-2"]) == ids(lambda one: one.cell.container != "portal-1")
    (menu, user) = grants[1].key.resource_id, grants[2].key.principal_id
    either = ids(lambda one: one.key.resource_id == menu or one.key.principal_id == user)
    assert found(resources=[menu], principals=[user]) == either
    assert found(listed_in=["db-1"]) == ids(lambda one: "ListedIn" in one.attributes)
    assert found(listed_in=[""], containers=[]) == ids(lambda one: "ListedIn" not in one.attributes)
    assert found() == found(containers=[], resources=[], principals=[]) == []
    other = {**place, "account": "other"}
    assert list(ledger.decisions.retained(run.run_id, {"containers": ["portal-0"]}, **other)) == []
