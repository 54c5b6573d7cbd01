"""The grant of a permission record, and why a record cannot be revoked."""

from __future__ import annotations

from collections.abc import Mapping

from rescind.cloud.dms.permissions import PermRecord, UserPermissionRow
from rescind.cloud.fields import UNNAMEABLE, is_numeric_id
from rescind.model import Cell, Grant, GrantKey, PrincipalType
from rescind.systems.base import ListingScope
from rescind.systems.dms.users import end_of

_REVOCABLE = frozenset({"INSTANCE", "DATABASE", "LOGIC_DATABASE", "TABLE", "LOGIC_TABLE"})
PRIVILEGES = frozenset({"QUERY", "EXPORT", "CORRECT", "LOGIN", "PERF"})


def grant_of(account: str, tid: str, scope: ListingScope, row: UserPermissionRow, record: PermRecord) -> Grant:
    """Return the grant of one record, as the listing of ``scope`` shows it."""
    listing, listed_in, listed_logic = scope
    ds_type = row.DsType or ("INSTANCE" if listing == "INSTANCE" else "")
    resource_type = "column" if row.ColumnName or listing == "COLUMN" else ds_type.lower() or "unknown"
    facts = {
        "DsType": ds_type,
        "InstanceId": row.InstanceId or "",
        "DbId": row.DbId or "",
        "Logic": "" if row.Logic is None else str(row.Logic).lower(),
        "TableId": row.TableId or "",
        "TableName": row.TableName or "",
        "ColumnName": row.ColumnName or "",
        "Tid": tid,
        "Listing": listing,
        "ListedIn": listed_in,
        "ListedLogic": listed_logic,
    }
    why_not = _why_not(resource_type, facts, record) or _unnameable(facts, row.UserId, record.UserAccessId)
    if not why_not and facts["Logic"] == "" and ds_type != "INSTANCE":
        facts["Logic"] = str(ds_type.startswith("LOGIC_")).lower()
    return Grant(
        key=GrantKey(
            "dms_permissions",
            account,
            resource_type,
            _resource_id(resource_type, facts),
            PrincipalType.USER,
            row.UserId,
            record.PermType,
            record.UserAccessId,
        ),
        cell=Cell(row.UserId, record.UserAccessId, "record", (row.UserId, record.PermType)),
        revocable=not why_not,
        why_not=why_not,
        expires_at=end_of(record.ExpireDate),
        expires_raw=record.ExpireDate or "",
        created_raw=record.CreateDate or "",
        origin=record.OriginFrom or "",
        principal_name=row.UserNickName or "",
        resource_name=row.SearchName or row.SchemaName or row.Alias or "",
        attributes=facts,
    )


def _why_not(resource_type: str, facts: Mapping[str, str], record: PermRecord) -> str:
    """Why the revoke call cannot take this record, or empty."""
    ds_type, logic = facts["DsType"], facts["Logic"]
    if resource_type == "column":
        return "column permissions have no revoke call in this API version"
    if ds_type not in _REVOCABLE:
        return f"unknown object type {ds_type!r}"
    if record.PermType not in PRIVILEGES:
        return f"unknown privilege {record.PermType!r}"
    if ds_type == "INSTANCE":
        return "" if facts["InstanceId"] else "the row names no instance"
    if not facts["DbId"] or (ds_type.endswith("TABLE") and not facts["TableId"]):
        return "the row does not name its database and table"
    if logic and logic != str(ds_type.startswith("LOGIC_")).lower():
        return "the row contradicts itself about being logical"
    return ""


def _unnameable(facts: Mapping[str, str], user: str, record: str) -> str:
    """Why the revoke call cannot carry the ids of a record, or empty. Its instance may be missing, for a database."""
    ids = (user, record, *(facts[name] for name in ("InstanceId", "DbId", "TableId") if facts[name]))
    wildcard = facts["TableName"] != "" and not facts["TableName"].strip("*%")
    return UNNAMEABLE if wildcard or not all(map(is_numeric_id, ids)) else ""


def _resource_id(resource_type: str, facts: Mapping[str, str]) -> str:
    if resource_type == "instance":
        return facts["InstanceId"]
    if resource_type in ("table", "logic_table", "column"):
        return facts["TableId"] or facts["TableName"]
    return facts["DbId"]
