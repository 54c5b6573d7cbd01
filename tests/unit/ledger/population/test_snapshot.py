from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime
from itertools import product
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from rescind.errors import LedgerError
from rescind.ledger import Ledger, ScopeSpec
from rescind.ledger.store.errors import RecordConflictError, SnapshotClosedError
from rescind.model import Cell, Grant, GrantKey, Membership, Principal
from rescind.systems.effective import Near
from tests.support.ledger.runs import ACCOUNT, SYSTEM, begin, certificate, frozen_run, grant, list_scope, ready_run

pytestmark = pytest.mark.postgres

NASTY = "tab\there\nline\r\\N \\. {a,\"b\"} 'q' {{ 7*7 }} % \u2028 日本 \U0001f600"


def nasty_grant() -> Grant:
    key = GrantKey(SYSTEM, ACCOUNT, NASTY, NASTY + "1", NASTY + "2", "6917529027641081857", NASTY + "4", NASTY + "5")
    return Grant(
        key,
        Cell(NASTY, NASTY, NASTY, (NASTY, "", 'a"b\\c', "NULL")),
        revocable=False,
        why_not=NASTY,
        inherited_from=NASTY,
        expires_at=datetime(2031, 2, 3, 4, 5, 6, 789, tzinfo=UTC),
        expires_raw=NASTY,
        created_raw=NASTY,
        origin=NASTY,
        principal_name=NASTY,
        resource_name=NASTY,
        last_used_days=0,
        last_used_on="2026-06-09",
        last_use=NASTY,
        attributes={NASTY: NASTY, "empty": ""},
    )


def test_a_grant_comes_back_as_it_was(ledger: Ledger) -> None:
    run = begin(ledger)
    grants = [nasty_grant(), grant(1)]
    list_scope(ledger, run, grants)
    back = {one.grant_id: one for one in ledger.snapshot.grants(run.run_id)}
    assert back == {one.grant_id: one for one in grants}
    assert ledger.snapshot.grants_by_id(run.run_id, [*back, "f" * 64]) == back


TEXT = st.text(st.characters(exclude_characters="\x00", exclude_categories=["Cs"]), max_size=12)


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(parts=st.lists(TEXT, min_size=8, max_size=8), cell=st.lists(TEXT, min_size=3, max_size=6), other=TEXT)
def test_any_text_comes_back_as_it_was(ledger: Ledger, parts: list[str], cell: list[str], other: str) -> None:
    run = begin(ledger)
    one = Grant(
        GrantKey(*parts), Cell(*cell[:3], tuple(cell[3:])), origin=other, attributes={other: other} if other else {}
    )
    spec = ScopeSpec("s", "a")
    ledger.scopes.open(run.run_id, [spec])
    ledger.snapshot.replace_scope(run.run_id, spec.scope_id, [one], [], [], certificate(1))
    assert list(ledger.snapshot.grants(run.run_id)) == [one]


@pytest.mark.parametrize(("text", "why"), [("a\x00b", "NUL"), ("\ud800", "lone surrogate")])
def test_text_that_cannot_be_stored_fails_the_scope(ledger: Ledger, text: str, why: str) -> None:
    run = begin(ledger)
    ledger.scopes.open(run.run_id, [ScopeSpec(SYSTEM, ACCOUNT)])
    with pytest.raises(LedgerError, match=why):
        ledger.snapshot.replace_scope(
            run.run_id, ScopeSpec(SYSTEM, ACCOUNT).scope_id, [grant(1, origin=text)], [], [], certificate(1)
        )
    assert [scope.state for scope in ledger.scopes.all(run.run_id)] == ["pending"]


def test_principals_and_memberships_come_back_once(ledger: Ledger) -> None:
    run = begin(ledger)
    spec = ScopeSpec(SYSTEM, ACCOUNT)
    ledger.scopes.open(run.run_id, [spec])
    last = datetime(2026, 1, 1, tzinfo=UTC)
    people = [
        Principal(SYSTEM, ACCOUNT, "user", "u1", NASTY, "human", "active", last, (("uid", "2046"), ("dms", "7"))),
        Principal(SYSTEM, ACCOUNT, "group", "g1"),
    ]
    edge = Membership(SYSTEM, ACCOUNT, "user", "u1", "group", "g1")
    ledger.snapshot.replace_scope(run.run_id, spec.scope_id, [], [*people, people[0]], [edge, edge], certificate(0))
    assert list(ledger.snapshot.principals(run.run_id)) == [people[1], people[0]]
    assert list(ledger.snapshot.memberships(run.run_id, SYSTEM, ACCOUNT)) == [edge]
    assert list(ledger.snapshot.principals(run.run_id, "dms_permissions")) == []


def test_order_is_by_grant_id_over_page_borders(ledger: Ledger, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("rescind.ledger.store.repository.PAGE", 7)
    run = begin(ledger)
    grants = [grant(number) for number in range(50)]
    list_scope(ledger, run, grants)
    ids = [one.grant_id for one in ledger.snapshot.grants(run.run_id)]
    assert ids == sorted(one.grant_id for one in grants)


def test_filters(ledger: Ledger) -> None:
    run = begin(ledger)
    here = [grant(1), grant(2, revocable=False, why_not="inherited")]
    there = [grant(1, account="other")]
    list_scope(ledger, run, here)
    list_scope(ledger, run, there, complete=False)

    def ids(**wanted: object) -> set[str]:
        return {one.grant_id for one in ledger.snapshot.grants(run.run_id, **wanted)}  # type: ignore[arg-type]

    assert ids() == {one.grant_id for one in here + there}
    assert ids(account="other") == {there[0].grant_id}
    assert ids(system="dms_permissions") == set()
    assert ids(complete_only=True) == {one.grant_id for one in here}
    assert ids(revocable=False) == {here[1].grant_id}


def test_the_grants_on_some_resources_are_those_that_a_pass_over_all_would_find(ledger: Ledger) -> None:
    run = begin(ledger)
    principals = [("user", "ann"), ("user", "bob"), ("group", "ann"), ("role", ""), ("user", ""), ("everyone", "all")]
    resources = [("menu", "1"), ("menu", "2"), ("portal", "1"), ('a"b', "{,}")]
    grants = [
        replace(grant(number), key=GrantKey(SYSTEM, account, *resource, *principal, "view"))
        for account in (ACCOUNT, "other")
        for number, (resource, principal) in enumerate(product(resources, principals))
    ]
    list_scope(ledger, run, [one for one in grants if one.key.account == ACCOUNT])
    list_scope(ledger, run, [one for one in grants if one.key.account != ACCOUNT])
    list_scope(ledger, begin(ledger, "manual__2"), [one for one in grants if one.key.account == ACCOUNT])
    for chosen, holders, kinds in product(
        ([], resources[:1], resources[1:3], resources), ([], principals[:1], principals[1:3]), ([], ["group"])
    ):
        near = Near(chosen, holders, kinds)
        wanted = sorted(one.grant_id for one in grants if one.key.account == ACCOUNT and near.has(one))
        found = list(ledger.snapshot.grants_on(run.run_id, SYSTEM, ACCOUNT, *near))
        assert [one.grant_id for one in found] == wanted
        assert all(one in grants for one in found)
    assert list(ledger.snapshot.grants_on(run.run_id, "dms_permissions", ACCOUNT, resources, principals)) == []


def test_listing_a_scope_again_replaces_it(ledger: Ledger) -> None:
    run = begin(ledger)
    list_scope(ledger, run, [grant(1), grant(2)])
    list_scope(ledger, run, [grant(2), grant(3)])
    assert {one.grant_id for one in ledger.snapshot.grants(run.run_id)} == {grant(2).grant_id, grant(3).grant_id}


def test_a_try_that_fails_leaves_what_was_there(ledger: Ledger) -> None:
    run = begin(ledger)
    scope_id = list_scope(ledger, run, [grant(1)])
    before = ledger.scopes.get(run.run_id, scope_id)

    def breaks() -> Iterator[Grant]:
        yield grant(2)
        raise RuntimeError("the listing broke")

    with pytest.raises(RuntimeError, match="the listing broke"):
        ledger.snapshot.replace_scope(run.run_id, scope_id, breaks(), [], [], certificate(1))
    with pytest.raises(RecordConflictError, match="twice"):
        ledger.snapshot.replace_scope(run.run_id, scope_id, [grant(2), grant(2)], [], [], certificate(2))
    assert [one.grant_id for one in ledger.snapshot.grants(run.run_id)] == [grant(1).grant_id]
    assert ledger.scopes.get(run.run_id, scope_id) == before


def test_two_scopes_of_a_run_may_not_overlap(ledger: Ledger) -> None:
    run = begin(ledger)
    list_scope(ledger, run, [grant(1)], part="one")
    with pytest.raises(RecordConflictError, match="must not overlap"):
        list_scope(ledger, run, [grant(1)], part="two")


def test_a_complete_listing_whose_numbers_disagree_is_refused(ledger: Ledger) -> None:
    run = begin(ledger)
    spec = ScopeSpec(SYSTEM, ACCOUNT)
    ledger.scopes.open(run.run_id, [spec])
    with pytest.raises(LedgerError, match="counted 3 grants and added 1"):
        ledger.snapshot.replace_scope(run.run_id, spec.scope_id, [grant(1)], [], [], certificate(3))
    short = ledger.snapshot.replace_scope(
        run.run_id, spec.scope_id, [grant(1)], [], [], certificate(3, complete=False, missing="3 declared, 1 read")
    )
    assert (short.state, short.missing, short.counted) == ("incomplete", "3 declared, 1 read", 3)


def test_opening_is_repeatable_and_keeps_what_was_listed(ledger: Ledger) -> None:
    run = begin(ledger)
    scope_id = list_scope(ledger, run, [grant(1)])
    again = ledger.scopes.open(run.run_id, [ScopeSpec(SYSTEM, ACCOUNT, "", "quickbi_default"), ScopeSpec(SYSTEM, "b")])
    assert [(scope.scope_id == scope_id, scope.state) for scope in again] == [(True, "complete"), (False, "pending")]


def test_certificates_come_back(ledger: Ledger) -> None:
    run = begin(ledger)
    spec = ScopeSpec(SYSTEM, ACCOUNT, "portal-1", "quickbi_default")
    ledger.scopes.open(run.run_id, [spec])
    began = datetime(2026, 1, 1, tzinfo=UTC)
    notes = {"second pass": "same"}
    given = certificate(
        0,
        declared=0,
        duplicates=2,
        dangling=1,
        page_digests=["aa", "bb"],
        notes=notes,
        started_at=began,
    )
    scope = ledger.snapshot.replace_scope(run.run_id, spec.scope_id, [], [], [], given)
    assert (scope.identity, scope.query, scope.pages) == (given.identity, given.query, given.pages)
    assert (scope.declared, scope.duplicates, scope.dangling, scope.page_digests) == (0, 2, 1, ("aa", "bb"))
    assert (scope.notes, scope.started_at, scope.conn_id) == ({"second pass": "same"}, began, "quickbi_default")
    assert scope.ended_at is not None
    assert ledger.scopes.get(run.run_id, spec.scope_id) == scope


def test_a_failed_scope_keeps_no_rows_and_says_why(ledger: Ledger) -> None:
    run = begin(ledger)
    scope_id = list_scope(ledger, run, [grant(1)])
    failed = ledger.scopes.fail(run.run_id, scope_id, "page 3 of 7 did not come")
    assert (failed.state, failed.error, failed.counted) == ("incomplete", "page 3 of 7 did not come", 0)
    assert list(ledger.snapshot.grants(run.run_id)) == []


def test_sealing_says_which_system_is_complete(ledger: Ledger) -> None:
    run = begin(ledger)
    list_scope(ledger, run, [grant(1)], part="one")
    list_scope(ledger, run, [grant(2)], part="two", complete=False)
    list_scope(ledger, run, [grant(3, account="b")])
    ledger.scopes.open(run.run_id, [ScopeSpec(SYSTEM, "never listed")])
    sealed = ledger.scopes.seal(run.run_id)
    assert sealed.complete == {(SYSTEM, ACCOUNT): False, (SYSTEM, "b"): True, (SYSTEM, "never listed"): False}
    assert ledger.runs.get(run.run_id).snapshot_digest == sealed.digest
    counts = {count.account: count for count in ledger.snapshot.counts(run.run_id)}
    assert (counts[ACCOUNT].grants, counts[ACCOUNT].scopes, counts[ACCOUNT].complete) == (2, 2, False)
    assert (counts["b"].grants, counts["b"].revocable, counts["b"].complete) == (1, 1, True)
    assert counts["never listed"].grants == 0


def test_the_snapshot_digest_names_the_content_and_not_the_order(ledger: Ledger) -> None:
    digests = []
    for name, grants in (
        ("a", [grant(1), grant(2), grant(3)]),
        ("b", [grant(3), grant(1), grant(2)]),
        ("c", [grant(1), grant(2)]),
    ):
        run = begin(ledger, name)
        list_scope(ledger, run, grants)
        digests.append(ledger.scopes.seal(run.run_id).digest)
        assert ledger.scopes.seal(run.run_id).digest == digests[-1]
    assert digests[0] == digests[1]
    assert digests[2] != digests[0]


def test_listing_again_supersedes_a_plan_that_was_not_sent(ledger: Ledger) -> None:
    frozen = frozen_run(ledger)
    list_scope(ledger, frozen.run, [grant(1)])
    assert ledger.plans.find(frozen.run.run_id) is None
    assert ledger.plans.get(frozen.run.run_id, frozen.plan.digest).state == "superseded"
    assert list(ledger.plans.items(frozen.run.run_id)) == []


def test_once_something_was_sent_the_snapshot_stays(ledger: Ledger) -> None:
    ready = ready_run(ledger)
    run_id = ready.run.run_id
    scope_id = ledger.scopes.all(run_id)[0].scope_id
    lease = ledger.batches.claim(run_id, ready.batch_id, "w")
    ledger.attempts.begin(
        lease, ready.call_ids[0], plan_digest=ready.plan.digest, request_digest="d", action="A", version="1"
    )
    before = list(ledger.snapshot.grants(run_id))
    for change in (
        lambda: list_scope(ledger, ready.run, [grant(1)]),
        lambda: ledger.scopes.fail(run_id, scope_id, "x"),
        lambda: ledger.decisions.write(run_id, []),
    ):
        with pytest.raises(SnapshotClosedError, match="Start a new run"):
            change()
    assert list(ledger.snapshot.grants(run_id)) == before
    assert ledger.plans.get(run_id).digest == ready.plan.digest


MEMORY = """
import resource, sys
from rescind.ledger import Certificate, Ledger, NewRun, ScopeSpec
from rescind.model import Cell, Grant, GrantKey

def grants(count):
    for number in range(count):
        key = GrantKey("quickbi_menus", "acc", "menu", f"portal/{number % 997}", "user", f"{number:032x}", "view")
        yield Grant(key, Cell("portal", str(number % 997), "user", (f"{number:032x}",)), origin=f"User {number}")

def peak():
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024

with Ledger(sys.argv[1]) as ledger:
    spec = ScopeSpec("quickbi_menus", "acc")
    def run(name, count):
        run_id = ledger.runs.begin(NewRun("d", name, "manual", "x")).run_id
        ledger.scopes.open(run_id, [spec])
        ledger.snapshot.replace_scope(run_id, spec.scope_id, grants(count), [], [], Certificate("me", {}, 1, count))
        return sum(1 for _ in ledger.snapshot.grants(run_id))
    assert run("small", 10_000) == 10_000
    before = peak()
    assert run("large", 40_000) == 40_000
    print(peak() - before)
"""


def test_memory_does_not_grow_with_the_number_of_grants(ledger_dsn: str) -> None:
    done = subprocess.run(
        [sys.executable, "-c", MEMORY, ledger_dsn],
        capture_output=True,
        text=True,
        env={"PYTHONPATH": str(Path(__file__).parents[4] / "plugins")},
        check=False,
    )
    assert done.returncode == 0, done.stderr
    # 40,000 grants held in memory would take over 40 MB.
    assert float(done.stdout) < 12
