"""What a user finally sees: receivers of every kind, white lists, open menus, workspaces."""

from __future__ import annotations

from emulator.registry import Call
from emulator.store.quickbi import Menu, Portal, Receiver


def _identities(call: Call, user_id: str) -> set[Receiver]:
    covered = call.world.modes["quickbi_subgroups"] == "covered"
    return call.world.quickbi.identities(user_id, subgroups=covered)


def authorised_menus(call: Call, portal: Portal, user_id: str) -> set[str]:
    """Leaf menus for which a user holds an authorization, directly or through a group, workspace or organization."""
    user = call.world.quickbi.users.get(user_id)
    if user is None or user.deleted:
        return set()
    mine = _identities(call, user_id)
    shown = call.world.quickbi.receivers(portal)
    if mine & set(portal.white):
        return set(shown)
    return {menu_id for menu_id, receivers in shown.items() if not mine.isdisjoint(receivers)}


def can_open(call: Call, portal: Portal, user_id: str, menus: set[str]) -> bool:
    """Whether a user can open a portal: its owner, a member of its workspace, or one with an authorized menu."""
    user = call.world.quickbi.users.get(user_id)
    if user is None or user.deleted:
        return False
    space = call.world.quickbi.workspaces.get(portal.workspace_id)
    return bool(menus) or portal.owner == user_id or (space is not None and user_id in space.members)


def visible_menus(call: Call, portal: Portal, user_id: str) -> set[str]:
    """Leaf menus that a user sees: authorized ones, and open ones when the portal can be opened."""
    menus = authorised_menus(call, portal, user_id)
    if can_open(call, portal, user_id, menus):
        menus |= {menu.menu_id for menu in portal.leaves() if not menu.show_only_with_access}
    return menus


def tree(menus: list[Menu], only: set[str] | None) -> list[dict[str, object]]:
    """The menu tree in the vendor's shape; with ``only``, folders without a visible leaf fall away."""
    rows: list[dict[str, object]] = []
    for menu in menus:
        children = tree(menu.children, only)
        if only is not None and not children and menu.menu_id not in only:
            continue
        rows.append({
            "menuId": menu.menu_id, "menuName": menu.name, "menuType": menu.type, "uri": menu.uri,
            "showOnlyWithAccess": menu.show_only_with_access, "dependentPermisson": False, "children": children,
        })  # fmt: skip
    return rows
