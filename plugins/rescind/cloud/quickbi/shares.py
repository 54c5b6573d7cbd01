"""Alibaba Cloud Quick BI 2022-01-01: shares of works, and what a user can read in the end.

Sources: the vendor's Python SDK models (1.19.0 and 1.14.1). None of these listings pages or declares a total.
"""

from __future__ import annotations

from typing import Annotated, Any, ClassVar, Literal

from pydantic import Field

from rescind.cloud.base import Reply, Row
from rescind.cloud.fields import Flag, IdText, NamedId, Number, OptionalId, Text, Token
from rescind.cloud.quickbi.members import FlagWrite
from rescind.cloud.quickbi.menus import QuickBiRead, QuickBiWhole, WholePage

FIRST_END = 10**12
"""The least end that counts as a time: the year 2001 in milliseconds. A share that is in force ends later."""


class Share(Row):
    """One share of a work that is in force.

    ``ShareToType``: 0 user, 1 group, 2 organization, 3 workspace; others and None are unknown kinds. ``AuthPoint``:
    1 view, 3 view and export; None is an unknown level. ``ExpireDate``: milliseconds since the epoch.
    """

    ShareId: OptionalId = None
    ReportId: OptionalId = None
    ShareType: Text | None = None
    ShareToType: Number | None = None
    ShareToId: OptionalId = None
    ShareToName: Text | None = None
    AuthPoint: Number | None = None
    ExpireDate: Number | None = None

    def key(self) -> tuple[str, ...]:
        """Share, receiver, level and end: one share id may stand for several receivers."""
        numbers = (str(self.ShareToType), str(self.AuthPoint), str(self.ExpireDate))
        return (self.ShareId or "", self.ShareToId or "", *numbers)


class QueryShareList(QuickBiWhole[Share]):
    """Receivers of one work (portals included) in one answer. Expired shares are not listed."""

    action: ClassVar[str] = "QueryShareList"
    Answer: ClassVar[type[Reply]] = WholePage[Share]
    ReportId: Token


class ReachedWork(Row):
    """A work that a user reaches. ``SecurityLevel``: 0 private, 12 named members, 1 or 11 the whole workspace."""

    WorksId: IdText
    WorkName: Text | None = None
    WorkType: Text | None = None
    WorkspaceId: OptionalId = None
    WorkspaceName: Text | None = None
    OwnerId: OptionalId = None
    OwnerName: Text | None = None
    SecurityLevel: Text | None = None
    Status: Number | None = None
    ThirdPartAuthFlag: Number | None = None

    def key(self) -> tuple[str, ...]:
        """The work id."""
        return (self.WorksId,)


class QuerySharesToUserList(QuickBiWhole[ReachedWork]):
    """Works shared with a user. Whether shares with the user's groups count is not documented."""

    action: ClassVar[str] = "QuerySharesToUserList"
    Answer: ClassVar[type[Reply]] = WholePage[ReachedWork]
    UserId: Token


class CheckReadableAnswer(Reply):
    """Whether the user can read the work. Null or nothing is no answer and refused as malformed."""

    Result: Flag


class CheckReadable(QuickBiRead[CheckReadableAnswer]):
    """Ask whether one user can read one work, whatever the source of the right."""

    action: ClassVar[str] = "CheckReadable"
    Answer: ClassVar[type[Reply]] = CheckReadableAnswer
    UserId: Token
    WorksId: Token


class CancelReportShare(FlagWrite):
    """End the shares of one work with one user (0), group (1) or the organization (2), whatever their level and end.

    ``ShareToIds`` is plural, but described and sampled with one id: one is sent.
    """

    action: ClassVar[str] = "CancelReportShare"
    ReportId: NamedId
    ShareToType: Literal[0, 1, 2]
    ShareToIds: NamedId

    def wire(self) -> dict[str, Any]:
        """Return the work and the receiver."""
        return {"ReportId": self.ReportId, "ShareToType": self.ShareToType, "ShareToIds": self.ShareToIds}


class AddShareReport(FlagWrite):
    """Share one work with one receiver until an end. ``AuthPoint``: 1 view, 3 view and export.

    ``ExpireDate``: milliseconds since the epoch, so at least 13 digits; required. The vendor names no value for "no
    end".
    """

    action: ClassVar[str] = "AddShareReport"
    WorksId: NamedId
    ShareToType: Literal[0, 1, 2]
    ShareToId: NamedId
    AuthPoint: Literal[1, 3]
    ExpireDate: Annotated[int, Field(strict=True, ge=FIRST_END, lt=10**15)]

    def wire(self) -> dict[str, Any]:
        """Return the work, the receiver, level and end."""
        return {
            "WorksId": self.WorksId,
            "ShareToType": self.ShareToType,
            "ShareToId": self.ShareToId,
            "AuthPoint": self.AuthPoint,
            "ExpireDate": self.ExpireDate,
        }
