"""Alibaba Quick BI: the grants on the menus of one portal, from its menu tree and its list of receivers."""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache
from sys import intern
from typing import NamedTuple

from rescind.cloud.clients import QuickBiClient
from rescind.cloud.fields import UNNAMEABLE, is_named_id
from rescind.cloud.quickbi.menus import ListPortalMenuAuthorization, ListPortalMenus, MenuAuthorization, Receiver
from rescind.errors import ListingIncompleteError
from rescind.model import Cell, Grant, GrantKey, PrincipalType
from rescind.systems.quickbi.access import RECEIVERS, receiver_type
from rescind.systems.quickbi.last_use import works_of
from rescind.systems.surfaces import CONDITIONAL, UNCERTAIN
from rescind.systems.walker import PASSES, Walker

_NAMED_KINDS = frozenset({PrincipalType.USER, PrincipalType.GROUP})
LEVELS = {1: "view", 3: "view_export", 10: "data_entry", 11: "edit"}
EVERYONE = "everyone"


class PortalMenus(NamedTuple):
    """One reading of a portal.

    :param unlisted: menus of the tree without an entry in the list of receivers.
    :param unconfirmed: menus whose entry has no list of receivers.
    :param works: menu id -> id of the work behind it.
    """

    grants: tuple[Grant, ...]
    names: frozenset[str]
    unlisted: frozenset[str]
    unconfirmed: frozenset[str]
    works: Mapping[str, str]

    @property
    def doubtful(self) -> bool:
        """Whether a second reading has to confirm this one."""
        return bool(self.unlisted or self.unconfirmed)


async def read_portal(walker: Walker[QuickBiClient], portal: str) -> PortalMenus:
    """Return the grants on one portal's menus. The menu tree and the receivers check each other.

    What one of them lacks is read again: a second, equal answer confirms that nobody is named for a menu, and
    that a menu of the tree has no entry.

    :raises ListingIncompleteError: when no two readings in a row agree.
    """
    before: PortalMenus | None = None
    for _ in range(PASSES):
        seen = await _read_once(walker, portal)
        if not seen.doubtful or seen == before:
            return seen
        before = seen
    what = f"ListPortalMenuAuthorization(DataPortalId={portal})"
    raise ListingIncompleteError(what, f"{PASSES} readings never agreed on its menus in a row", shifted=True)


async def _read_once(walker: Walker[QuickBiClient], portal: str) -> PortalMenus:
    tree = (await walker.client.read(ListPortalMenus(DataPortalId=portal))).value
    names = {menu.menuId: menu.menuName or "" for menu in tree.nodes()}
    works = works_of(tree.nodes())
    rows = await walker.rows(ListPortalMenuAuthorization(DataPortalId=portal))
    grants = [g for row in rows for g in _menu_grants(walker.account, portal, row, names.get(row.MenuId, ""))]
    unlisted = {menu.menuId for menu in tree.leaves()} - {row.MenuId for row in rows}
    unconfirmed = {row.MenuId for row in rows if row.unconfirmed}
    return PortalMenus(tuple(grants), frozenset(names), frozenset(unlisted), frozenset(unconfirmed), works)


def _menu_grants(account: str, portal: str, row: MenuAuthorization, name: str) -> list[Grant]:
    nameable = is_named_id(portal) and is_named_id(row.MenuId)
    grants = {
        grant.key: grant
        for grant in (_grant(account, portal, row, receiver, name, nameable) for receiver in row.receivers)
    }
    if not row.ShowOnlyWithAccess:
        unknown = {UNCERTAIN: RECEIVERS.name} if row.ShowOnlyWithAccess is None else {}
        key = GrantKey("quickbi_menus", account, "menu", row.MenuId, PrincipalType.EVERYONE, EVERYONE, "view", portal)
        grants[key] = Grant(
            key=key,
            cell=Cell(portal, row.MenuId, "open", (EVERYONE,)),
            revocable=False,
            why_not="the menu is open to everybody who can open the portal"
            if not unknown
            else "whether the menu is open to everybody is not told",
            attributes={CONDITIONAL: "the portal can be opened", **unknown},
            resource_name=name,
        )
    return list(grants.values())


def _grant(account: str, portal: str, row: MenuAuthorization, receiver: Receiver, name: str, nameable: bool) -> Grant:
    """Return the grant of one receiver.

    :param nameable: whether the revoke call can name the portal and the menu.
    """
    kind, points = receiver_type(receiver), receiver.AuthPointsValue
    level = LEVELS.get(points or 0) or f"level {points}"
    ident = intern(receiver.ReceiverId or "")  # the same people on every menu; verification holds all of them
    if kind not in _NAMED_KINDS:
        why_not = f"a {kind} receiver cannot be named by the revoke call"
    elif points is not None and points not in LEVELS:
        why_not = f"unknown authorization {level}"
    else:
        why_not = "the receiver has no id" if not ident else "" if nameable and is_named_id(ident) else UNNAMEABLE
    return Grant(
        key=GrantKey("quickbi_menus", account, "menu", row.MenuId, kind, ident, level, portal),
        cell=Cell(portal, row.MenuId, kind, (ident,)),
        revocable=not why_not,
        why_not=why_not,
        resource_name=name,
        attributes=_attributes(points, receiver.ReceiverType),
    )


@lru_cache(maxsize=256)
def _attributes(points: int | None, kind: int) -> Mapping[str, str]:
    """Return the attributes of a grant, the same object for all that are equal."""
    return {"AuthPointsValue": str(points), "ReceiverType": str(kind)}
