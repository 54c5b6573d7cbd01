"""Memberships, roles, shares and accounts for people of an organization, and ways in that stay beside them.

``planted_members(world, seed)`` gives the operations for ``POST /_control/mutate``, as
:func:`tests.support.oracle.organizations.planted` does for privileges, records and menus.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from tests.support.oracle.organizations import Draw, Operation, Plant, Planted, drawn
from tests.support.oracle.ways import Resource

ADMIN, ORDINARY, OWN_ROLE = 111111111, 111111113, 300200100
PROJECT_ADMINISTRATOR, ENGINEER = "308335260274237440", "308335260676890624"
_FAR = 4_000_000_000_000
_MEMBERS: list[tuple[str, str, Plant]] = []
ID_SPACES = {
    "quickbi_group_members": "quickbi_user_id", "quickbi_workspace_members": "quickbi_user_id",
    "quickbi_shares": "quickbi_user_id", "quickbi_work_authorizations": "quickbi_user_id",
    "quickbi_dataset_whitelists": "quickbi_user_id",
    "quickbi_organization_roles": "quickbi_user_id",
    "dms_abac_authorizations": "dms_user_id",
    "dms_proxy_accesses": "dms_user_id", "dms_accounts": "dms_user_id", "dms_system_roles": "dms_user_id",
    "wedata_project_roles": "wedata_uin", "wedata_studio_permissions": "wedata_user_id",
}  # fmt: skip
"""The id of a person that the items of a system carry."""


def planted_members(world: Mapping[str, Any], seed: int) -> list[Planted]:
    """Each kind once, for people drawn by seed: first the membership, then what stays when it goes."""
    return drawn(Draw(world, random.Random(f"{seed}/members")), _MEMBERS)


def place_of(one: Planted) -> tuple[Resource, str]:
    """What the membership is on, and the role that it gives, for the oracle."""
    row = one.operations[0]
    kinds = {"group_id": "user_group", "workspace_id": "workspace", "works_id": "work", "proxy_id": "proxy",
             "resource_id": "work", "dataset_id": "dataset", "node_id": "node", "policy_id": "policy",
             "project_id": "project"}  # fmt: skip
    found = [Resource(kind, str(row[name])) for name, kind in kinds.items() if name in row]
    role = row.get("role_id", "") if one.system == "wedata_project_roles" else ""
    if one.system in ("quickbi_dataset_whitelists", "wedata_studio_permissions"):
        role = row.get("rule_type") or row["privilege"]
    elif one.system == "quickbi_organization_roles":
        role = row["role_ids"][-1]
    elif one.system == "dms_system_roles":
        role = row["roles"][-1]
    return (found or [Resource("tenant", "3001")])[0], str(role)


def _member(system: str, *kinds: str) -> Callable[[Callable[[Draw, Any, str], list[Operation]]], Any]:
    def register(make: Callable[[Draw, Any, str], list[Operation]]) -> Any:
        for kind in kinds:
            _MEMBERS.append((system, kind, lambda draw, person, kind=kind: make(draw, person, kind)))  # type: ignore[misc]
        return make

    return register


@_member("quickbi_group_members", "direct", "group_nested")
def _groups(draw: Draw, person: Any, kind: str) -> list[Operation]:
    inner = draw.one("quickbi_groups", lambda row: row["parent"] != "-1")
    member = {"op": "group_member", "user_id": person["quickbi_user_id"]}
    above = {**member, "group_id": inner["parent"]}
    return [above] if kind == "direct" else [above, {**member, "group_id": inner["group_id"]}]


@_member("quickbi_workspace_members", "direct", "workspace_owner", "organization_admin")
def _workspaces(draw: Draw, person: Any, kind: str) -> list[Operation]:
    user = person["quickbi_user_id"]
    space = draw.one("quickbi_workspaces", lambda row: row["owner"] != user)["workspace_id"]
    own = {"op": "workspace_member", "workspace_id": space, "user_id": user, "role_id": 27}
    ways: dict[str, list[Operation]] = {
        "direct": [],
        "workspace_owner": [{"op": "workspace_owner", "workspace_id": space, "user_id": user}],
        "organization_admin": [{"op": "quickbi_roles", "user_id": user, "role_ids": [ORDINARY, ADMIN]}],
    }
    return [own, *ways[kind]]


@_member("quickbi_shares", "direct", "group", "work_owner", "portal_owner", "workspace_member", "menu")
def _shares(draw: Draw, person: Any, kind: str) -> list[Operation]:
    user, portal = person["quickbi_user_id"], kind in ("portal_owner", "menu", "direct")
    work = draw.one("quickbi_portals" if portal else "quickbi_works")
    ident = work["portal_id" if portal else "works_id"]
    own = {"op": "share", "works_id": ident, "receiver_type": 0, "receiver_id": user, "expires": _FAR}
    if kind == "direct":
        return [own]
    if kind == "group":
        group = draw.one("quickbi_groups")["group_id"]
        shared = {**own, "receiver_type": 1, "receiver_id": group}
        return [own, shared, {"op": "group_member", "group_id": group, "user_id": user}]
    if kind == "menu":
        menu = draw.one("quickbi_leaf_menus", lambda row: row["portal_id"] == ident)
        return [own, {"op": "grant", "system": "quickbi_menus", **menu, "receiver_type": 0, "receiver_id": user}]
    if kind == "workspace_member":
        return [own, {"op": "workspace_member", "workspace_id": work["workspace_id"], "user_id": user}]
    return [own, {"op": kind, "portal_id" if portal else "works_id": ident, "user_id": user}]


@_member("quickbi_organization_roles", "administrator", "own")
def _roles(draw: Draw, person: Any, kind: str) -> list[Operation]:
    role = ADMIN if kind == "administrator" else OWN_ROLE
    return [{"op": "quickbi_roles", "user_id": person["quickbi_user_id"], "role_ids": [ORDINARY, role]}]


@_member("dms_proxy_accesses", "direct")
def _proxies(draw: Draw, person: Any, kind: str) -> list[Operation]:
    return [{"op": "proxy_access", "proxy_id": draw.one("dms_proxies")["proxy_id"], "user_id": person["dms_user_id"]}]


@_member("dms_accounts", "direct", "proxy")
def _accounts(draw: Draw, person: Any, kind: str) -> list[Operation]:
    enabled = {"op": "dms_user_state", "user_id": person["dms_user_id"], "state": "NORMAL"}
    return [enabled] if kind == "direct" else [enabled, *_proxies(draw, person, kind)]


@_member("dms_system_roles", "DBA", "SECURITY_ADMIN")
def _tenant(draw: Draw, person: Any, kind: str) -> list[Operation]:
    return [{"op": "dms_roles", "user_id": person["dms_user_id"], "roles": ["USER", kind]}]


@_member("wedata_project_roles", "direct", "administrator", "owner", "creator")
def _projects(draw: Draw, person: Any, kind: str) -> list[Operation]:
    uin = person["wedata_uin"]
    project = draw.one("wedata_projects", lambda row: uin not in (row["owner_uin"], row["creator_uin"]))["project_id"]
    role = ENGINEER if kind == "direct" else PROJECT_ADMINISTRATOR
    own = {"op": "project_member", "project_id": project, "user_uin": uin, "role_id": role}
    head = {"op": "project_owner", "project_id": project, "user_uin": uin, "creator": kind == "creator"}
    return [own, head] if kind in ("owner", "creator") else [own]


@_member("quickbi_work_authorizations", "direct", "group", "share", "work_owner", "workspace_member")
def _authorizations(draw: Draw, person: Any, kind: str) -> list[Operation]:
    user, work = person["quickbi_user_id"], draw.one("quickbi_works")
    own = {"op": "work_authorization", "resource_id": work["works_id"], "receiver_type": 0, "receiver_id": user,
           "expires": _FAR}  # fmt: skip
    if kind == "group":
        group = draw.one("quickbi_groups")["group_id"]
        through = {**own, "receiver_type": 1, "receiver_id": group}
        return [own, through, {"op": "group_member", "group_id": group, "user_id": user}]
    ways: dict[str, list[Operation]] = {
        "direct": [],
        "share": [{"op": "share", "works_id": work["works_id"], "receiver_type": 0, "receiver_id": user}],
        "work_owner": [{"op": "work_owner", "works_id": work["works_id"], "user_id": user}],
        "workspace_member": [{"op": "workspace_member", "workspace_id": work["workspace_id"], "user_id": user}],
    }
    return [own, *ways[kind]]


@_member("quickbi_dataset_whitelists", "direct", "group", "security_off", "no_rule")
def _white_lists(draw: Draw, person: Any, kind: str) -> list[Operation]:
    """Columns for what is switched off or hit by no rule, so that rows stay restricted for the others."""
    user, dataset = person["quickbi_user_id"], draw.one("quickbi_datasets")["dataset_id"]
    place = {"dataset_id": dataset, "rule_type": "ROW_LEVEL" if kind in ("direct", "group") else "COLUMN_LEVEL"}
    own = {"op": "dataset_whitelist", **place, "receiver_type": 0, "receiver_id": user}
    if kind == "group":
        group = draw.one("quickbi_groups")["group_id"]
        through = {**own, "receiver_type": 1, "receiver_id": group}
        return [own, through, {"op": "group_member", "group_id": group, "user_id": user}]
    if kind == "direct":
        return [own]
    off, miss_hit = kind == "security_off", "NONE" if kind == "security_off" else "ALL"
    return [own, {"op": "dataset_level", **place, "open": not off, "miss_hit": miss_hit}]


@_member("dms_abac_authorizations", "direct", "policy_role")
def _attached(draw: Draw, person: Any, kind: str) -> list[Operation]:
    user, policy = person["dms_user_id"], draw.one("dms_policies", lambda row: row["effect"] == "Allow")["policy_id"]
    own = {"op": "dms_policy_member", "policy_id": policy, "user_id": user}
    if kind == "direct":
        return [own]
    role = draw.one("dms_roles")
    attached = {"op": "dms_policy_role", "policy_id": policy, "role_id": role["role_id"]}
    return [own, attached, {"op": "dms_roles", "user_id": user, "roles": ["USER", role["name"]]}]


@_member("wedata_studio_permissions", "direct", "inherited", "role", "owner")
def _studio(draw: Draw, person: Any, kind: str) -> list[Operation]:
    uin = person["wedata_uin"]
    node = draw.one("wedata_studio_nodes", lambda row: bool(row["parent"]))
    project = node["project_id"]
    own = {"op": "studio_permission", "node_id": node["node_id"], "subject_type": "user",
           "subject_value": person["wedata_user_id"], "privilege": "CAN_MANAGE"}  # fmt: skip
    if kind == "role":
        member = {"op": "project_member", "project_id": project, "user_uin": uin, "role_id": ENGINEER}
        return [own, {**own, "subject_type": "role", "subject_value": ENGINEER}, member]
    ways: dict[str, list[Operation]] = {
        "direct": [],
        "inherited": [{**own, "node_id": node["parent"]}],
        "owner": [{"op": "studio_node", "node_id": node["node_id"], "user_uin": uin}],
    }
    return [own, *ways[kind]]


def kinds() -> Iterator[tuple[str, str]]:
    """What is planted: system and kind."""
    return ((system, kind) for system, kind, _ in _MEMBERS)
