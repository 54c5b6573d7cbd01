"""What a call whose outcome nobody knows has done: the platform is read before anything is sent again."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Iterable
from datetime import UTC, datetime
from typing import Any

from rescind.cloud.client import CloudClient
from rescind.errors import CloudError, ListingIncompleteError
from rescind.ledger import Call, Lease, Ledger
from rescind.model import IN_DOUBT, Grant, ItemState
from rescind.systems.base import PermissionSystem

log = logging.getLogger(__name__)


async def read_back(
    ledger: Ledger, system: PermissionSystem[Any], client: CloudClient, lease: Lease, call: Call
) -> bool:
    """Read the places of a call's doubtful items and settle what can be settled.

    A grant that is shown as it was planned is open again. One that was given anew meanwhile, as a new record or with
    another creation time, is *stale* and left alone: somebody has decided since. What is not shown stays unknown,
    for verification to judge.

    :returns: True when the call is open again.
    """
    pairs = await asyncio.to_thread(ledger.plans.item_grants, call.run_id, call.call_id)
    doubtful = [grant for item, grant in pairs if item.state in IN_DOUBT]
    try:
        reading = await system.reread(client, {system.listing_scope(grant) for grant in doubtful})
    except (CloudError, ListingIncompleteError) as error:
        log.warning("call %s stays unknown: the read-back failed: %s", call.call_id[:12], error)
        return False
    observed_at = datetime.now(UTC)
    return await asyncio.to_thread(_settle, ledger, lease, call, doubtful, reading.grants, observed_at)


def _settle(
    ledger: Ledger, lease: Lease, call: Call, doubtful: list[Grant], shown: Iterable[Grant], observed_at: datetime
) -> bool:
    grants = list(shown)
    new = _given_since(ledger, call.run_id, doubtful, grants)
    stale = {g.grant_id: (ItemState.STALE, new[g.grant_id]) for g in doubtful if g.grant_id in new}
    keys = {grant.key for grant in grants}
    present = [grant.grant_id for grant in doubtful if grant.key in keys and grant.grant_id not in stale]
    if present:
        ledger.batches.reopen(
            lease,
            call.call_id,
            present=present,
            method="read-back",
            observed_at=observed_at,
            reason="still there after an unknown outcome",
        )
        ledger.batches.set_items(lease, stale)
    elif stale:
        reason = "given again after it was sent"
        ledger.batches.set_call(lease, call.call_id, "stale", reason=reason, items=stale)
    return bool(present)


def _given_since(ledger: Ledger, run_id: str, planned: list[Grant], shown: list[Grant]) -> dict[str, str]:
    """Planned grants that were given anew since the snapshot, with the reason, by grant id.

    Only records that the snapshot does not know count: a person may hold the same right by two records all along.
    """
    by_key = {grant.key: grant for grant in shown}
    known = ledger.snapshot.grants_by_id(run_id, [grant.grant_id for grant in shown]) if shown else {}
    fresh = {grant.key._replace(native_id="") for grant in shown if grant.grant_id not in known and grant.key.native_id}
    found: dict[str, str] = {}
    for grant in planned:
        now = by_key.get(grant.key)
        if now is None and grant.key.native_id and grant.key._replace(native_id="") in fresh:
            found[grant.grant_id] = "given again meanwhile: another record stands in its place; left alone"
        elif now is not None and grant.created_raw and now.created_raw and now.created_raw != grant.created_raw:
            found[grant.grant_id] = "given again meanwhile: it has another creation time; left alone"
    return found
