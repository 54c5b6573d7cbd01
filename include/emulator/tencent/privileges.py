"""Catalog mode: ListPermissions, RevokePrivileges, AuthorizePrivileges."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from emulator.errors import ApiError
from emulator.registry import Call
from emulator.store.wedata import SUBJECT_TYPES, TYPE_NAMES, PrivilegeStore, Resource, Subject
from emulator.tencent import WEDATA
from emulator.tencent.paging import PAGE

RESOURCE = {"ResourceType": str, "ResourceUri": str}
SUBJECT = {"SubjectType": str, "SubjectValues": [str]}
PRIVILEGE = {
    "Name": str, "DisplayName": str, "Description": str, "IsRead": bool, "IsManage": bool, "Granted": bool,
    "InheritedObject": RESOURCE, "Inherited": bool, "IsEdit": bool, "IsMetaDataPermission": bool,
    "CatalogID": str, "CatalogName": str, "WorkSpaceID": str, "WorkSpaceName": str,
}  # fmt: skip
BATCH = {"Resources!": [RESOURCE], "Subjects!": [SUBJECT], "Privileges!": [PRIVILEGE]}
LISTING = {
    "Resource": RESOURCE, "Page": PAGE, "Filters": [{"Name": str, "Values": [str]}],
    "OrderFields": [{"Name!": str, "Direction!": str}],
}  # fmt: skip
_SUBJECT_LABELS = {"User": "User", "Project": "Project", "Role": "Project role", "GlobalRole": "Platform role"}
_READ = {"SELECT_TABLE", "BROWSE", "USE_CATALOG", "USE_SCHEMA"}
_MANAGE = {"GRANT_PRIVILEGES", "ALL_PRIVILEGES"}

Pair = tuple[Subject, str]


@WEDATA.action("ListPermissions", LISTING)
def list_permissions(call: Call) -> dict[str, Any]:
    """Rows of one resource: its own grants, then what it inherits. Page, Filters and OrderFields have no effect."""
    if "Resource" not in call.params:
        raise ApiError("InvalidParameter", "Resource must be given.")
    resource = find_resource(call, call.params["Resource"])
    store, modes = call.world.privileges, call.world.modes
    groups = [((subject, resource), mask) for subject, mask in store.direct(resource).items()]
    groups += [((subject, above), mask) for above, subject, mask in store.inherited(resource)]
    grouped: dict[tuple[Resource, int], list[Subject]] = {}
    for (subject, source), mask in groups:
        grouped.setdefault((source, mask), []).append(subject)
    if modes["wedata_rows"] == "per_subject":
        rows = [_row(call, resource, [subject], source, mask) for (subject, source), mask in groups]
    else:
        rows = [_row(call, resource, subjects, source, mask) for (source, mask), subjects in grouped.items()]
    total = len(rows)
    if modes["wedata_total"] == "grants":
        total = sum(len(row["SubjectDetails"]) * len(row["PermissionDetails"]) for row in rows)
    return {"Data": {"Details": rows, "TotalCount": total}}


def _row(call: Call, resource: Resource, subjects: list[Subject], source: Resource, mask: int) -> dict[str, Any]:
    granted = call.world.modes["wedata_granted_flag"] == "true"
    return {
        "Resource": _shown(call, resource),
        "SubjectDetails": [
            {
                "SubjectType": subject.type, "SubjectTypeDisplayName": _SUBJECT_LABELS[subject.type],
                "SubjectValue": subject.value, "SubjectValueDisplayName": _display_name(call, subject),
            }
            for subject in subjects
        ],
        "PermissionDetails": [
            {
                "Name": name, "DisplayName": name.replace("_", " ").capitalize(), "Description": "",
                "IsRead": name in _READ, "IsManage": name in _MANAGE, "IsEdit": name.startswith("MODIFY"),
                "Granted": granted, "Inherited": source != resource, "InheritedObject": _shown(call, source),
                "IsMetaDataPermission": name == "BROWSE", "CatalogID": None, "CatalogName": None,
                "WorkSpaceID": None, "WorkSpaceName": None,
            }
            for name in call.world.privileges.names_of(mask)
        ],
    }  # fmt: skip


def _shown(call: Call, resource: Resource) -> dict[str, str]:
    name = TYPE_NAMES.get(resource.type, resource.type)
    upper = call.world.modes["wedata_type_case"] == "upper"
    return {"ResourceType": name.upper() if upper else name, "ResourceUri": resource.uri}


def _display_name(call: Call, subject: Subject) -> str:
    names: dict[str, str] | None = call.world.cache.get("wedata_names")
    if names is None:
        names = {person.wedata_user_id: person.name for person in call.world.people}
        names.update({project.project_id: project.name for project in call.world.projects.values()})
        call.world.cache["wedata_names"] = names
    return names.get(subject.value, subject.value)


def find_resource(call: Call, given: dict[str, Any]) -> Resource:
    """The resource that a request names. The type's letter case does not matter.

    :raises ApiError: InvalidParameter when a field is missing, ResourceNotFound when there is no such object.
    """
    kind, uri = given.get("ResourceType", ""), given.get("ResourceUri", "")
    if not kind or not uri:
        raise ApiError("InvalidParameter", "ResourceType and ResourceUri must be given.")
    resource = Resource(kind.lower(), uri)
    if resource not in call.world.privileges.grants:
        raise ApiError("ResourceNotFound", f"The resource {kind} {uri} does not exist.")
    return resource


def _pairs(call: Call) -> list[Pair]:
    """(subject, privilege) pairs: Subjects[i] with all its values, paired with Privileges[i]."""
    subjects, privileges = call.params["Subjects"], call.params["Privileges"]
    if not subjects or not call.params["Resources"]:
        raise ApiError("InvalidParameter", "Resources, Subjects and Privileges must not be empty.")
    if len(subjects) != len(privileges):
        raise ApiError("InvalidParameter", "The length of Subjects must be the length of Privileges.")
    return [pair for subject, privilege in zip(subjects, privileges, strict=True) for pair in _pair(subject, privilege)]


def _pair(subject: dict[str, Any], privilege: dict[str, Any]) -> Iterator[Pair]:
    kind, values, name = subject.get("SubjectType", ""), subject.get("SubjectValues", []), privilege.get("Name", "")
    if kind not in SUBJECT_TYPES or not values or not all(values) or not name:
        raise ApiError("InvalidParameter", "Each subject needs a known type and values, each privilege a name.")
    for value in values:
        yield Subject(kind, value), name


def _outcome(given: dict[str, Any], reasons: list[str]) -> dict[str, Any]:
    return {"Resource": dict(given), "Result": not reasons, "Reason": "; ".join(reasons)}


def _answer(results: list[dict[str, Any]]) -> dict[str, Any]:
    return {"Data": {"OverallSuccess": all(result["Result"] for result in results), "Results": results}}


@WEDATA.action("RevokePrivileges", BATCH, write=True)
def revoke_privileges(call: Call) -> dict[str, Any]:
    """Withdraw every pair on every resource: the product. There is no transaction over resources."""
    pairs = _pairs(call)
    targets = [(given, find_resource(call, given)) for given in call.params["Resources"]]
    results = []
    for given, resource in targets:
        reasons = [reason for subject, name in pairs if (reason := _revoke(call, resource, subject, name))]
        results.append(_outcome(given, reasons))
    return _answer(results)


def _revoke(call: Call, resource: Resource, subject: Subject, name: str) -> str:
    store: PrivilegeStore = call.world.privileges
    if store.remove(resource, subject, name):
        return ""
    above = store.inherits(resource, subject, name)
    if above is not None:
        return f"{name} of {subject.type} {subject.value} is inherited from {TYPE_NAMES[above.type]} {above.uri}"
    if call.world.modes["wedata_absent_revoke"] == "false":
        return f"{name} is not granted to {subject.type} {subject.value}"
    return ""


@WEDATA.action("AuthorizePrivileges", BATCH, write=True)
def authorize_privileges(call: Call) -> dict[str, Any]:
    """Grant every pair on every resource; what is there already stays as it is."""
    pairs = _pairs(call)
    targets = [(given, find_resource(call, given)) for given in call.params["Resources"]]
    results = []
    for given, resource in targets:
        for subject, name in pairs:
            call.world.privileges.add(resource, subject, name)
        results.append(_outcome(given, []))
    return _answer(results)
