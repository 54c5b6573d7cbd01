"""Members of Quick BI workspaces, in whole reviews against the emulator."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest

from rescind.systems.quickbi.workspace_members import QuickBiWorkspaceMembers
from tests.support.reviews.review import Review, ReviewBench

pytestmark = pytest.mark.sockets

Bench = Callable[..., ReviewBench]
Place = tuple[str, str, int]
NAME, MENUS = QuickBiWorkspaceMembers.name, "quickbi_menus"
ADMINISTRATOR, DEVELOPER, ANALYST, ORDINARY = 25, 26, 27, 111111113


@pytest.fixture
def bench(bench: Bench) -> Bench:
    """A bench whose reviews cover workspace members, and menus."""
    connections = {NAME: ["quickbi_default"], MENUS: ["quickbi_default"]}
    granting = {NAME: ["quickbi_granting"], MENUS: ["quickbi_granting"]}
    given: dict[str, Any] = {"connections": connections, "granting_connections": granting}
    return lambda **settings: bench("--preset", "tiny", **{**given, **settings})


def members(setup: ReviewBench) -> set[Place]:
    """(workspace, user, role), as the service itself holds them."""
    rows = setup.emulator.get("truth?extra=1")["quickbi_workspace_members"]
    return {(row["workspace_id"], row["user_id"], row["role_id"]) for row in rows}


def mutate(setup: ReviewBench, *operations: dict[str, Any]) -> None:
    setup.emulator.post("mutate", {"ops": list(operations)})


def somebody(setup: ReviewBench, *, role: int = ANALYST) -> tuple[str, str]:
    """An ordinary, unprotected person who is in exactly one workspace, with this role: (user, workspace)."""
    protected = {ident for ids in setup.emulator.get("protected")["ids"].values() for ident in ids}
    truth = setup.emulator.get("truth?extra=1")
    owners = {row["owner"] for row in truth["quickbi_workspaces"]} | {row["owner"] for row in truth["quickbi_portals"]}
    people = {user for _, user, _ in members(setup)} - protected - owners
    user = min(people)
    homes = sorted({space for space, _, _ in members(setup)})
    mutate(
        setup,
        *({"op": "workspace_member", "workspace_id": home, "user_id": user, "remove": True} for home in homes),
        {"op": "workspace_member", "workspace_id": homes[0], "user_id": user, "role_id": role},
        {"op": "quickbi_roles", "user_id": user, "role_ids": [ORDINARY]},
    )
    assert (homes[0], user, role) in members(setup)
    return user, homes[0]


def asked(setup: ReviewBench, users: Sequence[str], *systems: str) -> Review:
    """A run that takes these people out of everything."""
    given = {"principals": list(users), "reason": "moved to another team", "systems": list(systems or (NAME,))}
    return setup.run(kind="targets", dry_run=False, **given)


def items(review: Review) -> list[dict[str, Any]]:
    summary = review.report()
    return [json.loads(line) for line in Path(summary["items_file"]).read_text().splitlines()]


def test_exactly_the_planned_memberships_go_and_come_back(bench: Bench) -> None:
    setup = bench()
    user, space = somebody(setup)
    before = members(setup)
    review = asked(setup, [user])
    summary = review.whole()
    assert summary["problems"] == [] and review.gate() == "succeeded"
    assert before - members(setup) == {(space, user, ANALYST)} and not members(setup) - before
    assert [row["verdict"] for row in items(review)] == ["verified_gone"]
    assert {entry["action"] for entry in setup.emulator.writes()} == {"DeleteUserFromWorkspace"}
    with review.ledger() as ledger:
        number = str(ledger.runs.find(review.dag_id, review.run_id).number)
    restored = setup.restore(run=number)
    assert restored.whole()["problems"] == []
    assert members(setup) == before


def test_the_owner_of_a_workspace_is_kept(bench: Bench) -> None:
    setup = bench()
    user, space = somebody(setup)
    mutate(setup, {"op": "workspace_owner", "workspace_id": space, "user_id": user})
    before = members(setup)
    review = asked(setup, [user])
    review.whole()
    assert members(setup) == before and not setup.emulator.writes()


def test_the_last_administrator_of_a_workspace_is_held(bench: Bench) -> None:
    setup = bench()
    user, space = somebody(setup, role=ADMINISTRATOR)
    others = [one for home, one, role in members(setup) if home == space and role == ADMINISTRATOR and one != user]
    mutate(
        setup,
        *({"op": "workspace_role", "workspace_id": space, "user_id": one, "role_id": ANALYST} for one in others),
    )
    before = members(setup)
    review = asked(setup, [user])
    review.whole()
    assert members(setup) == before and not setup.emulator.writes()


def test_an_administrator_of_the_organization_still_reaches_the_workspace(bench: Bench) -> None:
    setup = bench()
    user, _ = somebody(setup)
    mutate(setup, {"op": "quickbi_roles", "user_id": user, "role_ids": [111111111]})
    review = asked(setup, [user])
    review.whole()
    (row,) = items(review)
    assert row["verdict"] == "still_effective" and "organization administrator" in row["remains"]


def through_a_workspace(setup: ReviewBench, role: int) -> tuple[str, str, str, str]:
    """A person with a record on a menu, who reaches it by a role in its workspace too: (user, workspace, ...)."""
    user, space = somebody(setup, role=role)
    truth = setup.emulator.get("truth?extra=1")
    portal = next(row["portal_id"] for row in truth["quickbi_portals"] if row["workspace_id"] == space)
    menu = next(row["menu_id"] for row in truth["quickbi_leaf_menus"] if row["portal_id"] == portal)
    place = {"system": MENUS, "portal_id": portal, "menu_id": menu}
    groups = [row["group_id"] for row in truth["quickbi_group_members"] if row["user_id"] == user]
    mutate(
        setup,
        *({**row, "op": "white_list", "remove": True} for row in truth["quickbi_white_lists"]),
        *({**row, "op": "share", "remove": True} for row in truth["quickbi_shares"]),
        *({"op": "group_member", "group_id": group, "user_id": user, "remove": True} for group in groups),
        *({**row, "op": "revoke", "system": MENUS} for row in truth[MENUS] if row["menu_id"] == menu),
        {"op": "menu_visibility", "portal_id": portal, "menu_id": menu, "show_only_with_access": True},
        {"op": "grant", **place, "receiver_type": 0, "receiver_id": user, "auth_points": 1},
    )
    return user, space, str(portal), str(menu)


@pytest.mark.parametrize(("systems", "verdict"), [((MENUS, NAME), "verified_gone"), ((MENUS,), "still_effective")])
def test_a_developer_who_leaves_the_workspace_no_longer_reaches_its_portals(
    bench: Bench, systems: tuple[str, ...], verdict: str
) -> None:
    setup = bench()
    user, _, _, menu = through_a_workspace(setup, DEVELOPER)
    review = asked(setup, [user], *systems)
    review.whole()
    (row,) = [one for one in items(review) if one["system"] == MENUS and one["resource_id"] == menu]
    assert row["verdict"] == verdict, row
    assert verdict == "verified_gone" or "workspace developer" in row["remains"]


@pytest.mark.parametrize("action", ["QueryWorkspaceUserList", "ListWorkspaceUserRolesByUserId"])
def test_a_listing_that_fails_proves_nothing(bench: Bench, action: str) -> None:
    setup = bench()
    user, _ = somebody(setup)
    review = asked(setup, [user])
    review.through_plan()
    review.approve()
    review.revoke()
    failing = {"id": "bad", "action": action, "times": 0, "kind": "null", "path": "Result"}
    setup.emulator.post("faults", {"faults": [failing], "replace": True})
    review.verify()
    assert {row["verdict"] for row in items(review)} == {"unverified"}


CUSTOM = 901


def _custom_role(setup: ReviewBench, user: str, space: str, *, role: int = ANALYST) -> None:
    roles = [{"WorkspaceId": space, "WorkspaceName": "", "RoleModel": {"RoleId": str(one)}} for one in (role, CUSTOM)]
    fault = {"id": "role", "action": "ListWorkspaceUserRolesByUserId", "where": {"UserId": user}, "times": 0}
    setup.emulator.post("faults", {"faults": [{**fault, "kind": "set", "path": "Result", "value": roles}]})


def _higher_role(setup: ReviewBench, user: str, space: str) -> None:
    mutate(setup, {"op": "workspace_role", "workspace_id": space, "user_id": user, "role_id": DEVELOPER})


@pytest.mark.parametrize("given", [_custom_role, _higher_role])
def test_a_role_that_was_given_after_the_approval_is_not_taken_away(
    bench: Bench, given: Callable[[ReviewBench, str, str], None]
) -> None:
    setup = bench()
    user, space = somebody(setup)
    review = asked(setup, [user])
    review.through_plan()
    review.approve()
    given(setup, user, space)
    before = members(setup)
    review.revoke()
    assert members(setup) == before and not setup.emulator.writes()
    review.verify()
    review.report()
    with review.ledger() as ledger:
        run = ledger.runs.find(review.dag_id, review.run_id)
        (item,) = ledger.plans.items(run.run_id)
        (call,) = ledger.plans.calls(run.run_id)
    assert (item.state, call.state) == ("stale", "skipped")
    assert "the call would end" in item.reason, item.reason


def test_a_membership_that_ended_meanwhile_is_already_absent(bench: Bench) -> None:
    setup = bench()
    user, space = somebody(setup)
    review = asked(setup, [user])
    review.through_plan()
    review.approve()
    mutate(setup, {"op": "workspace_member", "workspace_id": space, "user_id": user, "remove": True})
    review.revoke()
    review.verify()
    assert [row["verdict"] for row in items(review)] == ["verified_gone"]


def test_nothing_is_sent_while_the_own_list_of_a_member_cannot_be_read(bench: Bench) -> None:
    setup = bench()
    user, _ = somebody(setup)
    before = members(setup)
    review = asked(setup, [user])
    review.through_plan()
    review.approve()
    failing = {"id": "bad", "action": "ListWorkspaceUserRolesByUserId", "times": 0, "kind": "null", "path": "Result"}
    setup.emulator.post("faults", {"faults": [failing], "replace": True})
    with pytest.raises(Exception, match="ListWorkspaceUserRolesByUserId"):
        review.revoke()
    assert members(setup) == before and not setup.emulator.writes()
