"""Alibaba Cloud DMS Enterprise 2018-11-01: what the caller may do on tables, as the platform says.

Source: the vendor's Python SDK models (3.0.0). The action has no user parameter, so it answers for the calling
account only and tells nothing about anybody else.
"""

from __future__ import annotations

import json
from typing import Annotated, Any, ClassVar

from pydantic import Field

from rescind.cloud.base import Reply
from rescind.cloud.dms.permissions import DmsRead, PrivilegeName
from rescind.cloud.fields import DigitsAsInt, Flag, NameText, Text

MAX_TABLES = 100
"""Most tables in one call. The vendor states no limit; this is ours."""


class TableAccess(Reply):
    """What was said about one table. ``Success``: permission granted or denied; None proves nothing."""

    TableName: Text | None = None
    Success: Flag | None = None
    ErrorMessage: Text | None = None


class TableAccessAnswer(Reply):
    """One entry for each table. Null or nothing in place of the list is refused as malformed."""

    Data: tuple[TableAccess, ...]

    def granted(self, table: str) -> bool | None:
        """Return what exactly one entry says about a table; None when none, several or an empty one names it."""
        said = [entry.Success for entry in self.Data if entry.TableName == table]
        return said[0] if len(said) == 1 else None


class CheckBatchTableAccessPermission(DmsRead[TableAccessAnswer]):
    """Ask whether the caller has one privilege on tables of one database."""

    action: ClassVar[str] = "CheckBatchTableAccessPermission"
    Answer: ClassVar[type[Reply]] = TableAccessAnswer
    DbId: DigitsAsInt
    Logic: bool | None = None
    PermissionType: PrivilegeName
    TableNameList: Annotated[tuple[NameText, ...], Field(min_length=1, max_length=MAX_TABLES)]

    def wire(self) -> dict[str, Any]:
        """The given parameters; the tables go as one JSON text."""
        names = json.dumps(self.TableNameList, ensure_ascii=False, separators=(",", ":"))
        return {**super().wire(), "TableNameList": names}
