"""Alibaba DMS: users of the tenant, as principals, as the tool's own identity, and whether they still are in a role."""

from __future__ import annotations

from collections.abc import Collection
from datetime import UTC, datetime, timedelta, timezone

from rescind.cloud.clients import DmsClient
from rescind.cloud.dms.inventory import DmsUser, GetUser, ListUsers
from rescind.errors import CloudError, ListingIncompleteError, NotFoundError, UnauthorizedError
from rescind.model import Membership, Principal, PrincipalType
from rescind.systems.surfaces import EndedMemberships
from rescind.systems.walker import Walker

NO_LOGIN = frozenset({"DISABLE", "DELETE"})
"""States in which a user cannot log on to DMS (DisableUser, DeleteUser)."""
ADMINISTRATOR_ROLE = "ADMIN"
_STATUS = {"NORMAL": "active", "DISABLE": "disabled", "DELETE": "deleted"}

VENDOR_ZONE = timezone(timedelta(hours=8))
"""The vendor's dates have no zone. China Standard Time is assumed, and :func:`end_of` adds one day of grace."""


def end_of(text: str | None) -> datetime | None:
    """Return the end of validity or the last use, one day late: the vendor states no zone, and early would be wrong.

    None when there is no readable date. A grant whose date cannot be read never counts as expired.
    """
    try:
        naive = datetime.strptime(text or "", "%Y-%m-%d %H:%M:%S")
        return (naive.replace(tzinfo=VENDOR_ZONE) + timedelta(days=1)).astimezone(UTC)
    except (ValueError, OverflowError):
        return None


def user_principal(system: str, account: str, user: DmsUser) -> Principal:
    """Return a user as a principal, with the cloud account's id as its other id."""
    return Principal(
        system,
        account,
        PrincipalType.USER,
        user.UserId,
        name=user.NickName or "",
        kind="unknown",
        status=_STATUS.get(user.State or "", "unknown"),
        last_used_at=end_of(user.LastLoginTime),
        other_ids=(("alibaba_uid", user.Uid),) if user.Uid else (),
    )


def no_such_user(error: CloudError) -> bool:
    """Whether the vendor says that the user asked about is not there.

    It has the same code for a caller who is no user, but then no other listing answers either.
    """
    return isinstance(error, NotFoundError) or (isinstance(error, UnauthorizedError) and error.code == "UserNotExist")


async def own_user_id(client: DmsClient) -> frozenset[str]:
    """Return the DMS user id of the calling account."""
    uid = client.identity.user_id if client.identity else ""
    if not uid:
        return frozenset()
    try:
        answer = await client.read(GetUser(Uid=uid, Tid=await client.find_tenant()))
    except (NotFoundError, UnauthorizedError) as error:
        if not no_such_user(error):
            raise
        return frozenset()
    return frozenset({answer.value.User.UserId})


async def one_user(walker: Walker[DmsClient], tid: str, ident: str) -> DmsUser:
    """Return one user by DMS user id.

    :raises NotFoundError: when there is no such user.
    :raises ListingIncompleteError: when the answer is about another user.
    """
    walker.calls += 1
    try:
        user = (await walker.client.read(GetUser(UserId=ident, Tid=tid))).value.User
    except UnauthorizedError as error:
        if not no_such_user(error):
            raise
        raise NotFoundError("no such user", vendor=error.vendor, action=error.action, code=error.code) from error
    if user.UserId != ident:
        raise ListingIncompleteError("GetUser", "the answer is about another user")
    return user


async def ended_roles(client: DmsClient, memberships: Collection[Membership]) -> EndedMemberships:
    """Return users in roles of the tenant who lost the role or cannot log on, by ListUsers and by GetUser.

    :raises CloudError: when a listing failed.
    :raises ListingIncompleteError: when a listing could not be read completely.
    """
    mine = [e for e in memberships if (e.member_type, e.container_type) == (PrincipalType.USER, PrincipalType.ROLE)]
    if not mine:
        return EndedMemberships()
    walker, tid = Walker(client), await client.find_tenant()
    listed = {user.UserId: user for user in await walker.rows(ListUsers(Tid=tid))}
    ended = [edge for edge in mine if not _acts_in(listed.get(edge.member_id), edge.container_id)]

    async def look(ident: str) -> DmsUser | None:
        try:
            return await one_user(walker, tid, ident)
        except NotFoundError:
            return None

    asked = sorted({edge.member_id for edge in ended})
    alone = dict(zip(asked, await walker.each(asked, look), strict=True))
    gone = frozenset(edge for edge in ended if not _acts_in(alone[edge.member_id], edge.container_id))
    return EndedMemberships(gone, walker.calls)


def _acts_in(user: DmsUser | None, role: str) -> bool:
    """Return whether a user can act in a role. Somebody without named roles may be in any."""
    if user is None or user.State in NO_LOGIN:
        return False
    return not user.role_names or role in {name.upper() for name in user.role_names}
