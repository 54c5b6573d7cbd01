"""A fifth permission system, small and complete: who is in which Quick BI user group.

Nothing of the package knows it. It speaks to the emulator's own group actions through the package's client, and
:func:`register` adds it the way ``docs/adding-a-system.md`` says, for one test.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Annotated, Any, ClassVar

import pytest
from pydantic import Field

from rescind.cloud import guard
from rescind.cloud.base import Answer, Prepared, Reply, WriteRequest
from rescind.cloud.clients import QuickBiClient
from rescind.cloud.fields import Flag, Token
from rescind.cloud.quickbi.inventory import QueryUserGroupMember
from rescind.cloud.quickbi.menus import QuickBiWrite
from rescind.errors import BlastRadiusExceededError
from rescind.model import CallShape, Principal, PrincipalType
from rescind.systems import REGISTRY
from rescind.systems.base import PermissionSystem, Walker
from rescind.systems.final_bytes import query_fields
from rescind.systems.membership import Member, MembershipSystem, Named
from rescind.systems.quickbi.users import organization_users, own_user_id, user_groups

MAX_GROUPS = 50
"""Most groups in one call: the vendor names no limit, and the query string stays below 2 kB."""


# --- 1. typed messages --------------------------------------------------------------------------------


class GroupsAnswer(Reply):
    """``Result`` is one flag for the whole call; null or a missing one says nothing."""

    Result: Flag | None = None


class _GroupsWrite(QuickBiWrite[GroupsAnswer]):
    """One user and several groups; ids joined by commas."""

    Answer: ClassVar[type[Reply]] = GroupsAnswer
    UserGroupIds: Annotated[tuple[Token, ...], Field(min_length=1, max_length=MAX_GROUPS)]
    UserId: Token

    def wire(self) -> dict[str, Any]:
        """Both selectors, always."""
        return {"UserGroupIds": ",".join(self.UserGroupIds), "UserId": self.UserId}


class DeleteUserGroupMembers(_GroupsWrite):
    """Take one user out of several groups. WithdrawAllUserGroups, which takes it out of all, does not exist here."""

    action: ClassVar[str] = "DeleteUserGroupMembers"


class AddUserGroupMembers(_GroupsWrite):
    """Put one user into several groups."""

    action: ClassVar[str] = "AddUserGroupMembers"


def look_at_bytes(action: str, given: Mapping[str, Any]) -> None:
    """For the guard: the final parameters of both writes name somebody, and nothing else."""
    named = given.get("UserGroupIds", "").split(",")
    if set(given) != {"UserGroupIds", "UserId"} or not all(named) or not given["UserId"] or "," in given["UserId"]:
        raise BlastRadiusExceededError(f"{action}: does not name exactly one user and its groups; it was not sent")


# --- 3. the system (2, the hook, is the vendor's own) ---------------------------------------------------


class QuickBiGroups(MembershipSystem[QuickBiClient]):
    """A grant is one user's membership in one group; one call takes one user out of several groups."""

    name: ClassVar[str] = "quickbi_groups"
    title: ClassVar[str] = "Quick BI user groups"
    form_label: ClassVar[str] = "Alibaba Quick BI: user groups"
    id_spaces: ClassVar[tuple[str, ...]] = ("quickbi_user_id", "alibaba_uid")
    default_connection: ClassVar[str] = "quickbi_default"
    vendor: ClassVar[str] = "alibaba"
    hook: ClassVar[str] = "rescind.hooks.quickbi.QuickBiHook"
    container_type: ClassVar[str] = "user_group"
    shape: ClassVar[CallShape] = CallShape(max_rows=MAX_GROUPS, max_columns={"user": 1})
    revoke_message: ClassVar[type[WriteRequest[Any]]] = DeleteUserGroupMembers
    restore_message: ClassVar[type[WriteRequest[Any]]] = AddUserGroupMembers
    restore_shape: ClassVar[CallShape] = shape
    reads: ClassVar[frozenset[str]] = frozenset(
        {"QueryUserGroupListByParentId", "QueryUserGroupMember", "QueryUserInfoByAccount", "QueryUserList"}
    )

    async def people(self, walker: Walker[QuickBiClient]) -> Sequence[Principal]:
        """The users of the organization."""
        return await organization_users(walker, self.name)

    async def containers(self, walker: Walker[QuickBiClient]) -> Mapping[str, str]:
        """The groups of the tree."""
        return (await user_groups(walker))[0]

    async def members(self, walker: Walker[QuickBiClient], container: str) -> list[Member]:
        """Members of one group. A group inside a group is kept: the call takes users only."""
        rows = await walker.rows(QueryUserGroupMember(UserGroupId=container))
        nested = "a group inside a group is moved, not taken out"
        return [
            Member(row.Id, PrincipalType.GROUP, row.Name or "", why_not=nested)
            if row.IsUserGroup
            else Member(row.Id, name=row.Name or "")
            for row in rows
        ]

    def remove(self, containers: tuple[str, ...], members: tuple[str, ...], entitlement: str) -> DeleteUserGroupMembers:
        """The one user of the call, and its groups."""
        (user,) = members
        return DeleteUserGroupMembers(UserGroupIds=containers, UserId=user)

    def add(self, containers: tuple[str, ...], members: tuple[str, ...], entitlement: str) -> AddUserGroupMembers:
        """One user into several groups."""
        (user,) = members
        return AddUserGroupMembers(UserGroupIds=containers, UserId=user)

    def named(self, prepared: Prepared[Any]) -> Named:
        """Groups and user of the final query string."""
        fields = query_fields(prepared)
        user = fields.get("UserId", "")
        if set(fields) != {"UserGroupIds", "UserId"} or "," in user:
            raise BlastRadiusExceededError(f"the final {prepared.action} query does not name one user and its groups")
        return Named(tuple(fields["UserGroupIds"].split(",")), (user,))

    def accepted(self, answer: Answer[Any]) -> bool | None:
        """The flag of the whole call."""
        said: bool | None = answer.value.Result
        return said

    async def own_ids(self, client: QuickBiClient) -> frozenset[str]:
        """The Quick BI user of the calling account."""
        return await own_user_id(client)


# --- registration ---------------------------------------------------------------------------------------


def register(monkeypatch: pytest.MonkeyPatch, system: PermissionSystem[Any] | None = None) -> None:
    """The lines of the document's table, for one test.

    :param system: stands in for the system, for tests of one that is wrong.
    """
    new = system or QuickBiGroups()
    monkeypatch.setitem(REGISTRY, new.name, new)
    for action in (new.revoke_message.action, new.restore_message.action):
        monkeypatch.setitem(guard._WRITES, ("quickbi", action), look_at_bytes)
