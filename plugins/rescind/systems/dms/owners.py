"""Alibaba DMS: who owns the instances and databases of some grants, once the permission records are gone.

The objects' own listings tell it for all holders at once. A listing by user takes two pages for each kind of object and
each user, because it has no total.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Literal

from rescind.cloud.base import ListRequest, RowT
from rescind.cloud.clients import DmsClient
from rescind.cloud.dms.inventory import (
    DmsDatabase,
    DmsInstance,
    DmsLogicDatabase,
    DmsUser,
    ListDatabases,
    ListInstances,
    ListLogicDatabases,
    ListUsers,
)
from rescind.errors import CloudError, ListingIncompleteError
from rescind.model import Grant
from rescind.systems.dms.access import Node, Nodes, Question, ask_users
from rescind.systems.dms.surfaces import DBA, OWNER
from rescind.systems.dms.users import one_user
from rescind.systems.surfaces import PlatformAnswer
from rescind.systems.walker import Walker

_FEW = 20
"""Up to so many holders are looked up one by one; more are found in the list of all users."""
_KINDS: Mapping[str, tuple[Literal["INSTANCE", "DATABASE"], str]] = {
    "instance": ("INSTANCE", ""),
    "database": ("DATABASE", "false"),
    "logic_database": ("DATABASE", "true"),
}
"""Kind of a listing by user, and whether it is of logical objects, by resource type."""

_Rights = Mapping[str, str]
"""What a user has on one object, by each id under which the vendor may name the user."""


async def who_owns(walker: Walker[DmsClient], tid: str, grants: Collection[Grant], objects: Nodes) -> PlatformAnswer:
    """Read the owners and DBAs of the grants' instances and databases again.

    Only a list of all owners proves that the holder is none of them. Where a listing does not tell all owners of an
    object, or not both ids of the holder are known, the holder is asked about all that the holder owns.
    """
    owners, whole = await _owners(walker, tid, map(objects, grants))
    ids = await _ids(walker, tid, sorted({grant.key.principal_id for grant in grants}))
    answer, untold = PlatformAnswer(), defaultdict[Question, list[Grant]](list)
    for grant in grants:
        user = grant.key.principal_id
        for node in (node for node in objects(grant) if node[0] in _KINDS):
            told = owners.get(node, {})
            if rights := [told[ident] for ident in ids.get(user, [user]) if ident in told]:
                words = f"the platform names the user as {rights[0]} of {node[0]} {node[1]}"
                answer.reaches.setdefault(grant.grant_id, words)
            elif node not in whole or user not in ids:
                untold[Question(user, *_KINDS[node[0]])].append(grant)
    answer.join(await ask_users(walker, tid, untold, objects))
    answer.calls = walker.calls
    return answer


async def _owners(
    walker: Walker[DmsClient], tid: str, wanted: Iterable[Sequence[Node]]
) -> tuple[dict[Node, _Rights], set[Node]]:
    """Owners and DBA of every wanted object, and the objects of which all owners are told: no name lacks its id."""
    chains = [dict(chain) for chain in wanted]
    kinds = {kind for chain in chains for kind in chain}
    hosts = sorted({chain["instance"] for chain in chains if chain.keys() >= {"instance", "database"}})
    told: dict[Node, _Rights] = {}
    whole: set[Node] = set()

    def take(kind: str, rows: Iterable[DmsInstance | DmsDatabase | DmsLogicDatabase]) -> None:
        for row in rows:
            ident = row.InstanceId if isinstance(row, DmsInstance) else row.DatabaseId
            dba = None if isinstance(row, DmsLogicDatabase) else row.DbaId
            told[kind, ident] = {**({dba: DBA} if dba else {}), **dict.fromkeys(row.owner_ids or (), OWNER)}
            if row.tells_all_owners:
                whole.add((kind, ident))

    if "instance" in kinds:
        instances = await _rows(walker, ListInstances(Tid=tid))
        take("instance", instances)
    for rows in await walker.each(hosts, lambda host: _rows(walker, ListDatabases(InstanceId=host, Tid=tid))):
        take("database", rows)
    if "logic_database" in kinds:
        logical = await _rows(walker, ListLogicDatabases(Tid=tid))
        take("logic_database", logical)
    return told, whole


async def _ids(walker: Walker[DmsClient], tid: str, users: Sequence[str]) -> dict[str, list[str]]:
    """Both ids under which the vendor may name a user, by DMS user id; without users of whom it tells only one."""

    async def alone(user: str) -> Sequence[DmsUser]:
        try:
            return (await one_user(walker, tid, user),)
        except (CloudError, ListingIncompleteError):
            return ()

    few = len(users) <= _FEW
    listed = await walker.each(users, alone) if few else [await _rows(walker, ListUsers(Tid=tid))]
    return {user.UserId: [user.UserId, user.Uid] for rows in listed for user in rows if user.Uid}


async def _rows(walker: Walker[DmsClient], listing: ListRequest[RowT]) -> tuple[RowT, ...]:
    """The rows of a listing; none where it fails, which tells of no object and of nobody."""
    try:
        return await walker.rows(listing)
    except (CloudError, ListingIncompleteError):
        return ()
