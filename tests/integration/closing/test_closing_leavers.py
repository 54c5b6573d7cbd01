"""A leaver with every kind of way that a system takes away ends at zero access, judged by the independent oracle."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest

from tests.integration.closing.test_closing_worlds import ENABLED, SPACES, organization, space_of
from tests.support.oracle import effective
from tests.support.oracle.members import planted_members
from tests.support.oracle.organizations import planted
from tests.support.oracle.reach import Reached, lost, reach
from tests.support.oracle.ways import Dump
from tests.support.reviews.journal_check import as_planned, journal_problems
from tests.support.reviews.review import ReviewBench
from tests.support.reviews.verdicts import items_file

Bench = Callable[..., ReviewBench]
Row = dict[str, Any]
LEAVER_KINDS = {
    "quickbi_menus": {"direct", "group", "group_nested", "share", "workspace_admin", "workspace_developer"},
    "dms_permissions": {"proxy", "record_above", "policy", "policy_role", "role_dba"},
    "wedata_privileges": {"inherited", "broader", "project", "role"},
    "wedata_data_sources": {"other_entry", "project", "creating_project", "administrator"},
    "quickbi_group_members": {"direct", "group_nested"}, "quickbi_workspace_members": {"direct"},
    "quickbi_shares": {"direct", "group", "workspace_member", "menu"}, "dms_proxy_accesses": {"direct"},
    "dms_accounts": {"direct", "proxy"}, "wedata_project_roles": {"direct", "administrator"},
    "quickbi_work_authorizations": {"direct", "group", "share", "workspace_member"},
    "quickbi_dataset_whitelists": {"direct", "group"}, "dms_abac_authorizations": {"direct", "policy_role"},
    "wedata_studio_permissions": {"direct", "inherited", "role"},
}  # fmt: skip
"""Ways that the leaver has: each that a system takes away."""
OPEN_TO_ALL = {"everyone", "organization", "open_menu", "menu", "security_off", "no_rule"}
"""Ways of everybody; a portal whose menu is open to all is open by that menu."""


def leaver_of(setup: ReviewBench, world: Row, seed: int) -> Row:
    """A leaver who has every way that a system takes away."""
    leaver: Row = next(
        one for one in world["people"]
        if one["status"] == "left" and one["kind"] == "human" and not one["protected"]
        and all(one[space] for space in SPACES)
    )  # fmt: skip
    for way in [*planted(world, seed), *planted_members(world, seed)]:
        if way.kind in LEAVER_KINDS.get(way.system, ()):
            text = json.dumps(way.operations)
            for space in SPACES:
                text = text.replace(str(way.person[space]), str(leaver[space]))
            setup.emulator.post("mutate", {"actor": "somebody", "ops": json.loads(text)})
    handed_over(setup, leaver)
    return leaver


def handed_over(setup: ReviewBench, leaver: Row) -> None:
    """Somebody else gets what no system hands over, and holds the administrations that the leaver held alone."""
    world = setup.emulator.get("world")
    other = next(one for one in world["people"] if one["status"] == "active" and all(one[space] for space in SPACES))
    user, heir = leaver["quickbi_user_id"], other["quickbi_user_id"]
    ops: list[Row] = [{"op": "quickbi_roles", "user_id": user, "role_ids": [111111113]}]
    dms, uin, to = leaver["dms_user_id"], leaver["wedata_uin"], {"user_id": heir}
    other_dms, other_uin = {"user_id": other["dms_user_id"]}, {"user_uin": other["wedata_uin"]}
    for kind, columns, names, op, given in (
        ("quickbi_workspaces", ("owner",), ("workspace_id",), "workspace_owner", to),
        ("quickbi_portals", ("owner",), ("portal_id",), "portal_owner", to),
        ("quickbi_works", ("owner",), ("works_id",), "work_owner", to),
        ("quickbi_white_lists", ("receiver_id",), ("portal_id", "receiver_type", "receiver_id"), "white_list",
         {"remove": True}),
        ("dms_instances", ("dba",), ("instance_id",), "dms_dba", other_dms),
        ("wedata_projects", ("owner_uin",), ("project_id",), "project_owner", {**other_uin, "creator": False}),
        ("wedata_projects", ("creator_uin",), ("project_id",), "project_owner", {**other_uin, "creator": True}),
        ("wedata_data_source_sharing", ("creator_uin",), ("data_source_id",), "data_source_creator", other_uin),
        ("wedata_studio_nodes", ("owner_uin",), ("node_id",), "studio_node", other_uin),
        ("wedata_tenant_role_holders", ("user_uin",), ("role_id", "user_uin"), "tenant_role", {"remove": True}),
    ):  # fmt: skip
        mine = (row for row in world[kind] if {row[one] for one in columns} & {user, dms, uin})
        ops += [{"op": op, **{name: row[name] for name in names}, **given} for row in mine]
    ops += [{**row, "op": "project_member", **other_uin} for row in world["wedata_project_roles"]
            if row["user_uin"] == uin]  # fmt: skip
    owned = [row for row in world["dms_owners"] if row["user_id"] == dms]
    ops += [{**row, "op": "dms_owner", "remove": True} for row in owned]
    ops += [
        {**row, "op": "grant", "system": "wedata_privileges", "subject_value": other["wedata_user_id"]}
        for row in world["wedata_privileges"]
        if row["subject_value"] == leaver["wedata_user_id"]
        and row["privilege"] in ("ALL_PRIVILEGES", "GRANT_PRIVILEGES")
    ]
    setup.emulator.post("mutate", {"actor": "somebody", "ops": ops})


def reached_by(world: Row, person: Row) -> set[Reached]:
    """What one person reaches, but not what is open to everybody, nor by a role of a disabled account."""
    found = reach({**world, "people": [person]}, world)
    dump = Dump(world)

    disabled = dump.has("dms_users", user_id=person["dms_user_id"], state="DISABLE")
    useless = OPEN_TO_ALL | ({"policy_role"} if disabled else set())

    def own(one: Reached) -> bool:
        ways = effective(dump, one.system, person[space_of(one.system)], one.on, one.right)
        return bool({way.kind for way in ways} - useless)

    return {one for one in found if one.system in ENABLED and own(one)}


def left(bench: Bench, seed: int, *sizes: str, back: bool = True) -> tuple[int, set[Reached]]:
    """One organization in which a leaver with every kind of way ends at zero, and nobody else loses anything.

    A second run is held only where access stays: an authorization that the platform refuses to end while a group has
    it too, or a workflow whose folder is held with the same permission. Both are free when the first run is over.

    :param back: whether a restore has to bring everything back.
    :returns: how many runs it took, and what the leaver had.
    """
    setup, world = organization(bench, seed, *sizes)
    leaver = leaver_of(setup, world, seed)
    had: set[Reached] = set()
    for number in (1, 2, 3):
        review = setup.run(f"manual__{number}", systems=ENABLED, dry_run=False, close_paths="own", max_percent=100)
        summary = review.whole()
        before, after = review.worlds["discovered"], review.worlds["verified"]
        had = had or faithful(before, leaver)
        leavers = {one["person_id"] for one in world["people"] if one["status"] == "left"}
        assert lost(before, after, leavers) == []
        stays = reached_by(after, leaver)
        assert number > 1 or journal_problems(review) == []
        if not refused(summary):
            as_planned(review, summary)
        if not stays:
            break
    assert stays == set()
    for run in range(1, number + 1) if back else ():
        restore = setup.restore(f"restore__{run}", run=str(run))
        restore.through_plan()
        restore.approve()
        restore.revoke()
        restore.verify()
        restore.close()
    assert not back or had - reached_by(setup.emulator.get("world"), leaver) == set()
    return number, had


def faithful(world: Row, person: Row) -> set[Reached]:
    """What one person reaches otherwise than by a database's own account, whose password a restore would need."""
    opened_again = [row for row in world["dms_proxy_accesses"] if not row["account"]]
    return reached_by({**world, "dms_proxy_accesses": opened_again}, person)


def refused(summary: Row) -> list[Row]:
    """Authorizations that the platform refuses to end while a group has the same: the next run ends them."""
    return [row for row in items_file(summary)
            if row["system"] == "quickbi_work_authorizations" and row["verdict"] == "still_present"]  # fmt: skip


@pytest.mark.seconds(600)
def test_a_leaver_with_every_kind_of_path_ends_at_zero_and_a_restore_brings_it_back(bench: Bench) -> None:
    _, had = left(bench, 1)
    assert {one.system for one in had} == set(ENABLED) - {"quickbi_work_authorizations", "dms_proxy_accesses"}
