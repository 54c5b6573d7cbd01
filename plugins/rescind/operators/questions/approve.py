"""Approval: a person sees exactly the plan that will be executed, and answers once."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, ClassVar

from airflow.sdk.definitions.param import Param, ParamsDict
from airflow.sdk.exceptions import AirflowFailException, AirflowSkipException

from rescind.approvers import Approver, Responder, find_approver
from rescind.errors import ConfigurationError, NotApprovedError
from rescind.hooks.signing_keys import approval_keys
from rescind.i18n import mark, reading, tr
from rescind.ledger import Approval, Ledger, Narrowing, Plan, Run
from rescind.ledger.plans.send_checks import refuse_ended
from rescind.operators.bases.human_input import HumanInputOperator
from rescind.settings import Settings
from rescind.users import same_user
from rescind.workflow.auto_approval import BY, measure
from rescind.workflow.narrowing.left_out import chosen_parts, leave_out_field, left_out_grants
from rescind.workflow.narrowing.narrow import narrowing_of
from rescind.workflow.question.answer_fields import AnswerFields, answer_fields, comment_field
from rescind.workflow.question.approval_text import approval_request
from rescind.workflow.question.plan_people import plan_people
from rescind.workflow.run_occasion import Start, unverified_lines
from rescind.workflow.run_settings import settings_text

if TYPE_CHECKING:
    from airflow.sdk import Context

    from rescind.notifications.events import Notice

REJECT = "Reject"
HOW_TO_LEAVE_OUT = mark(
    "To let some people keep what they have, choose them under *Leave out*, write the reason into the comment, and "
    "press Approve. Nothing is sent then: a second question shows the plan without them, and only its answer approves."
)


class ApprovePlanOperator(HumanInputOperator):
    """Ask the deployment's approvers about the frozen plan and record the one answer in the ledger.

    The option to approve carries the plan's digest, so an answer to an older request can never approve a newer plan.
    There is no default: a missing answer is never treated as approval. The requester is not asked, and the ledger
    refuses their answer as well. The revoking tasks check the recorded approval themselves; the state of this task
    has no effect.

    A rejection, an answer from somebody who was not asked, and a timeout are final.

    An approver may leave out people. That is recorded as what it is, signed, and approves nothing. The narrower plan is
    put to the approvers by :class:`~rescind.operators.questions.approve_part.ApprovePartOperator`.

    Automatic approval: where the deployment allows it (``automatic_approval``) and the run asks for it, a plan within
    those limits is approved without a person and recorded as automatic. Any other plan goes to the approvers, and the
    log names the reason. The revoking tasks measure an automatically approved plan again.

    :param ledger_conn_id: connection of the ledger's PostgreSQL database.
    :param notifiers: called when the task starts to wait for an approver, and when one has answered, each once, for
        example Airflow's ``HttpNotifier``.
    """

    FIRST: ClassVar[bool] = True
    """Whether this is the first question about a run: only then a rule may answer, and people can be left out."""
    LABELS: ClassVar[dict[str, str]] = {
        "task_display_name": "Approve",
        "doc_md": "A person approves exactly this plan. Answer under *Required Actions*.",
    }

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(subject="Access revocation plan", options=["Approve", REJECT], **kwargs)

    def ask(self, context: Context, ledger: Ledger) -> Any:
        """Put the plan before the approvers; skip for a dry run and for an empty plan."""
        run = self.run_of(context, ledger)
        plan = ledger.plans.get(run.run_id)
        if run.dry_run:
            raise AirflowSkipException("Dry run: nothing will be sent, so nothing needs approval")
        if plan.calls == 0:
            raise AirflowSkipException("The plan is empty: nothing to send, nothing to approve")
        use_keys(ledger, self.settings())
        if (narrowing := narrowing_of(ledger, run, plan)) is not None:
            self.log.info("%s left out a part of the plan: the second question goes on from there", narrowing.by)
            return _left_out(narrowing)
        return self.put(context, ledger, run, plan)

    def put(self, context: Context, ledger: Ledger, run: Run, plan: Plan) -> dict[str, Any] | None:
        """Put exactly this plan before the approvers and return None; or return the answer that it has.

        :raises ConfigurationError: when nobody may answer.
        :raises NotApprovedError: when the ledger was changed.
        """
        settings, current = self.settings_of(ledger, run), self.settings()
        self.same_requester(context, ledger, run)
        approvers = [
            one
            for one in settings.approvers
            if not one.may_have_requested(run.requested_by) and not self.excluded(ledger, run, one.id, one.name)
        ]
        if not approvers:
            raise ConfigurationError(
                "setting 'approvers' lists nobody who may answer: the requester may not, nor may anyone who would get "
                "access back. Add at least one other user there"
            )
        asked = ledger.approvals.request(
            run.run_id, plan.digest, requested_by=run.requested_by, valid_until=plan.valid_until
        )
        if asked.answer is not None:
            if problem := ledger.approvals.problem(asked):
                raise NotApprovedError(
                    f"the ledger holds an answer by {asked.approver!r} to plan {plan.digest[:12]}, but {problem}. "
                    "Nothing is approved; find out who wrote it, and start a new run"
                )
            self.log.info("the ledger already holds the answer: %s by %s", asked.answer, asked.approver)
            return _result(asked.answer, asked.approver, plan.digest)
        _check_request(asked, run, current)
        if self.FIRST and run.params.get("automatic") and self._automatic(ledger, run, plan, current, asked.nonce):
            return _result("approve", BY, plan.digest)
        with reading(current.language, current.time_zone):
            self._write(ledger, run, plan)
        self.assigned_users = [{"id": one.id, "name": one.name or one.id} for one in approvers]
        return None

    def _write(self, ledger: Ledger, run: Run, plan: Plan) -> None:
        """Set the text, the options and the fields of the question. The options are compared, so they stay English."""
        self.subject, self.body = self.question(ledger, run, plan)
        self.body = "\n".join([self.body, *unverified_lines(ledger, run), *settings_text(ledger, run)])
        self.options = [approve_option(plan.digest), REJECT]
        leaving = self.leave_out(ledger, run, plan)
        if leaving:
            self.body = f"{self.body}\n\n{tr(HOW_TO_LEAVE_OUT)}"
        fields = {**leaving, **comment_field()}
        self.params = ParamsDict({name: Param(**field) for name, field in fields.items()})

    def record(self, context: Context, ledger: Ledger, event: dict[str, Any]) -> Any:
        """Record the answer, if it is an answer to exactly the plan that stands now."""
        run = self.run_of(context, ledger)
        plan = ledger.plans.get(run.run_id)
        self.options = [approve_option(plan.digest), REJECT]
        if "error" in event:
            expired = event.get("error_type") == "timeout"
            reason = "the approval window has expired" if expired else "Airflow lost the approval request"
            raise AirflowFailException(f"{reason}: nothing is approved. Start a new run")
        use_keys(ledger, self.settings())
        self.same_requester(context, ledger, run)
        return self._record(ledger, run, plan, event)

    def same_requester(self, context: Context, ledger: Ledger, run: Run) -> None:
        """Compare the requester in the ledger with Airflow's, so that nobody approves a run under another name.

        :raises NotApprovedError: when they differ.
        """
        started_by = Start.of(context["dag_run"]).person
        if started_by != run.requested_by:
            raise NotApprovedError(
                f"Airflow names {started_by!r} as the requester of this run, the ledger {run.requested_by!r}: the "
                "ledger was changed. Nothing is approved; start a new run"
            )

    def excluded(self, ledger: Ledger, run: Run, *names: str) -> str:
        """Return why the user with these names may not answer, beside being the requester; or an empty text."""
        return ""

    def leave_out(self, ledger: Ledger, run: Run, plan: Plan) -> dict[str, dict[str, Any]]:
        """Return the form's field for what is left out; empty where nothing can be left out."""
        return leave_out_field(plan, plan_people(ledger, run))

    def question(self, ledger: Ledger, run: Run, plan: Plan) -> tuple[str, str]:
        """Return subject and body (Markdown) of the request."""
        return approval_request(ledger, run, plan)

    def asked_notice(self, ledger: Ledger, run: Run, settings: Settings) -> Notice:
        """Return the message that an approval is asked for."""
        from rescind.notifications import events  # only where something is told

        return events.asked(ledger, run, ledger.plans.get(run.run_id), settings)

    def answered_notice(self, ledger: Ledger, run: Run, settings: Settings) -> Notice | None:
        """Return the message that the approval was answered, or None without an authentic answer."""
        from rescind.notifications import events  # only where something is told

        plan = ledger.plans.find(run.run_id)
        asked = ledger.approvals.get(run.run_id, plan.digest) if plan else None
        if asked is None or asked.answer is None or ledger.approvals.problem(asked):
            return None
        return events.answered(run, asked, settings)

    def _automatic(self, ledger: Ledger, run: Run, plan: Plan, settings: Settings, nonce: str) -> bool:
        """Approve the plan without a person if its figures allow that."""
        figures, reasons = measure(ledger, run, plan, settings.automatic_approval)
        if reasons:
            self.log.warning("no automatic approval, a person is asked: %s", "; ".join(reasons))
            return False
        ledger.approvals.answer(
            run.run_id, plan.digest, nonce=nonce, answer="approve", responded_by=BY, automatic=True, method=figures
        )
        self.log.info("approved automatically: %s", figures)
        return True

    def _record(self, ledger: Ledger, run: Run, plan: Plan, event: Mapping[str, Any]) -> dict[str, Any]:
        chosen = list(event["chosen_options"])
        if chosen not in ([self.options[0]], [REJECT]):
            raise AirflowFailException("the answer belongs to another plan than the current one. Start a new run")
        fields = answer_fields(event)
        user = Responder.of(event)
        listed = [find_approver(one.approvers, user.id) for one in (self.settings(), self.settings_of(ledger, run))]
        if problem := _may_not_answer(run, user, listed) or self.excluded(ledger, run, user.id, user.name):
            raise AirflowFailException(f"{problem}. Start a new run")
        asked = ledger.approvals.get(run.run_id, plan.digest)
        if asked is None:
            raise AirflowFailException("the ledger holds no approval request for this plan. Start a new run")
        _check_request(asked, run, self.settings())
        answer = "reject" if chosen == [REJECT] else "approve"
        if fields.leave_out and answer == "approve":
            return self._narrow(ledger, run, plan, asked, user, fields, event["responded_at"])
        ledger.approvals.answer(
            run.run_id,
            plan.digest,
            nonce=asked.nonce,
            answer=answer,
            responded_by=user.id,
            responded_by_name=user.name,
            responded_at=event["responded_at"],
            comment=fields.comment,
        )
        self.log.info("%s by %s for plan %s", answer, user, plan.digest[:12])
        return _result(answer, str(user), plan.digest)

    def _narrow(
        self, ledger: Ledger, run: Run, plan: Plan, asked: Approval, user: Responder, fields: AnswerFields, at: datetime
    ) -> dict[str, Any]:
        """Record what the answer leaves out. It approves nothing."""
        if not self.leave_out(ledger, run, plan):
            raise AirflowFailException("in this question nothing can be left out: the answer was not given in its form")
        chosen = [part.chosen for part in chosen_parts(ledger, run, plan, fields)]
        narrowing = ledger.narrowings.record(
            run.run_id,
            plan.digest,
            nonce=asked.nonce,
            left_out=chosen,
            grant_ids=left_out_grants(ledger, run, chosen),
            responded_by=user.id,
            responded_by_name=user.name,
            responded_at=at,
            comment=fields.comment,
        )
        self.log.info("%s left out %d grants of plan %s", narrowing.by, narrowing.grants, plan.digest[:12])
        return _left_out(narrowing)


def _left_out(narrowing: Narrowing) -> dict[str, Any]:
    return {"answer": "leave out", "by": narrowing.by, "plan": narrowing.digest, "grants": narrowing.grants}


def _may_not_answer(run: Run, user: Responder, listed: Sequence[Approver | None]) -> str:
    """Return why this user's answer does not count, or an empty text.

    :param listed: the user in the settings of now and of the run.
    """
    found = [one for one in listed if one is not None]
    users: list[Approver | Responder] = [user, *(one for one in found if one.name)]
    # A user may have been renamed since the run began: the name in the settings counts as well.
    if any(one.may_have_requested(run.requested_by) for one in users):
        return "the requester cannot approve their own run; ask another approver"
    if len(found) < len(listed):
        return "the answer came from a user who is not listed in the setting 'approvers'"
    if any(one.name and not same_user(one.name, user.name or user.id) for one in found):
        return (
            f"setting 'approvers' has another name for user {user.id!r} than Airflow, which says"
            f" {user.name or user.id!r}: the id may belong to another person. Correct the setting"
        )
    return ""


def _result(answer: str, user: str, digest: str) -> dict[str, str]:
    """Return the task's result for a recorded answer; skip everything downstream after a rejection."""
    if answer == "reject":
        raise AirflowSkipException(f"Rejected by {user}: nothing will be sent")
    return {"answer": answer, "by": user, "plan": digest}


def use_keys(ledger: Ledger, settings: Settings) -> None:
    """Give the ledger the approval keys of the deployment.

    :raises ConfigurationError: when none can sign. Nobody is asked in vain.
    """
    ledger.approvals.keys = approval_keys(settings)
    ledger.approvals.keys.require_signing()


def _check_request(asked: Approval, run: Run, settings: Settings) -> None:
    """Check what will be signed beside the answer: the requester, and how long the approval is valid.

    :raises NotApprovedError: when the ledger holds other values than this task wrote.
    :raises PlanStaleError: when the run has ended.
    """
    refuse_ended(run.run_id, run.state, run.finished_at, None)
    latest = datetime.now(UTC) + timedelta(hours=settings.plan_valid_hours)
    if asked.requested_by != run.requested_by or asked.valid_until > latest:
        raise NotApprovedError(
            f"the approval request for plan {asked.digest[:12]} names the requester {asked.requested_by!r} and is "
            f"valid until {asked.valid_until:%Y-%m-%d %H:%M %Z}; expected are {run.requested_by!r} and at most "
            f"{settings.plan_valid_hours} hours ('plan_valid_hours'). Nothing is approved; start a new run"
        )


def approve_option(digest: str) -> str:
    """Return the option that approves a plan. It has the whole digest: a part of it could be that of two plans."""
    return f"Approve {digest}"
