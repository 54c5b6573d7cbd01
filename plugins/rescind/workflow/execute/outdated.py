"""Re-lists what a batch would revoke if another run has changed its scope since the snapshot.

While a plan waits for its approval, other runs may revoke or restore grants in the same scope. Such a plan is outdated
there, so nothing of it is sent before the listings were read again:

- A call of which nothing is present is skipped; verification then finds its grants already absent.
- A grant that was re-granted since the plan is stale.
- A grant without which a resource would have no administrator is held: together the runs may take the last one.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Mapping

from rescind.ledger import Call
from rescind.model import Grant, GrantKey, ItemState
from rescind.plan.guards import count_holders, hold_last_holders
from rescind.workflow.execute.direction import ClaimedBatch
from rescind.workflow.execute.listings import ListingsRead, read_listings
from rescind.workflow.execute.read_back import regranted_since

_OPEN = (ItemState.APPROVED, ItemState.REFUSED)
_WAITING = ("pending", "refused")
_GONE = "nothing of it is listed any more: it was removed since the plan"


async def recheck(batch: ClaimedBatch) -> Counter[str]:
    """Settle the open calls of a batch against current listings; return how many grants left the batch, by reason.

    :raises CloudError: when a listing could not be read; nothing was changed then.
    :raises ListingIncompleteError: when a listing cannot prove absence; nothing was changed then.
    """
    calls = await asyncio.to_thread(_open_calls, batch)
    system = batch.system
    wanted = {system.listing_scope(grant) for grants in calls.values() for grant in grants}
    seen = await read_listings(system, batch.client, wanted)
    for error in seen.failed.values():
        raise error
    return await asyncio.to_thread(_settle, batch, calls, seen)


def _open_calls(batch: ClaimedBatch) -> dict[str, list[Grant]]:
    """Return the grants that may still be sent, by call. Calls in doubt are read back by themselves."""
    plans = batch.ledger.plans
    calls: list[Call] = list(plans.calls(batch.run_id, batch.lease.batch_id))
    pairs = {call.call_id: plans.item_grants(batch.run_id, call.call_id) for call in calls if call.state in _WAITING}
    return {name: [grant for item, grant in found if item.state in _OPEN] for name, found in pairs.items()}


def _settle(batch: ClaimedBatch, calls: Mapping[str, list[Grant]], seen: ListingsRead) -> Counter[str]:
    shown = list(seen.grants())
    present = {grant.key for grant in shown}
    grants = [grant for found in calls.values() for grant in found]
    moves = {
        name: (ItemState.STALE, why) for name, why in regranted_since(batch.ledger, batch.run_id, grants, shown).items()
    }
    moves |= {name: (ItemState.HELD, why) for name, why in _last_administrators(batch, shown).items()}
    left: Counter[str] = Counter()
    for call_id, found in calls.items():
        mine = {grant.grant_id: moves[grant.grant_id] for grant in found if grant.grant_id in moves}
        staying = [grant for grant in found if grant.grant_id not in mine]
        if not any(grant.key in present for grant in staying):
            reason = _GONE if staying else "all of it is held or stale since it was listed again"
            batch.ledger.batches.set_call(batch.lease, call_id, "skipped", reason=reason, items=mine)
            left.update({"gone": len(staying)} if staying else {})
        elif mine:
            batch.ledger.batches.set_items(batch.lease, mine)
        left.update(str(state) for state, _ in mine.values())
    return left


def _last_administrators(batch: ClaimedBatch, shown: list[Grant]) -> Mapping[str, str]:
    """Return the planned grants of the whole plan that would leave a listed resource without an administrator."""
    administrative = [(batch.system.name, entitlement) for entitlement in batch.system.admin_entitlements]
    if not administrative:
        return {}
    holders = count_holders((grant.key for grant in shown), administrative)
    planned = [key for key in _planned(batch) if key in {grant.key for grant in shown}]
    return hold_last_holders(planned, holders, administrative).held


def _planned(batch: ClaimedBatch) -> list[GrantKey]:
    """Return the keys of every grant in a call of the plan, of all batches of this system and account."""
    plans = batch.ledger.plans
    return [
        key
        for one in plans.batches(batch.run_id)
        if (one.system, one.account) == (batch.system.name, batch.account)
        for key in plans.batch_keys(batch.run_id, one.batch_id)
    ]
