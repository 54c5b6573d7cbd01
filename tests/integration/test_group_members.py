"""Members of Quick BI user groups, in whole reviews against the emulator; what a forgotten line of a system does."""

from __future__ import annotations

import dataclasses
import json
import re
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, ClassVar

import pytest

from rescind.cloud import guard
from rescind.cloud.base import Bucket, Prepared
from rescind.cloud.quickbi.groups import DeleteUserGroupMembers
from rescind.errors import BlastRadiusExceededError, InputError
from rescind.systems import REGISTRY, default_connections
from rescind.systems.quickbi.group_members import QuickBiGroupMembers
from tests.support.emulator import ROOT
from tests.support.review import Restore, Review, ReviewBench

Bench = Callable[..., ReviewBench]
Pair = tuple[str, str]
NAME = QuickBiGroupMembers.name


CONNECTIONS = {NAME: ["quickbi_default"]}


@pytest.fixture
def bench(bench: Bench) -> Bench:
    """A bench whose reviews cover group members."""
    given: dict[str, Any] = {"connections": CONNECTIONS, "granting_connections": {NAME: ["quickbi_granting"]}}
    return lambda **settings: bench("--preset", "tiny", "--size", "groups=6", **{**given, **settings})


def members(setup: ReviewBench) -> set[Pair]:
    """(group, user), as the service itself holds them."""
    rows = setup.emulator.get("truth?extra=1")["quickbi_group_members"]
    return {(row["group_id"], row["user_id"]) for row in rows}


def busiest(setup: ReviewBench, count: int = 2) -> list[str]:
    """Unprotected people with the most groups."""
    protected = {ident for ids in setup.emulator.get("protected")["ids"].values() for ident in ids}
    held: dict[str, int] = {}
    for _, user in members(setup):
        held[user] = held.get(user, 0) + (user not in protected)
    return sorted(held, key=lambda user: (-held[user], user))[:count]


def asked(setup: ReviewBench, users: Sequence[str], **more: Any) -> Review:
    """A run that takes these people out of all groups."""
    given = {"principals": list(users), "reason": "moved to another team", "systems": [NAME], **more}
    return setup.run(kind="targets", **{"dry_run": False, **given})


def items(summary: dict[str, Any]) -> list[dict[str, Any]]:
    return [json.loads(line) for line in Path(summary["items_file"]).read_text().splitlines()]


def test_a_whole_review_takes_exactly_the_planned_memberships_away_and_proves_it(bench: Bench) -> None:
    setup = bench()
    before, users = members(setup), busiest(setup)
    wanted = {(group, user) for group, user in before if user in users}
    assert len(wanted) > len(users)
    review = asked(setup, users)
    summary = review.whole()

    assert summary["problems"] == [] and review.gate() == "succeeded"
    assert before - members(setup) == wanted and not members(setup) - before
    (row,) = summary["systems"]
    assert row["verified_gone"] == row["items"] == len(wanted)
    assert row["kept_compared"] > 0 and row["kept_lost"] == 0
    writes = setup.emulator.writes()
    assert {entry["action"] for entry in writes} == {"DeleteUserGroupMembers"}
    assert len(writes) == summary["calls"] == len(users)
    assert QuickBiGroupMembers.title in Path(summary["report"]).read_text(encoding="utf-8")


def test_the_policy_finds_people_who_left_by_the_roster(bench: Bench) -> None:
    setup = bench()
    left = {p["quickbi_user_id"] for p in setup.emulator.get("org")["people"] if p["status"] == "left"}
    before = members(setup)
    wanted = {(group, user) for group, user in before if user in left}
    assert wanted
    setup.run(systems=[NAME], dry_run=False).whole()
    assert before - members(setup) == wanted


def test_what_was_taken_away_is_given_back(bench: Bench) -> None:
    setup = bench()
    before = members(setup)
    review = asked(setup, busiest(setup))
    review.whole()
    assert members(setup) != before
    with review.ledger() as ledger:
        number = str(ledger.runs.find(review.dag_id, review.run_id).number)
    restore: Restore = setup.restore(run=number)
    summary = restore.whole()
    assert summary["problems"] == [] and restore.gate() == "succeeded"
    assert members(setup) == before


@pytest.mark.parametrize(
    "fault",
    [
        {"kind": "error", "code": "Internal.Error", "status": 400},
        {"kind": "null", "path": "Result"},
        {"kind": "drop", "path": "Result"},
        {"kind": "truncate", "mode": "closed", "keep": 0.5},
    ],
    ids=lambda fault: fault["kind"],
)
def test_a_listing_that_fails_is_never_gone(bench: Bench, fault: dict[str, Any]) -> None:
    setup = bench()
    review = asked(setup, busiest(setup))
    review.through_plan()
    review.approve()
    review.revoke()
    script = {"id": "bad", "action": "QueryUserGroupMember", "times": 0, **fault}
    setup.emulator.post("faults", {"faults": [script], "replace": True})
    review.verify()
    assert setup.emulator.get("faults")["all_fired"]
    summary = review.report()
    assert {row["verdict"] for row in items(summary)} == {"unverified"}
    (row,) = summary["systems"]
    assert row["verified_gone"] == row["already_absent"] == 0 and summary["problems"]
    with pytest.raises(Exception, match="not proven gone"):
        review.gate()


def test_a_discovery_that_fails_plans_nothing(bench: Bench) -> None:
    setup = bench()
    review = asked(setup, busiest(setup))
    review.preflight()
    script = {"id": "bad", "action": "QueryUserGroupMember", "kind": "null", "path": "Result", "calls": [3]}
    setup.emulator.post("faults", {"faults": [script], "replace": True})
    with pytest.raises(Exception, match="QueryUserGroupMember"):
        review.discover()
    with pytest.raises(Exception, match="complete"):
        review.plan()
    assert not setup.emulator.writes()


@pytest.mark.parametrize(
    ("table", "line", "message"),
    [
        (REGISTRY, NAME, "systems"),
        (guard._WRITES, ("quickbi", "DeleteUserGroupMembers"), "not a write that this tool makes"),
    ],
    ids=["registry", "guard"],
)
@pytest.mark.parametrize("kind", ["policy", "targets"])
def test_a_line_that_was_forgotten_sends_nothing(
    bench: Bench, monkeypatch: pytest.MonkeyPatch, table: Any, line: Any, message: str, kind: str
) -> None:
    setup = bench()
    monkeypatch.delitem(table, line)
    review = asked(setup, busiest(setup)) if kind == "targets" else setup.run(systems=[NAME], dry_run=False)
    with pytest.raises(Exception, match=message):
        review.whole()
    assert not setup.emulator.writes()


class _Nameless(QuickBiGroupMembers):
    """Its author forgot which ids of people it has."""

    id_spaces: ClassVar[tuple[str, ...]] = ()


@pytest.mark.parametrize("kind", ["policy", "targets"])
def test_a_system_without_id_spaces_stops_preflight(bench: Bench, monkeypatch: pytest.MonkeyPatch, kind: str) -> None:
    setup = bench()
    monkeypatch.setitem(REGISTRY, NAME, _Nameless())
    review = asked(setup, busiest(setup)) if kind == "targets" else setup.run(systems=[NAME], dry_run=False)
    with pytest.raises(Exception, match=r"no id spaces|unknown system"):
        review.preflight()
    assert not setup.emulator.writes()


def test_it_is_reviewed_only_where_the_settings_name_a_connection(bench: Bench) -> None:
    setup = bench(connections={"quickbi_menus": ["quickbi_default"]})
    assert NAME not in default_connections()
    with pytest.raises(Exception, match=f"no connection is configured for '{NAME}'"):
        asked(setup, busiest(setup)).preflight()


class _Greedy(QuickBiGroupMembers):
    """Its requests name one group more than the plan."""

    def remove(self, containers: tuple[str, ...], members: tuple[str, ...], entitlement: str) -> DeleteUserGroupMembers:
        return super().remove((*containers, "one-more"), members, entitlement)


def test_a_request_that_would_hit_more_than_planned_is_not_sent(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    setup = bench()
    before = members(setup)
    monkeypatch.setitem(REGISTRY, NAME, _Greedy())
    review = asked(setup, busiest(setup))
    review.through_plan()
    review.approve()
    with pytest.raises(Exception, match=r"BlastRadiusExceededError: .*not approved.*'one-more'"):
        review.revoke()
    review.verify()
    assert {row["verdict"] for row in items(review.report())} == {"still_present"}
    with pytest.raises(Exception, match="not proven gone"):
        review.gate()
    assert members(setup) == before and not setup.emulator.writes()


@pytest.mark.parametrize(
    "query",
    [
        "UserId=u",
        "UserGroupIds=g",
        "UserGroupIds=&UserId=u",
        "UserGroupIds=g,&UserId=u",
        "UserGroupIds=g&UserId=",
        "UserGroupIds=g&UserId=u,v",
        "UserGroupIds=g&UserId=u&UserId=v",
        "UserGroupIds=g&UserId=u&All=true",
        "",
    ],
)
def test_final_bytes_without_exactly_one_user_and_its_groups_are_refused(query: str) -> None:
    prepared = _prepared(query)
    with pytest.raises(BlastRadiusExceededError):
        REGISTRY[NAME].blast_radius(prepared)
    with pytest.raises((BlastRadiusExceededError, InputError)):
        guard.check(prepared)
    whole = _prepared("UserGroupIds=g,h&UserId=u")
    guard.check(whole)
    assert len(REGISTRY[NAME].blast_radius(whole)) == 2
    with pytest.raises(BlastRadiusExceededError):
        guard.check(dataclasses.replace(whole, action="WithdrawAllUserGroups", headers={}))


def test_the_tables_that_the_document_names_are_all_there_are() -> None:
    """Registry and guard know every system; no further module of the package has a table of systems."""
    for system in REGISTRY.values():
        assert {system.revoke_message.action, system.restore_message.action} <= {action for _, action in guard._WRITES}
        assert system.id_spaces and system.title and system.form_label
    code = ROOT / "plugins/rescind"
    key = re.compile(rf'^\s+"({"|".join(REGISTRY)})":', re.MULTILINE)
    found = {str(path.relative_to(code)) for path in code.rglob("*.py") if key.search(path.read_text(encoding="utf-8"))}
    assert found == set()
    document = (ROOT / "docs/adding-a-system.md").read_text(encoding="utf-8")
    assert [name for name in ("systems/__init__.py", "cloud/guard.py") if f"`{name}`" not in document] == []


def _prepared(query: str) -> Prepared[Any]:
    return Prepared(
        vendor="alibaba",
        service="quickbi",
        action="DeleteUserGroupMembers",
        version="2022-01-01",
        write=True,
        method="POST",
        url=f"https://example.invalid/?{query}",
        headers={"x-acs-action": "DeleteUserGroupMembers"},
        body=b"",
        bucket=Bucket("alibaba", "a", "r", "DeleteUserGroupMembers", 50.0),
        request=DeleteUserGroupMembers(UserGroupIds=("g",), UserId="u"),
    )
