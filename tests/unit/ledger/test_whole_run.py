from __future__ import annotations

from datetime import UTC, datetime

import pytest

from rescind.ledger import Ledger, VerdictRecord
from rescind.model import Verdict
from tests.support.ledger.runs import ready_run

pytestmark = pytest.mark.postgres


def test_one_run_from_listing_to_verdict(ledger: Ledger) -> None:
    run = ready_run(ledger)
    run_id = run.run.run_id
    lease = ledger.batches.claim(run_id, run.batch_id, "worker")
    for call in ledger.plans.calls(run_id, run.batch_id):
        attempt = ledger.attempts.begin(
            lease, call.call_id, plan_digest=run.plan.digest, request_digest="d", action="Cancel", version="2022"
        )
        ledger.attempts.finish(attempt.attempt_id, "accepted", request_id="r", http_status=200)
    ledger.batches.release(lease, done=True)
    now = datetime.now(UTC)
    ledger.verdicts.record(
        run_id, [VerdictRecord(one.grant_id, Verdict.VERIFIED_GONE, "listing", now) for one in run.grants]
    )
    (line,) = ledger.summary.per_system(run_id)
    assert (line.discovered, line.keep, line.revoke, line.items, line.accepted) == (10, 6, 4, 4, 4)
    assert (line.calls, line.attempts, line.verified_gone, line.without_verdict) == (2, 2, 4, 0)
    assert {call.state for call in ledger.plans.calls(run_id)} == {"accepted"}
    assert all(attempt.outcome for attempt in ledger.attempts.each(run_id))
