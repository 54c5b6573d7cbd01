"""Alibaba Quick BI: who may see which menu of which data portal.

One listing shows all receivers of all menus of a portal. One call revokes menus x (users and groups) and skips pairs
that do not exist. The call cannot name organizations and workspaces, and a menu that is open to all stays visible:
both are found, reported and not revoked. The vendor has no listing by user or group, so only the listing by resource
proves absence.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import Any, ClassVar

from rescind.cloud.base import Prepared, WriteRequest
from rescind.cloud.clients import QuickBiClient
from rescind.cloud.quickbi.inventory import (
    QueryOrganizationWorkspaceList,
    QueryUserGroupMember,
    QueryUserList,
    QueryWorkspaceUserList,
)
from rescind.cloud.quickbi.menus import (
    AuthorizeMenu,
    CancelAuthorizationMenu,
    ListPortalMenuAuthorization,
    ListPortalMenus,
    MenuAuthorization,
    QueryWorksByOrganization,
    Receiver,
)
from rescind.errors import BlastRadiusExceededError, ListingIncompleteError
from rescind.model import CallShape, Cell, Grant, GrantKey, Membership, Mode, PlannedCall, Principal, PrincipalType
from rescind.systems.base import ListingScope, PermissionSystem, Reading, Walker
from rescind.systems.final_bytes import query_fields
from rescind.systems.population import Population
from rescind.systems.quickbi_users import organization_users, own_user_id, user_groups

_RECEIVERS = {
    0: PrincipalType.USER,
    1: PrincipalType.GROUP,
    2: PrincipalType.ORGANIZATION,
    3: PrincipalType.WORKSPACE,
}
_LEVELS = {1: "view", 3: "view_export", 10: "data_entry", 11: "edit"}
_RESTORABLE = {"view": 1, "view_export": 3}
_SHOWS = frozenset({"view", "view_export", "edit"})
EVERYONE = "everyone"


class QuickBiMenus(PermissionSystem[QuickBiClient]):
    """Grants are (menu, receiver, level); one call takes whole receivers from menus of one portal.

    The vendor allows 100 menus, 200 users and 200 groups; a query string of that size reaches 17 kB and
    no limit is published, so the caps here keep it below 8 kB.
    """

    name: ClassVar[str] = "quickbi_menus"
    title: ClassVar[str] = "Quick BI menus"
    form_label: ClassVar[str] = "Alibaba Quick BI: portal menus"
    id_spaces: ClassVar[tuple[str, ...]] = ("quickbi_user_id", "alibaba_uid")
    default_connection: ClassVar[str] = "quickbi_default"
    vendor: ClassVar[str] = "alibaba"
    hook: ClassVar[str] = "rescind.hooks.quickbi.QuickBiHook"
    shape: ClassVar[CallShape] = CallShape(
        max_rows=80,
        max_columns={"user": 60, "group": 40},
        modes=(Mode.STRICT, Mode.EMPTYING, Mode.SPARSE),
    )
    revoke_message: ClassVar[type[WriteRequest[Any]]] = CancelAuthorizationMenu
    restore_message: ClassVar[type[WriteRequest[Any]]] = AuthorizeMenu
    restore_shape: ClassVar[CallShape] = CallShape(max_rows=80, max_columns={"user": 60, "group": 40})
    reads: ClassVar[frozenset[str]] = frozenset(
        {
            "ListPortalMenuAuthorization",
            "ListPortalMenus",
            "QueryOrganizationWorkspaceList",
            "QueryUserGroupListByParentId",
            "QueryUserGroupMember",
            "QueryUserInfoByAccount",
            "QueryUserList",
            "QueryWorksByOrganization",
            "QueryWorkspaceUserList",
        }
    )

    async def discover(self, client: QuickBiClient, found: Population) -> None:
        """Users, groups in groups, workspaces with members; then portals with menus and receivers."""
        walker = Walker(client, found)
        users = await organization_users(walker, self.name)
        found.shown(PrincipalType.USER, (user.principal_id for user in users))
        found.add_principals(users)
        await _groups(walker, found)
        await _workspaces(walker, found)
        portals = await walker.rows(QueryWorksByOrganization(WorksType="DATAPRODUCT"))
        organizations: set[str] = set()

        def take(_: object, listed: tuple[list[Grant], frozenset[str]]) -> None:
            grants, menus = listed
            found.shown("menu", menus)
            found.add_grants(grants)
            receivers = (grant.key for grant in grants if grant.key.principal_type == PrincipalType.ORGANIZATION)
            organizations.update(key.principal_id for key in receivers)

        await walker.for_each(portals, lambda portal: self._portal(walker, (portal.WorksId,)), take)
        for organization in sorted(organizations):
            ids = (user.principal_id for user in users)
            found.add_memberships(_edge(walker, "user", ident, "organization", organization) for ident in ids)
        found.note("portals", len(portals))

    async def _portal(self, walker: Walker[QuickBiClient], scope: ListingScope) -> tuple[list[Grant], frozenset[str]]:
        """The grants on one portal's menus, and the menus that its tree shows."""
        (portal,) = scope
        tree = await walker.client.read(ListPortalMenus(DataPortalId=portal))
        names = {menu.menuId: menu.menuName or "" for menu in tree.value.nodes()}
        rows = await walker.rows(ListPortalMenuAuthorization(DataPortalId=portal))
        if open_menus := [row.MenuId for row in rows if row.unconfirmed]:
            why = f"{len(open_menus)} menus have no list of receivers (first: {open_menus[0]}); nobody is ruled out"
            raise ListingIncompleteError(f"ListPortalMenuAuthorization(DataPortalId={portal})", why)
        grants = [
            grant for row in rows for grant in _menu_grants(walker.account, portal, row, names.get(row.MenuId, ""))
        ]
        return grants, frozenset(names)

    def cell(self, key: GrantKey) -> Cell:
        """One receiver on one menu of a portal."""
        return Cell(key.native_id, key.resource_id, key.principal_type, (key.principal_id,))

    def listing_scope(self, grant: Grant) -> ListingScope:
        """The portal: one listing holds all its menus."""
        return (grant.cell.container,)

    async def reread(self, client: QuickBiClient, listings: Collection[ListingScope]) -> Reading:
        """One listing per touched portal (and its menu tree, for names)."""
        walker = Walker(client)
        found = await walker.each(sorted(listings), lambda scope: self._portal(walker, scope))
        grants = tuple(g for grants, _ in found for g in grants)
        return Reading(grants, frozenset(listings), 2 * len(listings), tuple(walker.pages))

    def request(self, call: PlannedCall, grants: Sequence[Grant]) -> CancelAuthorizationMenu:
        """Menus of one portal, users and groups apart."""
        return CancelAuthorizationMenu(
            DataPortalId=call.container,
            MenuIds=call.rows,
            UserIds=tuple(column[0] for kind, column in call.columns if kind == "user"),
            UserGroupIds=tuple(column[0] for kind, column in call.columns if kind == "group"),
        )

    def blast_radius(self, prepared: Prepared[Any]) -> frozenset[Cell]:
        """All menus times all users and groups of the final query string."""
        portal, menus, receivers, _ = _query(prepared, "CancelAuthorizationMenu")
        return frozenset(Cell(portal, menu, kind, (ident,)) for menu in menus for kind, ident in receivers)

    def inverse(self, grant: Grant) -> Mapping[str, Any] | None:
        """Return AuthorizeMenu with the same level. It cannot restore edit and data entry."""
        points = _RESTORABLE.get(grant.key.entitlement)
        if points is None:
            return None
        return {
            "action": "AuthorizeMenu",
            "DataPortalId": grant.cell.container,
            "MenuId": grant.key.resource_id,
            "receiver": grant.cell.kind,
            "receiver_id": grant.key.principal_id,
            "AuthPointsValue": points,
        }

    def restore_group(self, grant: Grant) -> str:
        """One call gives one level."""
        return grant.key.entitlement

    def restore_request(self, inverses: Sequence[Mapping[str, Any]]) -> AuthorizeMenu:
        """Every menu times every receiver of the given ones, at their one level."""
        (portal,) = {inverse["DataPortalId"] for inverse in inverses}
        (points,) = {inverse["AuthPointsValue"] for inverse in inverses}
        receivers = sorted({(inverse["receiver"], inverse["receiver_id"]) for inverse in inverses})
        return AuthorizeMenu(
            DataPortalId=portal,
            MenuIds=tuple(sorted({inverse["MenuId"] for inverse in inverses})),
            UserIds=tuple(ident for kind, ident in receivers if kind == "user"),
            UserGroupIds=tuple(ident for kind, ident in receivers if kind == "group"),
            AuthPointsValue=points,
        )

    def given(self, prepared: Prepared[Any]) -> list[Mapping[str, Any]]:
        """Return all menus times all users and groups. Without a level the vendor would grant view and export."""
        portal, menus, receivers, fields = _query(prepared, "AuthorizeMenu")
        points = "".join(fields.get("AuthPointsValue", []))
        if points not in ("1", "3"):
            raise BlastRadiusExceededError("the final AuthorizeMenu query names no level that can be restored")
        return [
            {
                "action": "AuthorizeMenu",
                "DataPortalId": portal,
                "MenuId": menu,
                "receiver": kind,
                "receiver_id": ident,
                "AuthPointsValue": int(points),
            }
            for menu in menus
            for kind, ident in receivers
        ]

    def slot(self, key: GrantKey) -> tuple[str, ...]:
        """The receiver on the menu, whatever the level."""
        return tuple(key._replace(entitlement=""))

    def terms(self, grant: Grant) -> tuple[str, ...]:
        """The level."""
        return (grant.key.entitlement,)

    async def gone_holders(self, client: QuickBiClient, grants: Collection[Grant]) -> Mapping[str, str]:
        """Users who left the organization. A group that is gone shows when the vendor refuses it."""
        users = [grant for grant in grants if grant.key.principal_type == PrincipalType.USER]
        if not users:
            return {}
        there = {user.UserId for user in await Walker(client).rows(QueryUserList()) if not user.IsDeleted}
        return {
            grant.grant_id: "the user left the organization" for grant in users if grant.key.principal_id not in there
        }

    async def own_ids(self, client: QuickBiClient) -> frozenset[str]:
        """The Quick BI user id of the calling account, where it is a member of the organization."""
        return await own_user_id(client)

    def includes(self, held: str, entitlement: str) -> bool:
        """Return True for every two levels that show the menu: a user who loses only the export still has access."""
        return held == entitlement or {held, entitlement} <= _SHOWS


def _query(prepared: Prepared[Any], action: str) -> tuple[str, list[str], list[tuple[str, str]], dict[str, list[str]]]:
    """Portal, menus, receivers as (kind, id), and all fields of the final query string.

    :raises BlastRadiusExceededError: when a parameter is named twice or a selector is empty.
    """
    fields = {name: value.split(",") for name, value in query_fields(prepared).items()}
    portal, menus = fields.get("DataPortalId", []), fields.get("MenuIds", [])
    receivers = [("user", u) for u in fields.get("UserIds", [])] + [
        ("group", g) for g in fields.get("UserGroupIds", [])
    ]
    if len(portal) != 1 or not menus or not receivers or not all([*portal, *menus, *(r for _, r in receivers)]):
        raise BlastRadiusExceededError(f"the final {action} query has an empty selector")
    return portal[0], menus, receivers, fields


def _menu_grants(account: str, portal: str, row: MenuAuthorization, name: str) -> list[Grant]:
    grants = {
        grant.key: grant for grant in (_grant(account, portal, row, receiver, name) for receiver in row.receivers)
    }
    if row.ShowOnlyWithAccess is False:
        key = GrantKey("quickbi_menus", account, "menu", row.MenuId, PrincipalType.EVERYONE, EVERYONE, "view", portal)
        grants[key] = Grant(
            key=key,
            cell=Cell(portal, row.MenuId, "open", (EVERYONE,)),
            revocable=False,
            why_not="the menu is open to everybody who can open the portal",
            resource_name=name,
        )
    return list(grants.values())


def _grant(account: str, portal: str, row: MenuAuthorization, receiver: Receiver, name: str) -> Grant:
    kind = _RECEIVERS.get(receiver.ReceiverType, PrincipalType.UNKNOWN)
    level = _LEVELS.get(receiver.AuthPointsValue or 0, f"level {receiver.AuthPointsValue}")
    ident = receiver.ReceiverId or ""
    if kind not in (PrincipalType.USER, PrincipalType.GROUP):
        why_not = f"a {kind} receiver cannot be named by the revoke call"
    elif level.startswith("level "):
        why_not = f"unknown authorization {level}"
    else:
        why_not = "" if ident else "the receiver has no id"
    return Grant(
        key=GrantKey("quickbi_menus", account, "menu", row.MenuId, kind, ident, level, portal),
        cell=Cell(portal, row.MenuId, kind, (ident,)),
        revocable=not why_not,
        why_not=why_not,
        resource_name=name,
        attributes={"AuthPointsValue": str(receiver.AuthPointsValue), "ReceiverType": str(receiver.ReceiverType)},
    )


async def _groups(walker: Walker[QuickBiClient], found: Population) -> None:
    """Report users in groups and groups in groups."""
    names, edges = await user_groups(walker)
    found.add_principals(_container(walker, "group", ident, name) for ident, name in names.items())
    found.add_memberships(_edge(walker, "group", group, "group", parent) for group, parent in edges)
    found.shown(PrincipalType.GROUP, names)
    await walker.for_each(
        sorted(names),
        lambda ident: walker.rows(QueryUserGroupMember(UserGroupId=ident)),
        lambda ident, people: found.add_memberships(
            _edge(walker, "group" if m.IsUserGroup else "user", m.Id, "group", ident) for m in people
        ),
    )


async def _workspaces(walker: Walker[QuickBiClient], found: Population) -> None:
    workspaces = await walker.rows(QueryOrganizationWorkspaceList())
    found.shown(PrincipalType.WORKSPACE, (space.WorkspaceId for space in workspaces))
    found.add_principals(
        _container(walker, "workspace", space.WorkspaceId, space.WorkspaceName, space.Owner) for space in workspaces
    )
    await walker.for_each(
        workspaces,
        lambda space: walker.rows(QueryWorkspaceUserList(WorkspaceId=space.WorkspaceId)),
        lambda space, people: found.add_memberships(
            _edge(walker, "user", member.UserId, "workspace", space.WorkspaceId) for member in people
        ),
    )


def _edge(
    walker: Walker[QuickBiClient], member_type: str, member: str, container_type: str, container: str
) -> Membership:
    return Membership("quickbi_menus", walker.account, member_type, member, container_type, container)


def _container(
    walker: Walker[QuickBiClient], kind: str, ident: str, name: str | None, owner: str | None = None
) -> Principal:
    return Principal("quickbi_menus", walker.account, kind, ident, name=name or "", kind="system", owner=owner or "")
