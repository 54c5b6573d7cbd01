"""Changing who sees menus: CancelAuthorizationMenu, AuthorizeMenu, ChangeVisibilityModel."""

from __future__ import annotations

from emulator.quickbi import QUICKBI
from emulator.quickbi.common import failure, find_portal
from emulator.registry import Call
from emulator.store.quickbi import FOLDER_TYPE, Menu, Portal
from emulator.store.receivers import GROUP, USER, Receiver

_PAIRS = "DataPortalId! MenuIds! UserGroupIds UserIds"
_MOST_MENUS, _MOST_RECEIVERS = 100, 200


def _ids(call: Call, name: str, most: int) -> list[str]:
    """A comma list, each id once. Blanks belong to an id; an empty place is an id that does not exist."""
    text = call.text(name)
    ids = text.split(",") if text else []
    if len(ids) > most:
        raise failure(call, "Invalid.Parameter.Error", f"The parameter is invalid:{name} has more than {most} ids.")
    return list(dict.fromkeys(ids))


def _menus(call: Call, portal: Portal) -> list[Menu]:
    """The leaf menus that a call names; one bad id fails the whole call before anything happens."""
    menus = []
    for menu_id in _ids(call, "MenuIds", _MOST_MENUS):
        menu = portal.menus.get(menu_id)
        if menu is None:
            raise failure(call, "Menu.NotBelongTo.CurrentDataportal",
                          f"Menu {menu_id} does not belong to the current data portal {portal.portal_id}.")  # fmt: skip
        if menu.type == FOLDER_TYPE:
            raise failure(call, "FolderMenu.CanNot.Authorize",
                          f"The folder type menu cannot be authorized. Menu ID: {menu_id}.")  # fmt: skip
        menus.append(menu)
    return menus


def _receivers(call: Call) -> list[Receiver]:
    store = call.world.quickbi
    users, groups = _ids(call, "UserIds", _MOST_RECEIVERS), _ids(call, "UserGroupIds", _MOST_RECEIVERS)
    if not users and not groups:
        raise failure(call, "Invalid.Parameter.Error", "The parameter is invalid:UserGroupIds and UserIds are empty.")
    for user in users:
        if user not in store.users:
            raise failure(call, "User.NotBelongTo.CurrentOrganization",
                          f"The user {user} does not belong to the current organization.")  # fmt: skip
    for group in groups:
        if group not in store.groups:
            raise failure(call, "Usergroup.NotBelongTo.CurrentOrganization",
                          f"The usergroup {group} does not belong to the current organization.")  # fmt: skip
    return [Receiver(USER, user) for user in users] + [Receiver(GROUP, group) for group in groups]


@QUICKBI.action("CancelAuthorizationMenu", _PAIRS, write=True)
def cancel_authorization(call: Call) -> int:
    """Remove the product of all menus and all users and groups; pairs that do not exist are skipped silently."""
    portal = find_portal(call, call.text("DataPortalId"))
    menus, receivers = _menus(call, portal), _receivers(call)
    touched = 0
    for menu in menus:
        removed = [call.world.quickbi.remove(portal, menu, receiver) for receiver in receivers]
        touched += any(removed)
    return len(menus) if call.world.modes["quickbi_result_counts"] == "requested" else touched


@QUICKBI.action("AuthorizeMenu", f"{_PAIRS} AuthPointsValue:int", write=True)
def authorize_menu(call: Call) -> int:
    """Add the product; existing pairs are skipped, or get the new points by mode."""
    portal = find_portal(call, call.text("DataPortalId"))
    points = call.number("AuthPointsValue", 3)
    if points not in (1, 3):
        raise failure(call, "Invalid.Parameter.Error", "The parameter is invalid:AuthPointsValue.")
    menus, receivers = _menus(call, portal), _receivers(call)
    overwrite = call.world.modes["quickbi_authorize_existing"] == "overwrite"
    touched = 0
    for menu in menus:
        added = [call.world.quickbi.add(portal, menu, receiver, points) for receiver in receivers]
        if overwrite:
            added += [call.world.quickbi.change(portal, menu, receiver, points) for receiver in receivers]
        touched += any(added)
    return len(menus) if call.world.modes["quickbi_result_counts"] == "requested" else touched


@QUICKBI.action("ChangeVisibilityModel", "DataPortalId! MenuIds! ShowOnlyWithAccess!:bool", write=True)
def change_visibility(call: Call) -> int:
    """Open menus to all, or close them."""
    portal = find_portal(call, call.text("DataPortalId"))
    changed = 0
    for menu in _menus(call, portal):
        if menu.show_only_with_access != call.params["ShowOnlyWithAccess"]:
            menu.show_only_with_access = call.params["ShowOnlyWithAccess"]
            call.world.quickbi.visibility_changed(portal, menu)
            changed += 1
    return changed
