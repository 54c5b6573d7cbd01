"""A large plan begins with a few grants of each system: only when these are proven gone may the rest be sent."""

from __future__ import annotations

from rescind.errors import GuardTrippedError
from rescind.ledger import Ledger


def require_canaries(ledger: Ledger, run_id: str, batch_id: str | None = None) -> int:
    """See that every canary of the live plan is proven, and that no kept grant went with it; returns how many.

    :param batch_id: look at this canary only.

    The ledger is asked and not Airflow: a verification that somebody marked as successful proves nothing.

    :raises GuardTrippedError: when an item of a canary is not proven gone, when none of its items was tried at all, or
        when a grant that was to be kept is missing.
    """
    canaries = [one for one in ledger.batches.canaries(run_id) if batch_id in (None, one.batch_id)]
    kept = {(check.system, check.account): check for check in ledger.verdicts.kept(run_id)} if canaries else {}
    for canary in canaries:
        if canary.proven == 0 or canary.proven + canary.left_alone < canary.items:
            raise GuardTrippedError(
                f"canary of {canary.system} {canary.account}",
                "every item proven gone",
                f"{canary.proven} of {canary.items} proven, {canary.left_alone} left alone",
                "The rest of the plan is not sent. See the task verify_canary, then start a new run",
            )
        check = kept.get((canary.system, canary.account))
        if check is None or check.lost or not check.complete:
            raise GuardTrippedError(
                f"canary of {canary.system} {canary.account}",
                "every kept grant still there",
                f"{len(check.lost)} of {check.compared} lost" if check else "not compared",
                "The rest of the plan is not sent. Find out what took them away before a new run",
            )
    return len(canaries)
