"""The planner of a run, set up from what the run recorded."""

from __future__ import annotations

from rescind.ledger import Ledger, Run
from rescind.review.emptying import Emptying
from rescind.settings import ReviewRequest, Settings
from rescind.workflow.inputs import inputs_of
from rescind.workflow.narrowing.limit import Limit
from rescind.workflow.revoke_planner import Planner


def planner_of_run(ledger: Ledger, run: Run, settings: Settings, *, limit: Limit | None = None) -> Planner:
    """Return a planner for one use.

    :param settings: those that the run works with.
    :param limit: what a narrowed plan may contain at most; None for a plan of its own.
    """
    request, inputs = ReviewRequest.model_validate(dict(run.params)), inputs_of(ledger, run)
    return Planner(
        ledger=ledger,
        run=run,
        settings=settings,
        caps=request.caps(settings),
        emptying=Emptying(inputs.policy, inputs.request, inputs.exceptions, now=run.started_at),
        sparse=request.may_be_sparse(settings),
        limit=limit,
    )
