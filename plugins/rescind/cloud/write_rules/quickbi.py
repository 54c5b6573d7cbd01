"""What the writes of Quick BI must name."""

from __future__ import annotations

import re
from collections.abc import Mapping

from rescind.cloud.write_rules.shapes import (
    ID,
    Parameters,
    Rule,
    id_text,
    only_names,
    refuse,
)

_MILLISECONDS = re.compile(r"[1-9][0-9]{12,14}")
_DAY = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}")
_MAX_MENUS, _MAX_USERS, _MAX_GROUPS = 100, 200, 200
_MAX_GROUPS_OF_USER = 50
_MAX_TARGETS = 50
_RESOURCE_TYPES = frozenset(
    ["dashboard", "report", "dashboardOfflineQuery", "cube", "datasource", "screen", "ANALYSIS", "dataForm"]
)


def _menus(action: str, given: Parameters) -> None:
    limits = {"MenuIds": _MAX_MENUS, "UserIds": _MAX_USERS, "UserGroupIds": _MAX_GROUPS}
    points = {"AuthPointsValue"} if action == "AuthorizeMenu" else set()
    only_names(action, given, {"DataPortalId", "MenuIds", *points}, {"UserIds", "UserGroupIds"})
    if not {"UserIds", "UserGroupIds"} & set(given):
        refuse(action, "names no receiver")
    id_text(action, "DataPortalId", given["DataPortalId"], ID)
    for name in limits.keys() & set(given):
        ids = given[name].split(",")
        if len(ids) > limits[name]:
            refuse(action, f"{name} has {len(ids)} ids, more than {limits[name]}")
        if len(set(ids)) != len(ids):
            refuse(action, f"{name} names an id twice")
        for each in ids:
            id_text(action, name, each, ID)
    if points and given["AuthPointsValue"] not in ("1", "3"):
        refuse(action, "AuthPointsValue is neither 1 nor 3")


def _group_members(action: str, given: Parameters) -> None:
    only_names(action, given, {"UserGroupIds", "UserId"})
    id_text(action, "UserId", given["UserId"], ID)
    groups = given["UserGroupIds"].split(",")
    if len(groups) > _MAX_GROUPS_OF_USER or len(set(groups)) != len(groups):
        refuse(action, f"UserGroupIds has {len(groups)} ids, more than {_MAX_GROUPS_OF_USER}, or names one twice")
    for each in groups:
        id_text(action, "UserGroupIds", each, ID)


def _workspace_member(action: str, given: Parameters) -> None:
    role = {"RoleId"} if action == "AddUserToWorkspace" else set()
    only_names(action, given, {"UserId", "WorkspaceId", *role})
    for name in ("UserId", "WorkspaceId"):
        id_text(action, name, given[name], ID)
    if role and given["RoleId"] not in ("25", "26", "27", "30"):
        refuse(action, "RoleId is no preset role")


def _share(action: str, given: Parameters) -> None:
    adds = action == "AddShareReport"
    work, receiver = ("WorksId", "ShareToId") if adds else ("ReportId", "ShareToIds")
    only_names(action, given, {work, receiver, "ShareToType", *(("AuthPoint", "ExpireDate") if adds else ())})
    id_text(action, work, given[work], ID)
    id_text(action, receiver, given[receiver], ID)
    if given["ShareToType"] not in ("0", "1", "2"):
        refuse(action, "ShareToType is neither 0 nor 1 nor 2")
    if adds and given["AuthPoint"] not in ("1", "3"):
        refuse(action, "AuthPoint is neither 1 nor 3")
    if adds and not _MILLISECONDS.fullmatch(given["ExpireDate"]):
        refuse(action, "ExpireDate is no time in milliseconds")


def _authorization(action: str, given: Parameters) -> None:
    """One user on one resource; who is authorized until when is said in full."""
    adds = action == "AddWorksAuthorization"
    user = "AuthorizedId" if adds else "QbiUserId"
    level = {"AuthorizeScope", "AuthPoints"} if adds else set()
    ends = {"ExpireDay"} if adds and given.get("AuthPoints") in ("1", "3") else set()
    only_names(action, given, {"ResourceType", "ResourceId", user, *level, *ends})
    for name in ("ResourceId", user):
        id_text(action, name, given[name], ID)
    if given["ResourceType"] not in _RESOURCE_TYPES:
        refuse(action, "ResourceType is not a kind of resource")
    if not adds:
        return
    if given["AuthorizeScope"] != "0":
        refuse(action, "AuthorizeScope is not one user")
    if given["AuthPoints"] not in ("1", "3", "11"):
        refuse(action, "AuthPoints is neither 1 nor 3 nor 11")
    if ends:
        id_text(action, "ExpireDay", given["ExpireDay"], _DAY)


def _white_list(action: str, given: Parameters) -> None:
    only_names(action, given, {"CubeId", "RuleType", "OperateType", "TargetType", "TargetIds"})
    id_text(action, "CubeId", given["CubeId"], ID)
    choices = {"RuleType": ("ROW_LEVEL", "COLUMN_LEVEL"), "OperateType": ("ADD", "DELETE"), "TargetType": ("1", "2")}
    for name, known in choices.items():
        if given[name] not in known:
            refuse(action, f"{name} is neither {known[0]} nor {known[1]}")
    targets = given["TargetIds"].split(",")
    if len(targets) > _MAX_TARGETS or len(set(targets)) != len(targets):
        refuse(action, f"TargetIds has {len(targets)} ids, more than {_MAX_TARGETS}, or names one twice")
    for each in targets:
        id_text(action, "TargetIds", each, ID)


WRITES: Mapping[str, Rule] = {
    "CancelAuthorizationMenu": _menus,
    "AuthorizeMenu": _menus,
    "DeleteUserGroupMembers": _group_members,
    "AddUserGroupMembers": _group_members,
    "DeleteUserFromWorkspace": _workspace_member,
    "AddUserToWorkspace": _workspace_member,
    "CancelReportShare": _share,
    "AddShareReport": _share,
    "DeleteAuthorizationByUserId": _authorization,
    "AddWorksAuthorization": _authorization,
    "AddDataLevelPermissionWhiteList": _white_list,
}
