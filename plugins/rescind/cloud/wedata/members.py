"""Tencent Cloud WeData 2025-08-06: writes that put users into projects and their roles, and take them out.

Sources: the vendor's Python SDK models of version 2025-08-06. The vendor takes lists of users; a request here names one
user, so that one call never reaches a second person. Three of the four answers hold a request id only: without an
error they mean "accepted".
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, ClassVar

from pydantic import AfterValidator, Field

from rescind.cloud.base import Reply, WriteRequest
from rescind.cloud.fields import NumericId
from rescind.cloud.wedata.base import MAX_ENTRIES, WeDataCall
from rescind.cloud.wedata.data_sources import StatusAnswer
from rescind.errors import CloudError, RefusedError, UnknownOutcomeError


def _distinct(ids: tuple[str, ...]) -> tuple[str, ...]:
    if len(set(ids)) != len(ids):
        raise ValueError("an id is named twice")
    return ids


_Roles = Annotated[tuple[NumericId, ...], Field(min_length=1, max_length=MAX_ENTRIES), AfterValidator(_distinct)]
_OneUser = Annotated[tuple[NumericId, ...], Field(min_length=1, max_length=1)]


class PlainAnswer(Reply):
    """An answer with a request id and nothing else."""


class _RolesWrite(WeDataCall, WriteRequest[PlainAnswer]):
    """Roles of one member of one project."""

    Answer: ClassVar[type[Reply]] = PlainAnswer
    ProjectId: NumericId
    UserUin: NumericId
    RoleIds: _Roles

    def wire(self) -> dict[str, Any]:
        """Return project, user and roles."""
        return {"ProjectId": self.ProjectId, "UserUin": self.UserUin, "RoleIds": list(self.RoleIds)}


class RemoveMemberProjectRole(_RolesWrite):
    """Take roles off one member of a project. What happens with the last role is not documented."""

    action: ClassVar[str] = "RemoveMemberProjectRole"


class GrantMemberProjectRole(_RolesWrite):
    """Give roles to one member of a project."""

    action: ClassVar[str] = "GrantMemberProjectRole"


class DeleteProjectMember(WeDataCall, WriteRequest[PlainAnswer]):
    """Take one user out of a project, with every role there."""

    action: ClassVar[str] = "DeleteProjectMember"
    Answer: ClassVar[type[Reply]] = PlainAnswer
    ProjectId: NumericId
    UserUins: _OneUser

    def wire(self) -> dict[str, Any]:
        """Return project and user."""
        return {"ProjectId": self.ProjectId, "UserUins": list(self.UserUins)}


class CreateProjectMember(WeDataCall, WriteRequest[StatusAnswer]):
    """Put one user into a project with at least one role."""

    action: ClassVar[str] = "CreateProjectMember"
    Answer: ClassVar[type[Reply]] = StatusAnswer
    ProjectId: NumericId
    UserUins: _OneUser
    RoleIds: _Roles

    def objection(self, reply: StatusAnswer, facts: Mapping[str, Any]) -> CloudError | None:
        """Return a refusal for false, and an unknown outcome for null or nothing: only true counts."""
        if reply.Status is None:
            return UnknownOutcomeError("the answer has no Status", **facts)
        return None if reply.Status else RefusedError("Status is false", **facts)

    def wire(self) -> dict[str, Any]:
        """Return project, user and roles."""
        return {"ProjectId": self.ProjectId, "UserUins": list(self.UserUins), "RoleIds": list(self.RoleIds)}
