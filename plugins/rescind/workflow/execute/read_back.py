"""Reads the platform before a revoke call is sent again: after an unknown outcome, or a refusal because of the key."""

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
    """Re-list the items of a call that are in doubt or refused, and settle what the listings show.

    A grant that is shown as planned is open again. A grant that was re-granted since, as a new record or with another
    creation time, is *stale* and skipped, because somebody decided on it since the plan. A grant that is not shown
    stays unknown, or refused, until verification.

    :returns: True when the call is open again.
    """
    pairs = await asyncio.to_thread(ledger.plans.item_grants, call.run_id, call.call_id)
    in_doubt = [grant for item, grant in pairs if item.state in IN_DOUBT or item.state is ItemState.REFUSED]
    try:
        reading = await system.reread(client, {system.listing_scope(grant) for grant in in_doubt})
    except (CloudError, ListingIncompleteError) as error:
        log.warning("call %s stays unknown: the platform could not be read: %s", call.call_id[:12], error)
        return False
    observed_at = datetime.now(UTC)
    return await asyncio.to_thread(_settle, ledger, lease, call, in_doubt, reading.grants, observed_at)


def _settle(
    ledger: Ledger, lease: Lease, call: Call, in_doubt: list[Grant], shown: Iterable[Grant], observed_at: datetime
) -> bool:
    grants = list(shown)
    new = regranted_since(ledger, call.run_id, in_doubt, grants)
    stale = {g.grant_id: (ItemState.STALE, new[g.grant_id]) for g in in_doubt if g.grant_id in new}
    keys = {grant.key for grant in grants}
    present = [grant.grant_id for grant in in_doubt if grant.key in keys and grant.grant_id not in stale]
    if present:
        ledger.batches.reopen(
            lease,
            call.call_id,
            present=present,
            method="read-back",
            observed_at=observed_at,
            reason="still present after a refusal"
            if call.state == "refused"
            else "still present after an unknown outcome",
        )
        ledger.batches.set_items(lease, stale)
    elif stale:
        reason = "re-granted after it was sent"
        ledger.batches.set_call(lease, call.call_id, "stale", reason=reason, items=stale)
    return bool(present)


def regranted_since(ledger: Ledger, run_id: str, planned: list[Grant], shown: list[Grant]) -> dict[str, str]:
    """Return the planned grants that were re-granted since the snapshot, with the reason, by grant id.

    Only records that are not in the snapshot count, because a principal may hold the same right by two records.
    """
    by_key = {grant.key: grant for grant in shown}
    known = ledger.snapshot.grants_by_id(run_id, [grant.grant_id for grant in shown]) if shown else {}
    fresh = {grant.key._replace(native_id="") for grant in shown if grant.grant_id not in known and grant.key.native_id}
    found: dict[str, str] = {}
    for grant in planned:
        now = by_key.get(grant.key)
        if now is None and grant.key.native_id and grant.key._replace(native_id="") in fresh:
            found[grant.grant_id] = "re-granted since the plan as another record; skipped"
        elif now is not None and grant.created_raw and now.created_raw and now.created_raw != grant.created_raw:
            found[grant.grant_id] = "re-granted since the plan with another creation time; skipped"
    return found
