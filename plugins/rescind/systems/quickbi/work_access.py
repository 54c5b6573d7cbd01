"""Alibaba Quick BI: the ways into a work beside its shares, and what the platform says that a user can read."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator
from dataclasses import replace

from rescind.cloud.clients import QuickBiClient
from rescind.cloud.quickbi.menus import Work
from rescind.cloud.quickbi.shares import CheckReadable, QuerySharesToUserList, Share
from rescind.errors import CloudError, ListingIncompleteError
from rescind.model import Grant, Membership, PrincipalType
from rescind.systems.population import Population
from rescind.systems.quickbi.access import (
    BESIDE,
    GROUPS,
    ORGANIZATION,
    ORGANIZATION_ROLES,
    SHARED,
    WORKSPACES,
    fixed_grant,
    portal_grants,
    receiver_kind,
)
from rescind.systems.quickbi.people import QuickBiPeople
from rescind.systems.surfaces import CONDITIONAL, Gap, PlatformAnswer, Surface
from rescind.systems.walker import Walker

SYSTEM = "quickbi_shares"
WORK = "work"
_IN_FORCE = {CONDITIONAL: "the share did not end since it was listed"}
_WHOLE_WORKSPACE = ("1", "11")
"""Security levels of works that every member of their workspace may read."""

SHARES = Surface(
    "work shares", "QueryShareList", "who a work is shared with, with level and end", "ended shares are not listed"
)
WORKS = Surface(
    "work owner, public link and workspace",
    "QueryWorksByOrganization",
    "the owner, whether a link opens the work, and whether it is open to its whole workspace",
)
SHARED_WITH = Surface(
    "works shared with a user",
    "QuerySharesToUserList",
    "the works that are shared with one user",
    "whether shares with the user's groups are among them is not documented",
    asked_in="verification",
)
OWN_ANSWER = Surface(
    "the platform's own answer",
    "CheckReadable",
    "whether one user can read one work, whatever the reason",
    "it answers for users, not for groups",
    asked_in="verification",
)
SURFACES = (
    SHARES,
    GROUPS,
    WORKSPACES,
    ORGANIZATION_ROLES,
    WORKS,
    SHARED_WITH,
    OWN_ANSWER,
    Surface("menus and white list of a portal", "", "who may open a portal by them", "quickbi_menus reads them"),
    Surface("collaboration", "", "use and edit rights on a work", "quickbi_work_authorizations reads them"),
    *BESIDE,
)


def other_ways(
    account: str, work: Work, roles: Iterable[str], kind: str = WORK, system: str = SYSTEM
) -> Iterator[Grant]:
    """Yield the owner, the public link, the workspace's roles and a work that is open to its whole workspace.

    :param roles: those that somebody holds in the workspace.
    :param kind: resource type of the work in that system.
    """
    yield from portal_grants(account, work, roles, kind, system)
    if work.SecurityLevel in _WHOLE_WORKSPACE and work.WorkspaceId:
        place = ((kind, work.WorksId), (PrincipalType.WORKSPACE, work.WorkspaceId), "open to its workspace")
        yield fixed_grant(account, *place, "a setting of the work", work.WorkName or "", system=system)


def share_ways(account: str, work: Work, shares: Iterable[Share], system: str) -> Iterator[Grant]:
    """Yield the receivers of the shares of a work, as ways in that another system takes away."""
    place = (WORK, work.WorksId)
    for holder in sorted({(receiver_kind(share.ShareToType), share.ShareToId or "") for share in shares}):
        way = fixed_grant(account, place, holder, SHARED, "quickbi_shares ends it", work.WorkName or "", system=system)
        yield replace(way, attributes=_IN_FORCE)


def unknowns(work: Work, found: Population) -> None:
    """Name what the vendor does not tell of a work: null is not "nobody" and not "no"."""
    told = {"owner": work.OwnerId, "public link": work.PublicFlag, "security level": work.SecurityLevel}
    for what in (name for name, value in told.items() if value is None):
        why = f"QueryWorksByOrganization does not tell the {what} of work {work.WorksId}"
        found.could_not_tell(Gap(WORKS.name, why, (WORK, work.WorksId)))


class WorkSystem(QuickBiPeople):
    """What the systems of single works have in common."""

    def memberships(self, grant: Grant) -> tuple[Membership, ...]:
        """Return none: a share or an authorization is no membership."""
        return ()

    def parents(self, grant: Grant) -> Iterable[tuple[str, str]]:
        """Return the organization: who administers it reaches every work and dataset."""
        return (ORGANIZATION,)

    def includes(self, held: str, entitlement: str) -> bool:
        """Return True: every way opens the resource."""
        return True


async def what_users_read(client: QuickBiClient, grants: Collection[Grant]) -> PlatformAnswer:
    """Ask for each user which works are shared with them, and for each of their works whether they can read it."""
    walker, answer = Walker(client), PlatformAnswer()
    mine = [grant for grant in grants if grant.key.principal_type == PrincipalType.USER]
    users = sorted({grant.key.principal_id for grant in mine})

    async def shared(user: str) -> frozenset[str] | Exception:
        try:
            return frozenset(work.WorksId for work in await walker.rows(QuerySharesToUserList(UserId=user)))
        except (CloudError, ListingIncompleteError) as error:
            return error

    listed = dict(zip(users, await walker.each(users, shared), strict=True))
    for grant, reads in zip(mine, await walker.each(mine, lambda grant: _readable(client, grant)), strict=True):
        _take(answer, grant, listed[grant.key.principal_id], reads)
    answer.calls = len(users) + len(mine)
    return answer


async def what_users_open(client: QuickBiClient, grants: Collection[Grant]) -> PlatformAnswer:
    """Ask for each user and work whether the user can read it. Of datasets the platform answers nothing."""
    walker, answer = Walker(client), PlatformAnswer()
    mine = [grant for grant in grants if grant.key.principal_type == PrincipalType.USER]
    works = [grant for grant in mine if grant.key.resource_type == WORK]
    for grant in (one for one in mine if one.key.resource_type != WORK):
        answer.could_not_ask(grant.grant_id, OWN_ANSWER.name, f"{OWN_ANSWER.action} answers for works only")
    for grant, reads in zip(works, await walker.each(works, lambda grant: _readable(client, grant)), strict=True):
        _take(answer, grant, frozenset(), reads)
    answer.calls = len(works)
    return answer


async def _readable(client: QuickBiClient, grant: Grant) -> bool | Exception:
    try:
        asks = CheckReadable(UserId=grant.key.principal_id, WorksId=grant.key.resource_id)
        return (await client.read(asks)).value.Result
    except CloudError as error:
        return error


def _take(answer: PlatformAnswer, grant: Grant, listed: frozenset[str] | Exception, reads: bool | Exception) -> None:
    """Note what the two questions say of one grant. Denied is only what both of them deny."""
    for surface, said in ((SHARED_WITH, listed), (OWN_ANSWER, reads)):
        if isinstance(said, Exception):
            answer.could_not_ask(grant.grant_id, surface.name, f"{type(said).__name__}: {said}"[:300])
    if not isinstance(listed, Exception) and grant.key.resource_id in listed:
        answer.reaches[grant.grant_id] = "the platform still lists the work among those shared with this user"
    elif reads is True:
        answer.reaches[grant.grant_id] = "the platform itself says that this user can read the work"
    elif reads is False and not isinstance(listed, Exception):
        answer.denies.add(grant.grant_id)
