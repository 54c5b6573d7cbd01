"""Re-lists affected listing scopes until the platform has settled, and records what was seen of each item.

Up to two listings can prove an item absent: the listing of its resource, and the listing of its principal where the
vendor offers one. Each read uses one of them. The first read uses the side with fewer listings. Items that are absent
there are read again through the other side. So two reads in a row are independent, at the cost of one listing for
each affected resource and one for each affected principal. A listing is read twice only while it still shows an item.

The two sides have different rate limits, and neither waits for the other: a listing of the second side is read one
pause after the first side has shown all of its items absent.

When one of the two sides fails, the other one alone proves nothing, because nothing checks it. A side that does not
exist any more (a deleted user has no listing) does not count as failed: the other side is then read twice.
"""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import AsyncIterator, Container, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from rescind.cloud.client import CloudClient
from rescind.model import Grant, GrantKey
from rescind.systems.base import ListingScope, PermissionSystem
from rescind.systems.walker import READS_IN_FLIGHT
from rescind.workflow.execute.listings import ListingReader, ListingsRead, at_once, read_listings

CLEAN_READS = 2
"""Complete listings in a row from which an item must be absent."""
SIDES = ("resource", "principal")
NOT_OFFERED = "not offered by the vendor"
_FAILED, _UNREAD = "the listing failed", "not read"
_SHOWN = 3


@dataclass(slots=True)
class Item:
    """One item while the platform settles.

    :ivar listings: the listing scopes that can prove it absent: ``resource``, and ``principal`` where the vendor has
        such a listing.
    :ivar sent: whether a request was sent; without one it is useless to wait for the platform.
    :ivar clean: complete reads in a row without the item.
    :ivar shown: whether a complete read showed it.
    """

    grant: Grant
    listings: dict[str, ListingScope]
    sent: bool = True
    clean: int = 0
    shown: bool = False


@dataclass(slots=True)
class _Ready:
    """Listings of the second side, each handed out one pause after the first side lacked all of its items.

    :ivar given: how many were handed out.
    """

    pause: float
    given: int = 0
    _open: defaultdict[ListingScope, set[str]] = field(default_factory=lambda: defaultdict(set))
    _queue: asyncio.Queue[tuple[float, ListingScope] | None] = field(default_factory=asyncio.Queue)

    def expect(self, listing_scope: ListingScope, ident: str) -> None:
        """Wait with this listing for the first read of an item."""
        self._open[listing_scope].add(ident)

    def absent(self, listing_scope: ListingScope, ident: str) -> None:
        """Note that the first read lacked an item."""
        self._open[listing_scope].discard(ident)
        if not self._open[listing_scope]:
            self._queue.put_nowait((asyncio.get_running_loop().time() + self.pause, listing_scope))

    def close(self) -> None:
        """Hand out what is ready, and nothing after it."""
        self._queue.put_nowait(None)

    async def __aiter__(self) -> AsyncIterator[ListingScope]:
        while (one := await self._queue.get()) is not None:
            self.given += 1
            await asyncio.sleep(one[0] - asyncio.get_running_loop().time())
            yield one[1]
        self.close()


@dataclass(slots=True)
class Settling:
    """Reads the listing scopes of items until each item was absent twice in a row, or the time limit is reached.

    A listing scope that cannot be read completely is not read again and proves nothing; the client has retried it.

    :param pause: first pause between two reads, in seconds; each further pause is 1.5 times as long.
    :param limit: how long to wait for a platform that still shows an item, in seconds, without the time of reading.
    :ivar seen: the last complete listing of each listing scope.
    :ivar failed: listing scopes that could not be read or that the vendor does not list, with the reason.
    :ivar refused: listing scopes that no longer exist, with the vendor's code.
    :ivar calls: number of list requests.
    :ivar pages: SHA-256 (hex) of the rows of each page that was read.
    :ivar read_once: ids of items as soon as each was read once, listing by listing; then None.
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
    read_once: asyncio.Queue[list[str] | None] = field(default_factory=asyncio.Queue)
    _order: tuple[str, ...] = ()
    _shown_in: defaultdict[ListingScope, list[str]] = field(default_factory=lambda: defaultdict(list))

    def add(self, grants: Mapping[str, Grant], unsent: Container[str] = ()) -> int:
        """Add items by grant id; return how many listings they need when the platform does not lag.

        :param unsent: ids of the items for which no request was sent; nothing is waited for.
        """
        for ident, grant in grants.items():
            listings = {"resource": self.system.listing_scope(grant)}
            own = self.system.principal_listing_scope(grant)
            listings = listings if own is None else {**listings, "principal": own}
            self.items[ident] = Item(grant, listings, ident not in unsent)
            for one in set(listings.values()):
                self._shown_in[one].append(ident)
        sides = {
            side: len({item.listings[side] for item in self.items.values() if side in item.listings}) for side in SIDES
        }
        self._order = tuple(sorted((side for side in sides if sides[side]), key=lambda side: sides[side]))
        return sum(sides.values()) if len(self._order) > 1 else CLEAN_READS * sum(sides.values())

    async def run(self) -> None:
        """Read until the items have settled. Every affected listing is read at least once, for its other grants."""
        await self._until_settled()
        touched = {listing_scope for item in self.items.values() for listing_scope in item.listings.values()}
        unread = touched - self.seen.keys() - self.failed.keys() - self.refused.keys()
        if unread:
            self._take({}, await read_listings(self.system, self.client, unread))

    async def _until_settled(self) -> None:
        waited, pause = 0.0, self.pause
        if await self._both_sides():
            waited, pause = pause, pause * 1.5
        while waited + pause <= self.limit and any(self._worth_reading(item) for item in self.items.values()):
            await asyncio.sleep(pause)
            waited, pause = waited + pause, pause * 1.5
            wanted = {ident: scope for ident, item in self.items.items() if (scope := self._next(item))}
            self._take(wanted, await read_listings(self.system, self.client, set(wanted.values())))

    async def _both_sides(self) -> bool:
        """Read every item once, and those that are absent a second time; return whether there was a second read."""
        reader, ready = ListingReader(self.system, self.client), _Ready(self.pause)
        first = {ident: scope for ident, item in self.items.items() if (scope := self._next(item))}
        for ident in first:
            ready.expect(self._last(self.items[ident]), ident)
        listings, reading = iter(sorted(set(first.values()))), READS_IN_FLIGHT

        async def read_first() -> None:
            nonlocal reading
            for scope in listings:
                mine = [ident for ident in self._shown_in[scope] if first.get(ident) == scope]
                self._take(dict.fromkeys(mine, scope), await reader.read(scope))
                self.read_once.put_nowait(mine)
                for ident in mine:
                    if self.items[ident].clean and self.pause <= self.limit:
                        ready.absent(self._last(self.items[ident]), ident)
            reading -= 1
            if not reading:
                self.read_once.put_nowait(None)
                ready.close()

        async def read_second() -> None:
            async for scope in ready:
                read = await reader.read(scope)
                items = ((ident, self.items[ident]) for ident in self._shown_in[scope])
                # Another item's first side may be this listing too: only what was absent before it counts.
                mine = [ident for ident, item in items if item.clean and self._last(item) == scope]
                self._take(dict.fromkeys(mine, scope), read)

        await at_once(*[read_first] * READS_IN_FLIGHT, *[read_second] * READS_IN_FLIGHT)
        return ready.given > 0

    def gone(self) -> set[str]:
        """Return the ids of the items that are proven absent."""
        return {ident for ident, item in self.items.items() if item.clean >= CLEAN_READS}

    def lagging(self) -> int:
        """Return how many items with readable listings have not settled yet."""
        return sum(item.sent and self._next(item) is not None for item in self.items.values())

    def shows(self, item: Item) -> bool:
        """Return whether the last complete listing of a side shows the item."""
        return any(
            item.grant.key in self.seen[listing_scope]
            for listing_scope in item.listings.values()
            if listing_scope in self.seen
        )

    def absent(self, item: Item) -> dict[str, bool | str]:
        """Return for each side whether the item is absent, or why this is not known."""
        return {f"by_{side}": self._statement(item, side) for side in SIDES}

    def problem(self) -> str:
        """Return why listings could not be read, shortened; empty when all could be read.

        A missing principal is not a problem, because its items are proven absent by resource.
        """
        missing = {item.listings["resource"] for item in self.items.values()} & self.refused.keys()
        reasons = {
            *self.failed.values(),
            *(f"a resource cannot be listed any more: {self.refused[one]}" for one in missing),
        }
        return "; ".join(sorted(reasons)[:_SHOWN])

    def grants(self) -> Iterator[Grant]:
        """Yield every grant of the last complete listings, each once."""
        yield from {key: grant for shown in self.seen.values() for key, grant in shown.items()}.values()

    def _worth_reading(self, item: Item) -> bool:
        """Return whether another read may change the result: the platform may lag, or a second absence is missing."""
        return (item.sent or item.clean > 0) and self._next(item) is not None

    def _next(self, item: Item) -> ListingScope | None:
        """Return the listing to read next for an item; None when it has settled or cannot settle."""
        if item.clean >= CLEAN_READS or any(listing_scope in self.failed for listing_scope in item.listings.values()):
            return None
        open_ = [item.listings[side] for side in self._order if side in item.listings]
        open_ = [listing_scope for listing_scope in open_ if listing_scope not in self.refused]
        return None if not open_ else open_[0 if item.clean == 0 else -1]

    def _last(self, item: Item) -> ListingScope:
        return item.listings[[side for side in self._order if side in item.listings][-1]]

    def _take(self, wanted: Mapping[str, ListingScope], read: ListingsRead) -> None:
        self.calls += read.calls
        self.pages += read.pages
        for listing_scope, error in read.failed.items():
            self.failed[listing_scope] = f"{type(error).__name__}: {error}"
        for listing_scope, why in read.gone.items():
            (self.refused if listing_scope in read.not_found else self.failed)[listing_scope] = why
        shown = {listing_scope: {grant.key: grant for grant in grants} for listing_scope, grants in read.shown.items()}
        self.seen |= shown
        for ident in {ident for listing_scope in shown for ident in self._shown_in[listing_scope]}:
            item = self.items[ident]
            # A settled item that a later listing shows again is not gone.
            if any(
                item.grant.key in shown[listing_scope]
                for listing_scope in item.listings.values()
                if listing_scope in shown
            ):
                item.clean = 0
                item.shown = True
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
