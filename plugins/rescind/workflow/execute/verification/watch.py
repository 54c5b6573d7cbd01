"""Checks whether grants that were proven gone have reappeared."""

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
    """Read every listing scope in which a grant was revoked once, and compare.

    A grant in the same slot counts as a regrant, whatever its record id, level or expiry. Grants in a listing scope
    that could not be read completely are not checked and never reported as gone.

    :param watched: the grants to check, all of this system and account; those of newer runs first.
    """
    seen = await read_listings(system, client, {system.listing_scope(one.grant) for one in watched})
    now = datetime.now(UTC)
    checked = [one for one in watched if system.listing_scope(one.grant) in seen.shown]
    returned = await asyncio.to_thread(_returned, ledger, system, checked, list(seen.grants()))
    regrants = [
        NewRegrant(one.run_id, one.grant.grant_id, now, there, {"attributes": dict(there.attributes)})
        for one in checked
        if (there := returned.get(one.grant.grant_id)) is not None
    ]
    check = WatchCheck(
        system.name,
        account,
        watched=len(watched),
        still_gone=len(checked) - len(regrants),
        returned=len(regrants),
        not_checked=len(watched) - len(checked),
        list_calls=seen.calls,
        problem=_problem(seen),
    )
    return check, regrants


def unchecked(system: str, account: str, watched: list[Watched], error: Exception) -> WatchCheck:
    """Return the check of a system and account that could not be read at all."""
    problem = f"{type(error).__name__}: {error}"[:1000]
    return WatchCheck(system, account, len(watched), 0, 0, len(watched), problem=problem)


def _returned(
    ledger: Ledger, system: PermissionSystem[Any], checked: list[Watched], shown: list[Grant]
) -> dict[str, Grant]:
    """Return the regrants by the id of the revoked grant. Each shown grant is counted once."""
    by_run: defaultdict[str, list[Grant]] = defaultdict(list)
    for one in checked:
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
    reasons += [f"a resource no longer exists: {why}" for why in seen.gone.values()]
    return "; ".join(sorted(set(reasons))[:_SHOWN])[:1000]
