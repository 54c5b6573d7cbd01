"""Judges the verdicts of a whole review by what really remains."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping
from typing import Any

from tests.support.oracle import dms, quickbi, wedata
from tests.support.oracle.items import recorded, resource_of, right_of
from tests.support.oracle.ways import Dump, Path, Resource, Row, distinct

_GONE = ("verified_gone", "already_absent")
_REMAINS = ("still_effective", "still_present")


def effective(
    world: Mapping[str, Any] | Dump, system: str, principal: str, resource: Resource, entitlement: str
) -> list[Path]:
    """Every way in which a user has an entitlement on a resource, in a dump of ``/_control/world``.

    :param principal: the user's id in the id space of the system (WeData: the user id, 7000...; its projects: the uin).
    :param resource: its ``container`` is the portal of a menu, or the project of an entry of a data source.
    :param entitlement: a privilege; for roles the vendor's id or name of the role, empty for a bare membership.
    :raises ValueError: for an unknown system.
    """
    dump = world if isinstance(world, Dump) else Dump(world)
    if system not in _PATHS:
        raise ValueError(f"unknown system {system!r}")
    return distinct(_PATHS[system](dump, principal, resource, entitlement))


_PATHS: dict[str, Callable[[Dump, str, Resource, str], Iterable[Path]]] = {
    "quickbi_menus": lambda dump, who, on, _: quickbi.menu_paths(dump, who, on),
    "quickbi_shares": lambda dump, who, on, _: quickbi.work_paths(dump, who, on.id),
    "quickbi_work_authorizations": lambda dump, who, on, _: quickbi.work_paths(dump, who, on.id),
    "quickbi_dataset_whitelists": lambda dump, who, on, right: quickbi.dataset_paths(dump, who, on.id, right),
    "quickbi_group_members": lambda dump, who, on, _: quickbi.group_paths(dump, who, on.id),
    "quickbi_workspace_members": lambda dump, who, on, _: quickbi.workspace_paths(dump, who, on.id),
    "quickbi_organization_roles": lambda dump, who, _, role: quickbi.role_paths(dump, who, role),
    "dms_permissions": dms.object_paths,
    "dms_proxy_accesses": lambda dump, who, on, _: dms.proxy_paths(dump, who, on.id),
    "dms_abac_authorizations": lambda dump, who, on, _: dms.policy_paths(dump, who, on.id),
    "dms_accounts": lambda dump, who, *_: dms.account_paths(dump, who),
    "dms_system_roles": lambda dump, who, _, role: dms.role_paths(dump, who, role),
    "wedata_privileges": wedata.privilege_paths,
    "wedata_data_sources": lambda dump, who, on, _: wedata.source_paths(dump, who, on.id, on.container),
    "wedata_studio_permissions": lambda dump, who, on, right: wedata.studio_paths(dump, who, on.id, right),
    "wedata_project_roles": lambda dump, who, on, role: wedata.project_paths(dump, who, on.id, role),
}
SYSTEMS = frozenset(_PATHS)
"""The systems that the oracle knows."""


def judge(
    world_before: Mapping[str, Any],
    world_after: Mapping[str, Any],
    verdict_rows: Iterable[Row],
    ignore: Collection[str] = (),
) -> list[str]:
    """Every false statement of a review's items about a user, one line each; empty when all are true.

    A verdict of absence is false while a path remains, one of remaining access while there is none, ``record_gone``
    while the record is there, and any verdict when the grant was not there before. A grant that nobody sent (it stays
    ``approved``) may have been inherited before. Items of groups, roles and projects are not judged, nor those
    without a statement.

    :param verdict_rows: the JSON objects of the run's items file.
    :param ignore: kinds of paths that the run cannot be blamed for (``platform_role``: no action lists its holders).
    """
    before, after = Dump(world_before), Dump(world_after)
    found = []
    for row in verdict_rows:
        if str(row["principal_type"]).lower() != "user" or row["verdict"] is None:
            continue
        said = _said(row)
        resource = resource_of(row)
        right = right_of(row)
        place = (row["system"], str(row["principal_id"]), resource, right)
        name = f"{row['system']}: {row['entitlement']} of {row['principal_id']} on {resource.kind} {resource.id}"
        unsent = row.get("state") == "approved"
        inherited = unsent and any(path.kind == "inherited" for path in effective(before, *place))
        if not recorded(before, row) and not inherited:
            found.append(f"never there: {name} ({row['verdict']})")
        paths = [path for path in effective(after, *place) if path.kind not in ignore]
        if said is True and paths:
            found.append(f"false gone: {name}: {', '.join(map(str, paths))}")
        elif said is False and not paths and row["verdict"] != "still_present":  # an expired record may be listed
            found.append(f"false remaining: {name} ({row['verdict']}: {row.get('remains', '')})")
        if row["verdict"] == "record_gone" and recorded(after, row):
            found.append(f"false record gone: {name}")
        if row["verdict"] == "still_present" and not recorded(after, row):
            found.append(f"false still present: {name}")
    return found


def _said(row: Row) -> bool | None:
    """Whether an item says that all access is gone (True), that some remains (False), or nothing (None)."""
    statement = row.get("absent", {}).get("effective")
    if isinstance(statement, bool):
        return statement
    return True if row["verdict"] in _GONE else False if row["verdict"] in _REMAINS else None
