"""Everything that everybody reaches in a dump, to tell who lost something."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any, NamedTuple

from tests.support.oracle.judge import effective
from tests.support.oracle.ways import Dump, Resource


class Reached(NamedTuple):
    """One thing that one person reaches. ``who`` is the person's id in the organization."""

    who: str
    system: str
    on: Resource
    right: str


_SPACES = {
    "quickbi": "quickbi_user_id", "dms": "dms_user_id", "wedata": "wedata_user_id", "wedata_project": "wedata_uin",
}  # fmt: skip


def reach(world: Mapping[str, Any], objects: Mapping[str, Any] | None = None) -> set[Reached]:
    """What each person reaches, by any way, of all that the systems of the oracle are about.

    :param objects: the dump whose objects and rights are asked for; this one by default.
    """
    dump = Dump(world)
    things = list(_things(Dump(objects or world)))
    found = set()
    for person in world["people"]:
        for system, on, right in things:
            user = person[_SPACES["wedata_project" if system == "wedata_project_roles" else system.partition("_")[0]]]
            if user and effective(dump, system, user, on, right):
                found.add(Reached(person["person_id"], system, on, right))
    return found


def _things(dump: Dump) -> Iterator[tuple[str, Resource, str]]:
    """Each object of a dump once, with each right that somebody has on it."""
    for row in dump.rows("quickbi_leaf_menus"):
        yield "quickbi_menus", Resource("menu", row["menu_id"], row["portal_id"]), ""
    for kind, name in (
        ("quickbi_portals", "portal_id"),
        ("quickbi_works", "works_id"),
        ("quickbi_datasets", "dataset_id"),
    ):
        yield from (("quickbi_shares", Resource("work", one), "") for one in dump.values(kind, name))
    yield from _datasets(dump)
    for one in dump.values("quickbi_groups", "group_id"):
        yield "quickbi_group_members", Resource("user_group", one), ""
    for one in dump.values("quickbi_workspaces", "workspace_id"):
        yield "quickbi_workspace_members", Resource("workspace", one), ""
    for role in _distinct(dump.values("quickbi_organization_roles", "role_id")):
        yield "quickbi_organization_roles", Resource("organization", ""), role
    yield from _databases(dump)
    for row in dump.rows("wedata_projects"):
        for role in ("", *_distinct(dump.values("wedata_project_roles", "role_id"))):
            yield "wedata_project_roles", Resource("project", row["project_id"]), role
    yield from _studio(dump)
    for one in dump.values("wedata_data_source_sharing", "data_source_id"):
        yield "wedata_data_sources", Resource("data_source", one), ""
    granted = {(row["resource_type"].lower(), row["resource_uri"], row["privilege"])
               for row in dump.rows("wedata_privileges")}  # fmt: skip
    for kind, uri, privilege in sorted(granted):
        yield "wedata_privileges", Resource(kind, uri), privilege


def _datasets(dump: Dump) -> Iterator[tuple[str, Resource, str]]:
    """All rows or columns of each dataset, and what each rule lets through."""
    rights = [(row["dataset_id"], row["rule_type"]) for row in dump.rows("quickbi_dataset_levels")]
    rules = dump.rows("quickbi_dataset_rules")
    rights += [(row["dataset_id"], f"{row['rule_type']}/{row['rule_id']}") for row in rules]
    yield from (("quickbi_dataset_whitelists", Resource("dataset", ident), right) for ident, right in rights)


def _studio(dump: Dump) -> Iterator[tuple[str, Resource, str]]:
    for row in dump.rows("wedata_studio_nodes"):
        for right in ("CAN_VIEW", "CAN_RUN", "CAN_EDIT", "CAN_MANAGE"):
            yield "wedata_studio_permissions", Resource(row["kind"], row["node_id"]), right


def _databases(dump: Dump) -> Iterator[tuple[str, Resource, str]]:
    for row in dump.rows("dms_databases"):
        kind = "logic_database" if row["logic"] else "database"
        yield from (("dms_permissions", Resource(kind, row["db_id"]), one) for one in ("QUERY", "EXPORT", "CORRECT"))
    for one in dump.values("dms_instances", "instance_id"):
        yield from (("dms_permissions", Resource("instance", one), right) for right in ("LOGIN", "PERF"))
    for one in dump.values("dms_proxies", "proxy_id"):
        yield "dms_proxy_accesses", Resource("proxy", one), ""
    for one in dump.values("dms_policies", "policy_id"):
        yield "dms_abac_authorizations", Resource("policy", one), ""
    yield "dms_accounts", Resource("tenant", ""), ""
    for role in _distinct(dump.values("dms_system_roles", "role")):
        yield "dms_system_roles", Resource("tenant", ""), role


def _distinct(values: Iterable[str]) -> list[str]:
    return sorted(set(values))


def gained(before: Mapping[str, Any], after: Mapping[str, Any]) -> list[str]:
    """What people reach that they did not reach before, one line each: a removal may widen access too."""
    return [line.replace(" lost ", " gained ", 1) for line in lost(after, before)]


def lost(before: Mapping[str, Any], after: Mapping[str, Any], spared: Iterable[str] = ()) -> list[str]:
    """What people reached before and reach no more, one line each.

    :param spared: ids of people whose losses were planned.
    """
    gone = reach(before) - reach(after, before)
    planned = set(spared)
    return [f"{one.who} lost {one.system} {one.right} on {one.on.kind} {one.on.id}"
            for one in sorted(gone) if one.who not in planned]  # fmt: skip
