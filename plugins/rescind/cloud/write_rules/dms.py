"""What the writes of DMS must name."""

from __future__ import annotations

import re
from collections.abc import Mapping

from rescind.cloud.write_rules.shapes import (
    DIGITS,
    TENANT,
    Parameters,
    Rule,
    id_text,
    only_names,
    path_text,
    refuse,
)

_DATE = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2} [0-9]{2}:[0-9]{2}:[0-9]{2}")
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
        refuse(action, "DsType is not a kind whose permissions can be changed")
        return
    optional = {"Tid"} if logic == "" else {"Tid", "InstanceId"}
    if "TableId" in needed:
        optional |= {"TableName"}
    only_names(action, given, {"UserId", "DsType", "PermTypes", last, *needed}, optional)
    if given["PermTypes"] not in _DMS_PRIVILEGES:
        refuse(action, "PermTypes is not exactly one privilege")
    if logic and given["Logic"] != logic:
        refuse(action, f"Logic is not {logic}")
    for name in sorted({"UserId", "InstanceId", "DbId", "TableId", "UserAccessId"} & set(given)):
        id_text(action, name, given[name], DIGITS)
    if "Tid" in given:
        id_text(action, "Tid", given["Tid"], TENANT)
    if "TableName" in given and not path_text(action, "TableName", given["TableName"]).strip("*%"):
        refuse(action, "TableName is a wildcard")


def _dms_revoke(action: str, given: Parameters) -> None:
    _dms(action, given, "UserAccessId")


def _dms_grant(action: str, given: Parameters) -> None:
    _dms(action, given, "ExpireDate")
    id_text(action, "ExpireDate", given["ExpireDate"], _DATE)


def _dms_account(action: str, given: Parameters) -> None:
    only_names(action, given, {"Uid", "Tid"})
    id_text(action, "Uid", given["Uid"], DIGITS)
    id_text(action, "Tid", given["Tid"], TENANT)


def _proxy_account(action: str, given: Parameters) -> None:
    ids = {"ProxyAccessId"} if action == "DeleteProxyAccess" else {"ProxyId", "UserId"}
    only_names(action, given, {"Tid", *ids})
    for name in sorted(ids):
        id_text(action, name, given[name], DIGITS)
    id_text(action, "Tid", given["Tid"], TENANT)


def _policy(action: str, given: Parameters) -> None:
    """One attachment by its id, or one policy with the one user or role whose kind it names."""
    kind = given.get("IdentityType")
    if kind not in ("USER", "ROLE"):
        refuse(action, "IdentityType is neither USER nor ROLE")
    holder = "UserId" if kind == "USER" else "RoleId"
    ids = {"AuthorizationId"} if action == "DeleteAbacAuthorization" else {"PolicyId", holder}
    only_names(action, given, {"IdentityType", "Tid", *ids})
    for name in sorted(ids):
        id_text(action, name, given[name], DIGITS)
    id_text(action, "Tid", given["Tid"], TENANT)


WRITES: Mapping[str, Rule] = {
    "RevokeUserPermission": _dms_revoke,
    "GrantUserPermission": _dms_grant,
    "DisableUser": _dms_account,
    "EnableUser": _dms_account,
    "DeleteProxyAccess": _proxy_account,
    "CreateProxyAccess": _proxy_account,
    "DeleteAbacAuthorization": _policy,
    "CreateAbacAuthorization": _policy,
}
