"""Alibaba Cloud Quick BI 2022-01-01: collaborative authorizations of works and datasets.

Sources: the vendor's Python SDK models (1.19.0) and help pages of the three actions. Portals have no authorizations.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, ClassVar, Literal

from pydantic import StringConstraints, model_validator

from rescind.cloud.base import Reply, Row
from rescind.cloud.fields import NamedId, Number, OptionalId, Text, Token, WireInt
from rescind.cloud.quickbi.members import FlagWrite
from rescind.cloud.quickbi.menus import QuickBiWhole, QuickBiWrite, WholePage
from rescind.errors import CloudError, UnknownOutcomeError

EDIT = 11
"""``AuthPoints`` of edit, view and export. It has no end; view (1) and view and export (3) need one."""

ResourceType = Literal[
    "dashboard", "report", "dashboardOfflineQuery", "cube", "datasource", "screen", "ANALYSIS", "dataForm"
]
"""What can be authorized. ``report``: workbook. ``cube``: dataset."""

Day = Annotated[str, StringConstraints(strict=True, pattern=r"^[0-9]{4}-[0-9]{2}-[0-9]{2}$")]


class Authorization(Row):
    """One authorization record of one resource.

    ``Scope``: 0 user, 1 group, 2 organization, 3 workspace; others and None are unknown kinds. ``Authorities``: READ,
    EXPORT and EDITE (the vendor's spelling). ``ExpireDate``: milliseconds since the epoch.
    """

    AuthorizedId: OptionalId = None
    AuthorizedName: Text | None = None
    Scope: Number | None = None
    Authorities: tuple[Text, ...] | None = None
    ExpireDate: Text | None = None
    ResourceId: OptionalId = None
    ResourceType: Text | None = None

    def key(self) -> tuple[str, ...]:
        """Receiver, level and end: the vendor shows no id of the record."""
        return (
            str(self.Scope),
            self.AuthorizedId or "",
            ",".join(sorted(self.Authorities or ())),
            self.ExpireDate or "",
        )


class ListAuthConfigByResource(QuickBiWhole[Authorization]):
    """Authorization records of one resource, in one answer without a total.

    ``ShareToType``: 0 lists users, the organization and workspaces, 1 lists groups. ``HasAuth`` leaves out people
    without a record.
    """

    action: ClassVar[str] = "ListAuthConfigByResource"
    Answer: ClassVar[type[Reply]] = WholePage[Authorization]
    ResourceId: Token
    WorksType: ResourceType
    ShareToType: Annotated[Literal["0", "1"], WireInt()]
    HasAuth: Literal[True] = True


class DeleteAuthorizationByUserId(FlagWrite):
    """End the authorizations of one user on one resource, whatever their level and end.

    Refused where the right comes from a group or the whole workspace.
    """

    action: ClassVar[str] = "DeleteAuthorizationByUserId"
    ResourceType: ResourceType
    ResourceId: NamedId
    QbiUserId: NamedId

    def wire(self) -> dict[str, Any]:
        """Return the resource and the user."""
        return {"ResourceType": self.ResourceType, "ResourceId": self.ResourceId, "QbiUserId": self.QbiUserId}


class AddWorksAuthorizationAnswer(Reply):
    """``Result`` is the id of the new record."""

    Result: OptionalId = None


class AddWorksAuthorization(QuickBiWrite[AddWorksAuthorizationAnswer]):
    """Authorize one user on one resource. ``AuthPoints``: 1 view, 3 view and export, 11 edit, view and export.

    ``ExpireDay`` is required for the first two and has no effect on edit. It must lie at least one day ahead; no page
    says at which time of the day, and in which time zone, it ends.
    """

    action: ClassVar[str] = "AddWorksAuthorization"
    Answer: ClassVar[type[Reply]] = AddWorksAuthorizationAnswer
    ResourceType: ResourceType
    ResourceId: NamedId
    AuthorizeScope: Literal[0] = 0
    AuthorizedId: NamedId
    AuthPoints: Literal[1, 3, 11]
    ExpireDay: Day | None = None

    @model_validator(mode="after")
    def _ends(self) -> AddWorksAuthorization:
        if (self.ExpireDay is None) != (self.AuthPoints == EDIT):
            raise ValueError("give ExpireDay with AuthPoints 1 and 3, and not with 11")
        return self

    def wire(self) -> dict[str, Any]:
        """Return the resource, the user, the level and, where there is one, the end."""
        end = {} if self.ExpireDay is None else {"ExpireDay": self.ExpireDay}
        return {
            "ResourceType": self.ResourceType,
            "ResourceId": self.ResourceId,
            "AuthorizeScope": self.AuthorizeScope,
            "AuthorizedId": self.AuthorizedId,
            "AuthPoints": self.AuthPoints,
            **end,
        }

    def objection(self, reply: AddWorksAuthorizationAnswer, facts: Mapping[str, Any]) -> CloudError | None:
        """Return an unknown outcome where the answer names no new record, or 0."""
        return (
            None if (reply.Result or "").strip("0") else UnknownOutcomeError("Result names no authorization", **facts)
        )
