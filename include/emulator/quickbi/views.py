"""What a member looked at lately."""

from __future__ import annotations

from typing import Any

from emulator.quickbi import QUICKBI
from emulator.quickbi.common import check_caller, failure
from emulator.quickbi.portals import all_works, identity_of, readable
from emulator.registry import Call
from emulator.store.quickbi import Portal, Work
from emulator.store.usage import between

_ATTENTION = "The paging fields of this answer, such as TotalNum, will be withdrawn."
_LONGEST, _SHORT = 9999, 100
_VIEW_LOG_DAYS = 90


@QUICKBI.action("ListRecentViewReports", "UserId! OffsetDay:int QueryMode TreeType Keyword PageSize:int")
def recent_views(call: Call) -> dict[str, Any]:
    """Works that a member looked at in the last days: portals and dashboards that still exist, no menus.

    There is a page size and no page number: what does not fit is in no answer.
    """
    check_caller(call)
    user = call.world.quickbi.users.get(call.text("UserId"))
    if user is None:
        raise failure(call, "Invalid.User.Organization", "The user is not in your organization.")
    days, size, how = call.number("OffsetDay", 10), call.number("PageSize", 10), call.text("QueryMode") or "1"
    if days < 1 or not 1 <= size <= _LONGEST or how not in ("1", "2"):
        raise failure(call, "Invalid.Parameter.Error", "The parameter is invalid: OffsetDay, PageSize or QueryMode.")
    modes, now = call.world.modes, call.world.clock.now()
    if modes["quickbi_recent_days"] == "90":
        days = min(days, _VIEW_LOG_DAYS)
    seen: dict[str, list[int]] = {}
    for view in between(call.world.usage.views, now - days * 86_400, now):
        if view.user_id == user.user_id:
            seen.setdefault(view.works_id, []).append(view.at)
    found = [work for work in all_works(call) if identity_of(work)[0] in seen and _wanted(call, work)]
    found.sort(key=lambda work: _rank(seen[identity_of(work)[0]], how))
    shown = found[: min(size, _SHORT) if modes["quickbi_recent_size"] == "100" else size]
    result: dict[str, Any] = {
        "Attention": _ATTENTION, "Data": [_row(call, work, seen[identity_of(work)[0]]) for work in shown],
    }  # fmt: skip
    if modes["quickbi_recent_totals"] == "given":
        pages = -(-len(found) // size)
        result |= {"PageNum": 1, "PageSize": size, "TotalNum": len(found), "TotalPages": pages}
    return result


def _wanted(call: Call, work: Portal | Work) -> bool:
    return call.text("TreeType") in ("", identity_of(work)[1]) and call.text("Keyword") in work.name


def _rank(times: list[int], how: str) -> tuple[int, int]:
    return (-len(times), -times[-1]) if how == "1" else (-times[-1], -len(times))


def _row(call: Call, work: Portal | Work, times: list[int]) -> dict[str, Any]:
    store, user_id = call.world.quickbi, call.text("UserId")
    owner, space = store.users.get(work.owner), store.workspaces.get(work.workspace_id)
    works_id, kind = identity_of(work)
    created = str(int(call.world.clock.now()) * 1000 - 200 * 86_400_000)
    return {
        "TreeId": works_id, "Type": kind, "Name": work.name, "OwnerNum": work.owner,
        "OwnerName": owner.account_name if owner else "", "GmtCreate": created, "GmtModified": created,
        "PublishStatus": 1, "Favorite": False, "HasViewAuth": readable(call, work, user_id),
        "HasEditAuth": work.owner == user_id, "WorkspaceId": work.workspace_id,
        "WorkspaceName": space.name if space else "", "ViewCount": len(times),
        "LatestViewTime": str(times[-1] * 1000),
    }  # fmt: skip
