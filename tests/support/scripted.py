"""Permission systems without a platform: what each listing shows, and what each answer means, is scripted."""

from __future__ import annotations

from collections.abc import Collection
from types import SimpleNamespace
from typing import Any

from rescind.cloud.client import CloudClient
from rescind.errors import ListingIncompleteError, NotFoundError, RefusedError, TransientError, UnauthorizedError
from rescind.model import Cell, Grant, GrantKey
from rescind.systems.base import ListingScope, Reading
from rescind.systems.dms.permissions import DmsPermissions
from rescind.systems.quickbi.menus import QuickBiMenus
from rescind.systems.surfaces import PlatformAnswer
from rescind.systems.wedata.privileges import WeDataPrivileges

NO_CLIENT: CloudClient = None  # type: ignore[assignment]
BROKEN = ListingIncompleteError("the listing", "half of it")
CUT = TransientError("the connection was cut", vendor="alibaba", action="List")
NO_RIGHT = UnauthorizedError("no", vendor="alibaba", action="List", code="NoPermission")
REFUSED = RefusedError("no", vendor="alibaba", action="List", code="NotSupportYet")
NOT_THERE = NotFoundError("no", vendor="alibaba", action="List", code="UserNotExist")
FAILURES = {"incomplete": BROKEN, "cut": CUT, "unauthorized": NO_RIGHT, "refused": REFUSED}
"""What may happen to a listing that proves nothing."""

Answer = tuple[Grant, ...] | Exception


class Scripted:
    """Answers each listing from a script; its last answer stays. A listing without one shows nothing.

    :ivar asked: the listings that were read, in order.
    """

    def __init__(self, script: dict[ListingScope, list[Answer]] | None = None) -> None:
        self.script = script or {}
        self.asked: list[ListingScope] = []

    async def reread(self, client: Any, listings: Collection[ListingScope]) -> Reading:
        grants: list[Grant] = []
        for scope in sorted(listings):
            answers = self.script.get(scope, [()])
            answer = answers[min(self.asked.count(scope), len(answers) - 1)]
            self.asked.append(scope)
            if isinstance(answer, Exception):
                raise answer
            grants += answer
        return Reading(tuple(grants), frozenset(listings), len(listings), (f"page {len(self.asked)}",))

    async def ask_platform(self, client: Any, grants: Collection[Grant]) -> PlatformAnswer:
        return PlatformAnswer()

    async def ask_objects(self, client: Any, grants: Collection[Grant]) -> PlatformAnswer:
        return PlatformAnswer()


class ScriptedDms(Scripted, DmsPermissions):
    """Listed by resource and by principal."""


class ScriptedWeData(Scripted, WeDataPrivileges):
    """Listed by resource only."""


class ScriptedMenus(Scripted, QuickBiMenus):
    """Listed by portal; one call takes several menus.

    :ivar unlisted: menus of every portal's tree whose receivers are not listed.
    """

    unlisted: frozenset[str] = frozenset()

    async def _portal_now(self, client: Any, portal: str) -> Any:
        return SimpleNamespace(grants=(await self.reread(client, [(portal,)])).grants, unlisted=self.unlisted)


def dms_record(number: int = 1, user: str = "51001", database: str = "88", **more: Any) -> Grant:
    """A record of a user on a table of a database, in the listing of that database's tables."""
    key = GrantKey("dms_permissions", "acc", "table", f"t{number}", "user", user, "QUERY", f"r{number}")
    facts = {"Listing": "TABLE", "ListedIn": database, "ListedLogic": "false", "DbId": database, "Tid": "3001"}
    return Grant(key, Cell(user, f"r{number}", "record", (user, "QUERY")), attributes=facts, **more)


BY_RESOURCE: ListingScope = ("TABLE", "88", "false")
BY_USER: ListingScope = ("by user", "51001", "TABLE", "false")
"""The two listings that show the records of user 51001 in database 88."""
