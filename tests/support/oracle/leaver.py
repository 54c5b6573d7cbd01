"""A leaver who has every kind of way that a system takes away, planted in an organization of the emulator.

For tests, and for the demonstration of closing paths.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping
from typing import Any, Protocol

from tests.support.oracle.judge import effective
from tests.support.oracle.members import planted_members
from tests.support.oracle.organizations import planted
from tests.support.oracle.reach import Reached, reach
from tests.support.oracle.ways import Dump

Row = dict[str, Any]
SPACES = ("quickbi_user_id", "dms_user_id", "wedata_user_id", "wedata_uin")


class Control(Protocol):
    """The emulator's control interface."""

    def get(self, path: str) -> Any:
        """Return an answer as JSON."""

    def post(self, path: str, body: Mapping[str, Any] | None = None) -> Any:
        """Send a command."""


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


def leaver_of(control: Control, world: Row, seed: int, but: Collection[str] = ()) -> Row:
    """A leaver who has every way that a system takes away.

    :param but: ids of people who are not chosen.
    """
    leaver: Row = next(
        one for one in world["people"]
        if one["status"] == "left" and one["kind"] == "human" and not one["protected"]
        and all(one[space] for space in SPACES) and one["person_id"] not in but
    )  # fmt: skip
    for way in [*planted(world, seed), *planted_members(world, seed)]:
        if way.kind in LEAVER_KINDS.get(way.system, ()):
            text = json.dumps(way.operations)
            for space in SPACES:
                text = text.replace(str(way.person[space]), str(leaver[space]))
            control.post("mutate", {"actor": "somebody", "ops": json.loads(text)})
    handed_over(control, leaver)
    return leaver


def handed_over(control: Control, leaver: Row) -> None:
    """Somebody else gets what no system hands over, and holds the administrations that the leaver held alone."""
    world = control.get("world")
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
    control.post("mutate", {"actor": "somebody", "ops": ops})


def reached_by(world: Row, person: Row, systems: Collection[str]) -> set[Reached]:
    """What one person reaches, but not what is open to everybody, nor by a role of a disabled account."""
    found = reach({**world, "people": [person]}, world)
    dump = Dump(world)

    disabled = dump.has("dms_users", user_id=person["dms_user_id"], state="DISABLE")
    useless = OPEN_TO_ALL | ({"policy_role"} if disabled else set())

    def own(one: Reached) -> bool:
        ways = effective(dump, one.system, person[space_of(one.system)], one.on, one.right)
        return bool({way.kind for way in ways} - useless)

    return {one for one in found if one.system in systems and own(one)}


def space_of(system: str) -> str:
    """Return the id of a person that a system's items carry."""
    ids = {"quickbi": "quickbi_user_id", "dms": "dms_user_id", "wedata": "wedata_user_id"}
    return "wedata_uin" if system == "wedata_project_roles" else ids[system.partition("_")[0]]
