"""From what an approver left out to the narrower plan, and the checks of both."""

from __future__ import annotations

from collections.abc import Set
from datetime import UTC, datetime

from rescind.errors import NotApprovedError, PlanError
from rescind.ledger import Ledger, Narrowing, Plan, Run
from rescind.ledger.plans.narrowings import digest_of_grants
from rescind.ledger.plans.send_checks import refuse_ended
from rescind.model import ItemState
from rescind.plan.approved import read_effects
from rescind.plan.narrowed import NARROWED, check_narrowed, narrowed_by
from rescind.run_state.states import kept_by
from rescind.settings import ReviewRequest, Settings
from rescind.workflow.closing.proposal import CLOSING
from rescind.workflow.closing.residual_access import STAYS_REACHABLE, note_residual_access
from rescind.workflow.narrowing.left_out import left_out_grants
from rescind.workflow.narrowing.limit import Limit
from rescind.workflow.narrowing.selected import selection_of
from rescind.workflow.planner_of_run import planner_of_run

_REMEDY = "Nothing is approved; find out who wrote it, and start a new run"


def narrowing_of(ledger: Ledger, run: Run, plan: Plan) -> Narrowing | None:
    """Return what an approver left out of this plan, or of the plan that it was narrowed from; or None.

    :param plan: the live plan.
    :raises NotApprovedError: when the ledger holds something that is not signed, or that belongs to another plan.
    """
    found = ledger.narrowings.find(run.run_id)
    if found is None and NARROWED not in plan.caps:
        return None
    if found is None:
        raise NotApprovedError(f"plan {plan.digest[:12]} was narrowed, but the ledger does not say by whom. {_REMEDY}")
    if problem := ledger.narrowings.problem(found):
        raise NotApprovedError(
            f"the ledger says that {found.by!r} left out a part of plan {found.digest[:12]}, but {problem}. {_REMEDY}"
        )
    if plan.digest != found.digest:
        named = narrowed_by(ledger.plans.effects(run.run_id, plan.digest))
        if named != (found.digest, found.mark):
            raise NotApprovedError(
                f"{found.by!r} left out a part of plan {found.digest[:12]}, and another plan stands now. Nothing is "
                "approved; start a new run"
            )
    return found


def require_part(ledger: Ledger, run: Run, plan: Plan) -> Narrowing | None:
    """Check that the live plan may be sent as far as something was left out; return what was left out, or None.

    :raises NotApprovedError: see :func:`narrowing_of`; also for the plan that was narrowed itself.
    :raises PlanError: when the plan does more than the plan that it was narrowed from, or has what was left out.
    """
    found = narrowing_of(ledger, run, plan)
    if found is None:
        return None
    if plan.digest == found.digest:
        raise NotApprovedError(
            f"{found.by!r} left out a part of plan {plan.digest[:12]}: only the narrowed plan can be approved. Nothing "
            "was sent; answer the second question"
        )
    reason = kept_by(found.by, found.comment)
    held = ledger.plans.items(run.run_id, state=ItemState.HELD)
    kept = {item.grant_id for item in held if item.call_id is None and item.reason == reason}
    _require_signed(found, kept)
    effects = (ledger.plans.effects(run.run_id, one) for one in (found.digest, plan.digest))
    selection = selection_of(ledger, run.run_id, found.left_out)
    grants = ledger.snapshot.grants_by_id(run.run_id, list(kept)).values()
    check_narrowed(
        *effects,
        of=found.digest,
        by=found.mark,
        kept=kept,
        lines=selection.grant_ids if selection else (),
        columns={(one.key[:2], (one.cell.container, one.cell.kind, one.cell.column)) for one in grants},
    )
    return found


def narrow_plan(ledger: Ledger, run: Run, settings: Settings, narrowing: Narrowing) -> Plan:
    """Make the narrower plan and freeze it in place of the plan that was narrowed.

    :param narrowing: checked, of the live plan.
    :raises NotApprovedError: when the time to answer has passed.
    :raises PlanError: when what was left out is not what was signed, or more would go than before.
    :raises PlanStaleError: when the run has ended.
    """
    refuse_ended(run.run_id, run.state, run.finished_at, None)
    now = datetime.now(UTC)
    if narrowing.valid_until <= now:
        raise NotApprovedError(f"the approval window expired at {narrowing.valid_until:%Y-%m-%d %H:%M %Z}. Plan again")
    left = left_out_grants(ledger, run, narrowing.left_out)
    _require_signed(narrowing, left)
    planner = planner_of_run(ledger, run, settings, limit=_limit(ledger, run, narrowing, left))
    return planner.freeze(now=now)


def note_part(ledger: Ledger, run: Run) -> None:
    """Store the residual access of the narrowed plan in place of that of the plan before it; again is the same."""
    report = ReviewRequest.model_validate(dict(run.params)).close_paths == "report"
    scopes = () if report else ledger.scopes.all(run.run_id)
    noted = {
        (one.system, one.account): note
        for one in scopes
        if (note := one.notes.get(STAYS_REACHABLE, {}).get(CLOSING)) is not None
    }
    list(note_residual_access(ledger, run, noted=None if report else noted))


def _require_signed(narrowing: Narrowing, left: Set[str]) -> None:
    if (len(left), digest_of_grants(left)) != (narrowing.grants, narrowing.grants_digest):
        raise PlanError("the grants that were left out are not those that were signed. Start a new run")


def _limit(ledger: Ledger, run: Run, narrowing: Narrowing, left: frozenset[str]) -> Limit:
    reason = kept_by(narrowing.by, narrowing.comment)
    return limit_of(
        ledger, run, narrowing.digest, left, by=narrowing.mark, reason=reason, valid_until=narrowing.valid_until
    )


def limit_of(
    ledger: Ledger, run: Run, digest: str, left: frozenset[str], *, by: str, reason: str, valid_until: datetime
) -> Limit:
    """Return what the plan without some grants may contain at most.

    :param digest: of the live plan.
    :param left: ids of the grants that are left out, for this ``reason``.
    :param by: mark of what was left out.
    """
    items = list(ledger.plans.items(run.run_id))
    bound = read_effects(ledger.plans.effects(run.run_id, digest))
    before = {item.grant_id: item.reason for item in items if not item.call_id}
    return Limit(
        of=digest,
        by=by,
        valid_until=valid_until,
        planned=frozenset(item.grant_id for item in items if item.call_id),
        held=before | dict.fromkeys(left, reason),
        left_out=len(left),
        systems={place: (part.mode, part.emptied) for place, part in bound.systems.items()},
    )
