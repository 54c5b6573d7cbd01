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
    """Return the newest selection of the user who answered, for exactly this plan, from before the answer.

    :raises InputError: when there is none, or when it has no line any more.
    """
    found = ledger.selections.newest(run.run_id, plan.digest, user_id, before=responded_at)
    if found is None:
        remedy = "Choose the lines on the page, save them there, and answer again"
        raise InputError(_WHERE, f"is a selection, and {user_id!r} saved none for plan {plan.digest[:12]}", remedy)
    if not found.grant_ids:
        problem = f"is selection {found.number}, which has no line"
        raise InputError(_WHERE, problem, "Approve, reject, or choose lines on the page and answer again")
    return found


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
