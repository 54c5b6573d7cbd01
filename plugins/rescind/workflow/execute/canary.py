"""Canaries: the rest of a large plan is sent only after a few grants of each system are proven gone."""

from __future__ import annotations

from rescind.errors import GuardTrippedError
from rescind.ledger import Ledger


def require_canaries(ledger: Ledger, run_id: str, batch_id: str | None = None) -> int:
    """Check that every canary of the live plan is proven gone and that no retained grant is missing.

    The check reads the ledger instead of Airflow, because a task that was marked as success proves nothing.

    :param batch_id: check this canary only.
    :returns: the number of canaries.
    :raises GuardTrippedError: when an item of a canary is not proven gone, when none of its items was sent, or when a
        retained grant is missing.
    """
    canaries = [one for one in ledger.batches.canaries(run_id) if batch_id in (None, one.batch_id)]
    checks = {(check.system, check.account): check for check in ledger.verdicts.retained(run_id)} if canaries else {}
    for canary in canaries:
        if 0 in (canary.proven, canary.tried) or canary.proven + canary.left_alone < canary.items:
            raise GuardTrippedError(
                f"canary of {canary.system} {canary.account}",
                "every item proven gone",
                f"{canary.proven} of {canary.items} proven, {canary.left_alone} not sent, {canary.tried} tried",
                "The rest of the plan is not sent. See the task verify_canary, then start a new run; without"
                f" {canary.system} if its listings prove nothing",
            )
        check = checks.get((canary.system, canary.account))
        if check is None or check.lost or not check.complete:
            raise GuardTrippedError(
                f"canary of {canary.system} {canary.account}",
                "every retained grant present",
                f"{len(check.lost)} of {check.compared} missing" if check else "not checked",
                "The rest of the plan is not sent. Find out what removed them before a new run",
            )
    return len(canaries)
