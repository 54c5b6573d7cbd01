"""Convert values to what evidence may hold: no secrets by name, no floats, times as text."""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import datetime
from functools import lru_cache
from typing import Any

from rescind.evidence.bundle.format import moment
from rescind.model import LAST_USE, Grant

_SECRET = re.compile(
    r"(?i)(secret|passw|signature|authori[sz]ation$|(access|security|session|id)_?token|^token$|cookie|private_?key)"
)
_REMOVED = "[removed: a secret has no place in evidence]"


@lru_cache(maxsize=1024)  # names of fields come again in every record
def _secret(name: str) -> bool:
    return _SECRET.search(name) is not None


def plain(value: Any) -> Any:
    """Return a free-form JSON value as evidence may hold it."""
    if type(value) is str:
        return value
    if isinstance(value, Mapping):
        return {str(k): _REMOVED if _secret(str(k)) else plain(v) for k, v in value.items()}
    if isinstance(value, list | tuple):
        return [plain(inner) for inner in value]
    if isinstance(value, float):
        return repr(value)
    if isinstance(value, datetime):
        return moment(value)
    return str(value) if isinstance(value, str) else value


def grant_record(grant: Grant) -> dict[str, Any]:
    """Return a grant as a record. What is known of its last use is in it only where the run read that."""
    key, cell = grant.key, grant.cell
    used = {name: getattr(grant, name) for name in LAST_USE} if grant.last_use else {}
    return {
        "grant_id": key.grant_id,
        "system": key.system,
        "account": key.account,
        "resource_type": key.resource_type,
        "resource_id": key.resource_id,
        "principal_type": str(key.principal_type),
        "principal_id": key.principal_id,
        "entitlement": key.entitlement,
        "native_id": key.native_id,
        "container": cell.container,
        "row": cell.row,
        "column_kind": cell.kind,
        "column": list(cell.column),
        "revocable": grant.revocable,
        "why_not": grant.why_not,
        "inherited_from": grant.inherited_from,
        "expires_at": moment(grant.expires_at),
        "expires_raw": grant.expires_raw,
        "created_raw": grant.created_raw,
        "origin": grant.origin,
        "principal_name": grant.principal_name,
        "resource_name": grant.resource_name,
        "attributes": plain(grant.attributes),
        **used,
    }
