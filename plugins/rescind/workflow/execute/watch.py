"""Looks again at what was proven gone: still gone, back again, or not to be told."""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import Iterable
from datetime import UTC, datetime
from typing import Any

from rescind.cloud.client import CloudClient
from rescind.ledger import Ledger, NewRegrant, WatchCheck, Watched
from rescind.model import Grant
from rescind.systems.base import PermissionSystem
from rescind.workflow.execute.listings import ListingsRead, match_regranted, read_listings

_SHOWN = 3


async def watch_account(
    ledger: Ledger, system: PermissionSystem[Any], client: CloudClient, account: str, watched: list[Watched]
) -> tuple[WatchCheck, list[NewRegrant]]:
    """Read every place once in which something was taken away, and compare.

    A grant that stands in the same slot counts as a return whatever its record id, level or end. What lies in a place
    that could not be read completely is not checked, and never called gone.

    :param watched: what to look at, all of this system and account; of newer runs first.
    """
    seen = await read_listings(system, client, {system.listing_scope(one.grant) for one in watched})
    now = datetime.now(UTC)
    looked = [one for one in watched if system.listing_scope(one.grant) in seen.shown]
    returned = await asyncio.to_thread(_returned, ledger, system, looked, list(seen.grants()))
    regrants = [
        NewRegrant(one.run_id, one.grant.grant_id, now, there, {"attributes": dict(there.attributes)})
        for one in looked
        if (there := returned.get(one.grant.grant_id)) is not None
    ]
    check = WatchCheck(
        system.name,
        account,
        watched=len(watched),
        still_gone=len(looked) - len(regrants),
        returned=len(regrants),
        not_checked=len(watched) - len(looked),
        list_calls=seen.calls,
        problem=_problem(seen),
    )
    return check, regrants


def unchecked(system: str, account: str, watched: list[Watched], error: Exception) -> WatchCheck:
    """The check of a system and account that could not be looked at at all."""
    problem = f"{type(error).__name__}: {error}"[:1000]
    return WatchCheck(system, account, len(watched), 0, 0, len(watched), problem=problem)


def _returned(
    ledger: Ledger, system: PermissionSystem[Any], looked: list[Watched], shown: list[Grant]
) -> dict[str, Grant]:
    """By the id of the grant that was taken away, what stands in its place now. Each shown grant is counted once."""
    by_run: defaultdict[str, list[Grant]] = defaultdict(list)
    for one in looked:
        by_run[one.run_id].append(one.grant)
    found: dict[str, Grant] = {}
    for run_id, grants in by_run.items():
        known = ledger.snapshot.grants_by_id(run_id, _ids(shown))
        same, otherwise = match_regranted(system, grants, shown, known)
        new = {**same, **otherwise}
        found |= new
        taken = {grant.grant_id for grant in new.values()}
        shown = [grant for grant in shown if grant.grant_id not in taken]
    return found


def _ids(grants: Iterable[Grant]) -> list[str]:
    return [grant.grant_id for grant in grants]


def _problem(seen: ListingsRead) -> str:
    reasons = [f"{type(error).__name__}: {error}" for error in seen.failed.values()]
    reasons += [f"a place is not there any more: {why}" for why in seen.gone.values()]
    return "; ".join(sorted(set(reasons))[:_SHOWN])[:1000]
