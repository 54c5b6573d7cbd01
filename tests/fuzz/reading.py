"""A second, small reading of answers. Shares nothing with the package; it decides what an answer may be taken for.

The rule of the house: an answer counts only for what its bytes plainly say. A row that is handed up must stand in
them; a list that is called complete must be an explicit list there, as long as the total that is declared; a write
that is called accepted must be said to have worked, with nothing in the answer that says otherwise.
"""

from __future__ import annotations

import json
from typing import Any

TENCENT_LISTS = {
    "ListPermissions": "Data.Details",
    "ListTenantRoles": "Data",
    "ListCodeFolderContents": "Data",
    "ListCodePermissions": "Data.Rows",
}
DMS_LISTS = {
    "ListUserPermissions": "UserPermissions.UserPermission",
    "ListDatabaseUserPermssions": "UserPermissions.UserPermission",
    "ListInstanceUserPermissions": "UserPermissions.UserPermission",
    "ListAuthorizedInstancesForUser": "Instances",
    "ListAuthorizedDatabasesForUser": "Databases",
    "ListAuthorizedUsersForInstance": "Users",
    "ListAuthorizedUsersForDatabase": "Users",
    "ListUsers": "UserList.User",
    "ListInstances": "InstanceList.Instance",
    "ListDatabases": "DatabaseList.Database",
    "ListLogicDatabases": "LogicDatabaseList.LogicDatabase",
    "ListUserOwnedResources": "Data.resourceList",
    "ListProxies": "ProxyList",
    "ListProxyAccesses": "ProxyAccessList",
    "ListAbacPolicies": "PolicyList",
    "ListAbacAuthorizations": "AuthorizationList",
}
QUICKBI_PAGED = {
    "QueryWorksByOrganization",
    "QueryUserList",
    "QueryOrganizationWorkspaceList",
    "QueryWorkspaceUserList",
    "QueryDatasetList",
}
NO_SUCCESS_FIELD = {name for name in DMS_LISTS if name.startswith("ListAuthorized")}
NO_TOTAL = NO_SUCCESS_FIELD | {"ListUserOwnedResources", "ListProxies", "ListProxyAccesses"}
# Answers that show an audience: each of these must be there, as a list or as an explicit null.
EXPLICIT = {
    "DescribeDataSourceAuthority": ("Data.AuthProjectIds", "Data.AuthUsers"),
    "ListDataLevelPermissionWhiteList": ("Result.UsersModel.UserGroups", "Result.UsersModel.Users"),
}
OTHER_SPELLING = {
    "UserGroupId": "UsergroupId",
    "UserGroupName": "UsergroupName",
    "ParentUserGroupId": "ParentUsergroupId",
}
# Inventories for which the vendor documents null in place of an empty list; it must be there, beside a total of 0.
NULL_MEANS_NONE = {"ListProjects", "ListProjectMembers", "ListProjectRoles", "ListDataSources"}
MISSING = object()


class UnclearReadingError(Exception):
    """The bytes do not say one thing."""


def document(body: bytes) -> Any:
    """The JSON value.

    :raises UnclearReadingError: when it is no JSON or says something twice.
    """

    def once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        if len({name for name, _ in pairs}) != len(pairs):
            raise UnclearReadingError("a key comes twice")
        return dict(pairs)

    def never(word: str) -> Any:
        raise UnclearReadingError(word)

    try:
        return json.loads(body.decode("utf-8"), object_pairs_hook=once, parse_constant=never)
    except (ValueError, RecursionError):
        raise UnclearReadingError("no JSON") from None


def payload(product: str, body: bytes) -> dict[str, Any]:
    """What a successful answer carries.

    :raises UnclearReadingError: when the answer does not plainly say that the call worked.
    """
    whole = document(body)
    if product in ("wedata", "tencent-sts"):
        inner = whole.get("Response") if isinstance(whole, dict) else None
        if not isinstance(inner, dict) or "Error" in inner:
            raise UnclearReadingError("no Response, or an Error")
        return inner
    if not isinstance(whole, dict):
        raise UnclearReadingError("no object")
    if "Success" in whole:
        if whole["Success"] is not True and whole["Success"] != "true":
            raise UnclearReadingError("Success is not true")
    elif any(str(whole.get(name) or "").strip() for name in ("Code", "code")):
        raise UnclearReadingError("a Code without Success")
    return whole


def at(value: Any, path: str) -> Any:
    """The value at a dotted path, or ``MISSING``."""
    for name in path.split("."):
        if not isinstance(value, dict) or name not in value:
            return MISSING
        value = value[name]
    return value


def list_path(product: str, action: str) -> str:
    """Where the rows of a listing stand below the payload."""
    if product == "wedata":
        return TENCENT_LISTS.get(action, "Data.Items")
    if product == "dms":
        return DMS_LISTS[action]
    return "Result.Data" if action in QUICKBI_PAGED else "Result"


def total_path(product: str, action: str) -> str:
    """Where the declared total stands, or empty when the action declares none."""
    if product == "wedata":
        return "" if action in ("ListTenantRoles", "ListCodeFolderContents") else "Data.TotalCount"
    if product == "dms":
        return "" if action in NO_TOTAL else "TotalCount"
    return "Result.TotalNum" if action in QUICKBI_PAGED else ""


def rows(product: str, action: str, body: bytes) -> list[Any]:
    """The rows that the bytes show.

    :raises UnclearReadingError: when there is no explicit list.
    """
    found = at(payload(product, body), list_path(product, action))
    if found is None and action in NULL_MEANS_NONE and declared(product, action, body) == 0:
        return []
    if not isinstance(found, list):
        raise UnclearReadingError("no list of rows")
    return found


def declared(product: str, action: str, body: bytes) -> int | None:
    """The declared total, or None for an action without one.

    :raises UnclearReadingError: when it belongs there and is no plain number.
    """
    path = total_path(product, action)
    if not path:
        return None
    found = at(payload(product, body), path)
    if isinstance(found, str) and found.isascii() and found.isdigit():
        return int(found)
    if not isinstance(found, int) or isinstance(found, bool):
        raise UnclearReadingError("no total")
    return found


SAYS_NOTHING_ELSE = {"SellSitd"}
"""Flags of which any other value is read as not known: nothing that ends access goes by them."""


def same(ours: Any, raw: Any) -> bool:
    """Whether a value that was handed up is what stands in the answer: nothing added, nothing left out."""
    if ours is None:
        return raw is MISSING or raw is None or raw == ""
    if isinstance(ours, dict):
        return isinstance(raw, dict) and all(_same_field(name, value, raw) for name, value in ours.items())
    if isinstance(ours, list | tuple):
        if isinstance(raw, str):  # the one tree that arrives as text
            raw = document(raw.encode("utf-8", "surrogatepass"))
            raw = [raw] if isinstance(raw, dict) else raw
        return isinstance(raw, list) and len(raw) == len(ours) and all(map(same, ours, raw))
    if isinstance(ours, bool):
        return raw is ours or raw == str(ours).lower()
    if isinstance(ours, int):
        return (raw == ours and isinstance(raw, int) and not isinstance(raw, bool)) or _digits(raw, ours)
    return raw == ours if isinstance(raw, str) else isinstance(raw, int) and raw is not True and str(raw) == ours


def _same_field(name: str, ours: Any, raw: dict[str, Any]) -> bool:
    stands = _field(raw, name, ours)
    if ours is None and name in SAYS_NOTHING_ELSE:
        return not isinstance(stands, bool) and stands not in ("true", "false")
    return same(ours, stands)


def _digits(raw: Any, ours: int) -> bool:
    return isinstance(raw, str) and raw.removeprefix("-").isdigit() and int(raw) == ours


def _field(raw: dict[str, Any], name: str, ours: Any) -> Any:
    """The field, or what we may have read under the vendor's other spelling."""
    other = OTHER_SPELLING.get(name, name) if ours is not None else name
    return raw.get(name, raw.get(other, MISSING))


def unsaid(action: str, answer: dict[str, Any]) -> list[str]:
    """Fields that show an audience and are not there at all: their absence says nothing."""
    return [path for path in EXPLICIT.get(action, ()) if at(answer, path) is MISSING]


# --- writes -------------------------------------------------------------------------------------------


def worked(product: str, action: str, wire: dict[str, Any], body: bytes) -> bool:
    """Whether the answer of a write plainly says that everything that was asked for has been done."""
    try:
        answer = payload(product, body)
    except UnclearReadingError:
        return False
    if product == "dms":
        return "Success" in answer and not str(answer.get("ErrorCode") or "").strip()
    if action == "AddWorksAuthorization":
        return "Success" in answer and bool(answer.get("Result"))
    if product == "quickbi" and action not in ("AuthorizeMenu", "CancelAuthorizationMenu"):
        return "Success" in answer and _true(answer.get("Result"))
    if product == "quickbi":
        count = answer.get("Result")
        plain = isinstance(count, int) and not isinstance(count, bool)
        return "Success" in answer and (plain or (isinstance(count, str) and count.isdigit()))
    if "MemberProjectRole" in action or action == "DeleteProjectMember":
        return True  # the answer holds a request id only
    if "CodePermissions" in action:
        asked = wire.get("AuthorizePermissionObjects") or wire["RecyclePolicySet"]
        return _withdrawn_or_given(answer.get("Data"), asked)
    if "DataSource" in action or "WorkflowPermissions" in action or action == "CreateProjectMember":
        return _true(at(answer, "Data.Status"))
    return _true(at(answer, "Data.OverallSuccess")) and all(said(answer, each) is True for each in wire["Resources"])


def _withdrawn_or_given(results: Any, asked: list[dict[str, Any]]) -> bool:
    """Whether a list says nothing but success, and of no other object than the one that was asked for."""
    ident = asked[0]["Resource"]["ResourceId"]
    return isinstance(results, list) and all(
        isinstance(one, dict) and _true(one.get("Result")) and one.get("Item") in (None, "", ident) for one in results
    )


def said(answer: dict[str, Any], resource: dict[str, str]) -> bool | None:
    """What the results say about one resource: exactly one result names it, or nothing is said."""
    results = at(answer, "Data.Results")
    mine = [r for r in results if _names(r, resource)] if isinstance(results, list) else []
    if len(mine) != 1:
        return None
    found = mine[0].get("Result")
    return True if _true(found) else False if found is False or found == "false" else None


def _names(result: Any, resource: dict[str, str]) -> bool:
    echo = result.get("Resource") if isinstance(result, dict) else None
    if not isinstance(echo, dict):
        return False
    kind = echo.get("ResourceType")
    return (
        isinstance(kind, str)
        and kind.casefold() == resource["ResourceType"].casefold()
        and str(echo.get("ResourceUri")) == resource["ResourceUri"]
    )


def _true(value: Any) -> bool:
    return value is True or value == "true"


def failed(product: str, action: str, body: bytes) -> bool:
    """Whether the answer plainly says that something was not done."""
    if b"<Error" in body:
        return True
    try:
        whole = document(body)
    except UnclearReadingError:
        return False
    if not isinstance(whole, dict):
        return False
    if product == "wedata":
        inner = whole.get("Response")
        if not isinstance(inner, dict):
            return False
        if "CodePermissions" in action and isinstance(inner.get("Data"), list):
            results = [one.get("Result") if isinstance(one, dict) else None for one in inner["Data"]]
            return bool(results) and all(one in (False, "false") for one in results)
        return "Error" in inner or at(inner, "Data.Status") in (False, "false")
    if "Success" in whole:
        return whole["Success"] in (False, "false")
    return bool(whole.get("Code") or whole.get("code"))
