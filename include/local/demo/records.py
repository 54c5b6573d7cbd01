"""Records of each system in plan, requests, journal and truth, in one form: what the checks of a run compare.

A row is (system, ids). Requests are read as the vendors' pages describe them, and nothing of the product is used. A
system without an entry here is compared by the words of its plan alone, so that its first write fails the check until
it gets one.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

Row = tuple[str, ...]
Given = Mapping[str, Any]

RECEIVERS = {"0": "user", "1": "group", "2": "organization", "3": "workspace"}
MEMBERSHIP = "membership"
_PROJECT_ROLES = {
    "administrator": "308335260274237440", "data engineer": "308335260676890624",
    "operations engineer": "308335260844662784", "ordinary member": "308335260945326080", MEMBERSHIP: "",
}  # fmt: skip
_ROLES, _MEMBERS = "wedata_project_roles", "wedata_project_members"
_POLICIES, _WHITE_LISTS = "dms_abac_authorizations", "quickbi_dataset_whitelists"
_WORKS, _STUDIO = "quickbi_work_authorizations", "wedata_studio_permissions"
_HELD_IN = {_MEMBERS: _ROLES, "dms_policy_members": _POLICIES, "dms_policy_roles": _POLICIES}
"""The system of a kind of record that has another name."""
_LISTS = {"all_rows": "ROW_LEVEL", "all_columns": "COLUMN_LEVEL"}


def planned_row(system: str, container: str, row: str, kind: str, column: Sequence[str]) -> Row:
    """Return a cell of the plan as a row. A DMS record is one row whatever else is said of it."""
    convert = _FROM_CELL.get(system)
    return (system, *(convert(container, row, kind, tuple(column)) if convert else (container, row, *column)))


_FROM_CELL: Mapping[str, Callable[[str, str, str, Row], Row]] = {
    # An id of an attachment counts within its kind of holder.
    _POLICIES: lambda _, row, kind, __: (kind, row),
    "dms_permissions": lambda _, row, __, ___: (row,),
    "dms_proxy_accesses": lambda _, row, __, ___: (row,),
    "dms_accounts": lambda _, __, ___, column: column,
    _WHITE_LISTS: lambda container, row, kind, column: (_LISTS[container.split(" ")[0]], row, kind, *column),
    "quickbi_group_members": lambda _, row, __, column: (row, *column),
    "quickbi_menus": lambda container, row, kind, column: (container, row, kind, *column),
    "quickbi_shares": lambda _, row, kind, column: (row, kind, *column),
    _WORKS: lambda container, row, kind, column: (container, row, kind, *column),
    "quickbi_workspace_members": lambda _, row, __, column: (row, *column),
    "wedata_data_sources": lambda _, row, kind, column: (row, kind, *column),
    _STUDIO: lambda container, row, _, column: (_tree(container), *row.split(".", 1), *column),
    "wedata_project_roles": lambda container, row, _, column: (container, row, _role(column[0])),
}


def _role(right: str) -> str:
    return _PROJECT_ROLES.get(right, right.removeprefix("role "))


def _tree(kind: str) -> str:
    """Return the tree of Studio in which an object of a kind is; each has actions of its own."""
    return "workflow" if kind.startswith("workflow") else "code"


def _authorized(resource_type: str) -> str:
    """Return what people call a resource: everything that is no dataset and no data source is a work."""
    return {"cube": "dataset", "datasource": "data_source"}.get(resource_type, "work")


def written_rows(action: str, sent: Given) -> frozenset[Row]:
    """Return the rows that a request names. Taking somebody out of a project names the membership alone."""
    convert = _FROM_REQUEST.get(action)
    return frozenset(convert(sent)) if convert else frozenset({("unknown action", action)})


def _menus(sent: Given) -> Iterable[Row]:
    receivers = [("user", one) for one in sent.get("UserIds", "").split(",") if one]
    receivers += [("group", one) for one in sent.get("UserGroupIds", "").split(",") if one]
    return (
        ("quickbi_menus", sent["DataPortalId"], menu, *who) for menu in sent["MenuIds"].split(",") for who in receivers
    )


def _privileges(sent: Given) -> Iterable[Row]:
    pairs = zip(sent["Subjects"], sent["Privileges"], strict=True)
    columns = [(s["SubjectType"], v, p["Name"]) for s, p in pairs for v in s["SubjectValues"]]
    for one in sent["Resources"]:
        place = ("wedata_privileges", one["ResourceType"].lower(), one["ResourceUri"])
        yield from ((*place, *column) for column in columns)


def _source(sent: Given) -> Iterable[Row]:
    if sent.get("RevokeUser"):
        yield ("wedata_data_sources", sent["DataSourceId"], "user", *sent["RevokeUser"].split("_"))
    else:
        yield ("wedata_data_sources", sent["DataSourceId"], "project", sent["RevokeProjectId"])


def _white_list(sent: Given) -> Iterable[Row]:
    if sent["OperateType"] != "DELETE":  # the same action adds
        return [("white list entries that are not deleted", str(sent["OperateType"]))]
    kind = {"1": "user", "2": "group"}[str(sent["TargetType"])]
    return [(_WHITE_LISTS, sent["RuleType"], sent["CubeId"], kind, one) for one in sent["TargetIds"].split(",")]


def _code(sent: Given) -> Iterable[Row]:
    for one in sent["RecyclePolicySet"]:
        place = (_STUDIO, "code", sent["ProjectId"], one["Resource"]["ResourceId"])
        for who in one["RecycleSubjects"]:
            for holder in who["SubjectValues"]:
                yield from ((*place, who["SubjectType"], holder, right) for right in who["Privileges"])


def _workflows(sent: Given) -> Iterable[Row]:
    place = (_STUDIO, "workflow", sent["ProjectId"], sent["EntityId"])
    for who in sent["DeletePermissionList"]:
        holder = (who["PermissionTargetType"], who["PermissionTargetId"])
        yield from ((*place, *holder, right) for right in who["PermissionTypeList"])


_FROM_REQUEST: Mapping[str, Callable[[Given], Iterable[Row]]] = {
    "AddDataLevelPermissionWhiteList": _white_list,
    "CancelAuthorizationMenu": _menus,
    "CancelReportShare": lambda sent: (
        ("quickbi_shares", sent["ReportId"], RECEIVERS[str(sent["ShareToType"])], one)
        for one in sent["ShareToIds"].split(",")
    ),
    "DeleteAbacAuthorization": lambda sent: [(_POLICIES, sent["IdentityType"], str(sent["AuthorizationId"]))],
    "DeleteAuthorizationByUserId": lambda sent: [
        (_WORKS, _authorized(sent["ResourceType"]), sent["ResourceId"], "user", sent["QbiUserId"])
    ],
    "DeleteCodePermissions": _code,
    "DeleteProjectMember": lambda sent: ((_ROLES, sent["ProjectId"], one, "") for one in sent["UserUins"]),
    "DeleteProxyAccess": lambda sent: [("dms_proxy_accesses", str(sent["ProxyAccessId"]))],
    "DeleteUserFromWorkspace": lambda sent: [("quickbi_workspace_members", sent["WorkspaceId"], sent["UserId"])],
    "DeleteUserGroupMembers": lambda sent: (
        ("quickbi_group_members", group, sent["UserId"]) for group in sent["UserGroupIds"].split(",")
    ),
    "DeleteWorkflowPermissions": _workflows,
    "DisableUser": lambda sent: [("dms_accounts", str(sent["Uid"]))],
    "RemoveMemberProjectRole": lambda sent: (
        (_ROLES, sent["ProjectId"], sent["UserUin"], one) for one in sent["RoleIds"]
    ),
    "RevokeDataSourceAuthorization": _source,
    "RevokePrivileges": _privileges,
    "RevokeUserPermission": lambda sent: [("dms_permissions", sent["UserAccessId"])],
}


def call_rows(rows: frozenset[Row]) -> frozenset[Row]:
    """Return the rows of a call as its request names them."""
    bare = frozenset(row for row in rows if row[0] == _ROLES and not row[-1])
    return bare or rows


def truth_row(system: str, held: Given) -> Row:
    """Return a record of the emulator, from its truth or from an effect in its journal, as a row."""
    convert = _FROM_TRUTH.get(system)
    if convert is None:
        return (system, *(f"{name}={held[name]}" for name in sorted(held)))
    return (_HELD_IN.get(system, system), *map(str, convert(held)))


def _receiver(held: Given) -> Row:
    return (RECEIVERS.get(str(held["receiver_type"]), str(held["receiver_type"])), held["receiver_id"])


_FROM_TRUTH: Mapping[str, Callable[[Given], Iterable[Any]]] = {
    "dms_accounts": lambda t: (t["uid"],),
    "dms_permissions": lambda t: (t["user_access_id"],),
    "dms_policy_members": lambda t: ("USER", t["authorization_id"]),
    "dms_policy_roles": lambda t: ("ROLE", t["authorization_id"]),
    "dms_proxy_accesses": lambda t: (t["proxy_access_id"],),
    "quickbi_group_members": lambda t: (t["group_id"], t["user_id"]),
    _WHITE_LISTS: lambda t: (t["rule_type"], t["dataset_id"], *_receiver(t)),
    "quickbi_menus": lambda t: (t["portal_id"], t["menu_id"], *_receiver(t)),
    "quickbi_shares": lambda t: (t["works_id"], *_receiver(t)),
    _WORKS: lambda t: (_authorized(t["resource_type"]), t["resource_id"], *_receiver(t)),
    "quickbi_workspace_members": lambda t: (t["workspace_id"], t["user_id"]),
    "wedata_data_sources": lambda t: (
        t["data_source_id"], t["kind"], t["project_id"] or "", *([t["user_id"]] if t.get("user_id") else []),
    ),
    "wedata_privileges": lambda t: (
        str(t["resource_type"]).lower(), t["resource_uri"], t["subject_type"], t["subject_value"], t["privilege"],
    ),
    _MEMBERS: lambda t: (t["project_id"], t["user_uin"], ""),
    _ROLES: lambda t: (t["project_id"], t["user_uin"], t["role_id"]),
    _STUDIO: lambda t: (
        t["tree"], t["project_id"], t["node_id"], t["subject_type"], t["subject_value"], t["privilege"],
    ),
}  # fmt: skip
KINDS = tuple(_FROM_TRUTH)
"""Kinds of records that the truth is read for."""
SYSTEMS = tuple(dict.fromkeys(_HELD_IN.get(name, name) for name in KINDS))
ENDS_WITH_ACCOUNT = frozenset({"dms_permissions", "dms_owners", "dms_dbas"})
"""Kinds of records of a user that the platform ends with the user's account."""
