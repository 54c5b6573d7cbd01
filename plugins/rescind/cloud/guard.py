"""The last look at a request before it is signed: at the final bytes, not at the message they came from.

The guard shares no code with the typed messages on purpose. It knows every write by name and what each may
carry; a write that it does not know, a selector that is missing, empty or ambiguous, an id that could be
read as two, and a call over the vendor's limits are refused. Reads pass when they look like reads.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Any
from urllib.parse import unquote_to_bytes

from rescind.cloud.answers.strict_json import JsonError, loads
from rescind.cloud.base import Prepared
from rescind.errors import BlastRadiusExceededError, InputError

_READS = re.compile(r"(?:List|Get|Query|Describe)[A-Z][A-Za-z]+(?:V[0-9])?")
_CHECKS = frozenset({"CheckReadable", "CheckBatchTableAccessPermission"})
_TOKEN_SERVICE = frozenset({"GetCallerIdentity", "AssumeRole", "AssumeRoleWithWebIdentity", "AssumeRoleWithOIDC"})
_DIGITS = re.compile(r"[1-9][0-9]{0,19}")
_PAIR = re.compile(r"[1-9][0-9]{0,19}_[1-9][0-9]{0,19}")
_TENANT = re.compile(r"-1|[1-9][0-9]{0,18}")
_ID = re.compile(
    r"(?!0+\Z)(?!(?:all|any|every|everyone|everybody|everything|null|none|nil|nan|undefined|true|false)\Z)"
    r"[a-z0-9][a-z0-9_-]{0,63}",
    re.IGNORECASE | re.ASCII,
)
_SUBJECTS = {
    "User": _DIGITS,
    "Project": _DIGITS,
    "Role": re.compile(r"[1-9][0-9]{0,19}(?:\.[1-9][0-9]{0,19}){0,2}"),
    "GlobalRole": re.compile(r"AllAccountUsers|[1-9][0-9]{0,19}"),
}
_ALL_WORD = re.compile(r"(?:all|any|every)(?:_.*)?", re.IGNORECASE | re.ASCII | re.DOTALL)
_ALL_PRIVILEGES = "ALL_PRIVILEGES"
_WORD = re.compile(r"[A-Za-z][A-Za-z0-9_]{0,63}")
_MILLISECONDS = re.compile(r"[1-9][0-9]{12,14}")
_DATE = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2} [0-9]{2}:[0-9]{2}:[0-9]{2}")
_DAY = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}")
_INK = r"[^\s\x00-\x1f\x7f-\x9f\u200b\u2028\u2029\ufeff]+"
_VISIBLE = re.compile(f"{_INK}(?: +{_INK})*")

_MAX_ENTRIES = 100
_MAX_MENUS, _MAX_USERS, _MAX_GROUPS = 100, 200, 200
_MAX_GROUPS_OF_USER = 50
_MAX_TARGETS = 50

_NONE: frozenset[str] = frozenset()

Parameters = Mapping[str, Any]


def check(prepared: Prepared[Any]) -> None:
    """Let a request pass or refuse it.

    :raises BlastRadiusExceededError: when the request could touch more than it names, or is not a known action.
    :raises InputError: when a value has the wrong shape.
    """
    action, parameters = _final(prepared)
    if action != prepared.action:
        _refuse(prepared.action, "the bytes name another action")
    known = _WRITES.get((prepared.service, action))
    if not prepared.write:
        token_call = prepared.service == "sts" and action in _TOKEN_SERVICE
        read = prepared.service != "sts" and (action in _CHECKS or _READS.fullmatch(action))
        if known is not None or not (token_call or read):
            _refuse(action, "is not a read")
        return
    if known is None or prepared.method != "POST":
        _refuse(action, "is not a write that this tool makes")
        return
    known(action, parameters)


def _final(prepared: Prepared[Any]) -> tuple[str, Parameters]:
    if prepared.vendor == "tencent":
        if "?" in prepared.url:
            _refuse(prepared.action, "the address carries parameters")
        return prepared.headers.get("x-tc-action", ""), _json(prepared)
    query = _query(prepared)
    if prepared.write and prepared.body:
        _refuse(prepared.action, "there are parameters outside the query")
    return prepared.headers.get("x-acs-action") or query.get("Action", ""), query


def _json(prepared: Prepared[Any]) -> Parameters:
    try:
        value = loads(prepared.body)
    except JsonError as error:
        raise InputError(prepared.action, f"the body is unreadable ({error})", "Build it from a message") from None
    if not isinstance(value, dict):
        raise InputError(prepared.action, "the body is not an object", "Build it from a message")
    return value


def _query(prepared: Prepared[Any]) -> dict[str, str]:
    out: dict[str, str] = {}
    text = prepared.url.partition("?")[2]
    for pair in text.split("&") if text else ():
        name, equals, value = pair.partition("=")
        decoded = _decode(name)
        if not equals or decoded in out or "#" in pair or "+" in pair:
            _refuse(prepared.action, "a parameter is repeated or has no value")
        out[decoded] = _decode(value)
    return out


def _decode(text: str) -> str:
    try:
        return unquote_to_bytes(text).decode("utf-8")
    except UnicodeDecodeError:
        raise InputError("query", "is not UTF-8", "Build it from a message") from None


def _refuse(action: str, why: str) -> None:
    raise BlastRadiusExceededError(f"{action}: {why}; it was not sent")


def _names(action: str, given: Parameters, required: set[str], optional: frozenset[str] | set[str] = _NONE) -> None:
    if missing := sorted(required - set(given)):
        _refuse(action, f"without {', '.join(missing)} it could mean more than one grant")
    if extra := sorted(set(given) - required - optional):
        _refuse(action, f"carries {len(extra)} parameters that it must not have")


def _text(action: str, name: str, value: Any, shape: re.Pattern[str]) -> str:
    if not isinstance(value, str):
        raise InputError(f"{action}.{name}", f"is {type(value).__name__}, not text", "Give the id as listed")
    if not value.strip():
        _refuse(action, f"{name} is empty")
    if not shape.fullmatch(value):
        raise InputError(f"{action}.{name}", "has separators, blanks or a wrong shape", "Give one id as listed")
    return value


def _path(action: str, name: str, value: Any) -> str:
    if not isinstance(value, str) or len(value) > 1024 or not _VISIBLE.fullmatch(value):
        raise InputError(f"{action}.{name}", "is empty, too long, or has line ends or controls", "Copy it as listed")
    return value


def _list(action: str, name: str, value: Any) -> list[Any]:
    if not isinstance(value, list) or not value:
        _refuse(action, f"{name} is empty")
    if len(value) > _MAX_ENTRIES:
        _refuse(action, f"{name} has {len(value)} entries, more than {_MAX_ENTRIES}")
    return list(value)


def _object(action: str, name: str, value: Any, keys: set[str]) -> dict[str, Any]:
    if not isinstance(value, dict) or set(value) != keys:
        _refuse(action, f"an entry of {name} does not have exactly {', '.join(sorted(keys))}")
    return dict(value)


def _privileges(action: str, given: Parameters) -> None:
    _names(action, given, {"Resources", "Subjects", "Privileges"})
    resources = [
        _object(action, "Resources", entry, {"ResourceType", "ResourceUri"})
        for entry in _list(action, "Resources", given["Resources"])
    ]
    for entry in resources:
        kind = _text(action, "ResourceType", entry["ResourceType"], _WORD)
        path = _path(action, "ResourceUri", entry["ResourceUri"])
        if "*" in path or path == "%" or _ALL_WORD.fullmatch(path) or _ALL_WORD.fullmatch(kind):
            _refuse(action, "a resource means more than one object")
    if len({entry["ResourceType"].casefold() for entry in resources}) != 1:
        _refuse(action, "its resources have different types")
    subjects = _list(action, "Subjects", given["Subjects"])
    privileges = _list(action, "Privileges", given["Privileges"])
    if len(subjects) != len(privileges):
        _refuse(action, f"has {len(subjects)} Subjects and {len(privileges)} Privileges")
    for entry in subjects:
        subject = _object(action, "Subjects", entry, {"SubjectType", "SubjectValues"})
        shape = _SUBJECTS.get(_text(action, "SubjectType", subject["SubjectType"], _WORD))
        if shape is None:
            _refuse(action, "a subject has an unknown type")
            return
        for value in _list(action, "SubjectValues", subject["SubjectValues"]):
            _text(action, "SubjectValues", value, shape)
    for entry in privileges:
        name = _text(action, "Name", _object(action, "Privileges", entry, {"Name"})["Name"], _WORD)
        if _ALL_WORD.fullmatch(name) and name != _ALL_PRIVILEGES:
            _refuse(action, "a privilege means every privilege")


def _revoke_data_source(action: str, given: Parameters) -> None:
    """Exactly one selector: with none the vendor withdraws everything from the data source."""
    selectors = set(given) & {"RevokeProjectId", "RevokeUser"}
    if len(selectors) != 1:
        _refuse(action, f"has {len(selectors)} selectors in place of one")
    _names(action, given, {"DataSourceId", *selectors})
    _text(action, "DataSourceId", given["DataSourceId"], _DIGITS)
    if "RevokeUser" in given:
        _text(action, "RevokeUser", given["RevokeUser"], _PAIR)
    else:
        _text(action, "RevokeProjectId", given["RevokeProjectId"], _DIGITS)


def _authorize_data_source(action: str, given: Parameters) -> None:
    selectors = set(given) & {"AuthProjectId", "AuthUsers"}
    if len(selectors) != 1:
        _refuse(action, f"has {len(selectors)} selectors in place of one")
    _names(action, given, {"DataSourceId", *selectors})
    _text(action, "DataSourceId", given["DataSourceId"], _DIGITS)
    if "AuthProjectId" in given:
        _text(action, "AuthProjectId", given["AuthProjectId"], _DIGITS)
        return
    users = [_text(action, "AuthUsers", user, _PAIR) for user in _list(action, "AuthUsers", given["AuthUsers"])]
    if len({user.partition("_")[0] for user in users}) != 1:
        _refuse(action, "its users are in different projects")


def _project_member(action: str, given: Parameters) -> None:
    """One project and one user; roles wherever the action has them, each named once."""
    user = "UserUin" if action.endswith("MemberProjectRole") else "UserUins"
    roles = _NONE if action == "DeleteProjectMember" else {"RoleIds"}
    _names(action, given, {"ProjectId", user, *roles})
    _text(action, "ProjectId", given["ProjectId"], _DIGITS)
    users = [given[user]] if user == "UserUin" else _list(action, user, given[user])
    if len(users) != 1:
        _refuse(action, f"names {len(users)} users in place of one")
    _text(action, user, users[0], _DIGITS)
    ids = [_text(action, name, one, _DIGITS) for name in roles for one in _list(action, name, given[name])]
    if len(ids) > len(set(ids)):
        _refuse(action, "RoleIds names a role twice")


_LEVELS = ("CAN_VIEW", "CAN_RUN", "CAN_EDIT", "CAN_MANAGE")


def _one(action: str, name: str, value: Any) -> Any:
    entries = _list(action, name, value)
    if len(entries) != 1:
        _refuse(action, f"{name} has {len(entries)} entries in place of one")
    return entries[0]


def _holder(action: str, kind: Any, ident: Any, rights: Any, kinds: tuple[str, ...]) -> None:
    """One user, role or group with permissions, each named once."""
    if kind not in kinds:
        _refuse(action, f"its holder is not one of {', '.join(kinds)}")
    _text(action, "holder", ident, _DIGITS)
    named = _list(action, "permissions", rights)
    if any(right not in _LEVELS for right in named) or len(set(named)) != len(named):
        _refuse(action, "names a permission twice, or one that is not known")


def _code_permissions(action: str, given: Parameters) -> None:
    """One folder or script, one holder."""
    objects, subjects = (
        ("RecyclePolicySet", "RecycleSubjects")
        if action == "DeleteCodePermissions"
        else ("AuthorizePermissionObjects", "AuthorizeSubjects")
    )
    _names(action, given, {"ProjectId", objects})
    _text(action, "ProjectId", given["ProjectId"], _DIGITS)
    entry = _object(action, objects, _one(action, objects, given[objects]), {"Resource", subjects})
    resource = _object(action, "Resource", entry["Resource"], {"ResourceType", "ResourceId"})
    if resource["ResourceType"] not in ("folder", "script"):
        _refuse(action, "ResourceType is neither folder nor script")
    _text(action, "ResourceId", resource["ResourceId"], _ID)
    fields = {"SubjectType", "SubjectValues", "Privileges"}
    subject = _object(action, subjects, _one(action, subjects, entry[subjects]), fields)
    ident = _one(action, "SubjectValues", subject["SubjectValues"])
    _holder(action, subject["SubjectType"], ident, subject["Privileges"], ("user", "role", "group"))


def _workflow_permissions(action: str, given: Parameters) -> None:
    """One workflow or folder, one holder."""
    deletes = action == "DeleteWorkflowPermissions"
    name = "DeletePermissionList" if deletes else "PermissionList"
    _names(action, given, {"ProjectId", "EntityId", "EntityType", name})
    _text(action, "ProjectId", given["ProjectId"], _DIGITS)
    _text(action, "EntityId", given["EntityId"], _ID)
    if given["EntityType"] not in ("folder", "workflow"):
        _refuse(action, "EntityType is neither folder nor workflow")
    fields = {"PermissionTargetType", "PermissionTargetId", "PermissionTypeList"}
    entry = _object(action, name, _one(action, name, given[name]), fields)
    kinds = ("user", "role", "group") if deletes else ("user", "role")
    target = entry["PermissionTargetId"]
    _holder(action, entry["PermissionTargetType"], target, entry["PermissionTypeList"], kinds)


_DMS_KINDS: Mapping[str, tuple[set[str], str]] = {
    "INSTANCE": ({"InstanceId"}, ""),
    "DATABASE": ({"DbId", "Logic"}, "false"),
    "LOGIC_DATABASE": ({"DbId", "Logic"}, "true"),
    "TABLE": ({"DbId", "Logic", "TableId"}, "false"),
    "LOGIC_TABLE": ({"DbId", "Logic", "TableId"}, "true"),
}
_DMS_PRIVILEGES = frozenset({"QUERY", "EXPORT", "CORRECT", "LOGIN", "PERF"})


def _dms(action: str, given: Parameters, last: str) -> None:
    needed, logic = _DMS_KINDS.get(given.get("DsType", ""), (None, ""))
    if needed is None:
        _refuse(action, "DsType is not a kind whose permissions can be changed")
        return
    optional = {"Tid"} if logic == "" else {"Tid", "InstanceId"}
    if "TableId" in needed:
        optional |= {"TableName"}
    _names(action, given, {"UserId", "DsType", "PermTypes", last, *needed}, optional)
    if given["PermTypes"] not in _DMS_PRIVILEGES:
        _refuse(action, "PermTypes is not exactly one privilege")
    if logic and given["Logic"] != logic:
        _refuse(action, f"Logic is not {logic}")
    for name in sorted({"UserId", "InstanceId", "DbId", "TableId", "UserAccessId"} & set(given)):
        _text(action, name, given[name], _DIGITS)
    if "Tid" in given:
        _text(action, "Tid", given["Tid"], _TENANT)
    if "TableName" in given and not _path(action, "TableName", given["TableName"]).strip("*%"):
        _refuse(action, "TableName is a wildcard")


def _dms_revoke(action: str, given: Parameters) -> None:
    _dms(action, given, "UserAccessId")


def _dms_grant(action: str, given: Parameters) -> None:
    _dms(action, given, "ExpireDate")
    _text(action, "ExpireDate", given["ExpireDate"], _DATE)


def _dms_account(action: str, given: Parameters) -> None:
    _names(action, given, {"Uid", "Tid"})
    _text(action, "Uid", given["Uid"], _DIGITS)
    _text(action, "Tid", given["Tid"], _TENANT)


def _proxy_account(action: str, given: Parameters) -> None:
    ids = {"ProxyAccessId"} if action == "DeleteProxyAccess" else {"ProxyId", "UserId"}
    _names(action, given, {"Tid", *ids})
    for name in sorted(ids):
        _text(action, name, given[name], _DIGITS)
    _text(action, "Tid", given["Tid"], _TENANT)


def _policy(action: str, given: Parameters) -> None:
    """One attachment by its id, or one policy with the one user or role whose kind it names."""
    kind = given.get("IdentityType")
    if kind not in ("USER", "ROLE"):
        _refuse(action, "IdentityType is neither USER nor ROLE")
    holder = "UserId" if kind == "USER" else "RoleId"
    ids = {"AuthorizationId"} if action == "DeleteAbacAuthorization" else {"PolicyId", holder}
    _names(action, given, {"IdentityType", "Tid", *ids})
    for name in sorted(ids):
        _text(action, name, given[name], _DIGITS)
    _text(action, "Tid", given["Tid"], _TENANT)


def _menus(action: str, given: Parameters) -> None:
    limits = {"MenuIds": _MAX_MENUS, "UserIds": _MAX_USERS, "UserGroupIds": _MAX_GROUPS}
    points = {"AuthPointsValue"} if action == "AuthorizeMenu" else set()
    _names(action, given, {"DataPortalId", "MenuIds", *points}, {"UserIds", "UserGroupIds"})
    if not {"UserIds", "UserGroupIds"} & set(given):
        _refuse(action, "names no receiver")
    _text(action, "DataPortalId", given["DataPortalId"], _ID)
    for name in limits.keys() & set(given):
        ids = given[name].split(",")
        if len(ids) > limits[name]:
            _refuse(action, f"{name} has {len(ids)} ids, more than {limits[name]}")
        if len(set(ids)) != len(ids):
            _refuse(action, f"{name} names an id twice")
        for each in ids:
            _text(action, name, each, _ID)
    if points and given["AuthPointsValue"] not in ("1", "3"):
        _refuse(action, "AuthPointsValue is neither 1 nor 3")


def _group_members(action: str, given: Parameters) -> None:
    _names(action, given, {"UserGroupIds", "UserId"})
    _text(action, "UserId", given["UserId"], _ID)
    groups = given["UserGroupIds"].split(",")
    if len(groups) > _MAX_GROUPS_OF_USER or len(set(groups)) != len(groups):
        _refuse(action, f"UserGroupIds has {len(groups)} ids, more than {_MAX_GROUPS_OF_USER}, or names one twice")
    for each in groups:
        _text(action, "UserGroupIds", each, _ID)


def _workspace_member(action: str, given: Parameters) -> None:
    role = {"RoleId"} if action == "AddUserToWorkspace" else set()
    _names(action, given, {"UserId", "WorkspaceId", *role})
    for name in ("UserId", "WorkspaceId"):
        _text(action, name, given[name], _ID)
    if role and given["RoleId"] not in ("25", "26", "27", "30"):
        _refuse(action, "RoleId is no preset role")


def _share(action: str, given: Parameters) -> None:
    adds = action == "AddShareReport"
    work, receiver = ("WorksId", "ShareToId") if adds else ("ReportId", "ShareToIds")
    _names(action, given, {work, receiver, "ShareToType", *(("AuthPoint", "ExpireDate") if adds else ())})
    _text(action, work, given[work], _ID)
    _text(action, receiver, given[receiver], _ID)
    if given["ShareToType"] not in ("0", "1", "2"):
        _refuse(action, "ShareToType is neither 0 nor 1 nor 2")
    if adds and given["AuthPoint"] not in ("1", "3"):
        _refuse(action, "AuthPoint is neither 1 nor 3")
    if adds and not _MILLISECONDS.fullmatch(given["ExpireDate"]):
        _refuse(action, "ExpireDate is no time in milliseconds")


_RESOURCE_TYPES = frozenset(
    ["dashboard", "report", "dashboardOfflineQuery", "cube", "datasource", "screen", "ANALYSIS", "dataForm"]
)


def _authorization(action: str, given: Parameters) -> None:
    """One user on one resource; who is authorized until when is said in full."""
    adds = action == "AddWorksAuthorization"
    user = "AuthorizedId" if adds else "QbiUserId"
    level = {"AuthorizeScope", "AuthPoints"} if adds else set()
    ends = {"ExpireDay"} if adds and given.get("AuthPoints") in ("1", "3") else set()
    _names(action, given, {"ResourceType", "ResourceId", user, *level, *ends})
    for name in ("ResourceId", user):
        _text(action, name, given[name], _ID)
    if given["ResourceType"] not in _RESOURCE_TYPES:
        _refuse(action, "ResourceType is not a kind of resource")
    if not adds:
        return
    if given["AuthorizeScope"] != "0":
        _refuse(action, "AuthorizeScope is not one user")
    if given["AuthPoints"] not in ("1", "3", "11"):
        _refuse(action, "AuthPoints is neither 1 nor 3 nor 11")
    if ends:
        _text(action, "ExpireDay", given["ExpireDay"], _DAY)


def _white_list(action: str, given: Parameters) -> None:
    _names(action, given, {"CubeId", "RuleType", "OperateType", "TargetType", "TargetIds"})
    _text(action, "CubeId", given["CubeId"], _ID)
    choices = {"RuleType": ("ROW_LEVEL", "COLUMN_LEVEL"), "OperateType": ("ADD", "DELETE"), "TargetType": ("1", "2")}
    for name, known in choices.items():
        if given[name] not in known:
            _refuse(action, f"{name} is neither {known[0]} nor {known[1]}")
    targets = given["TargetIds"].split(",")
    if len(targets) > _MAX_TARGETS or len(set(targets)) != len(targets):
        _refuse(action, f"TargetIds has {len(targets)} ids, more than {_MAX_TARGETS}, or names one twice")
    for each in targets:
        _text(action, "TargetIds", each, _ID)


_WRITES: Mapping[tuple[str, str], Callable[[str, Parameters], None]] = {
    ("wedata", "RevokePrivileges"): _privileges,
    ("wedata", "AuthorizePrivileges"): _privileges,
    ("wedata", "RevokeDataSourceAuthorization"): _revoke_data_source,
    ("wedata", "AuthorizeDataSource"): _authorize_data_source,
    **{
        ("wedata", action): _project_member
        for action in (
            "RemoveMemberProjectRole",
            "GrantMemberProjectRole",
            "DeleteProjectMember",
            "CreateProjectMember",
        )
    },
    ("wedata", "DeleteCodePermissions"): _code_permissions,
    ("wedata", "CreateCodePermissions"): _code_permissions,
    ("wedata", "DeleteWorkflowPermissions"): _workflow_permissions,
    ("wedata", "CreateWorkflowPermissions"): _workflow_permissions,
    ("dms", "RevokeUserPermission"): _dms_revoke,
    ("dms", "GrantUserPermission"): _dms_grant,
    ("dms", "DisableUser"): _dms_account,
    ("dms", "EnableUser"): _dms_account,
    ("dms", "DeleteProxyAccess"): _proxy_account,
    ("dms", "CreateProxyAccess"): _proxy_account,
    ("dms", "DeleteAbacAuthorization"): _policy,
    ("dms", "CreateAbacAuthorization"): _policy,
    ("quickbi", "CancelAuthorizationMenu"): _menus,
    ("quickbi", "AuthorizeMenu"): _menus,
    ("quickbi", "DeleteUserGroupMembers"): _group_members,
    ("quickbi", "AddUserGroupMembers"): _group_members,
    ("quickbi", "DeleteUserFromWorkspace"): _workspace_member,
    ("quickbi", "AddUserToWorkspace"): _workspace_member,
    ("quickbi", "CancelReportShare"): _share,
    ("quickbi", "AddShareReport"): _share,
    ("quickbi", "DeleteAuthorizationByUserId"): _authorization,
    ("quickbi", "AddWorksAuthorization"): _authorization,
    ("quickbi", "AddDataLevelPermissionWhiteList"): _white_list,
}
