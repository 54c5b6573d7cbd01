"""Alibaba Quick BI: users and user groups, shared by its permission systems."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime

from rescind.cloud.clients import QuickBiClient
from rescind.cloud.quickbi.inventory import (
    ROOT_GROUP,
    QueryUserGroupListByParentId,
    QueryUserInfoByAccount,
    QueryUserList,
    QuickBiUser,
    UserGroup,
)
from rescind.errors import NotFoundError
from rescind.model import Principal, PrincipalType
from rescind.systems.walker import Walker


async def organization_users(walker: Walker[QuickBiClient], system: str) -> list[Principal]:
    """Return every user of the organization as a principal of that system.

    :raises ListingIncompleteError: when the listing could not be read whole.
    """
    return [user_principal(system, walker.account, user) for user in await walker.rows(QueryUserList())]


async def user_groups(walker: Walker[QuickBiClient]) -> tuple[dict[str, str], list[tuple[str, str]]]:
    """Walk the tree of user groups down from the root. A cycle ends the walk, not the run.

    :returns: group id -> name, and (group, parent group) for every group that is in another one.
    :raises ListingIncompleteError: when a listing could not be read whole.
    """
    names: dict[str, str] = {}
    edges: list[tuple[str, str]] = []
    level: Sequence[UserGroup] = await walker.rows(QueryUserGroupListByParentId(ParentUserGroupId=ROOT_GROUP))
    while level:
        names.update((group.UserGroupId, group.UserGroupName or "") for group in level)
        below: dict[str, UserGroup] = {}

        def take(parent: UserGroup, groups: Sequence[UserGroup], below: dict[str, UserGroup] = below) -> None:
            edges.extend((group.UserGroupId, parent.UserGroupId) for group in groups)
            below.update((group.UserGroupId, group) for group in groups)

        await walker.for_each(
            level, lambda group: walker.rows(QueryUserGroupListByParentId(ParentUserGroupId=group.UserGroupId)), take
        )
        level = [group for ident, group in below.items() if ident not in names]
    return names, edges


async def own_user_id(client: QuickBiClient) -> frozenset[str]:
    """Return the Quick BI user id of the calling account.

    Empty where it is not in the organization, and for a key without a user, such as that of an assumed role.
    """
    if client.identity is None or not client.identity.user_id:
        return frozenset()
    try:
        answer = await client.read(QueryUserInfoByAccount(Account=client.identity.user_id))
    except NotFoundError:
        return frozenset()
    return frozenset({answer.value.Result.UserId})


def user_principal(system: str, account: str, user: QuickBiUser) -> Principal:
    """Return a user as a principal of that system; the id of the cloud account is the other id."""
    return Principal(
        system,
        account,
        PrincipalType.USER,
        user.UserId,
        name=user.NickName or user.AccountName or "",
        kind="unknown",
        status="unknown" if user.IsDeleted is None else "deleted" if user.IsDeleted else "active",
        last_used_at=moment(user.LastLoginTime),
        other_ids=(("alibaba_uid", user.AccountId),) if user.AccountId else (),
    )


def moment(milliseconds: int | None) -> datetime | None:
    """Return a time given in milliseconds since 1970; None for none, 0 and values out of range."""
    try:
        return datetime.fromtimestamp(milliseconds / 1000, UTC) if milliseconds else None
    except (ValueError, OverflowError, OSError):
        return None
