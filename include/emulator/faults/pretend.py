"""Answers for writes that were not carried out, or only in part."""

from __future__ import annotations

from collections.abc import Callable
from copy import deepcopy
from typing import Any

_LISTS = {
    "CreateProjectMember": ("UserUins", False), "DeleteProjectMember": ("UserUins", False),
    "GrantMemberProjectRole": ("RoleIds", False), "RemoveMemberProjectRole": ("RoleIds", False),
    "DeleteCodePermissions": ("RecyclePolicySet", False), "DeleteWorkflowPermissions": ("DeletePermissionList", False),
    "CreateCodePermissions": ("AuthorizePermissionObjects", False),
    "CreateWorkflowPermissions": ("PermissionList", False),
    "CancelReportShare": ("ShareToIds", True), "AddDataLevelPermissionWhiteList": ("TargetIds", True),
    "AddUserGroupMembers": ("UserGroupIds", True),
    "DeleteUserGroupMembers": ("UserGroupIds", True), "AddUserGroupMember": ("UserIdList", True),
}  # fmt: skip
"""The list of a write whose answer says nothing of its parts, and whether it is a comma list."""
_STATUS, _RESULT = {"Data": {"Status": True}}, {"Result": "true"}
_FIXED: dict[str, Any] = {
    "RevokeDataSourceAuthorization": _STATUS, "AuthorizeDataSource": _STATUS, "CreateProjectMember": _STATUS,
    "CreateWorkflowPermissions": _STATUS, "DeleteWorkflowPermissions": _STATUS,
    "CreateAbacAuthorization": _RESULT, "DeleteAbacAuthorization": _RESULT,
    "GrantTemplateAuthority": {"Result": True}, "RevokeTemplateAuthority": {"Result": True},
    "DeleteCodePermissions": {"Data": []}, "AddWorksAuthorization": "auth-00000000",
    "CreateProxyAccess": {"ProxyAccessId": 999_999},
}  # fmt: skip
"""Answers that do not depend on the request."""
Reply = Callable[[dict[str, Any]], dict[str, Any]]


def success(product: str, action: str, params: dict[str, Any]) -> Any:
    """The payload that the action would give if it had worked."""
    if action in ("RevokePrivileges", "AuthorizePrivileges"):
        results = [{"Resource": dict(item), "Result": True, "Reason": ""} for item in params.get("Resources", [])]
        return {"Data": {"OverallSuccess": True, "Results": results}}
    if action == "CreateCodePermissions":
        ids = [item["Resource"]["ResourceId"] for item in params["AuthorizePermissionObjects"]]
        return {"Data": [{"Item": ident, "Result": True, "Reason": "success"} for ident in ids]}
    if action in ("CancelAuthorizationMenu", "AuthorizeMenu", "ChangeVisibilityModel"):
        return len(set(str(params.get("MenuIds", "")).split(",")))
    if action in _FIXED:
        return deepcopy(_FIXED[action])
    return True if product == "quickbi" else {}


def partial(action: str, params: dict[str, Any], count: int, options: dict[str, Any]) -> tuple[dict[str, Any], Reply]:
    """Carry out only the first ``count`` resources, menus, roles, users, groups or receivers of a write.

    With ``honest`` (the default) the rest is reported as failed where the action has results for it;
    otherwise everything is reported as done.
    """
    honest = bool(options.get("honest", True))
    if action in ("RevokePrivileges", "AuthorizePrivileges"):
        rest = params["Resources"][count:]
        reason = "internal error" if honest else ""
        results = [{"Resource": dict(item), "Result": not honest, "Reason": reason} for item in rest]
        return {**params, "Resources": params["Resources"][:count]}, _add_results(results, honest)
    if action in ("CancelAuthorizationMenu", "AuthorizeMenu"):
        ids = str(params.get("MenuIds", "")).split(",")
        reply = _same if honest else _claim(len(set(ids)))
        return {**params, "MenuIds": ",".join(ids[:count])}, reply
    if action == "UpdateUser" and "RoleNames" in params:
        return {**params, "RoleNames": ",".join(params["RoleNames"].split(",")[:count])}, _same
    if action in _LISTS:
        name, comma = _LISTS[action]
        given = str(params.get(name, "")).split(",") if comma else params[name]
        return {**params, name: ",".join(given[:count]) if comma else given[:count]}, _same
    return params, _same


def _same(body: dict[str, Any]) -> dict[str, Any]:
    return body


def _claim(count: int) -> Reply:
    return lambda body: {**body, "Result": str(count) if isinstance(body.get("Result"), str) else count}


def _add_results(results: list[dict[str, Any]], honest: bool) -> Reply:
    def reply(body: dict[str, Any]) -> dict[str, Any]:
        data = body["Response"]["Data"]
        data["Results"] = data["Results"] + results
        data["OverallSuccess"] = data["OverallSuccess"] and not (honest and results)
        return body

    return reply
