"""Alibaba Quick BI: who may see which menu of which data portal.

One listing shows all receivers of all menus of a portal, and one call takes menus x (users and groups)
away, skipping pairs that do not exist. Organisation and workspace receivers cannot be named by the call,
and a menu that is open to all stays visible whatever is cancelled: both are found, kept and reported.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import Any, ClassVar
from urllib.parse import parse_qsl, urlsplit

from rescind.cloud.base import Prepared
from rescind.cloud.clients import QuickBiClient
from rescind.cloud.quickbi_inventory import (
    ROOT_GROUP,
    QueryOrganizationWorkspaceList,
    QueryUserGroupListByParentId,
    QueryUserGroupMember,
    QueryUserInfoByAccount,
    QueryUserList,
    QueryWorkspaceUserList,
    QuickBiUser,
    UserGroup,
)
from rescind.cloud.quickbi_messages import (
    CancelAuthorizationMenu,
    ListPortalMenuAuthorization,
    ListPortalMenus,
    MenuAuthorization,
    QueryWorksByOrganization,
    Receiver,
)
from rescind.errors import BlastSetExceeded, CloudError
from rescind.model import CallShape, Cell, Grant, GrantKey, Membership, Mode, PlannedCall, Principal, PrincipalType
from rescind.systems.base import Discovery, PermissionSystem, Place, Reading, Walker

_RECEIVERS = {
    0: PrincipalType.USER,
    1: PrincipalType.GROUP,
    2: PrincipalType.ORGANISATION,
    3: PrincipalType.WORKSPACE,
}
_LEVELS = {1: "view", 3: "view_export", 10: "data_entry", 11: "edit"}
_GIVE_BACK = {"view": 1, "view_export": 3}
_INCLUDES = {"view": {"view", "view_export", "edit"}}
EVERYONE = "everyone"


class QuickBiMenus(PermissionSystem[QuickBiClient]):
    """Grants are (menu, receiver, level); one call takes whole receivers from menus of one portal.

    The vendor allows 100 menus, 200 users and 200 groups; a query string of that size reaches 17 kB and
    no limit is published, so the caps here keep it below 8 kB.
    """

    name: ClassVar[str] = "quickbi_menus"
    title: ClassVar[str] = "Quick BI menus"
    vendor: ClassVar[str] = "alibaba"
    hook: ClassVar[str] = "rescind.hooks.quickbi.QuickBiHook"
    shape: ClassVar[CallShape] = CallShape(
        max_rows=80,
        max_columns={"user": 60, "group": 40},
        overlap=True,
        modes=(Mode.STRICT, Mode.EMPTYING, Mode.SPARSE),
    )
    revoke_action: ClassVar[str] = "CancelAuthorizationMenu"
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

    async def discover(self, client: QuickBiClient) -> Discovery:
        """Portals with menus and receivers; users, groups in groups, workspaces with members."""
        walker = Walker(client)
        portals = await walker.rows(QueryWorksByOrganization(WorksType="DATAPRODUCT"))
        listed = await walker.each(portals, lambda portal: self._portal(walker, (portal.WorksId,)))
        users = await walker.rows(QueryUserList())
        grants = [grant for grants in listed for grant in grants]
        organisations = {g.key.principal_id for g in grants if g.key.principal_type == PrincipalType.ORGANISATION}
        return Discovery(
            grants=grants,
            principals=[_principal(self.name, walker.account, user) for user in users],
            memberships=[
                *await _group_memberships(walker),
                *await _workspace_memberships(walker),
                *(_edge(walker, "user", u.UserId, "organisation", org) for u in users for org in sorted(organisations)),
            ],
            records=walker.records,
            notes={"portals": len(portals)},
        )

    async def _portal(self, walker: Walker[QuickBiClient], place: Place) -> list[Grant]:
        (portal,) = place
        tree = await walker.client.read(ListPortalMenus(DataPortalId=portal))
        names = {menu.menuId: menu.menuName or "" for menu in tree.value.nodes()}
        rows = await walker.rows(ListPortalMenuAuthorization(DataPortalId=portal))
        account = walker.account
        return [grant for row in rows for grant in _menu_grants(account, portal, row, names.get(row.MenuId, ""))]

    def place(self, grant: Grant) -> Place:
        """The portal: one listing holds all its menus."""
        return (grant.cell.container,)

    async def reread(self, client: QuickBiClient, places: Collection[Place]) -> Reading:
        """One listing per touched portal (and its menu tree, for names)."""
        walker = Walker(client)
        found = await walker.each(sorted(places), lambda place: self._portal(walker, place))
        return Reading(tuple(g for grants in found for g in grants), frozenset(places), 2 * len(places))

    def request(self, call: PlannedCall, grants: Sequence[Grant]) -> CancelAuthorizationMenu:
        """Menus of one portal, users and groups apart."""
        return CancelAuthorizationMenu(
            DataPortalId=call.container,
            MenuIds=call.rows,
            UserIds=tuple(column[0] for kind, column in call.columns if kind == "user"),
            UserGroupIds=tuple(column[0] for kind, column in call.columns if kind == "group"),
        )

    def blast_set(self, prepared: Prepared[Any]) -> frozenset[Cell]:
        """All menus times all users and groups of the final query string."""
        fields: dict[str, list[str]] = {}
        for name, value in parse_qsl(urlsplit(prepared.url).query, keep_blank_values=True, strict_parsing=True):
            if name in fields:
                raise BlastSetExceeded(f"the final CancelAuthorizationMenu query names {name} twice")
            fields[name] = value.split(",")
        portal, menus = fields.get("DataPortalId", []), fields.get("MenuIds", [])
        receivers = [("user", u) for u in fields.get("UserIds", [])] + [
            ("group", g) for g in fields.get("UserGroupIds", [])
        ]
        if len(portal) != 1 or not menus or not receivers or not all([*portal, *menus, *(r for _, r in receivers)]):
            raise BlastSetExceeded("the final CancelAuthorizationMenu query has an empty selector")
        return frozenset(Cell(portal[0], menu, kind, (ident,)) for menu in menus for kind, ident in receivers)

    def inverse(self, grant: Grant) -> Mapping[str, Any] | None:
        """AuthorizeMenu with the same level; edit and data entry cannot be given back through it."""
        points = _GIVE_BACK.get(grant.key.entitlement)
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

    async def own_ids(self, client: QuickBiClient) -> frozenset[str]:
        """The Quick BI user id of the calling account, where it is a member of the organisation."""
        if client.identity is None:
            return frozenset()
        try:
            answer = await client.read(QueryUserInfoByAccount(Account=client.identity.user_id))
        except CloudError:
            return frozenset()
        return frozenset({answer.value.Result.UserId})

    def includes(self, held: str, entitlement: str) -> bool:
        """Viewing with export, and editing, include viewing."""
        return held in _INCLUDES.get(entitlement, {entitlement})


def _menu_grants(account: str, portal: str, row: MenuAuthorization, name: str) -> list[Grant]:
    grants = {
        grant.key: grant for grant in (_grant(account, portal, row, receiver, name) for receiver in row.Receivers)
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
        why_not = f"unknown authorisation {level}"
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


async def _group_memberships(walker: Walker[QuickBiClient]) -> list[Membership]:
    """Users in groups and groups in groups, walked down from the root; a cycle ends the walk, not the run."""
    level: Sequence[UserGroup] = await walker.rows(QueryUserGroupListByParentId(ParentUserGroupId=ROOT_GROUP))
    seen: dict[str, UserGroup] = {}
    edges: list[Membership] = []
    while level:
        seen |= {group.UserGroupId: group for group in level}
        children = await walker.each(
            level, lambda g: walker.rows(QueryUserGroupListByParentId(ParentUserGroupId=g.UserGroupId))
        )
        for parent, groups in zip(level, children, strict=True):
            edges += [_edge(walker, "group", g.UserGroupId, "group", parent.UserGroupId) for g in groups]
        level = list({g.UserGroupId: g for groups in children for g in groups if g.UserGroupId not in seen}.values())
    members = await walker.each(sorted(seen), lambda ident: walker.rows(QueryUserGroupMember(UserGroupId=ident)))
    for ident, people in zip(sorted(seen), members, strict=True):
        edges += [_edge(walker, "group" if m.IsUserGroup else "user", m.Id, "group", ident) for m in people]
    return list(dict.fromkeys(edges))


async def _workspace_memberships(walker: Walker[QuickBiClient]) -> list[Membership]:
    workspaces = await walker.rows(QueryOrganizationWorkspaceList())
    members = await walker.each(workspaces, lambda w: walker.rows(QueryWorkspaceUserList(WorkspaceId=w.WorkspaceId)))
    return [
        _edge(walker, "user", member.UserId, "workspace", workspace.WorkspaceId)
        for workspace, people in zip(workspaces, members, strict=True)
        for member in people
    ]


def _edge(
    walker: Walker[QuickBiClient], member_type: str, member: str, container_type: str, container: str
) -> Membership:
    return Membership("quickbi_menus", walker.account, member_type, member, container_type, container)


def _principal(system: str, account: str, user: QuickBiUser) -> Principal:
    return Principal(
        system,
        account,
        PrincipalType.USER,
        user.UserId,
        name=user.NickName or user.AccountName or "",
        kind="unknown",
        status="deleted" if user.IsDeleted else "active",
        other_ids=(("alibaba_uid", user.AccountId),) if user.AccountId else (),
    )
