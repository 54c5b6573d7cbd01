"""Alibaba DMS: access that comes from no permission record, as the vendor's listings of effective access show it."""

from __future__ import annotations

from collections.abc import Collection, Iterable

from rescind.cloud.clients import DmsClient
from rescind.cloud.dms.permissions import (
    AuthorizedDatabase,
    AuthorizedInstance,
    ListAuthorizedDatabasesForUser,
    ListAuthorizedInstancesForUser,
)
from rescind.errors import CloudError, NotFoundError, UnauthorizedError
from rescind.model import Grant
from rescind.systems.base import Walker

_DATABASE = {"false": "database", "true": "logic_database"}
Access = tuple[str, str, str, str]
"""(user id, resource type, resource id, privilege). An empty privilege means every privilege, as an owner has."""


def no_such_user(error: CloudError) -> bool:
    """Whether the vendor says that the user asked about is not there.

    It has the same code for a caller who is no user, but then no other listing answers either.
    """
    return isinstance(error, NotFoundError) or (isinstance(error, UnauthorizedError) and error.code == "UserNotExist")


async def access_beside_records(walker: Walker[DmsClient], tid: str, grants: Collection[Grant]) -> set[Access]:
    """What the holders of these grants may reach by policies and ownership, two or three listings a user.

    :raises ListingIncompleteError: when a listing could not be read whole.
    """

    async def reached(one: tuple[str, str]) -> list[Access]:
        user, logic = one
        try:
            if not logic:
                instances = await walker.rows(ListAuthorizedInstancesForUser(UserId=user, Tid=tid))
                return [(user, "instance", row.InstanceId, name) for row in instances for name in _beside(row)]
            asked = ListAuthorizedDatabasesForUser(UserId=user, Logic=logic == "true", Tid=tid)
            databases = await walker.rows(asked)
            return [(user, _DATABASE[logic], row.DbId, name) for row in databases for name in _beside(row)]
        except (NotFoundError, UnauthorizedError) as error:
            if not no_such_user(error):
                raise
            return []

    asked = {(grant.key.principal_id, grant.attributes["ListedLogic"]) for grant in grants}
    asked |= {(user, "") for user, _ in asked}
    return {access for found in await walker.each(sorted(asked), reached) for access in found}


def _beside(row: AuthorizedInstance | AuthorizedDatabase) -> Iterable[str]:
    """The privilege of a row that comes from no record; nothing for an ordinary record."""
    right = row.PermissionDetail
    if right is not None and (right.Message or not right.PermType):
        yield right.PermType or ""
