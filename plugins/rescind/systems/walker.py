"""Many listings of one client at once: rows that were read completely, and how many calls that took."""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Awaitable, Callable, Iterable, Sequence
from dataclasses import replace
from typing import Generic, TypeVar

from rescind.cloud.base import ListRequest, Row, RowT
from rescind.cloud.client import CloudClient
from rescind.cloud.paging import Listing, collect, listing_name
from rescind.errors import ListingIncompleteError, first_of
from rescind.systems.population import Population

ClientT = TypeVar("ClientT", bound=CloudClient)
T = TypeVar("T")
U = TypeVar("U")

READS_IN_FLIGHT = 16
"""List calls in flight per task: enough for 20 per second at 800 ms each. The pacer still limits the rate."""

PASSES = 4
"""Most passes over one listing of several pages before discovery gives up on it."""


def account_of(client: CloudClient) -> str:
    """Return the account as grants name it: cloud account, region, and tenant where the vendor has several.

    Two regions of one account are two populations, so both are part of a grant's identity.
    """
    parts = (client.account, client.region, client.settings.tid or "")
    return "/".join(part for part in parts if part)


class Walker(Generic[ClientT]):
    """Read listings through one client.

    :param found: for a discovery, the population that gets the record of each listing. A listing of several pages is
        then read until two consecutive passes show the same rows. The vendors promise no order of pages. If one row is
        removed and another is added between two pages, a row can be missed although the total is right.
    :ivar found: the population of a discovery, else None.
    :ivar pages: without ``found``: SHA-256 (hex) of the rows of each page.
    """

    def __init__(self, client: ClientT, found: Population | None = None) -> None:
        self.client = client
        self.account = account_of(client)
        self.calls = 0
        self.pages: list[str] = []
        self.found = found
        self._units: dict[str, str] = {}
        self._gate = asyncio.Semaphore(READS_IN_FLIGHT)

    async def rows(self, request: ListRequest[RowT]) -> tuple[RowT, ...]:
        """Return every row of one listing.

        :raises ListingIncompleteError: when it could not be read completely.
        """
        return (await self.listing(request)).rows

    async def listing(self, request: ListRequest[RowT], *, other_unit: bool = False) -> Listing[RowT]:
        """Return one complete listing.

        :param other_unit: see :func:`rescind.cloud.paging.collect`. All listings of one action have the same unit.
        :raises ListingIncompleteError: when it could not be read completely, or its total counts something else than
            that of an earlier listing.
        """
        async with self._gate:
            if self.found is None:
                listing = await collect(self.client, request, other_unit=other_unit)
                self.calls += listing.record.pages
                self.pages += listing.record.page_digests
            else:
                listing = await self._settled(request, other_unit)
                self.found.add_record(listing.record)
        if (unit := listing.record.unit) and self._units.setdefault(request.action, unit) != unit:
            why = "its total counts something else than the total of another listing of this action"
            raise ListingIncompleteError(listing_name(request), why)
        return listing

    async def _settled(self, request: ListRequest[RowT], other_unit: bool) -> Listing[RowT]:
        """Return the listing once it is stable: one page, or two consecutive passes with the same rows.

        Between passes only a digest of the rows is in memory.
        """
        before = b""
        for number in range(PASSES):
            try:
                listing = await collect(self.client, request, other_unit=other_unit)
            except ListingIncompleteError as error:
                if not error.shifted or number == PASSES - 1:
                    raise
                before = b""
                continue
            self.calls += listing.record.pages
            now = _digest_of(listing.rows)
            if listing.record.pages == 1 or listing.record.confirmed or now == before:
                return replace(listing, record=replace(listing.record, restarts=number))
            before = now
            del listing
        raise ListingIncompleteError(
            request.action,
            f"{PASSES} passes over its pages, and no two consecutive passes had the same rows",
            shifted=True,
        )

    async def for_each(
        self, items: Iterable[U], read: Callable[[U], Awaitable[T]], take: Callable[[U, T], None]
    ) -> None:
        """Apply ``read`` to every item, several in flight, and pass each result to ``take`` in any order.

        At most :data:`READS_IN_FLIGHT` results are in memory. The first failure cancels the rest and is raised.
        """
        waiting = iter(items)

        async def work() -> None:
            for item in waiting:
                take(item, await read(item))

        try:
            async with asyncio.TaskGroup() as group:
                for _ in range(READS_IN_FLIGHT):
                    group.create_task(work())
        except BaseExceptionGroup as errors:
            raise first_of(errors) from errors

    async def each(self, items: Iterable[U], read: Callable[[U], Awaitable[T]]) -> list[T]:
        """Apply ``read`` to every item and return all results in the order of the items."""
        results: dict[int, T] = {}

        def take(numbered: tuple[int, U], result: T) -> None:
            results[numbered[0]] = result

        await self.for_each(enumerate(items), lambda numbered: read(numbered[1]), take)
        return [results[number] for number in sorted(results)]


def _digest_of(rows: Sequence[Row]) -> bytes:
    """Return a SHA-256 over the keys of the rows that does not depend on their order."""
    total = hashlib.sha256()
    for key in sorted(hashlib.sha256(repr(row.key()).encode()).digest() for row in rows):
        total.update(key)
    return total.digest()
