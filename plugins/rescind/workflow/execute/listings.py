"""Re-lists listing scopes and matches grants that reappeared; shared by restore and watch."""

from __future__ import annotations

import asyncio
import hashlib
from collections import Counter, defaultdict
from collections.abc import Callable, Collection, Container, Coroutine, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from rescind.cloud.client import CloudClient
from rescind.errors import CloudError, ListingIncompleteError, NotFoundError, RefusedError, first_of
from rescind.model import Grant
from rescind.systems.base import ListingScope, PermissionSystem
from rescind.systems.walker import READS_IN_FLIGHT


@dataclass(slots=True)
class ListingsRead:
    """The result of reading listing scopes.

    :ivar shown: every listing scope that was read completely, with its grants.
    :ivar gone: listing scopes that no longer exist or cannot be listed, with the vendor's code.
    :ivar not_found: those of ``gone`` that the vendor says do not exist. Any other refusal proves nothing.
    :ivar failed: listing scopes that could not be read completely. They prove nothing.
    :ivar calls: number of list requests.
    :ivar pages: SHA-256 (hex) of the rows of each page of the complete listings, unordered.
    """

    shown: dict[ListingScope, tuple[Grant, ...]] = field(default_factory=dict)
    gone: dict[ListingScope, str] = field(default_factory=dict)
    not_found: set[ListingScope] = field(default_factory=set)
    failed: dict[ListingScope, CloudError | ListingIncompleteError] = field(default_factory=dict)
    calls: int = 0
    pages: list[str] = field(default_factory=list)

    def add(self, other: ListingsRead) -> None:
        """Add what another read returned."""
        self.shown |= other.shown
        self.gone |= other.gone
        self.not_found |= other.not_found
        self.failed |= other.failed
        self.calls += other.calls
        self.pages += other.pages

    def why_gone(self, listing_scope: ListingScope) -> str:
        """Return why nothing can be granted in a listing scope of :attr:`gone`."""
        return f"its resource no longer exists ({self.gone[listing_scope]})"

    def grants(self) -> Iterator[Grant]:
        """Yield every grant that was shown, each once."""
        seen: dict[str, Grant] = {grant.grant_id: grant for grants in self.shown.values() for grant in grants}
        yield from seen.values()


@dataclass(slots=True)
class ListingReader:
    """Reads listing scopes one by one, so that a missing or broken one does not affect the others.

    After an error of the platform, every later listing scope counts as failed.
    """

    system: PermissionSystem[Any]
    client: CloudClient
    _broken: CloudError | None = None

    async def read(self, listing_scope: ListingScope) -> ListingsRead:
        """Read one listing scope."""
        found = ListingsRead()
        if self._broken is not None:
            found.failed[listing_scope] = self._broken
            return found
        try:
            reading = await self.system.reread(self.client, {listing_scope})
        except (NotFoundError, RefusedError) as error:
            found.gone[listing_scope] = f"{type(error).__name__} {error.code}".strip()
            if isinstance(error, NotFoundError):
                found.not_found.add(listing_scope)
        except ListingIncompleteError as error:
            found.failed[listing_scope] = error
        except CloudError as error:
            found.failed[listing_scope] = self._broken = error
        else:
            found.shown[listing_scope] = reading.grants
            found.calls, found.pages = reading.calls, list(reading.pages)
        return found


async def read_listings(
    system: PermissionSystem[Any], client: CloudClient, listings: Collection[ListingScope]
) -> ListingsRead:
    """Read listing scopes as a :class:`ListingReader` does, several at the same time."""
    found, reader, waiting = ListingsRead(), ListingReader(system, client), iter(sorted(listings))

    async def work() -> None:
        for listing_scope in waiting:
            found.add(await reader.read(listing_scope))

    await at_once(*[work] * READS_IN_FLIGHT)
    return found


async def at_once(*works: Callable[[], Coroutine[Any, Any, None]]) -> None:
    """Run each work in a task. The first error, which is the ledger's, ends the others and is raised."""
    try:
        async with asyncio.TaskGroup() as group:
            for work in works:
                group.create_task(work())
    except BaseExceptionGroup as errors:
        raise first_of(errors) from errors


def answers(pages: Iterable[str]) -> dict[str, Any]:
    """Return the evidence of the pages that were read: their number, and one SHA-256 (hex) over theirs, sorted."""
    ordered = sorted(pages)
    return {"answers": {"pages": len(ordered), "digest": hashlib.sha256("".join(ordered).encode()).hexdigest()}}


def removed_by(runs: Mapping[str, int]) -> dict[str, Any]:
    """Return the evidence of retained grants that other runs revoked: counts by run number.

    :param runs: number of the run that revoked a grant, by grant id.
    """
    counts = Counter(str(number) for number in runs.values())
    return {"removed_by_runs": dict(sorted(counts.items()))} if counts else {}


def match_regranted(
    system: PermissionSystem[Any], items: Iterable[Grant], shown: Iterable[Grant], known: Container[str]
) -> tuple[dict[str, Grant], dict[str, Grant]]:
    """Match grants that reappeared: those with the same terms, and those with a different level or expiry.

    A vendor may give a grant a new record id, and a principal may have several records in one slot. So each shown
    grant matches one item only; earlier items choose first.

    :param items: the grants that were revoked.
    :param shown: the grants of the current listings.
    :param known: ids of the grants in the snapshot; shown grants among them match only the item with their own id.
    :returns: two mappings from grant id to the shown grant.
    """
    wanted = list(items)
    ids = {grant.grant_id for grant in wanted}
    free: defaultdict[tuple[str, ...], list[Grant]] = defaultdict(list)
    own: dict[str, Grant] = {}
    for grant in shown:
        if grant.grant_id in ids:
            own[grant.grant_id] = grant
        elif grant.grant_id not in known:
            free[system.slot(grant.key)].append(grant)
    same: dict[str, Grant] = {}
    otherwise: dict[str, Grant] = {}
    for grant in wanted:
        if grant.grant_id in own and system.terms(own[grant.grant_id]) == system.terms(grant):
            same[grant.grant_id] = own.pop(grant.grant_id)
            continue
        candidates = free[system.slot(grant.key)]
        match = next((one for one in candidates if system.terms(one) == system.terms(grant)), None)
        if match is not None:
            candidates.remove(match)
            same[grant.grant_id] = match
    for grant in wanted:
        candidates = free[system.slot(grant.key)]
        if grant.grant_id not in same and (grant.grant_id in own or candidates):
            otherwise[grant.grant_id] = own.get(grant.grant_id) or candidates.pop(0)
    return same, otherwise
