"""Approval: a person sees exactly the plan that will be executed, and answers once."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from airflow.providers.standard.operators.hitl import HITLOperator
from airflow.sdk import Variable
from airflow.sdk.exceptions import AirflowFailException, AirflowSkipException

from rescind.errors import ConfigurationError, RescindError
from rescind.hooks.ledger import LedgerHook
from rescind.ledger import Ledger, Plan, Run
from rescind.operators.links import ReviewLink
from rescind.settings import LEDGER_CONNECTION, VARIABLE, Settings
from rescind.workflow.approval_text import approval_body, going
from rescind.workflow.auto_approval import BY, measure

if TYPE_CHECKING:
    from airflow.sdk import Context

REJECT = "Reject"


class ApprovePlanOperator(HITLOperator):
    """Asks the deployment's approvers about the frozen plan and records the one answer in the ledger.

    The option to approve carries the plan's digest, so an answer to an older request can never approve a
    newer plan. There is no default: no answer is never a yes. The requester is not asked, and is refused
    by the ledger as well. The revoking tasks check the recorded approval themselves; this task's state
    counts for nothing.

    Retries are for the machine only: when Airflow loses the task, it asks again, unless the answer is in the
    ledger already. A refusal, a foreign answer and a timeout are final.

    Where the deployment allows it (``automatic_approval``) and the run asks for it, a plan within those limits is
    approved without a person, recorded as automatic; any other plan goes to the approvers, and the log says why. The
    revoking tasks measure such a plan again.

    Notifiers, for example Airflow's ``HttpNotifier``, are told that somebody is waited for. One that fails is logged:
    the question stands without it.

    :param ledger_conn_id: connection of the ledger.
    """

    template_fields = ()
    operator_extra_links = (ReviewLink(),)
    run_number: int | None = None

    def __init__(self, *, ledger_conn_id: str = LEDGER_CONNECTION, **kwargs: Any) -> None:
        kwargs.setdefault("task_display_name", "Approve")
        kwargs.setdefault("doc_md", "A person approves exactly this plan. See *Required actions*.")
        super().__init__(subject="Access revocation plan", options=["Approve", REJECT], **kwargs)
        self.ledger_conn_id = ledger_conn_id
        self.notifiers = [careful(notifier, self.log) for notifier in self.notifiers]  # type: ignore[misc]

    def execute(self, context: Context) -> Any:
        """Put the plan before the approvers; skipped for a dry run and for an empty plan."""
        try:
            with LedgerHook(self.ledger_conn_id).get_conn() as ledger:
                run, plan = self._plan(context, ledger)
                if run.dry_run:
                    raise AirflowSkipException("Dry run: nothing will be sent, so nothing needs approval")
                if plan.calls == 0:
                    raise AirflowSkipException("The plan is empty: nothing to send, nothing to approve")
                settings = Settings.parse(Variable.get(VARIABLE, default=None, deserialize_json=True))
                approvers = [user for user in settings.approvers if user != run.requested_by]
                if not approvers:
                    raise ConfigurationError("nobody but the requester is listed under 'approvers' in the settings")
                asked = ledger.approvals.request(
                    run.run_id, plan.digest, requested_by=run.requested_by, valid_until=plan.valid_until
                )
                if asked.answer is not None:
                    self.log.info("the ledger holds the answer: %s by %s", asked.answer, asked.responded_by)
                    return _conclude(asked.answer, asked.responded_by, plan.digest)
                if run.params.get("automatic") and self._automatic(ledger, run, plan, settings, asked.nonce):
                    return _conclude("approve", BY, plan.digest)
                self._ask(ledger, run, plan, approvers)
        except RescindError as error:
            raise AirflowFailException(f"{type(error).__name__}: {error}") from error
        return super().execute(context)

    def execute_complete(self, context: Context, event: dict[str, Any]) -> Any:
        """Record the answer, if it is an answer to exactly the plan that stands now."""
        with LedgerHook(self.ledger_conn_id).get_conn() as ledger:
            run, plan = self._plan(context, ledger)
            self.options = [_approve_option(plan.digest), REJECT]
            if "error" in event:
                kind = "nobody answered in time" if event.get("error_type") == "timeout" else "the question was lost"
                raise AirflowFailException(f"{kind}, so nothing is approved. Start a new run")
            try:
                return self._record(ledger, run, plan, event)
            except RescindError as error:
                raise AirflowFailException(f"{type(error).__name__}: {error}") from error

    def _automatic(self, ledger: Ledger, run: Run, plan: Plan, settings: Settings, nonce: str) -> bool:
        """Whether the plan was approved without a person."""
        figures, reasons = measure(ledger, run, plan, settings.automatic_approval)
        if reasons:
            self.log.warning("a person is asked: %s", "; ".join(reasons))
            return False
        ledger.approvals.answer(
            run.run_id, plan.digest, nonce=nonce, answer="approve", responded_by=BY, automatic=True, method=figures
        )
        self.log.info("approved automatically: %s", figures)
        return True

    def _ask(self, ledger: Ledger, run: Run, plan: Plan, approvers: list[str]) -> None:
        self.subject, self.body = self.question(ledger, run, plan)
        self.options = [_approve_option(plan.digest), REJECT]
        self.assigned_users = [{"id": user, "name": user} for user in approvers]

    def question(self, ledger: Ledger, run: Run, plan: Plan) -> tuple[str, str]:
        """Subject and body (Markdown) of what the approvers read."""
        subject = f"Approve revoking {going(ledger, run)} grants ({plan.digest[:12]})?"
        return subject, approval_body(ledger, run, plan)

    def _record(self, ledger: Ledger, run: Run, plan: Plan, event: Mapping[str, Any]) -> dict[str, str]:
        chosen = list(event["chosen_options"])
        if chosen not in ([self.options[0]], [REJECT]):
            raise AirflowFailException(
                "the answer belongs to another plan than the one that stands now. Start a new run"
            )
        responder = event.get("responded_by_user") or {}
        user = str(responder.get("id") or "")
        if run.requested_by in (user, str(responder.get("name") or "")):
            # Some auth managers tell a run's requester by name and whoever answers by number.
            raise AirflowFailException("the one who asked may not approve. Start a new run and ask somebody else")
        settings = Settings.parse(Variable.get(VARIABLE, default=None, deserialize_json=True))
        if user not in settings.approvers:
            raise AirflowFailException(
                "the answer came from a user who is not listed under 'approvers' in the settings"
            )
        asked = ledger.approvals.get(run.run_id, plan.digest)
        if asked is None:
            raise AirflowFailException("the ledger holds no question about this plan. Start a new run")
        answer = "reject" if chosen == [REJECT] else "approve"
        ledger.approvals.answer(
            run.run_id,
            plan.digest,
            nonce=asked.nonce,
            answer=answer,
            responded_by=user,
            responded_at=event["responded_at"],
        )
        self.log.info("%s by %s for plan %s", answer, user, plan.digest[:12])
        return _conclude(answer, user, plan.digest)

    def _plan(self, context: Context, ledger: Ledger) -> tuple[Run, Plan]:
        dag_run = context["dag_run"]
        run = ledger.runs.find(dag_run.dag_id, dag_run.run_id)
        if run is None:
            raise AirflowFailException("this DAG run has no run in the ledger. Start a new run")
        self.run_number = run.number
        return run, ledger.plans.get(run.run_id)


def _conclude(answer: str, user: str, digest: str) -> dict[str, str]:
    """The task's result for a recorded answer; a rejection skips what comes after."""
    if answer == "reject":
        raise AirflowSkipException(f"Rejected by {user}: nothing will be sent")
    return {"answer": answer, "by": user, "plan": digest}


def _approve_option(digest: str) -> str:
    return f"Approve {digest[:12]}"


def careful(notifier: Callable[[Context], Any], log: Any) -> Callable[[Context], None]:
    """The notifier as one that cannot fail the approval."""

    def notify(context: Context) -> None:
        try:
            notifier(context)
        except Exception as error:
            log.error("a notifier failed (%s); the question stands without it", type(error).__name__)

    return notify
