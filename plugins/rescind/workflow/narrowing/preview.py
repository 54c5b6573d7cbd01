"""What a selection would leave of a plan, for the page. Nothing is frozen, and nothing is recorded."""

from __future__ import annotations

from rescind.errors import RescindError
from rescind.ledger import Ledger, Selection
from rescind.ledger.read_models.boxes import Preview
from rescind.run_state.states import kept_by
from rescind.settings import Settings
from rescind.workflow.narrowing.left_out import left_out_grants
from rescind.workflow.narrowing.narrow import limit_of
from rescind.workflow.planner_of_run import planner_of_run
from rescind.workflow.run_settings import settings_of

MOST_PLANNED = 5_000
"""Largest plan that is planned again for the page, in grants, and ``MOST_LISTED`` the largest listing."""
MOST_LISTED = 300_000


def preview(ledger: Ledger, selection: Selection, current: Settings) -> Preview:
    """Return what the plan without a selection would be, if it were made now.

    :param selection: of the live plan.
    :param current: the deployment's settings of now.
    """
    run = ledger.runs.get(selection.run_id)
    plan = ledger.plans.get(run.run_id)
    if plan.digest != selection.digest:
        return Preview(problem="Another plan stands now")
    listed = sum(count.revocable for count in ledger.snapshot.counts(run.run_id))
    if plan.items > MOST_PLANNED or listed > MOST_LISTED:
        return Preview(problem="The plan is too large to be made again for this page; the second question shows it")
    try:
        left = left_out_grants(ledger, run, [selection.entry])
        reason = kept_by(selection.by, selection.comment)
        limit = limit_of(ledger, run, plan.digest, left, by="", reason=reason, valid_until=plan.valid_until)
        planner = planner_of_run(ledger, run, settings_of(ledger, run, current), limit=limit)
        planner.measure()
    except RescindError as error:
        return Preview(problem=f"The plan without these lines cannot be made: {error}")
    parts = planner.parts.values()
    going = [grant.key for part in parts for grant in part.revoke.values()]
    held = {ident for part in parts for ident in part.held}
    return Preview(
        going=len(going),
        principals=len({(key.system, key.account, key.principal_type, key.principal_id) for key in going}),
        calls=sum(len(part.cover.calls) for part in parts if part.cover),
        before=plan.calls,
        closing=len(left - set(selection.grant_ids)),
        held=len(held - limit.held.keys()),
        guards=[f"{one.guard} ({one.scope}): limit {one.limit}, measured {one.measured}" for one in planner.guards],
    )
