"""Works, portals and the menu lists."""

from __future__ import annotations

import json
from typing import Any

from emulator.quickbi import QUICKBI
from emulator.quickbi.access import authorised_menus, can_open, tree, visible_menus
from emulator.quickbi.common import PAGE, check_caller, find_portal, find_user, find_workspace, page
from emulator.registry import Call
from emulator.store.quickbi import Portal, Receiver

_WORKS = f"{PAGE} Status:int ThirdPartAuthFlag:int WorksType"


def _work(call: Call, portal: Portal) -> dict[str, Any]:
    owner = call.world.quickbi.users.get(portal.owner)
    space = call.world.quickbi.workspaces.get(portal.workspace_id)
    return {
        "WorksId": portal.portal_id, "WorkName": portal.name, "WorkType": "DATAPRODUCT", "Status": 1,
        "OwnerId": portal.owner, "OwnerName": owner.nick if owner else "", "WorkspaceId": portal.workspace_id,
        "WorkspaceName": space.name if space else "", "GmtCreate": portal.created, "GmtModify": portal.created,
        "ModifyName": owner.nick if owner else "", "Description": "", "SecurityLevel": "12", "PublicFlag": False,
        "PublicInvalidTime": 0, "Auth3rdFlag": 0,
        "Directory": {"Id": "schemaad8aad00", "Name": "root", "PathId": "schemaad8aad00", "PathName": "root"},
    }  # fmt: skip


def _works(call: Call, workspace_id: str = "") -> dict[str, Any]:
    wanted = call.text("WorksType") in ("", "DATAPRODUCT") and call.number("Status", 1) == 1
    found = [
        portal for portal in call.world.quickbi.portals.values() if wanted and workspace_id in ("", portal.workspace_id)
    ]
    result = page(call, found)
    result["Data"] = [_work(call, portal) for portal in result["Data"]]
    return result


@QUICKBI.action("QueryWorksByOrganization", _WORKS)
def works_by_organization(call: Call) -> dict[str, Any]:
    """Works of the organization: portals only here."""
    check_caller(call)
    return _works(call)


@QUICKBI.action("QueryWorksByWorkspace", f"{_WORKS} WorkspaceId!")
def works_by_workspace(call: Call) -> dict[str, Any]:
    """Works of one workspace."""
    return _works(call, find_workspace(call, call.text("WorkspaceId")).workspace_id)


@QUICKBI.action("QueryWorks", "WorksId!")
def query_works(call: Call) -> dict[str, Any]:
    """One work."""
    return {**_work(call, find_portal(call, call.text("WorksId"))), "GlobalParamVoList": []}


@QUICKBI.action("ListPortalMenus", "DataPortalId! UserId")
def list_portal_menus(call: Call) -> str:
    """The menu tree as JSON text; with a user, only what that user may see."""
    portal = find_portal(call, call.text("DataPortalId"))
    only = None
    if user_id := call.text("UserId"):
        only = visible_menus(call, portal, find_user(call, user_id).user_id)
    return json.dumps(tree(portal.roots, only), ensure_ascii=False, separators=(",", ":"))


def _receivers(receivers: dict[Receiver, int], *, strings: bool) -> list[dict[str, Any]]:
    return [
        {"ReceiverId": receiver.id, "ReceiverType": str(receiver.kind) if strings else receiver.kind,
         "AuthPointsValue": points}
        for receiver, points in receivers.items()
    ]  # fmt: skip


@QUICKBI.action("ListPortalMenuAuthorization", "DataPortalId!")
def list_authorization(call: Call) -> list[dict[str, Any]]:
    """Receivers of every leaf menu of a portal, without paging."""
    portal = find_portal(call, call.text("DataPortalId"))
    strings = call.world.modes["quickbi_spelling"] == "strings"
    rows = []
    for menu_id, receivers in call.world.quickbi.receivers(portal).items():
        only = portal.menus[menu_id].show_only_with_access
        rows.append({
            "MenuId": menu_id, "ShowOnlyWithAccess": str(only).lower() if strings else only,
            "Receivers": _receivers(receivers, strings=strings),
        })  # fmt: skip
    return rows


@QUICKBI.action("ListWhitePortalMenu", "DataportalId!")
def list_white(call: Call) -> list[dict[str, Any]]:
    """The white list of a portal (the parameter is the vendor's spelling)."""
    portal = find_portal(call, call.text("DataportalId"))
    return _receivers(portal.white, strings=call.world.modes["quickbi_spelling"] == "strings")


@QUICKBI.action("CheckReadable", "UserId! WorksId!")
def check_readable(call: Call) -> bool:
    """Whether a user can open a portal."""
    portal = find_portal(call, call.text("WorksId"))
    user = find_user(call, call.text("UserId"))
    return can_open(call, portal, user.user_id, authorised_menus(call, portal, user.user_id))
