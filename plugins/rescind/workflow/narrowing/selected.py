"""What an approver selected on the page: lines of a plan that stay. The answer in Airflow names the selection."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime

from rescind.errors import InputError, NotApprovedError
from rescind.ledger import Ledger, Plan, Run, Selection
from rescind.ledger.plans.selections import is_selection

_WHERE = "what the answer leaves out"


def selection_option(digest: str) -> str:
    """Return the option that uses the selection for a plan. It approves nothing, so a part of the digest is enough."""
    return f"Use my selection {digest[:12]}"


def selection_to_use(ledger: Ledger, run: Run, plan: Plan, user_id: str, responded_at: datetime) -> Selection:
    """Return the newest selection of the user who answered, for exactly this plan. It was saved before the answer.

    An older one is never used in place of one that is not from before the answer: the clocks of Airflow and the
    database may differ, and the user has seen the newest one.

    :raises InputError: when there is none, when it was saved after the answer, or when it has no line any more.
    """
    found = ledger.selections.newest(run.run_id, plan.digest, user_id)
    if found is None:
        remedy = "Choose the lines on the page, save them there, and answer again"
        raise InputError(_WHERE, f"is a selection, and {user_id!r} saved none for plan {plan.digest[:12]}", remedy)
    if found.chosen_at >= responded_at:
        problem = f"is a selection, and {found.by} saved selection {found.number} after the answer"
        raise InputError(_WHERE, problem, "Look at it on the page, and answer again")
    if not found.grant_ids:
        problem = f"is selection {found.number}, which has no line"
        raise InputError(_WHERE, problem, "Approve, reject, or choose lines on the page and answer again")
    return found


def refuse_unused(ledger: Ledger, run: Run, plan: Plan, user_id: str) -> None:
    """Refuse an answer that approves the whole plan by a user whose own newest selection says that lines stay.

    :raises InputError: when there is such a selection. The wrong button would remove what the user wanted to keep.
    """
    found = ledger.selections.newest(run.run_id, plan.digest, user_id)
    if found is not None and found.grant_ids:
        problem = f"approves everything, and selection {found.number} of {found.by} says that some lines stay"
        remedy = "Answer with 'Use my selection', or save it without any line and answer again"
        raise InputError("answer", problem, remedy)


def selection_of(ledger: Ledger, run_id: str, left_out: Iterable[Sequence[str]]) -> Selection | None:
    """Return the selection that a narrowing names, or None if people were left out in the form.

    :raises NotApprovedError: when the ledger does not hold it as it was signed.
    """
    for one in left_out:
        if is_selection(one):
            found = ledger.selections.named(run_id, one)
            if found is None:
                raise NotApprovedError(
                    f"the ledger does not hold the selection {one[1][:12]} as it was signed. Nothing is approved; find "
                    "out who changed it, and start a new run"
                )
            return found
    return None
