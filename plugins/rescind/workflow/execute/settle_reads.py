"""Reads touched places again and again until the platform has settled, and keeps what was seen of each item.

Every item has up to two listings that can prove it absent: that of its resource, and that of its principal where the
vendor offers one. Each reading takes one of them. The first goes through the side with fewer listings; what is absent
there is read once more through the other side, so that two readings in a row are two independent statements at the
price of one listing for each touched resource and one for each touched principal, and no listing is read twice
unless the platform still shows something.
"""

from __future__ import annotations

import asyncio
from collections.abc import Container, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from rescind.cloud.client import CloudClient
from rescind.model import Grant, GrantKey
from rescind.systems.base import ListingScope, PermissionSystem
from rescind.workflow.execute.listings import ListingsRead, read_listings

CLEAN_READS = 2
"""Complete listings in a row that must lack an item."""
SIDES = ("resource", "principal")
NOT_OFFERED = "not offered by the vendor"
_FAILED, _UNREAD = "the listing failed", "not read"
_SHOWN = 3


@dataclass(slots=True)
class Item:
    """One item while the platform settles.

    :ivar places: what proves it absent: by ``resource``, and by ``principal`` where the vendor has such a listing.
    :ivar sent: whether anything was asked of the platform; without that it can be absent, but never late.
    :ivar clean: complete readings in a row that lacked it.
    """

    grant: Grant
    listings: dict[str, ListingScope]
    sent: bool = True
    clean: int = 0


@dataclass(slots=True)
class Settling:
    """Reads the places of some items until each was absent twice in a row, or time is up.

    A place that cannot be read, or not completely, is not tried again: its items prove nothing there. The client has
    tried again already what is worth it.

    :param pause: first pause between two readings, in seconds; each further one is half as long again.
    :param limit: how long to wait for a platform that still shows an item, in seconds; reading itself, which a
        vendor's limit may stretch, does not count.
    :ivar seen: the last complete listing of each place.
    :ivar failed: places that could not be read, with the reason.
    :ivar refused: places that the vendor says are not there, or are not to be listed, with its code.
    :ivar calls: list requests.
    :ivar pages: SHA-256 (hex) of the rows of each page that was read.
    """

    system: PermissionSystem[Any]
    client: CloudClient
    pause: float
    limit: float
    items: dict[str, Item] = field(default_factory=dict)
    seen: dict[ListingScope, dict[GrantKey, Grant]] = field(default_factory=dict)
    failed: dict[ListingScope, str] = field(default_factory=dict)
    refused: dict[ListingScope, str] = field(default_factory=dict)
    calls: int = 0
    pages: list[str] = field(default_factory=list)
    _order: tuple[str, ...] = ()

    def add(self, grants: Mapping[str, Grant], unsent: Container[str] = ()) -> int:
        """The items to look at, by grant id; returns how many listings it takes when nothing lags.

        :param unsent: those of them of which nothing was asked: it would be in vain to wait for them.
        """
        for ident, grant in grants.items():
            listings = {"resource": self.system.listing_scope(grant)}
            own = self.system.principal_listing_scope(grant)
            listings = listings if own is None else {**listings, "principal": own}
            self.items[ident] = Item(grant, listings, ident not in unsent)
        sides = {
            side: len({item.listings[side] for item in self.items.values() if side in item.listings}) for side in SIDES
        }
        self._order = tuple(sorted((side for side in sides if sides[side]), key=lambda side: sides[side]))
        return sum(sides.values()) if len(self._order) > 1 else CLEAN_READS * sum(sides.values())

    async def run(self) -> None:
        """See the class. In the end every touched listing was read, for what else was in it."""
        await self._until_settled()
        touched = {listing_scope for item in self.items.values() for listing_scope in item.listings.values()}
        unread = touched - self.seen.keys() - self.failed.keys() - self.refused.keys()
        if unread:
            self._take({}, await read_listings(self.system, self.client, unread))

    async def _until_settled(self) -> None:
        waited, pause = 0.0, self.pause
        while wanted := {
            ident: listing_scope for ident, item in self.items.items() if (listing_scope := self._next(item))
        }:
            self._take(wanted, await read_listings(self.system, self.client, set(wanted.values())))
            if waited + pause > self.limit or not any(self._worth_reading(item) for item in self.items.values()):
                return
            await asyncio.sleep(pause)
            waited, pause = waited + pause, pause * 1.5

    def gone(self) -> set[str]:
        """Ids of the items that were absent often enough."""
        return {ident for ident, item in self.items.items() if item.clean >= CLEAN_READS}

    def lagging(self) -> int:
        """How many items are not settled though their listings can be read: later they may be."""
        return sum(item.sent and self._next(item) is not None for item in self.items.values())

    def shows(self, item: Item) -> bool:
        """Whether the last complete listing of either side shows it."""
        return any(
            item.grant.key in self.seen[listing_scope]
            for listing_scope in item.listings.values()
            if listing_scope in self.seen
        )

    def absent(self, item: Item) -> dict[str, bool | str]:
        """What each side says: absent or not, or why it says nothing."""
        return {f"by_{side}": self._statement(item, side) for side in SIDES}

    def problem(self) -> str:
        """Why some listings could not be read, shortened; empty when all could.

        That a principal is not there any more is none: its items are proven absent by resource.
        """
        missing = {item.listings["resource"] for item in self.items.values()} & self.refused.keys()
        reasons = {*self.failed.values(), *(f"a place is not listed any more: {self.refused[one]}" for one in missing)}
        return "; ".join(sorted(reasons)[:_SHOWN])

    def grants(self) -> Iterator[Grant]:
        """Every grant of the last complete listings, each once."""
        yield from {key: grant for shown in self.seen.values() for key, grant in shown.items()}.values()

    def _worth_reading(self, item: Item) -> bool:
        """Whether another reading may change what is known of it: it may be late, or lack its second absence."""
        return (item.sent or item.clean > 0) and self._next(item) is not None

    def _next(self, item: Item) -> ListingScope | None:
        """The listing to read next for an item: none when it is settled, or cannot be."""
        if item.clean >= CLEAN_READS or any(listing_scope in self.failed for listing_scope in item.listings.values()):
            return None
        open_ = [item.listings[side] for side in self._order if side in item.listings]
        open_ = [listing_scope for listing_scope in open_ if listing_scope not in self.refused]
        return None if not open_ else open_[0 if item.clean == 0 else -1]

    def _take(self, wanted: Mapping[str, ListingScope], read: ListingsRead) -> None:
        self.calls += read.calls
        self.pages += read.pages
        for listing_scope, error in read.failed.items():
            self.failed[listing_scope] = f"{type(error).__name__}: {error}"
        self.refused |= read.gone
        shown = {listing_scope: {grant.key: grant for grant in grants} for listing_scope, grants in read.shown.items()}
        self.seen |= shown
        for ident, item in self.items.items():
            # A settled item whose place was read for another one counts again: gone and back is not gone.
            if any(
                item.grant.key in shown[listing_scope]
                for listing_scope in item.listings.values()
                if listing_scope in shown
            ):
                item.clean = 0
            elif wanted.get(ident) in shown:
                item.clean += 1

    def _statement(self, item: Item, side: str) -> bool | str:
        listing_scope = item.listings.get(side)
        if listing_scope is None:
            return NOT_OFFERED
        if listing_scope in self.failed:
            return _FAILED
        if listing_scope in self.refused:
            return f"the vendor does not list it ({self.refused[listing_scope]})"
        return item.grant.key not in self.seen[listing_scope] if listing_scope in self.seen else _UNREAD
