"""Alibaba Cloud Quick BI 2022-01-01: writes that put users into groups and workspaces and take them out.

Sources: the vendor's Python SDK models (1.19.0). ``WithdrawAllUserGroups``, which takes a user out of every group,
does not exist here.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, ClassVar, Literal

from pydantic import Field, model_validator

from rescind.cloud.base import Reply
from rescind.cloud.fields import Flag, NamedId
from rescind.cloud.quickbi.menus import QuickBiWrite
from rescind.errors import CloudError, UnknownOutcomeError

MAX_GROUPS = 50
"""Most groups in one call. The vendor names no limit; the query string stays below 4 kB."""


class FlagAnswer(Reply):
    """``Result`` is one flag for the whole call."""

    Result: Flag | None = None


class FlagWrite(QuickBiWrite[FlagAnswer]):
    """A write that answers with one flag."""

    Answer: ClassVar[type[Reply]] = FlagAnswer

    def objection(self, reply: FlagAnswer, facts: Mapping[str, Any]) -> CloudError | None:
        """Return an unknown outcome unless ``Result`` is true: false does not say how much was done."""
        return None if reply.Result else UnknownOutcomeError(f"Result is {reply.Result}", **facts)


class _MemberWrite(FlagWrite):
    UserId: NamedId


class _GroupsWrite(_MemberWrite):
    """One user and several groups."""

    UserGroupIds: Annotated[tuple[NamedId, ...], Field(min_length=1, max_length=MAX_GROUPS)]

    @model_validator(mode="after")
    def _distinct(self) -> _GroupsWrite:
        if len(set(self.UserGroupIds)) != len(self.UserGroupIds):
            raise ValueError("an id is named twice")
        return self

    def wire(self) -> dict[str, Any]:
        """Return both selectors, the groups joined by commas."""
        return {"UserGroupIds": ",".join(self.UserGroupIds), "UserId": self.UserId}


class DeleteUserGroupMembers(_GroupsWrite):
    """Take one user out of several groups."""

    action: ClassVar[str] = "DeleteUserGroupMembers"


class AddUserGroupMembers(_GroupsWrite):
    """Put one user into several groups."""

    action: ClassVar[str] = "AddUserGroupMembers"


class DeleteUserFromWorkspace(_MemberWrite):
    """Take one user out of one workspace, with every role there."""

    action: ClassVar[str] = "DeleteUserFromWorkspace"
    WorkspaceId: NamedId

    def wire(self) -> dict[str, Any]:
        """Return both selectors."""
        return {"UserId": self.UserId, "WorkspaceId": self.WorkspaceId}


class AddUserToWorkspace(_MemberWrite):
    """Put one user into one workspace with a preset role. For a member of the workspace it changes nothing."""

    action: ClassVar[str] = "AddUserToWorkspace"
    WorkspaceId: NamedId
    RoleId: Literal[25, 26, 27, 30]

    def wire(self) -> dict[str, Any]:
        """Return user, workspace and role."""
        return {"UserId": self.UserId, "WorkspaceId": self.WorkspaceId, "RoleId": self.RoleId}
