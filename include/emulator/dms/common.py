"""What the DMS actions share: the tenant check, the caller, pages, error styles."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from emulator.errors import ApiError
from emulator.registry import Call
from emulator.store.dms import DmsUser

PAGE = "PageNumber:int PageSize:int"
TEXT_PAGE = "PageNumber PageSize"


def failure(call: Call, code: str, message: str, status: int) -> ApiError:
    """A business failure, as an HTTP status with the gateway's envelope or inside HTTP 200, by mode."""
    return ApiError(code, message, status, in_body=call.world.modes["dms_error_style"] == "body")


def caller(call: Call, roles: tuple[str, ...] = ("ADMIN", "DBA")) -> DmsUser:
    """The DMS user behind the calling account, after the tenant check.

    :param roles: one of them is needed.
    :raises ApiError: TenantNotExist, UserNotExist, UserStatusIllegal or NoPermission.
    """
    store = call.world.dms
    if call.params.get("Tid", store.tenant_id) not in (store.tenant_id, -1):
        raise failure(call, "TenantNotExist", "The specified tenant does not exist.", 404)
    if call.identity.kind != "user":
        return DmsUser("0", call.identity.user, call.identity.name, "", roles=("ADMIN",))
    user = store.users.get(store.by_uid.get(call.identity.user, ""))
    if user is None:
        raise failure(call, "UserNotExist", "The user does not exist in this tenant.", 404)
    if user.state != "NORMAL":
        raise failure(call, "UserStatusIllegal", "The status of the user is illegal.", 404)
    if not set(roles) & set(user.roles):
        raise failure(call, "NoPermission", "The user has no permission for this operation.", 403)
    return user


def cut(
    call: Call, items: list[Any], *, default: int = 10, sizes: tuple[int, ...] = (), largest: int = 100
) -> list[Any]:
    """One page; ``PageNumber`` starts at 1.

    :raises ApiError: InvalidParameterValid for a size that the action does not take.
    """
    try:
        size, number = int(call.params.get("PageSize", default)), int(call.params.get("PageNumber", 1))
    except ValueError:
        raise ApiError("InvalidParameterValid", "PageNumber and PageSize must be numbers.") from None
    if (sizes and size not in sizes) or not 1 <= size <= largest or number < 1:
        allowed = ", ".join(map(str, sizes)) if sizes else f"1 to {largest}"
        raise ApiError("InvalidParameterValid", f"PageSize must be one of: {allowed}; PageNumber at least 1.")
    last = max(1, -(-len(items) // size))
    if number > last and (beyond := call.world.modes["dms_beyond_end"]) != "empty":
        if beyond == "error":
            raise ApiError("InvalidParameterValid", "PageNumber is behind the last page.")
        number = last
    start = (number - 1) * size + int(call.params.get("_shift", 0))
    return items[start : start + size]


def authorized_page(call: Call, items: list[Any]) -> list[Any]:
    """A page of the lists without a total. ``sparse``: rows only on odd pages, so that an empty page is not the end."""
    if call.world.modes["dms_authorized_pages"] == "full" or not call.text("PageNumber").isdecimal():
        return cut(call, items)
    number = call.number("PageNumber", 1)
    return [] if number % 2 == 0 else cut(replace(call, params={**call.params, "PageNumber": (number + 1) // 2}), items)


def optional_list(call: Call, row: dict[str, Any], name: str, items: list[Any], inner: str = "") -> None:
    """Set a list of a row, wrapped in ``inner`` if given; an empty one may be null or missing, by mode."""
    how = call.world.modes["dms_empty_lists"]
    if items or how == "empty":
        row[name] = {inner: items} if inner else items
    elif how == "null":
        row[name] = None
