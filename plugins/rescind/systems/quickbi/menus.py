"""Alibaba Quick BI: who may see which menu of which data portal.

One listing shows all receivers of all menus of a portal. One call revokes menus x (users and groups) and skips pairs
that do not exist. The call cannot name organizations and workspaces, and a menu that is open to all stays visible:
both are found, reported and not revoked. The vendor has no listing by user or group, so only the listing by resource
proves absence.
"""

from __future__ import annotations

import asyncio
import math
import time
from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Any, ClassVar
from weakref import WeakKeyDictionary, WeakValueDictionary

from rescind.cloud.base import Prepared, WriteRequest
from rescind.cloud.clients import QuickBiClient
from rescind.cloud.quickbi.inventory import (
    QueryUserList,
)
from rescind.cloud.quickbi.menus import (
    AuthorizeMenu,
    CancelAuthorizationMenu,
    QueryWorksByOrganization,
    Receiver,
    Work,
)
from rescind.errors import BlastRadiusExceededError, ListingIncompleteError
from rescind.model import CallShape, Cell, Grant, GrantKey, Mode, PlannedCall, PrincipalType
from rescind.systems.base import ListingScope, PermissionSystem, Reading
from rescind.systems.final_bytes import query_fields
from rescind.systems.last_use import marked
from rescind.systems.population import Population
from rescind.systems.quickbi.access import (
    ORGANIZATION,
    PORTAL_OWNER,
    RECEIVERS,
    SHARES,
    SURFACES,
    WHITE_LIST,
    organization_roles,
    portal_grants,
    portal_receivers,
    portal_unknowns,
    receiver_type,
    what_users_see,
)
from rescind.systems.quickbi.last_use import USAGE_READS, QuickBiUse
from rescind.systems.quickbi.menu_listing import PortalMenus, read_portal
from rescind.systems.quickbi.people import PEOPLE_READS, QuickBiPeople, discover_groups, discover_workspaces, membership
from rescind.systems.quickbi.users import user_principal
from rescind.systems.surfaces import (
    UNNAMED,
    PlatformAnswer,
    Surface,
    Untraceable,
)
from rescind.systems.walker import Walker

_RESTORABLE = {"view": 1, "view_export": 3}


class QuickBiMenus(QuickBiPeople, PermissionSystem[QuickBiClient]):
    """Grants are (menu, receiver, level); one call takes whole receivers from menus of one portal.

    The vendor allows 100 menus, 200 users and 200 groups; a query string of that size reaches 17 kB and
    no limit is published, so the caps here keep it below 8 kB.
    """

    name: ClassVar[str] = "quickbi_menus"
    title: ClassVar[str] = "Quick BI menus"
    id_spaces: ClassVar[tuple[str, ...]] = ("quickbi_user_id", "alibaba_uid")
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
    surfaces: ClassVar[tuple[Surface, ...]] = SURFACES
    untraceable: ClassVar[Mapping[str, Untraceable]] = {PrincipalType.UNKNOWN: UNNAMED}
    reads: ClassVar[frozenset[str]] = PEOPLE_READS | {
        "ListPortalMenuAuthorization",
        "ListPortalMenus",
        "ListWhitePortalMenu",
        "QueryShareList",
        "QueryWorksByOrganization",
    }

    optional_reads: ClassVar[frozenset[str]] = frozenset(
        {"ListUserGroupsByUserId", "ListWhitePortalMenu", "QueryShareList"}
    )
    usage_reads: ClassVar[frozenset[str]] = USAGE_READS
    reads_known: ClassVar[bool] = True

    async def discover(self, client: QuickBiClient, found: Population) -> None:
        """Users, groups in groups, workspaces with members; then portals with menus and receivers."""
        await self._discover(client, found, None)

    async def discover_known(self, client: QuickBiClient, found: Population, containers: Collection[str]) -> None:
        """The same, with some portals only."""
        await self._discover(client, found, containers)

    async def _discover(self, client: QuickBiClient, found: Population, only: Collection[str] | None) -> None:
        walker = Walker(client, found)
        users = await walker.rows(QueryUserList())
        found.shown(PrincipalType.USER, (user.UserId for user in users))
        found.add_principals(user_principal(self.name, walker.account, user) for user in users)
        await discover_groups(walker, found)
        roles = await discover_workspaces(walker, found)
        organization_roles(walker.account, users, found)
        use = QuickBiUse(found.usage) if found.usage else None
        if use:
            await use.read(walker, users)
        portals = await walker.rows(QueryWorksByOrganization(WorksType="DATAPRODUCT"))
        portals = tuple(
            portal
            for portal in portals
            if (only is None or portal.WorksId in only) and not found.leaves_out("portal", portal.WorksId)
        )
        found.asked(PORTAL_OWNER.name)
        organizations: set[str] = set()

        def take(portal: Work, listed: tuple[PortalMenus, list[Receiver]]) -> None:
            seen, beside = listed
            found.shown("menu", seen.names)
            judge = (lambda grant: use.judge(grant, seen.works)) if use else None
            menus = marked(seen.grants, judge)
            grants = [*menus, *portal_grants(walker.account, portal, roles.get(portal.WorkspaceId or "", ()))]
            found.add_grants(grants)
            portal_unknowns(portal, found)
            for menu in sorted(seen.unlisted):
                why = f"the menu tree of portal {portal.WorksId} shows it, and its receivers are not listed"
                found.not_reviewed("menu", menu, why)
            keys = (grant.key for grant in grants)
            organizations.update(key.principal_id for key in keys if key.principal_type == PrincipalType.ORGANIZATION)
            organizations.update(r.ReceiverId or "" for r in beside if receiver_type(r) == PrincipalType.ORGANIZATION)

        async def read(portal: Work) -> tuple[PortalMenus, list[Receiver]]:
            return await read_portal(walker, portal.WorksId), await portal_receivers(walker, portal, roles, found)

        await walker.for_each(portals, read, take)
        for organization in sorted(organizations):
            ids = (user.UserId for user in users)
            found.add_memberships(membership(walker, "user", ident, "organization", organization) for ident in ids)
        found.asked(RECEIVERS.name)
        found.asked(WHITE_LIST.name)
        found.asked(SHARES.name)
        found.note("portals", len(portals))

    def cell(self, key: GrantKey) -> Cell:
        """One receiver on one menu of a portal."""
        return Cell(key.native_id, key.resource_id, key.principal_type, (key.principal_id,))

    def listing_scope(self, grant: Grant) -> ListingScope:
        """The portal: one listing holds all its menus."""
        return (grant.cell.container,)

    def listed_by(self, listings: Collection[ListingScope]) -> Mapping[str, Collection[str]]:
        """By portal."""
        return {"containers": {portal for (portal,) in listings}}

    async def reread(self, client: QuickBiClient, listings: Collection[ListingScope]) -> Reading:
        """One listing per touched portal (and its menu tree, for names)."""
        walker = Walker(client)
        found = await walker.each(sorted(listings), lambda listing_scope: read_portal(walker, listing_scope[0]))
        for (portal,), seen in zip(sorted(listings), found, strict=True):
            if seen.unlisted:
                why = f"{len(seen.unlisted)} menus of its tree have no entry (first: {min(seen.unlisted)})"
                raise ListingIncompleteError(f"ListPortalMenuAuthorization(DataPortalId={portal})", why)
        grants = tuple(grant for seen in found for grant in seen.grants)
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

    async def also_ended(self, client: QuickBiClient, grants: Collection[Grant]) -> Mapping[str, str]:
        """Read the portal again: a level that changed since the plan would end too, and a restore gives the old one."""
        planned, against = _levels(grants), {}
        for portal in sorted({grant.cell.container for grant in grants}):
            levels, unlisted = await self._levels_now(client, portal)
            for grant in (one for one in grants if one.cell.container == portal):
                if grant.key.resource_id in unlisted:
                    against[grant.grant_id] = "the vendor does not list the receivers of this menu now"
                elif more := levels.get(grant.cell, set()) - planned[grant.cell]:
                    against[grant.grant_id] = f"the vendor shows {', '.join(sorted(more))} for this receiver now"
        return against

    async def _levels_now(self, client: QuickBiClient, portal: str) -> tuple[Mapping[Cell, set[str]], frozenset[str]]:
        """Return the levels on a portal's menus, and the menus that are not listed.

        Calls that are about to be sent at the same time share a reading.
        """
        mine: WeakValueDictionary[str, _Now] = _NOW.setdefault(client, WeakValueDictionary())
        now, asked = mine.setdefault(portal, _Now()), time.monotonic()
        async with now.lock:
            if asked - now.began > _NOW_SECONDS:
                began = time.monotonic()
                seen = await self._portal_now(client, portal)
                now.levels, now.unlisted, now.began = _levels(seen.grants), seen.unlisted, began
        return now.levels, now.unlisted

    async def _portal_now(self, client: QuickBiClient, portal: str) -> PortalMenus:
        return await read_portal(Walker(client), portal)

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

    async def ask_platform(self, client: QuickBiClient, grants: Collection[Grant]) -> PlatformAnswer:
        """The menus that each touched user sees in each touched portal."""
        return await what_users_see(client, grants)

    def parents(self, grant: Grant) -> Iterable[tuple[str, str]]:
        """The portal and the organization."""
        yield "portal", grant.cell.container
        yield ORGANIZATION

    def includes(self, held: str, entitlement: str) -> bool:
        """Every level shows the menu: who loses one and keeps another still has access."""
        return True


class _Now:
    """The levels on one portal's menus, read at ``began`` (seconds, monotonic). Kept while a call waits for it."""

    def __init__(self) -> None:
        self.lock, self.began = asyncio.Lock(), -math.inf
        self.levels: Mapping[Cell, set[str]] = {}
        self.unlisted: frozenset[str] = frozenset()


_NOW: WeakKeyDictionary[QuickBiClient, WeakValueDictionary[str, _Now]] = WeakKeyDictionary()
_NOW_SECONDS = 2.0


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


def _levels(grants: Iterable[Grant]) -> dict[Cell, set[str]]:
    """Return the levels of each receiver on each menu."""
    found: dict[Cell, set[str]] = {}
    for grant in grants:
        found.setdefault(grant.cell, set()).add(grant.key.entitlement)
    return found
