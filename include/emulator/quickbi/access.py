"""What a user finally sees in a portal, over every way in: records, white lists, shares, roles, owners, open menus."""

from __future__ import annotations

from emulator.registry import Call
from emulator.store.quickbi import BiUser, Menu, Portal, Workspace
from emulator.store.receivers import WORKSPACE, Receiver

ORGANIZATION_ADMIN, PERMISSION_ADMIN = 111111111, 111111112
_EDITORS = (25, 26)


def _identities(call: Call, user_id: str) -> set[Receiver]:
    covered = call.world.modes["quickbi_subgroups"] == "covered"
    return call.world.quickbi.identities(user_id, subgroups=covered)


def active(call: Call, user_id: str) -> BiUser | None:
    """The user when it can see anything at all: a deactivated one cannot, unless the mode says so."""
    user = call.world.quickbi.users.get(user_id)
    if user is None or (user.deleted and call.world.modes["quickbi_deactivated"] != "answered"):
        return None
    return user


def authorized_menus(call: Call, portal: Portal, user_id: str) -> set[str]:
    """Leaf menus for which a user holds an authorization, directly or through a group, workspace or organization."""
    if active(call, user_id) is None:
        return set()
    mine = _identities(call, user_id)
    shown = call.world.quickbi.receivers(portal)
    return {menu_id for menu_id, receivers in shown.items() if not mine.isdisjoint(receivers)}


def _white(call: Call, portal: Portal, user_id: str) -> bool:
    mine = _identities(call, user_id)
    if call.world.modes["quickbi_white_list"] == "workspaces":
        mine = {receiver for receiver in mine if receiver.kind == WORKSPACE}
    return not mine.isdisjoint(portal.white)


def shares_of(call: Call, user_id: str) -> list[str]:
    """Ids of works that are shared to a user now, directly or through a group or the organization."""
    mine, now = _identities(call, user_id), call.world.clock.now() * 1000
    found = [share.works_id for share in call.world.quickbi.shares.values()
             if share.receiver in mine and share.expires > now]  # fmt: skip
    return list(dict.fromkeys(found))


def _edits(space: Workspace | None, user_id: str) -> bool:
    return space is not None and (space.owner == user_id or space.members.get(user_id) in _EDITORS)


def broad_ways(call: Call, portal: Portal, user_id: str) -> dict[str, bool]:
    """Ways in that are no menu record, by name; True when the way shows all menus, False when it opens the portal.

    Which ways show all menus is not published: each has a mode.
    """
    user, modes = active(call, user_id), call.world.modes
    if user is None:
        return {}
    space = call.world.quickbi.workspaces.get(portal.workspace_id)
    held = {
        "white_list": _white(call, portal, user_id),
        "share": portal.portal_id in shares_of(call, user_id),
        "owner": portal.owner == user_id,
        "workspace_role": _edits(space, user_id),
        "organization_admin": ORGANIZATION_ADMIN in user.roles,
        "permission_admin": PERMISSION_ADMIN in user.roles,
        "member": space is not None and user_id in space.members,
    }
    whole = {
        "white_list": modes["quickbi_white_list"] != "opens", "share": modes["quickbi_share_reach"] == "all",
        "owner": modes["quickbi_owner_reach"] == "all", "workspace_role": modes["quickbi_role_reach"] == "all",
        "organization_admin": modes["quickbi_admin_reach"] in ("all", "organization_admin"),
        "permission_admin": modes["quickbi_admin_reach"] == "all", "member": False,
    }  # fmt: skip
    # An administrator's role that does not reach the menus does not open the portal either.
    return {name: whole[name] for name, there in held.items() if there and (whole[name] or not name.endswith("_admin"))}


def can_open(call: Call, portal: Portal, user_id: str, menus: set[str]) -> bool:
    """Whether a user can open a portal: with an authorized menu or by any other way in."""
    return bool(menus) or bool(broad_ways(call, portal, user_id))


def visible_menus(call: Call, portal: Portal, user_id: str) -> set[str]:
    """Leaf menus that a user sees: authorized ones, all by a broad way, and open ones when the portal opens."""
    menus = authorized_menus(call, portal, user_id)
    ways = broad_ways(call, portal, user_id)
    if any(ways.values()):
        return {menu.menu_id for menu in portal.leaves()}
    if menus or ways:
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
