"""What the Quick BI actions share: business errors, pages, look-ups."""

from __future__ import annotations

from typing import Any

from emulator.errors import ApiError
from emulator.registry import Call
from emulator.store.quickbi import BiUser, Group, Portal, Work, Workspace
from emulator.store.receivers import GROUP, USER, Receiver

PAGE = "PageNum:int PageSize:int"


def failure(call: Call, code: str, message: str) -> ApiError:
    """A business error: HTTP 400, or 500 as on the old pages, by mode."""
    return ApiError(code, message, int(call.world.modes["quickbi_error_status"]))


def check_caller(call: Call) -> None:
    """Refuse a caller who may not use the API.

    :raises ApiError: Access.Forbidden.
    """
    if not call.identity.allowed:
        raise failure(call, "Access.Forbidden", "Access forbidden. Your instance version or access key is not allowed.")


def page(call: Call, items: list[Any]) -> dict[str, Any]:
    """One page with the vendor's totals.

    :raises ApiError: Invalid.Parameter.Error for a size over 1000 or a number below 1.
    """
    number, size = call.number("PageNum", 1), call.number("PageSize", 10)
    if number < 1 or not 1 <= size <= 1000:
        raise failure(call, "Invalid.Parameter.Error", "The parameter is invalid: PageNum or PageSize.")
    if call.world.modes["quickbi_beyond_end"] == "last":  # a page after the last one repeats the last one
        number = max(1, min(number, -(-len(items) // size)))
    start = (number - 1) * size + call.number("_shift", 0)
    return {
        "Data": items[start : start + size], "PageNum": number, "PageSize": size,
        "TotalNum": len(items), "TotalPages": -(-len(items) // size),
    }  # fmt: skip


def find_portal(call: Call, portal_id: str) -> Portal:
    """A portal by id.

    :raises ApiError: Report.NotExist.Error.
    """
    check_caller(call)
    portal = call.world.quickbi.portals.get(portal_id)
    if portal is None:
        raise failure(call, "Report.NotExist.Error", f"This work does not exist. Work ID is {portal_id}.")
    return portal


def find_work(call: Call, works_id: str) -> Portal | Work:
    """A portal or another work by id.

    :raises ApiError: Report.NotExist.Error.
    """
    work = call.world.quickbi.works.get(works_id)
    return work if work is not None else find_portal(call, works_id)


def find_user(call: Call, user_id: str) -> BiUser:
    """A member of the organization, deactivated ones included.

    :raises ApiError: User.Not.In.Organization.
    """
    check_caller(call)
    user = call.world.quickbi.users.get(user_id)
    if user is None:
        raise failure(call, "User.Not.In.Organization", "The specified user is not in the organizational unit.")
    return user


def find_group(call: Call, group_id: str) -> Group:
    """A user group by id.

    :raises ApiError: Usergroup.NotBelongTo.CurrentOrganization.
    """
    check_caller(call)
    group = call.world.quickbi.groups.get(group_id)
    if group is None:
        raise failure(call, "Usergroup.NotBelongTo.CurrentOrganization",
                      f"The usergroup {group_id} does not belong to the current organization.")  # fmt: skip
    return group


def find_workspace(call: Call, workspace_id: str) -> Workspace:
    """A workspace by id.

    :raises ApiError: Workspace.NotIn.Organization.
    """
    check_caller(call)
    space = call.world.quickbi.workspaces.get(workspace_id)
    if space is None:
        raise failure(call, "Workspace.NotIn.Organization", "The workspace is not owned by the organization.")
    return space


def receiver_name(call: Call, receiver: Receiver) -> str:
    """The name of a receiver; empty for a user or group that is gone."""
    store = call.world.quickbi
    if receiver.kind == USER:
        user = store.users.get(receiver.id)
        return user.nick if user else ""
    if receiver.kind == GROUP:
        group = store.groups.get(receiver.id)
        return group.name if group else ""
    space = store.workspaces.get(receiver.id)
    return space.name if space else "demo-organization"
