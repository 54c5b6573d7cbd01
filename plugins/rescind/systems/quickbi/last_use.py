"""Alibaba Quick BI: when users last looked at the works behind menus.

The vendor lists the works that one user looked at lately. It does not publish how long it keeps them, and a view inside
another page may not count, so a work that is not in the list was not *not seen*: nothing is known about it. A view
elsewhere than in the portal counts too, since one work may stand behind several menus. A later view than the listed
one is possible, so no days without a use are counted.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import date

from rescind.cloud.clients import QuickBiClient
from rescind.cloud.quickbi.inventory import QuickBiUser
from rescind.cloud.quickbi.menus import Menu
from rescind.cloud.quickbi.views import ListRecentViewReports
from rescind.errors import MalformedResponseError, UnauthorizedError
from rescind.model import Grant
from rescind.systems.last_use import (
    FAILURES,
    CapReachedError,
    LastUse,
    Newest,
    UsageRequest,
    not_known,
    reason_of,
)
from rescind.systems.quickbi.users import moment
from rescind.systems.walker import Walker

USAGE_READS = frozenset({"ListRecentViewReports"})
VIEWS = "view of the work behind the menu, Quick BI views"
NO_WORK = "the menu shows no work whose views are listed"
NOT_VIEWED = "no view is listed, and the platform does not say how long it keeps them"
_LISTED_TYPES = frozenset({0, 2})
"""``menuType`` of dashboards and workbooks."""


class QuickBiUse:
    """Reads the views of each user, and says what is known of a grant on a menu."""

    def __init__(self, asked: UsageRequest) -> None:
        self._asked = asked
        self._views = Newest()
        self._unread: dict[str, str] = {}

    async def read(self, walker: Walker[QuickBiClient], users: Iterable[QuickBiUser]) -> None:
        """Ask about each user of the organization; what fails for one says nothing of that user only."""
        failed: list[BaseException] = []

        async def views(user: QuickBiUser) -> list[tuple[str, date]]:
            try:
                if refused := next((one for one in failed if isinstance(one, UnauthorizedError)), None):
                    raise refused
                self._asked.call()
                return await self._of_one(walker.client, user.UserId)
            except (*FAILURES, CapReachedError) as error:
                failed.append(error)
                self._unread[user.UserId] = reason_of(error)
                return []

        def take(user: QuickBiUser, found: list[tuple[str, date]]) -> None:
            for work, day in found:
                self._views.add(user.UserId, (work,), day, VIEWS)

        asked = [user for user in users if not user.IsDeleted]
        await walker.for_each(asked, views, take)
        figures = {"users": len(asked), "unread": len(self._unread), "views": len(self._views)}
        self._asked.note("Quick BI views", failed[0] if failed else None, **figures)

    async def _of_one(self, client: QuickBiClient, user: str) -> list[tuple[str, date]]:
        answer = await client.read(ListRecentViewReports(UserId=user, OffsetDay=self._asked.days))
        rows = answer.value.Result.Data if answer.value.Result else None
        if rows is None:
            raise MalformedResponseError("no list of views", vendor="alibaba", action="ListRecentViewReports")
        times = ((row.TreeId, moment(_number(row.LatestViewTime))) for row in rows)
        return [(work, seen.date()) for work, seen in times if work and seen]

    def judge(self, grant: Grant, works: Mapping[str, str]) -> LastUse:
        """Return what is known of one grant.

        :param works: menu id -> id of the work behind it.
        """
        user, work = grant.key.principal_id, works.get(grant.key.resource_id)
        if work is None:
            return not_known(NO_WORK)
        if user in self._unread:
            return not_known(self._unread[user])
        seen = self._views.of(user, (work,))
        return LastUse(0, seen[0].isoformat(), seen[1]) if seen else not_known(NOT_VIEWED)


def works_of(menus: Iterable[Menu]) -> dict[str, str]:
    """Return the work behind each menu that shows one whose views are listed."""
    return {menu.menuId: menu.uri for menu in menus if menu.menuType in _LISTED_TYPES and menu.uri}


def _number(text: str | None) -> int | None:
    return int(text) if text and text.isascii() and text.isdigit() and len(text) < 16 else None
