"""Alibaba Cloud DMS Enterprise 2018-11-01: who used what, by the operation audit.

An entry holds the statement, its remark and the content of an operation, with personal data and secrets in them. The
messages have no field for those, so they end with the parsing of the answer. Sources: the vendor's Python SDK models
(3.0.0); the help page of the operation audit for how long entries stay.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, ClassVar, Literal

from pydantic import Field

from rescind.cloud.base import Reply
from rescind.cloud.dms.permissions import DmsRead
from rescind.cloud.fields import Count, DateText, Flag, OptionalId, Text

ExportModule = Literal["SQL_CONSOLE_EXPORT", "DATA_EXPORT", "DSQL_CONSOLE_EXPORT"]
LogModule = Literal[ExportModule, "DATA_CHANGE"]
FULL_PAGE: Literal[100] = 100


class AuditEntry(Reply):
    """What every log says of one event. ``OpTime``: ``yyyy-MM-dd HH:mm:ss`` without a zone."""

    OpTime: Text | None = None
    UserId: OptionalId = None


class LogPage(Reply):
    """One page of a log, with the number of all entries of the asked time."""

    TotalCount: Count | None = None

    def entries(self) -> Sequence[AuditEntry] | None:
        """The entries, or None for null."""
        raise NotImplementedError


class LogRead(DmsRead[LogPage]):
    """A page of a log between two times; one day at most is the vendor's advice.

    Two equal entries are two events, so these are no listings whose rows have a key. Each log has a rate limit of its
    own, apart from the listings; the vendor publishes none, 5 per second is our choice.
    """

    rate: ClassVar[float] = 5.0
    StartTime: DateText
    EndTime: DateText
    PageNumber: Annotated[int, Field(ge=1)] = 1

    def at(self, number: int) -> LogRead:
        """The same read at page ``number``, from 1."""
        return self.model_copy(update={"PageNumber": number})


class SqlEntry(AuditEntry):
    """One statement. ``ExecState``: SUCCESS, FAIL, NOEXE, RUNNING or CANCEL; ``DbId`` null: on an instance."""

    DbId: OptionalId = None
    Logic: Flag | None = None
    SQLType: Text | None = None
    ExecState: Text | None = None


class ListSQLExecAuditLogAnswer(LogPage):
    """``SQLExecAuditLogList.SQLExecAuditLog`` with ``TotalCount``."""

    class _Wrap(Reply):
        SQLExecAuditLog: tuple[SqlEntry, ...] | None = None

    SQLExecAuditLogList: _Wrap | None = None

    def entries(self) -> Sequence[SqlEntry] | None:
        """The statements, or None for null."""
        return self.SQLExecAuditLogList.SQLExecAuditLog if self.SQLExecAuditLogList else None


class ListSQLExecAuditLog(LogRead):
    """Statements of all users; page size at most 100. Not filtered by state: that a filter works proves nothing."""

    action: ClassVar[str] = "ListSQLExecAuditLog"
    Answer: ClassVar[type[Reply]] = ListSQLExecAuditLogAnswer
    PageSize: Annotated[int, Field(ge=1, le=FULL_PAGE)] = FULL_PAGE


class OperationEntry(AuditEntry):
    """One operation in a module of DMS. ``Database`` is a name, not an id.

    ``UserId`` is as long as a cloud account's id in the vendor's sample, ``OpUserId`` as long as a DMS user's.
    """

    OpUserId: OptionalId = None
    Module: Text | None = None
    Database: Text | None = None


class GetOpLogAnswer(LogPage):
    """``OpLogDetails.OpLogDetail`` with ``TotalCount``."""

    class _Wrap(Reply):
        OpLogDetail: tuple[OperationEntry, ...] | None = None

    OpLogDetails: _Wrap | None = None

    def entries(self) -> Sequence[OperationEntry] | None:
        """The operations, or None for null."""
        return self.OpLogDetails.OpLogDetail if self.OpLogDetails else None


class GetOpLog(LogRead):
    """Operations of one module; page size 30, 50 or 100. For administrators and security administrators only."""

    action: ClassVar[str] = "GetOpLog"
    Answer: ClassVar[type[Reply]] = GetOpLogAnswer
    Module: LogModule
    PageSize: Literal[30, 50, 100] = FULL_PAGE


class LoginEntry(AuditEntry):
    """One logon to an instance."""

    InstanceId: OptionalId = None


class ListInstanceLoginAuditLogAnswer(LogPage):
    """``InstanceLoginAuditLogList.InstanceLoginAuditLog`` with ``TotalCount``."""

    class _Wrap(Reply):
        InstanceLoginAuditLog: tuple[LoginEntry, ...] | None = None

    InstanceLoginAuditLogList: _Wrap | None = None

    def entries(self) -> Sequence[LoginEntry] | None:
        """The logons, or None for null."""
        return self.InstanceLoginAuditLogList.InstanceLoginAuditLog if self.InstanceLoginAuditLogList else None


class ListInstanceLoginAuditLog(LogRead):
    """Logons of all users to instances; page size at most 100."""

    action: ClassVar[str] = "ListInstanceLoginAuditLog"
    Answer: ClassVar[type[Reply]] = ListInstanceLoginAuditLogAnswer
    PageSize: Annotated[int, Field(ge=1, le=FULL_PAGE)] = FULL_PAGE
