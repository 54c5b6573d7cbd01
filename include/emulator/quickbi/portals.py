"""Portals and other works, the menu lists, and who can read a work."""

from __future__ import annotations

import json
from typing import Any

from emulator.quickbi import QUICKBI
from emulator.quickbi.access import active, authorized_menus, can_open, shares_of, tree, visible_menus
from emulator.quickbi.common import PAGE, check_caller, failure, find_portal, find_user, find_work, find_workspace, page
from emulator.registry import Call
from emulator.store.quickbi import Portal, Work
from emulator.store.receivers import ORGANIZATION, WORKSPACE, Receiver

_WORKS = f"{PAGE} Status:int ThirdPartAuthFlag:int WorksType"


def identity_of(work: Portal | Work) -> tuple[str, str]:
    """Id and type of a work."""
    return (work.portal_id, "DATAPRODUCT") if isinstance(work, Portal) else (work.works_id, work.kind)


def _common(call: Call, work: Portal | Work) -> dict[str, Any]:
    owner = call.world.quickbi.users.get(work.owner)
    space = call.world.quickbi.workspaces.get(work.workspace_id)
    works_id, kind = identity_of(work)
    return {
        "WorksId": works_id, "WorkName": work.name, "WorkType": kind, "Status": 1, "OwnerId": work.owner,
        "OwnerName": owner.nick if owner else "", "WorkspaceId": work.workspace_id,
        "WorkspaceName": space.name if space else "", "ModifyName": owner.nick if owner else "", "Description": "",
        "SecurityLevel": "12",
        "Directory": {"Id": "schemaad8aad00", "Name": "root", "PathId": "schemaad8aad00", "PathName": "root"},
    }  # fmt: skip


def _work(call: Call, work: Portal | Work) -> dict[str, Any]:
    return {
        **_common(call, work), "GmtCreate": work.created, "GmtModify": work.created, "PublicFlag": False,
        "PublicInvalidTime": 0, "Auth3rdFlag": 0,
    }  # fmt: skip


def _short(call: Call, work: Portal | Work) -> dict[str, Any]:
    """A work as the lists of one user show it."""
    return {**_common(call, work), "CreateTime": work.created, "ModifyTime": work.created, "ThirdPartAuthFlag": 0}


def all_works(call: Call) -> list[Portal | Work]:
    """Portals and dashboards."""
    return [*call.world.quickbi.portals.values(), *call.world.quickbi.works.values()]


def _works(call: Call, workspace_id: str = "") -> dict[str, Any]:
    kind = call.text("WorksType")
    found = [
        work
        for work in all_works(call)
        if kind in ("", identity_of(work)[1]) and workspace_id in ("", work.workspace_id)
        and call.number("Status", 1) == 1
    ]  # fmt: skip
    result = page(call, found)
    result["Data"] = [_work(call, work) for work in result["Data"]]
    return result


@QUICKBI.action("QueryWorksByOrganization", _WORKS)
def works_by_organization(call: Call) -> dict[str, Any]:
    """Works of the organization, with their owners: portals, and some dashboards."""
    check_caller(call)
    return _works(call)


@QUICKBI.action("QueryWorksByWorkspace", f"{_WORKS} WorkspaceId!")
def works_by_workspace(call: Call) -> dict[str, Any]:
    """Works of one workspace."""
    return _works(call, find_workspace(call, call.text("WorkspaceId")).workspace_id)


@QUICKBI.action("QueryWorks", "WorksId!")
def query_works(call: Call) -> dict[str, Any]:
    """One work."""
    return {**_work(call, find_work(call, call.text("WorksId"))), "GlobalParamVoList": []}


@QUICKBI.action("ListPortalMenus", "DataPortalId! UserId")
def list_portal_menus(call: Call) -> str | None:
    """The menu tree as JSON text; with a user, only what that user may see, whatever the way in."""
    portal = find_portal(call, call.text("DataPortalId"))
    only = None
    if user_id := call.text("UserId"):
        only = visible_menus(call, portal, _asked(call, user_id))
        if not only and call.world.modes["quickbi_no_menus"] != "empty":
            if call.world.modes["quickbi_no_menus"] == "null":
                return None
            raise failure(call, "Access.Forbidden", "The user has no permission to the data portal.")
    return json.dumps(tree(portal.roots, only), ensure_ascii=False, separators=(",", ":"))


def _asked(call: Call, user_id: str) -> str:
    """The user that an effective answer is about; a deactivated one may be refused, by mode."""
    user = find_user(call, user_id)
    if user.deleted and call.world.modes["quickbi_deactivated"] == "refused":
        raise failure(call, "User.Not.In.Organization", "The specified user is not in the organizational unit.")
    return user.user_id


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
def list_white(call: Call) -> list[dict[str, Any]] | None:
    """The white list of a portal (the parameter is the vendor's spelling).

    The page documents receiver type 3 for "workspace or organization", so an organization has 3 here, unless the mode
    gives it its own number.
    """
    portal = find_portal(call, call.text("DataportalId"))
    modes = call.world.modes
    if not portal.white and modes["quickbi_empty_white_list"] == "null":
        return None
    shown = portal.white
    if modes["quickbi_white_type"] == "documented":
        shown = {
            Receiver(WORKSPACE, receiver.id) if receiver.kind == ORGANIZATION else receiver: points
            for receiver, points in portal.white.items()
        }
    return _receivers(shown, strings=modes["quickbi_spelling"] == "strings")


def readable(call: Call, work: Portal | Work, user_id: str) -> bool:
    """Whether a user can read a work: for dashboards owner, shares, authorizations and workspace members count."""
    if isinstance(work, Portal):
        return can_open(call, work, user_id, authorized_menus(call, work, user_id))
    if active(call, user_id) is None:
        return False
    store = call.world.quickbi
    mine = store.identities(user_id, subgroups=True)
    space, now = store.workspaces.get(work.workspace_id), call.world.clock.now() * 1000
    return (
        work.owner == user_id
        or work.works_id in shares_of(call, user_id)
        or (space is not None and user_id in space.members)
        or any(item.receiver in mine and item.expires > now for item in store.authorizations.of(work.works_id))
    )  # fmt: skip


@QUICKBI.action("CheckReadable", "UserId! WorksId!")
def check_readable(call: Call) -> bool:
    """Whether a user can read a work; of a portal, whether it opens."""
    work = find_work(call, call.text("WorksId"))
    return readable(call, work, _asked(call, call.text("UserId")))


@QUICKBI.action("QueryReadableResourcesListByUserIdV2", "UserId! WorkType WorkspaceId")
def readable_works(call: Call) -> list[dict[str, Any]]:
    """Works that a user can read, whatever the way in. No paging."""
    user_id = _asked(call, call.text("UserId"))
    return [
        _short(call, work)
        for work in all_works(call)
        if call.text("WorkType") in ("", identity_of(work)[1])
        and call.text("WorkspaceId") in ("", work.workspace_id)
        and readable(call, work, user_id)
    ]


@QUICKBI.action("QuerySharesToUserList", "UserId!")
def shares_to_user(call: Call) -> list[dict[str, Any]]:
    """Works shared to a user: directly, or through groups and the organization too, by mode."""
    user_id = find_user(call, call.text("UserId")).user_id
    wanted = set(shares_of(call, user_id))
    if call.world.modes["quickbi_shares_to_user"] == "direct":
        now = call.world.clock.now() * 1000
        wanted = {share.works_id for share in call.world.quickbi.shares.values()
                  if share.receiver == Receiver(0, user_id) and share.expires > now}  # fmt: skip
    return [_short(call, work) for work in all_works(call) if identity_of(work)[0] in wanted]
