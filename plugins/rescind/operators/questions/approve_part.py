"""The second question: the plan without what the first answer left out."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

from airflow.sdk.exceptions import AirflowFailException, AirflowSkipException

from rescind.hooks.signing_keys import approval_keys
from rescind.ledger import Ledger, Plan, Run
from rescind.operators.canary import named_batches
from rescind.operators.questions.approve import ApprovePlanOperator, use_keys
from rescind.plan.narrowed import NARROWED
from rescind.settings import Settings
from rescind.workflow.narrowing.narrow import narrow_plan, narrowing_of, note_part, require_part
from rescind.workflow.narrowing.text import part_request
from rescind.workflow.references import BatchRef

if TYPE_CHECKING:
    from airflow.sdk import Context

    from rescind.notifications.events import Notice


class ApprovePartOperator(ApprovePlanOperator):
    """Ask about the narrower plan, where the first answer left out people; else go on without a question.

    It is a task of its own: Airflow keeps the text of a question for as long as its task instance, and the narrower
    plan has another digest. Only the answer to this question approves that plan. The same rules hold for who may
    answer; the same person may answer both. Nothing more can be left out here, and a rule never answers.

    :returns: one ``{"batch": id, "label": text}`` for each canary batch of the plan that stands now.
    """

    FIRST: ClassVar[bool] = False
    LABELS: ClassVar[dict[str, str]] = {
        "task_display_name": "Approve the rest",
        "doc_md": "Asks only if the first answer left out people: about the plan without them. Answer under *Required "
        "Actions*.",
    }

    def ask(self, context: Context, ledger: Ledger) -> list[BatchRef] | None:
        """Make the narrower plan and put it before the approvers; without one return the canary batches.

        :raises NotApprovedError: when what was left out is not signed, belongs to another plan, or is too late.
        :raises PlanError: when the narrower plan is not a part of the plan before it.
        """
        run = self.run_of(context, ledger)
        plan = ledger.plans.get(run.run_id)
        if run.dry_run:
            raise AirflowSkipException("Dry run: nothing will be sent, so nothing needs approval")
        ledger.approvals.keys = approval_keys(self.settings())
        narrowing = narrowing_of(ledger, run, plan)
        if narrowing is None:
            return named_batches(ledger, run, canary=True)
        use_keys(ledger, self.settings())
        self.same_requester(context, ledger, run)
        if plan.digest == narrowing.digest:
            plan = narrow_plan(ledger, run, self.settings_of(ledger, run), narrowing)
            self.log.info("plan %s: %d grants in %d calls", plan.digest[:12], plan.items, plan.calls)
        require_part(ledger, run, plan)
        note_part(ledger, run)  # also if an earlier try ended before it
        if plan.calls == 0:
            raise AirflowSkipException(f"{narrowing.by} left out everything that would go: nothing will be sent")
        answered = self.put(context, ledger, run, plan)
        return None if answered is None else named_batches(ledger, run, canary=True)

    def record(self, context: Context, ledger: Ledger, event: dict[str, Any]) -> list[BatchRef]:
        """Record the answer, if it is an answer to exactly the narrower plan that stands now."""
        run = self.run_of(context, ledger)
        use_keys(ledger, self.settings())
        if require_part(ledger, run, ledger.plans.get(run.run_id)) is None:
            raise AirflowFailException("nothing was left out of this plan, so there is no second question")
        super().record(context, ledger, event)
        return named_batches(ledger, run, canary=True)

    def answered_notice(self, ledger: Ledger, run: Run, settings: Settings) -> Notice | None:
        """Return the message that the second question was answered, or None if there was none."""
        plan = ledger.plans.find(run.run_id)
        return super().answered_notice(ledger, run, settings) if plan and NARROWED in plan.caps else None

    def leave_out(self, ledger: Ledger, run: Run, plan: Plan) -> dict[str, dict[str, Any]]:
        """Return no field: nothing more can be left out."""
        return {}

    def question(self, ledger: Ledger, run: Run, plan: Plan) -> tuple[str, str]:
        """Return subject and body (Markdown): what was left out, and the narrower plan."""
        subject, body = super().question(ledger, run, plan)
        return part_request(ledger, run, plan, subject, body)
