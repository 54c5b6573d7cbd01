"""Members of Quick BI user groups, in whole reviews against the emulator; what a forgotten line of a system does."""

from __future__ import annotations

import dataclasses
import json
import re
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar

import pytest

from rescind.cloud import guard
from rescind.cloud.base import Bucket, Prepared
from rescind.cloud.quickbi.members import AddUserGroupMembers, DeleteUserGroupMembers
from rescind.errors import BlastRadiusExceededError, InputError
from rescind.systems import REGISTRY, default_connections, form_labels
from rescind.systems.quickbi.group_members import QuickBiGroupMembers
from tests.support.reviews.review import Restore, Review, ReviewBench
from tests.support.servers.emulator import ROOT

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


def test_what_was_taken_away_is_restored(bench: Bench) -> None:
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


MENUS = "quickbi_menus"
BOTH = {NAME: ["quickbi_default"], MENUS: ["quickbi_default"]}


def only_through_a_group(setup: ReviewBench) -> tuple[str, str, str]:
    """A person with a record on a menu, whose one group has a record too: (user, group, menu)."""
    truth = setup.emulator.get("truth?extra=1")
    user, other = busiest(setup, 2)
    portal, menu = min((row["portal_id"], row["menu_id"]) for row in truth["quickbi_leaf_menus"])
    home = next(row["workspace_id"] for row in truth["quickbi_portals"] if row["portal_id"] == portal)
    closed = [
        *({**row, "op": "white_list", "remove": True} for row in truth["quickbi_white_lists"]),
        *({**row, "op": "share", "remove": True} for row in truth["quickbi_shares"]),
        {"op": "portal_owner", "portal_id": portal, "user_id": other},
        {"op": "workspace_owner", "workspace_id": home, "user_id": other},
        {"op": "workspace_member", "workspace_id": home, "user_id": user, "remove": True},
        {"op": "quickbi_roles", "user_id": user, "role_ids": [111111113]},
    ]
    groups = sorted(group for group, member in members(setup) if member == user)
    nested = {row["group_id"] for row in truth["quickbi_group_members"] if row["parent"] != "-1"}
    group = next(group for group in sorted({g for g, _ in members(setup)}) if group not in nested)
    place = {"system": MENUS, "portal_id": portal, "menu_id": menu}
    wide = [row for row in truth[MENUS] if (row["portal_id"], row["menu_id"]) == (portal, menu)]
    setup.emulator.post(
        "mutate",
        {
            "ops": [
                *closed,
                *({"op": "group_member", "group_id": one, "user_id": user, "remove": True} for one in groups),
                {"op": "group_member", "group_id": group, "user_id": user},
                *({**row, "op": "revoke", "system": MENUS} for row in wide),
                {"op": "menu_visibility", "portal_id": portal, "menu_id": menu, "show_only_with_access": True},
                {"op": "grant", **place, "receiver_type": 0, "receiver_id": user, "auth_points": 1},
                {"op": "grant", **place, "receiver_type": 1, "receiver_id": group, "auth_points": 1},
            ]
        },
    )
    return user, group, menu


def on_menu(review: Review, menu: str) -> dict[str, Any]:
    (row,) = [one for one in items(review.report()) if one["system"] == MENUS and one["resource_id"] == menu]
    return row


def test_a_person_who_leaves_the_group_in_the_same_run_has_no_access_left(bench: Bench) -> None:
    setup = bench(connections=BOTH)
    user, group, menu = only_through_a_group(setup)
    review = asked(setup, [user], systems=[MENUS, NAME])
    review.whole()
    assert (group, user) not in members(setup)
    row = on_menu(review, menu)
    assert row["verdict"] == "verified_gone", row


def test_a_person_who_stays_in_the_group_keeps_the_access(bench: Bench) -> None:
    setup = bench(connections=BOTH)
    user, group, menu = only_through_a_group(setup)
    review = asked(setup, [user], systems=[MENUS])
    review.whole()
    row = on_menu(review, menu)
    assert row["verdict"] == "still_effective" and f"group {group}" in row["remains"], row


@pytest.mark.parametrize(("both", "verdict"), [(True, "verified_gone"), (False, "record_gone")])
def test_a_membership_that_ended_meanwhile_counts_when_both_listings_lack_it(
    bench: Bench, both: bool, verdict: str
) -> None:
    setup = bench(connections=BOTH)
    user, group, menu = only_through_a_group(setup)
    review = asked(setup, [user], systems=[MENUS])
    review.through_plan()
    review.approve()
    review.revoke()
    setup.emulator.post("mutate", {"ops": [{"op": "group_member", "group_id": group, "user_id": user, "remove": True}]})
    if not both:
        failing = {"id": "bad", "action": "ListUserGroupsByUserId", "times": 0, "kind": "null", "path": "Result"}
        setup.emulator.post("faults", {"faults": [failing], "replace": True})
    review.verify()
    assert on_menu(review, menu)["verdict"] == verdict


@pytest.mark.sockets
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
def test_listings_that_fail_are_never_gone(bench: Bench, fault: dict[str, Any]) -> None:
    setup = bench()
    review = asked(setup, busiest(setup))
    review.through_plan()
    review.approve()
    review.revoke()
    actions = ("QueryUserGroupMember", "ListUserGroupsByUserId")
    scripts = [{"id": action, "action": action, "times": 0, **fault} for action in actions]
    setup.emulator.post("faults", {"faults": scripts, "replace": True})
    review.verify()
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

    def remove(self, containers: tuple[str, ...], members: tuple[str, ...], group: str) -> DeleteUserGroupMembers:
        return super().remove((*containers, "one-more"), members, group)


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


class _Generous(QuickBiGroupMembers):
    """Its requests to restore name one group more than was approved, or one less."""

    def __init__(self, change: int) -> None:
        self._change = change

    def add(
        self, containers: tuple[str, ...], members: tuple[str, ...], like: Mapping[str, Any]
    ) -> AddUserGroupMembers:
        named = (*containers, "one-more") if self._change > 0 else containers[:-1]
        return super().add(named, members, like)


@pytest.mark.parametrize(
    ("change", "message"),
    [(1, "would grant 1 grants that were not approved, or lack 0"), (-1, "would grant 0 .*, or lack 1")],
)
def test_a_request_that_would_restore_other_than_approved_is_not_sent(
    bench: Bench, monkeypatch: pytest.MonkeyPatch, change: int, message: str
) -> None:
    setup = bench()
    review = asked(setup, busiest(setup, 1))
    assert review.whole()["problems"] == []
    before, writes = members(setup), len(setup.emulator.writes())
    monkeypatch.setitem(REGISTRY, NAME, _Generous(change))
    restore = setup.restore(run="1")
    restore.through_plan()
    restore.approve()
    with pytest.raises(Exception, match=f"BlastRadiusExceededError: the final AddUserGroupMembers {message}"):
        restore.revoke()
    restore.verify()
    assert {row["state"] for row in items(restore.report())} == {"approved"}
    assert members(setup) == before and len(setup.emulator.writes()) == writes


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
    for name, system in REGISTRY.items():
        assert {system.revoke_message.action, system.restore_message.action} <= {action for _, action in guard._WRITES}
        assert system.name == name and system.id_spaces and system.title and form_labels()[name]
    code = ROOT / "plugins/rescind"
    key = re.compile(rf'^\s+"({"|".join(REGISTRY)})":', re.MULTILINE)
    found = {str(path.relative_to(code)) for path in code.rglob("*.py") if key.search(path.read_text(encoding="utf-8"))}
    assert found == {"systems/__init__.py"}
    document = (ROOT / "docs/adding-a-system.md").read_text(encoding="utf-8")
    tables = ("systems/__init__.py", "cloud/guard.py", "cloud/write_rules/")
    assert [name for name in tables if f"`{name}`" not in document] == []


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
