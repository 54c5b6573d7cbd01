"""Alibaba Quick BI: the ways into a portal beside the receivers of its menus.

White lists, owners, workspace and organization roles, and public links reach every menu of a portal. They enter the
population as grants on the portal, its workspace or the organization, which no call of this version takes away.
"""

from __future__ import annotations

from collections.abc import Collection, Container, Iterable, Iterator, Sequence
from dataclasses import replace

from rescind.cloud.clients import QuickBiClient
from rescind.cloud.quickbi.inventory import QuickBiUser, Workspace, WorkspaceUser
from rescind.cloud.quickbi.menus import ListPortalMenus, ListWhitePortalMenu, Receiver, Work
from rescind.cloud.quickbi.roles import (
    ORGANIZATION_ADMINISTRATOR,
    PERMISSION_ADMINISTRATOR,
    WORKSPACE_ADMINISTRATOR,
    WORKSPACE_DEVELOPER,
)
from rescind.cloud.quickbi.shares import QueryShareList, Share
from rescind.errors import CloudError, ListingIncompleteError
from rescind.model import Cell, Grant, GrantKey, Membership, PrincipalType
from rescind.systems.population import Population
from rescind.systems.surfaces import CONDITIONAL, NOT_COVERED, Gap, PlatformAnswer, Surface
from rescind.systems.walker import Walker

SYSTEM = "quickbi_menus"
ORGANIZATION = ("organization", "organization")
"""The organization as a resource: a person who administers it reaches every portal."""

WHITE_LIST = Surface("portal white list", "ListWhitePortalMenu", "who sees every menu of the portal")
GROUPS = Surface("user groups", "QueryUserGroupMember", "users in groups, and groups in groups")
WORKSPACES = Surface(
    "workspace members and roles",
    "QueryWorkspaceUserList",
    "members of a workspace with their preset role, and its owner",
    "custom roles of a workspace are not read",
)
ORGANIZATION_ROLES = Surface(
    "organization roles",
    "QueryUserList",
    "administrators and permission administrators",
    "custom roles of the organization are not judged",
)
PORTAL_OWNER = Surface(
    "portal owner and public link", "QueryWorksByOrganization", "the owner, and whether a link opens it"
)
SHARES = Surface("portal shares", "QueryShareList", "who the portal is shared with", "expired shares are not listed")
OWN_ANSWER = Surface(
    "the platform's own answer",
    "ListPortalMenus",
    "the menus that one user sees in one portal, whatever the reason",
    "it answers for users, not for groups",
    asked_in="verification",
)
RECEIVERS = Surface(
    "menu receivers", "ListPortalMenuAuthorization", "users, groups, workspaces and the organization on menus"
)
BESIDE = (
    Surface("row and column rules", "", "which rows and columns of a dataset somebody sees", NOT_COVERED),
    Surface(
        "embedding and tickets",
        "",
        "access with a ticket, an embedded page, Copilot or AiPro",
        "a ticket must be known to be found",
    ),
    Surface("mail subscriptions", "", "reports that are sent by mail", NOT_COVERED),
    Surface("open approvals", "", "requests that will grant when somebody approves them", NOT_COVERED),
)
"""Ways in beside every work that no listing of this version shows."""
SURFACES = (
    RECEIVERS,
    GROUPS,
    WORKSPACES,
    ORGANIZATION_ROLES,
    PORTAL_OWNER,
    WHITE_LIST,
    SHARES,
    OWN_ANSWER,
    Surface(
        "other works, datasets and data sources",
        "",
        "authorizations on what a menu shows, and Smart Q",
        "quickbi_work_authorizations reads those of works and datasets",
    ),
    Surface(
        "collaboration on a portal", "", "use or edit by the whole workspace, set on the work", "no action reads it"
    ),
    *BESIDE,
)

_RECEIVERS = {
    0: PrincipalType.USER,
    1: PrincipalType.GROUP,
    2: PrincipalType.ORGANIZATION,
    3: PrincipalType.WORKSPACE,
}
_ORGANIZATION_ROLES = {
    ORGANIZATION_ADMINISTRATOR: "organization administrator",
    PERMISSION_ADMINISTRATOR: "permission administrator",
}
OWNER = "owner"
SHARED = "share"
_SHARED = {CONDITIONAL: "the menu is not restricted to named receivers"}
WORKSPACE_ROLES = {
    WORKSPACE_ADMINISTRATOR: "workspace administrator",
    WORKSPACE_DEVELOPER: "workspace developer",
    OWNER: "workspace owner",
}


def receiver_type(receiver: Receiver) -> PrincipalType:
    """The kind of a receiver of a menu or a white list."""
    return receiver_kind(receiver.ReceiverType)


def receiver_kind(number: int | None) -> PrincipalType:
    """The kind of a receiver by the vendor's number."""
    return PrincipalType.UNKNOWN if number is None else _RECEIVERS.get(number, PrincipalType.UNKNOWN)


def fixed_grant(
    account: str,
    resource: tuple[str, str],
    principal: tuple[str, str],
    entitlement: str,
    why_not: str,
    name: str = "",
    *,
    system: str = SYSTEM,
) -> Grant:
    """A grant that no call of this version takes away.

    :param resource: (type, id). :param principal: (type, id). :param why_not: the reason, for people.
    """
    key = GrantKey(system, account, *resource, *principal, entitlement)
    # No call takes it and no listing of a portal's menus shows it, so its cell lies in no portal.
    cell = Cell("", resource[1], resource[0], (*principal, entitlement))
    return Grant(key=key, cell=cell, revocable=False, why_not=why_not, resource_name=name)


def organization_roles(account: str, users: Iterable[QuickBiUser], found: Population, *, system: str = SYSTEM) -> None:
    """Administrators as members of roles that reach every portal and every workspace.

    A user for whom the vendor names neither roles nor the older flags may be an administrator: then the surface stays
    unanswered for that user.
    """
    held: set[str] = set()
    for user in users:
        roles = set(user.RoleIdList or ())
        roles |= {ORGANIZATION_ADMINISTRATOR} if user.AdminUser else set()
        roles |= {PERMISSION_ADMINISTRATOR} if user.AuthAdminUser else set()
        if user.RoleIdList is None and (user.AdminUser is None or user.AuthAdminUser is None):
            why = f"QueryUserList names no roles for user {user.UserId}"
            found.could_not_tell(Gap(ORGANIZATION_ROLES.name, why, principal=(PrincipalType.USER, user.UserId)))
        mine = sorted(roles & _ORGANIZATION_ROLES.keys())
        held.update(mine)
        found.add_memberships(
            Membership(system, account, PrincipalType.USER, user.UserId, PrincipalType.ROLE, role) for role in mine
        )
    found.add_grants(
        fixed_grant(
            account, ORGANIZATION, (PrincipalType.ROLE, role), name, "a role of the organization", system=system
        )
        for role, name in _ORGANIZATION_ROLES.items()
        if role in held
    )
    found.asked(ORGANIZATION_ROLES.name)


def workspace_roles(
    account: str, space: Workspace, people: Sequence[WorkspaceUser], found: Population, system: str = SYSTEM
) -> set[str]:
    """Owner, administrators and developers of a workspace as members of roles, which reach every portal in it.

    :returns: the roles that somebody holds.
    """
    held = [(person.UserId, person.Role.RoleId or "") for person in people if person.Role is not None]
    held = [(user, role) for user, role in held if role in WORKSPACE_ROLES]
    held += [(space.Owner, OWNER)] if space.Owner else []
    found.add_memberships(
        Membership(
            system, account, PrincipalType.USER, user, PrincipalType.ROLE, workspace_role(space.WorkspaceId, role)
        )
        for user, role in held
    )
    for person in people:
        if person.Role is None:
            why = f"QueryWorkspaceUserList names no role for user {person.UserId} in workspace {space.WorkspaceId}"
            found.could_not_tell(Gap(WORKSPACES.name, why, principal=(PrincipalType.USER, person.UserId)))
    return {role for _, role in held}


def portal_grants(
    account: str, portal: Work, roles: Iterable[str], kind: str = "portal", system: str = SYSTEM
) -> Iterator[Grant]:
    """Owner and public link of a portal or another work, and the roles of its workspace.

    :param roles: those that somebody holds in the workspace.
    :param kind: resource type of the work in that system.
    """
    held = [(PrincipalType.USER, portal.OwnerId, OWNER, f"owns the {kind}")] if portal.OwnerId else []
    if portal.PublicFlag:
        held.append((PrincipalType.EVERYONE, "everyone", "public link", f"the {kind} is open by a link"))
    for role in sorted(roles):
        holder = workspace_role(portal.WorkspaceId or "", role)
        held.append((PrincipalType.ROLE, holder, WORKSPACE_ROLES[role], f"a role in the {kind}'s workspace"))
    for holder_type, holder, entitlement, why_not in held:
        place = ((kind, portal.WorksId), (holder_type, holder), entitlement, why_not, portal.WorkName or "")
        yield fixed_grant(account, *place, system=system)


def portal_unknowns(portal: Work, found: Population) -> None:
    """Name what the vendor does not tell of a portal: null is not "nobody" and not "no"."""
    for told, what in ((portal.OwnerId, "owner"), (portal.PublicFlag, "public link")):
        if told is None:
            why = f"QueryWorksByOrganization does not tell the {what} of portal {portal.WorksId}"
            found.could_not_tell(Gap(PORTAL_OWNER.name, why, ("portal", portal.WorksId)))


async def portal_receivers(
    walker: Walker[QuickBiClient], portal: Work, workspaces: Container[str], found: Population
) -> list[Receiver]:
    """Return the receivers of a portal's white list and of its shares; report them as grants on the portal.

    A list that cannot be read leaves its surface unanswered for the portal.

    :param workspaces: ids of the organization's workspaces. In a white list the vendor writes type 3 for workspaces
        and for the organization.
    """
    receivers: list[Receiver] = []
    try:
        listed = await walker.rows(ListWhitePortalMenu(DataportalId=portal.WorksId))
        entries = [entry if (entry.ReceiverId or "") in workspaces else _whole(entry) for entry in listed]
        found.add_grants(_received(walker.account, portal, entry, "white list", {}) for entry in entries)
        receivers += entries
    except (CloudError, ListingIncompleteError) as error:
        found.could_not_tell(_gap(WHITE_LIST, portal, error))
    try:
        shares = [_receiver(share) for share in await walker.rows(QueryShareList(ReportId=portal.WorksId))]
        found.add_grants(_received(walker.account, portal, share, SHARED, _SHARED) for share in shares)
        receivers += shares
    except (CloudError, ListingIncompleteError) as error:
        found.could_not_tell(_gap(SHARES, portal, error))
    return receivers


def _gap(surface: Surface, portal: Work, error: Exception) -> Gap:
    why = f"portal {portal.WorksId}: {type(error).__name__}: {error}"[:300]
    return Gap(surface.name, why, ("portal", portal.WorksId))


def _received(account: str, portal: Work, receiver: Receiver, entitlement: str, attributes: dict[str, str]) -> Grant:
    grant = fixed_grant(
        account,
        ("portal", portal.WorksId),
        (receiver_type(receiver), receiver.ReceiverId or ""),
        entitlement,
        f"a {entitlement} of the portal",
        portal.WorkName or "",
    )
    return replace(grant, attributes=attributes)


def _whole(entry: Receiver) -> Receiver:
    """A white list's entry of type 3 that names no workspace stands for the organization (type 2)."""
    return entry.model_copy(update={"ReceiverType": 2}) if entry.ReceiverType == 3 else entry


def _receiver(share: Share) -> Receiver:
    kind = -1 if share.ShareToType is None else share.ShareToType
    return Receiver(ReceiverId=share.ShareToId, ReceiverType=kind, AuthPointsValue=share.AuthPoint)


async def what_users_see(client: QuickBiClient, grants: Collection[Grant]) -> PlatformAnswer:
    """Ask for each touched portal and user which menus the user sees."""
    walker = Walker(client)
    answer = PlatformAnswer()
    asked: dict[tuple[str, str], list[Grant]] = {}
    for grant in grants:
        if grant.key.principal_type == PrincipalType.USER:
            asked.setdefault((grant.cell.container, grant.key.principal_id), []).append(grant)

    async def look(pair: tuple[str, str]) -> frozenset[str] | CloudError:
        try:
            seen = await client.read(ListPortalMenus(DataPortalId=pair[0], UserId=pair[1]))
        except CloudError as error:
            return error
        return frozenset(menu.menuId for menu in seen.value.nodes())

    def take(pair: tuple[str, str], seen: frozenset[str] | CloudError) -> None:
        for grant in asked[pair]:
            if isinstance(seen, CloudError):
                why = f"ListPortalMenus: {type(seen).__name__}: {seen}"[:300]
                answer.could_not_ask(grant.grant_id, OWN_ANSWER.name, why)
            elif grant.key.resource_id in seen:
                answer.reaches[grant.grant_id] = (
                    "the platform itself shows the menu to this user; no known path explains it"
                )
            else:
                answer.denies.add(grant.grant_id)

    await walker.for_each(sorted(asked), look, take)
    answer.calls = len(asked)
    return answer


def workspace_role(workspace: str, role: str) -> str:
    """Return the id of a role in a workspace, as memberships name it."""
    return f"{workspace}.{role}"
