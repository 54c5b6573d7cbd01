"""What must hold of runs that list a part of a system only."""

from __future__ import annotations

from rescind.ledger.population.snapshot_diff import SnapshotDiff
from rescind.workflow.inputs import decision_context
from tests.support.reviews.review import ReviewBench


def check_that_parts_are_no_baseline(setup: ReviewBench, system: str, part: str) -> str:
    """Of the runs whole, a and b, the last two of which list a part, a later run compares with the whole one only.

    :return: id of the run a.
    """
    whole = setup.run("manual__later")
    whole.preflight()
    with whole.ledger() as ledger:
        runs = {name: ledger.runs.find("access_review", f"manual__{name}") for name in ("whole", "a", "b", "later")}
        scope = next(one for one in ledger.scopes.all(runs["later"].run_id) if one.system == system)
        assert ledger.scopes.baseline(runs["later"].run_id, scope.scope_id).run_number == runs["whole"].number
        assert ledger.scopes.last_whole(system, scope.account).run_number == runs["whole"].number
        diff = SnapshotDiff(ledger.runs, ledger.scopes, ledger.snapshot, runs["a"].run_id, runs["b"].run_id)
        assert decision_context(ledger, runs["a"]).memberships is None
        assert not diff.comparable and part in diff.not_comparable[0].why
        return str(runs["a"].run_id)
