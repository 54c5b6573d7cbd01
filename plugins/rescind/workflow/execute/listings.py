"""Places read again one by one, and what in them is there again: the common ground of giving back and of watching."""

from __future__ import annotations

import asyncio
import hashlib
from collections import defaultdict
from collections.abc import Collection, Container, Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any

from rescind.cloud.client import CloudClient
from rescind.errors import CloudError, ListingIncompleteError, NotFoundError, RefusedError
from rescind.model import Grant
from rescind.systems.base import READS_IN_FLIGHT, ListingScope, PermissionSystem


@dataclass(slots=True)
class ListingsRead:
    """What complete listings showed.

    :ivar shown: every place that was read completely, with the grants in it.
    :ivar gone: places that the vendor says are not there, or are not to be listed, with its code.
    :ivar failed: places that could not be read, or not completely. They say nothing.
    :ivar calls: list requests.
    :ivar pages: SHA-256 (hex) of the rows of each page of the complete listings, in no order.
    """

    shown: dict[ListingScope, tuple[Grant, ...]] = field(default_factory=dict)
    gone: dict[ListingScope, str] = field(default_factory=dict)
    failed: dict[ListingScope, CloudError | ListingIncompleteError] = field(default_factory=dict)
    calls: int = 0
    pages: list[str] = field(default_factory=list)

    def why_gone(self, listing_scope: ListingScope) -> str:
        """Return why nothing can be granted in a listing scope of :attr:`gone`."""
        return f"its resource no longer exists ({self.gone[listing_scope]})"

    def grants(self) -> Iterator[Grant]:
        """Every grant that was shown, each once."""
        seen: dict[str, Grant] = {grant.grant_id: grant for grants in self.shown.values() for grant in grants}
        yield from seen.values()


async def read_listings(
    system: PermissionSystem[Any], client: CloudClient, listings: Collection[ListingScope]
) -> ListingsRead:
    """Read each place on its own, so that one that is gone or broken spoils no other.

    After a failure that concerns the platform rather than a place, the places that are left count as failed.
    """
    found, waiting = ListingsRead(), iter(sorted(listings))
    broken: list[CloudError | ListingIncompleteError] = []

    async def work() -> None:
        for listing_scope in waiting:
            if broken:
                found.failed[listing_scope] = broken[0]
                continue
            try:
                reading = await system.reread(client, {listing_scope})
            except (NotFoundError, RefusedError) as error:
                found.gone[listing_scope] = f"{type(error).__name__} {error.code}".strip()
            except ListingIncompleteError as error:
                found.failed[listing_scope] = error
            except CloudError as error:
                found.failed[listing_scope] = error
                broken.append(error)
            else:
                found.shown[listing_scope] = reading.grants
                found.calls += reading.calls
                found.pages += reading.pages

    await asyncio.gather(*(work() for _ in range(READS_IN_FLIGHT)))
    return found


def answers(pages: Iterable[str]) -> dict[str, Any]:
    """What is left to show of the answers that were read: how many pages, and one SHA-256 (hex) over theirs, sorted."""
    ordered = sorted(pages)
    return {"answers": {"pages": len(ordered), "digest": hashlib.sha256("".join(ordered).encode()).hexdigest()}}


def match_regranted(
    system: PermissionSystem[Any], items: Iterable[Grant], shown: Iterable[Grant], known: Container[str]
) -> tuple[dict[str, Grant], dict[str, Grant]]:
    """Which of these grants are there: as they were, and otherwise (another level, another end).

    A vendor may give a grant a new record id, and one holder may have several records in one slot, so each shown
    grant stands for one item only; earlier items choose first.

    :param known: ids of grants that were there beside the items before these were taken away: they are others.
    :returns: by grant id, the grant that was shown for it.
    """
    wanted = list(items)
    own = {grant.grant_id for grant in wanted}
    free: defaultdict[tuple[str, ...], list[Grant]] = defaultdict(list)
    for grant in shown:
        if grant.grant_id in own or grant.grant_id not in known:
            free[system.slot(grant.key)].append(grant)
    same: dict[str, Grant] = {}
    otherwise: dict[str, Grant] = {}
    for grant in wanted:
        candidates = free[system.slot(grant.key)]
        match = next((one for one in candidates if system.terms(one) == system.terms(grant)), None)
        if match is not None:
            candidates.remove(match)
            same[grant.grant_id] = match
    for grant in wanted:
        candidates = free[system.slot(grant.key)]
        if grant.grant_id not in same and candidates:
            otherwise[grant.grant_id] = candidates.pop(0)
    return same, otherwise
