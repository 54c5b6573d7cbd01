"""A fifth permission system, small and complete: who is in which Quick BI user group.

Nothing of the package knows it. It speaks to the emulator's own group actions through the package's client, and
:func:`register` adds it the way ``docs/adding-a-system.md`` says, for one test.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import Annotated, Any, ClassVar
from urllib.parse import parse_qsl, urlsplit

import pytest
from pydantic import Field

from rescind.cloud import guard
from rescind.cloud.base import Answer, Prepared, Reply, WriteRequest
from rescind.cloud.clients import QuickBiClient
from rescind.cloud.fields import Flag, Token
from rescind.cloud.quickbi.inventory import (
    ROOT_GROUP,
    GroupMember,
    QueryUserGroupListByParentId,
    QueryUserGroupMember,
    QueryUserInfoByAccount,
    QueryUserList,
    UserGroup,
)
from rescind.errors import BlastRadiusExceededError
from rescind.model import CallShape, Cell, Grant, GrantKey, ItemState, PlannedCall, Principal, PrincipalType
from rescind.systems import REGISTRY
from rescind.systems.base import ListingScope, PartOutcome, PermissionSystem, Reading, Walker
from rescind.systems.population import Population

MAX_GROUPS = 50
"""Most groups in one call: the vendor names no limit, and the query string stays below 2 kB."""


# --- 1. typed messages --------------------------------------------------------------------------------


class GroupsAnswer(Reply):
    """``Result`` is one flag for the whole call; null or a missing one says nothing."""

    Result: Flag | None = None


class _GroupsWrite(WriteRequest[GroupsAnswer]):
    """One user and several groups; ids joined by commas."""

    vendor: ClassVar[str] = "alibaba"
    service: ClassVar[str] = "quickbi"
    version: ClassVar[str] = "2022-01-01"
    Answer: ClassVar[type[Reply]] = GroupsAnswer
    UserGroupIds: Annotated[tuple[Token, ...], Field(min_length=1, max_length=MAX_GROUPS)]
    UserId: Token

    def wire(self) -> dict[str, Any]:
        """Both selectors, always."""
        return {"UserGroupIds": ",".join(self.UserGroupIds), "UserId": self.UserId}


class DeleteUserGroupMembers(_GroupsWrite):
    """Take one user out of several groups. Its relative WithdrawAllUserGroups, out of all of them, does not exist."""

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


class QuickBiGroups(PermissionSystem[QuickBiClient]):
    """A grant is one user's membership in one group; one call takes one user out of several groups."""

    name: ClassVar[str] = "quickbi_groups"
    title: ClassVar[str] = "Quick BI user groups"
    form_label: ClassVar[str] = "Alibaba Quick BI: user groups"
    id_spaces: ClassVar[tuple[str, ...]] = ("quickbi_user_id", "alibaba_uid")
    default_connection: ClassVar[str] = "quickbi_default"
    vendor: ClassVar[str] = "alibaba"
    hook: ClassVar[str] = "rescind.hooks.quickbi.QuickBiHook"
    shape: ClassVar[CallShape] = CallShape(max_rows=MAX_GROUPS, max_columns={"user": 1})
    revoke_message: ClassVar[type[WriteRequest[Any]]] = DeleteUserGroupMembers
    restore_message: ClassVar[type[WriteRequest[Any]]] = AddUserGroupMembers
    restore_shape: ClassVar[CallShape] = CallShape(max_rows=MAX_GROUPS, max_columns={"user": 1})
    reads: ClassVar[frozenset[str]] = frozenset(
        {"QueryUserGroupListByParentId", "QueryUserGroupMember", "QueryUserInfoByAccount", "QueryUserList"}
    )

    async def discover(self, client: QuickBiClient, found: Population) -> None:
        """The people of the organization, the tree of groups from its root down, and the members of each."""
        walker = Walker(client, found)
        users = await walker.rows(QueryUserList())
        found.shown(PrincipalType.USER, (user.UserId for user in users))
        found.add_principals(
            Principal(self.name, walker.account, PrincipalType.USER, user.UserId, name=user.NickName or "")
            for user in users
        )
        names: dict[str, str] = {}
        level: Sequence[UserGroup] = await walker.rows(QueryUserGroupListByParentId(ParentUserGroupId=ROOT_GROUP))
        while level := [group for group in level if group.UserGroupId not in names]:
            names |= {group.UserGroupId: group.UserGroupName or "" for group in level}
            below = await walker.each(
                level, lambda group: walker.rows(QueryUserGroupListByParentId(ParentUserGroupId=group.UserGroupId))
            )
            level = [group for groups in below for group in groups]
        found.shown("user_group", names)
        await walker.for_each(
            sorted(names),
            lambda group: walker.rows(QueryUserGroupMember(UserGroupId=group)),
            lambda group, people: found.add_grants(_grants(walker.account, group, names[group], people)),
        )

    def cell(self, key: GrantKey) -> Cell:
        """One user in one group; all groups of the organization fit into one call."""
        return Cell("organization", key.resource_id, key.principal_type, (key.principal_id,))

    def listing_scope(self, grant: Grant) -> ListingScope:
        """The group: one listing shows all its members."""
        return (grant.key.resource_id, grant.resource_name)

    async def reread(self, client: QuickBiClient, listings: Collection[ListingScope]) -> Reading:
        """One listing for each group."""
        walker = Walker(client)
        listed = await walker.each(
            sorted(listings), lambda listing_scope: walker.rows(QueryUserGroupMember(UserGroupId=listing_scope[0]))
        )
        grants = [
            grant
            for (group, name), people in zip(sorted(listings), listed, strict=True)
            for grant in _grants(walker.account, group, name, people)
        ]
        return Reading(tuple(grants), frozenset(listings), walker.calls, tuple(walker.pages))

    def request(self, call: PlannedCall, grants: Sequence[Grant]) -> DeleteUserGroupMembers:
        """The one user of the call, and its groups."""
        ((_, (user,)),) = call.columns
        return DeleteUserGroupMembers(UserGroupIds=call.rows, UserId=user)

    def blast_radius(self, prepared: Prepared[Any]) -> frozenset[Cell]:
        """Every group of the final query string times its one user."""
        groups, user = _named(prepared)
        return frozenset(Cell("organization", group, "user", (user,)) for group in groups)

    def outcome(self, call: PlannedCall, answer: Answer[Any]) -> list[PartOutcome]:
        """The flag speaks of the whole call: true is accepted, false refused, none says nothing."""
        said = answer.value.Result
        state = {True: ItemState.ACCEPTED, False: ItemState.REFUSED}.get(said, ItemState.UNKNOWN)
        return [PartOutcome(call.cells(), state, "" if said else f"Result {said}")]

    def inverse(self, grant: Grant) -> Mapping[str, Any] | None:
        """The same user into the same group."""
        return {
            "action": "AddUserGroupMembers",
            "UserGroupId": grant.key.resource_id,
            "UserId": grant.key.principal_id,
        }

    def restore_request(self, inverses: Sequence[Mapping[str, Any]]) -> AddUserGroupMembers:
        """One user into several groups."""
        (user,) = {inverse["UserId"] for inverse in inverses}
        return AddUserGroupMembers(UserGroupIds=tuple(sorted(i["UserGroupId"] for i in inverses)), UserId=user)

    def given(self, prepared: Prepared[Any]) -> list[Mapping[str, Any]]:
        """Every group of the final query string for its one user."""
        groups, user = _named(prepared)
        return [{"action": "AddUserGroupMembers", "UserGroupId": group, "UserId": user} for group in groups]

    async def own_ids(self, client: QuickBiClient) -> frozenset[str]:
        """The Quick BI user of the calling account."""
        if client.identity is None:
            return frozenset()
        answer = await client.read(QueryUserInfoByAccount(Account=client.identity.user_id))
        return frozenset({answer.value.Result.UserId})


def _grants(account: str, group: str, name: str, people: Sequence[GroupMember]) -> list[Grant]:
    """Members of one group. A group inside a group is kept: the call takes users only."""
    found = []
    for member in people:
        kind = PrincipalType.GROUP if member.IsUserGroup else PrincipalType.USER
        found.append(
            Grant(
                key=GrantKey("quickbi_groups", account, "user_group", group, kind, member.Id, "member"),
                cell=Cell("organization", group, kind, (member.Id,)),
                revocable=kind == PrincipalType.USER,
                why_not="" if kind == PrincipalType.USER else "a group inside a group is moved, not taken out",
                principal_name=member.Name or "",
                resource_name=name,
            )
        )
    return found


def _named(prepared: Prepared[Any]) -> tuple[list[str], str]:
    """Groups and user of the final query string.

    :raises BlastRadiusExceededError: when it names none of one kind, or anything twice.
    """
    pairs = parse_qsl(urlsplit(prepared.url).query, keep_blank_values=True, strict_parsing=True)
    fields = dict(pairs)
    groups, user = fields.get("UserGroupIds", "").split(","), fields.get("UserId", "")
    if len(pairs) != 2 or not all(groups) or not user or "," in user:
        raise BlastRadiusExceededError(
            f"the final {prepared.action} query does not name exactly one user and its groups"
        )
    return groups, user


# --- registration ---------------------------------------------------------------------------------------


def register(monkeypatch: pytest.MonkeyPatch, system: PermissionSystem[Any] | None = None) -> None:
    """The lines of the document's table, for one test.

    :param system: stands in for the system, for tests of one that is wrong.
    """
    new = system or QuickBiGroups()
    monkeypatch.setitem(REGISTRY, new.name, new)
    for action in (new.revoke_message.action, new.restore_message.action):
        monkeypatch.setitem(guard._WRITES, ("quickbi", action), look_at_bytes)
