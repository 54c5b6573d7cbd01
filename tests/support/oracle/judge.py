"""Judges the verdicts of a whole review by what really remains."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from typing import Any

from tests.support.oracle.dms import object_paths
from tests.support.oracle.quickbi import menu_paths
from tests.support.oracle.ways import Dump, Path, Resource, Row, distinct
from tests.support.oracle.wedata import privilege_paths, source_paths

_GONE = ("verified_gone", "already_absent")
_REMAINS = ("still_effective", "still_present")


def effective(
    world: Mapping[str, Any] | Dump, system: str, principal: str, resource: Resource, entitlement: str
) -> list[Path]:
    """Every way in which a user has an entitlement on a resource, in a dump of ``/_control/world``.

    :param principal: the user's id in the id space of the system (WeData: the user id, 7000...).
    :param resource: its ``container`` is the portal of a menu, or the project of an entry of a data source.
    :raises ValueError: for an unknown system.
    """
    dump = world if isinstance(world, Dump) else Dump(world)
    if system == "quickbi_menus":
        return distinct(menu_paths(dump, principal, resource))
    if system == "dms_permissions":
        return distinct(object_paths(dump, principal, resource, entitlement))
    if system == "wedata_privileges":
        return distinct(privilege_paths(dump, principal, resource, entitlement))
    if system == "wedata_data_sources":
        return distinct(source_paths(dump, principal, resource.id, resource.container))
    raise ValueError(f"unknown system {system!r}")


def judge(
    world_before: Mapping[str, Any],
    world_after: Mapping[str, Any],
    verdict_rows: Iterable[Row],
    ignore: Collection[str] = (),
) -> list[str]:
    """Every false statement of a review's items about a user, one line each; empty when all are true.

    A verdict of absence is false while a path remains, one of remaining access while there is none, ``record_gone``
    while the record is there, and any verdict when the grant was not there before. Items of groups,
    roles and projects are not judged, nor those without a statement.

    :param verdict_rows: the JSON objects of the run's items file.
    :param ignore: kinds of paths that the run cannot be blamed for (``platform_role``: no action lists its holders).
    """
    before, after = Dump(world_before), Dump(world_after)
    found = []
    for row in verdict_rows:
        if str(row["principal_type"]).lower() != "user" or row["verdict"] is None:
            continue
        said = _said(row)
        resource = _resource(row)
        place = (row["system"], row["principal_id"], resource, row["entitlement"])
        name = f"{row['system']}: {row['entitlement']} of {row['principal_id']} on {resource.kind} {resource.id}"
        if not _recorded(before, row, resource):
            found.append(f"never there: {name} ({row['verdict']})")
        paths = [path for path in effective(after, *place) if path.kind not in ignore]
        if said is True and paths:
            found.append(f"false gone: {name}: {', '.join(map(str, paths))}")
        elif said is False and not paths and row["verdict"] != "still_present":  # an expired record may be listed
            found.append(f"false remaining: {name} ({row['verdict']}: {row.get('remains', '')})")
        if row["verdict"] == "record_gone" and _recorded(after, row, resource):
            found.append(f"false record gone: {name}")
        if row["verdict"] == "still_present" and not _recorded(after, row, resource):
            found.append(f"false still present: {name}")
    return found


def _recorded(dump: Dump, row: Row, resource: Resource) -> bool:
    """Whether the record of an item is there, expired or not."""
    system, user = row["system"], str(row["principal_id"])
    if system == "dms_permissions":
        return dump.has(system, user_access_id=str(row["native_id"]))
    if system == "quickbi_menus":
        return dump.has(system, portal_id=resource.container, menu_id=resource.id, receiver_type="0", receiver_id=user)
    if system == "wedata_data_sources":
        return dump.has(system, data_source_id=resource.id, project_id=resource.container, user_id=user)
    held = dump.by(system, "resource_uri", "subject_type", "subject_value", "privilege")
    found = held.get((resource.id, "User", user, str(row["entitlement"])), [])
    return any(str(one["resource_type"]).lower() == resource.kind for one in found)


def _said(row: Row) -> bool | None:
    """Whether an item says that all access is gone (True), that some remains (False), or nothing (None)."""
    statement = row.get("absent", {}).get("effective")
    if isinstance(statement, bool):
        return statement
    return True if row["verdict"] in _GONE else False if row["verdict"] in _REMAINS else None


def _resource(row: Row) -> Resource:
    kind, container = str(row["resource_type"]).lower(), ""
    if row["system"] == "quickbi_menus":
        container = str(row["container"])
    elif row["system"] == "wedata_data_sources":
        container = str(row["column"][0])
    return Resource(kind, str(row["resource_id"]), container)
