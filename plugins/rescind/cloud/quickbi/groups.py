"""Alibaba Cloud Quick BI 2022-01-01: writes that put users into user groups and take them out.

Sources: the vendor's Python SDK models (1.19.0). ``WithdrawAllUserGroups``, which takes a user out of every group,
does not exist here.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, ClassVar

from pydantic import Field, model_validator

from rescind.cloud.base import Reply
from rescind.cloud.fields import Flag, NamedId
from rescind.cloud.quickbi.menus import QuickBiWrite
from rescind.errors import CloudError, UnknownOutcomeError

MAX_GROUPS = 50
"""Most groups in one call. The vendor names no limit; the query string stays below 4 kB."""


class GroupsAnswer(Reply):
    """``Result`` is one flag for the whole call, whatever the number of groups."""

    Result: Flag | None = None


class _GroupsWrite(QuickBiWrite[GroupsAnswer]):
    """One user and several groups."""

    Answer: ClassVar[type[Reply]] = GroupsAnswer
    UserGroupIds: Annotated[tuple[NamedId, ...], Field(min_length=1, max_length=MAX_GROUPS)]
    UserId: NamedId

    @model_validator(mode="after")
    def _distinct(self) -> _GroupsWrite:
        if len(set(self.UserGroupIds)) != len(self.UserGroupIds):
            raise ValueError("an id is named twice")
        return self

    def objection(self, reply: GroupsAnswer, facts: Mapping[str, Any]) -> CloudError | None:
        """Return an unknown outcome unless ``Result`` is true: false does not say which of the groups were done."""
        return None if reply.Result else UnknownOutcomeError(f"Result is {reply.Result}", **facts)

    def wire(self) -> dict[str, Any]:
        """Return both selectors, the groups joined by commas."""
        return {"UserGroupIds": ",".join(self.UserGroupIds), "UserId": self.UserId}


class DeleteUserGroupMembers(_GroupsWrite):
    """Take one user out of several groups."""

    action: ClassVar[str] = "DeleteUserGroupMembers"


class AddUserGroupMembers(_GroupsWrite):
    """Put one user into several groups."""

    action: ClassVar[str] = "AddUserGroupMembers"
