"""Approval: a person sees exactly the plan that will be executed, and answers once."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, ClassVar

from airflow.sdk.definitions.param import Param, ParamsDict
from airflow.sdk.exceptions import AirflowException, AirflowFailException, AirflowSkipException

from rescind.approvers import Responder, find_approver, may_not_answer
from rescind.errors import ConfigurationError, InputError, NotApprovedError
from rescind.hooks.signing_keys import approval_keys
from rescind.i18n import mark, reading, tr
from rescind.ledger import Approval, Ledger, Narrowing, Plan, Run
from rescind.ledger.plans.approvals import APPROVE
from rescind.ledger.plans.send_checks import refuse_ended
from rescind.operators.bases.human_input import HumanInputOperator
from rescind.settings import Settings
from rescind.workflow.auto_approval import BY, measure
from rescind.workflow.narrowing.left_out import chosen_parts, leave_out_field, left_out_grants
from rescind.workflow.narrowing.narrow import narrowing_of
from rescind.workflow.narrowing.selected import refuse_unused, selection_option, selection_to_use
from rescind.workflow.question.answer_fields import AnswerFields, answer_fields, comment_field
from rescind.workflow.question.approval_text import approval_request
from rescind.workflow.question.people_text import PAGE
from rescind.workflow.question.plan_people import plan_people
from rescind.workflow.run_occasion import Start, unverified_lines
from rescind.workflow.run_settings import settings_text

if TYPE_CHECKING:
    from airflow.sdk import Context

    from rescind.notifications.events import Notice

REJECT = "Reject"
USE = "selection"
HOW_TO_LEAVE_OUT = mark(
    "To let some people keep what they have, choose them under *Leave out*, write the reason into the comment, and "
    "press Approve. To let single lines stay, [tick them on the page]({page}), save, and press *Use my selection*. "
    "Nothing is sent then: a second question shows the plan without them, and only its answer approves."
)
Choice = tuple[Sequence[Sequence[str]], str]
"""What an answer leaves out, as the ledger keeps it, and why."""


class ApprovePlanOperator(HumanInputOperator):
    """Ask the deployment's approvers about the frozen plan and record the one answer in the ledger.

    The option to approve carries the plan's digest, so an answer to an older request can never approve a newer plan.
    There is no default: a missing answer is never treated as approval. The requester is not asked, and the ledger
    refuses their answer as well. The revoking tasks check the recorded approval themselves; the state of this task
    has no effect.

    A rejection, an answer from somebody who was not asked, and a timeout are final.

    An approver may leave out people, or use the lines that they selected on the page. That is recorded as what it is,
    signed, and approves nothing. The narrower plan is put to the approvers by
    :class:`~rescind.operators.questions.approve_part.ApprovePartOperator`.

    An answer that is not clear (an unknown entry, no reason, no selection, an own selection that it does not use)
    records nothing. The task is tried again:
    that puts the same question again, because the plan, and with it the text that Airflow keeps, has not changed.

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
        leaving = self.leave_out(ledger, run, plan)
        self.options = [approve_option(plan.digest), *([selection_option(plan.digest)] if leaving else []), REJECT]
        if leaving:
            how = tr(HOW_TO_LEAVE_OUT, page=f"{PAGE}/{run.number}/select")
            self.body = f"{self.body}\n\n{how}"
        fields = {**leaving, **comment_field()}
        self.params = ParamsDict({name: Param(**field) for name, field in fields.items()})

    def record(self, context: Context, ledger: Ledger, event: dict[str, Any]) -> Any:
        """Record the answer, if it is an answer to exactly the plan that stands now."""
        run = self.run_of(context, ledger)
        plan = ledger.plans.get(run.run_id)
        if "error" in event:
            expired = event.get("error_type") == "timeout"
            reason = "the approval window has expired" if expired else "Airflow lost the approval request"
            raise AirflowFailException(f"{reason}: nothing is approved. Start a new run")
        use_keys(ledger, self.settings())
        self.same_requester(context, ledger, run)
        try:
            return self._record(ledger, run, plan, event)
        except InputError as error:
            # Nothing is recorded, and the plan is the same: its question may be put again, as Airflow stored it.
            raise AirflowException(
                f"{error}. Nothing was recorded, and nothing is sent. The same question is asked again while this task "
                "has tries left; after that start a new run"
            ) from None

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
        options = {approve_option(plan.digest): APPROVE, selection_option(plan.digest): USE, REJECT: "reject"}
        chosen = list(event["chosen_options"])
        if len(chosen) != 1 or chosen[0] not in options:
            raise AirflowFailException("the answer belongs to another plan than the current one. Start a new run")
        answer = options[chosen[0]]
        fields = answer_fields(event)
        user = Responder.of(event)
        listed = [find_approver(one.approvers, user.id) for one in (self.settings(), self.settings_of(ledger, run))]
        if problem := may_not_answer(run.requested_by, user, listed) or self.excluded(ledger, run, user.id, user.name):
            raise AirflowFailException(f"{problem}. Start a new run")
        asked = ledger.approvals.get(run.run_id, plan.digest)
        if asked is None:
            raise AirflowFailException("the ledger holds no approval request for this plan. Start a new run")
        _check_request(asked, run, self.settings())
        if answer == APPROVE:
            refuse_unused(ledger, run, plan, user.id)
        if answer == USE or (fields.leave_out and answer == APPROVE):
            at = event["responded_at"]
            if not self.leave_out(ledger, run, plan):
                raise AirflowFailException(
                    "in this question nothing can be left out: the answer was not given in its form"
                )
            choose = _selected if answer == USE else _chosen
            return self._narrow(ledger, run, plan, asked, user, choose(ledger, run, plan, user, fields, at), at)
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
        self, ledger: Ledger, run: Run, plan: Plan, asked: Approval, user: Responder, choice: Choice, at: datetime
    ) -> dict[str, Any]:
        """Record what the answer leaves out. It approves nothing."""
        chosen, comment = choice
        narrowing = ledger.narrowings.record(
            run.run_id,
            plan.digest,
            nonce=asked.nonce,
            left_out=chosen,
            grant_ids=left_out_grants(ledger, run, chosen),
            responded_by=user.id,
            responded_by_name=user.name,
            responded_at=at,
            comment=comment,
        )
        self.log.info("%s left out %d grants of plan %s", narrowing.by, narrowing.grants, plan.digest[:12])
        return _left_out(narrowing)


def _chosen(ledger: Ledger, run: Run, plan: Plan, _user: Responder, fields: AnswerFields, _at: datetime) -> Choice:
    """Return the people that the form of the question leaves out, and the reason."""
    return [part.chosen for part in chosen_parts(ledger, run, plan, fields)], fields.comment


def _selected(
    ledger: Ledger, run: Run, plan: Plan, user: Responder, fields: AnswerFields, responded_at: datetime
) -> Choice:
    """Return the selection of the user who answered, and its reason; a comment of the answer is added to it."""
    if fields.leave_out:
        raise InputError("answer", "uses a selection and names people to leave out", "Answer with one of both")
    found = selection_to_use(ledger, run, plan, user.id, responded_at)
    return [found.entry], "\n".join(filter(None, (found.comment, fields.comment)))


def _left_out(narrowing: Narrowing) -> dict[str, Any]:
    return {"answer": "leave out", "by": narrowing.by, "plan": narrowing.digest, "grants": narrowing.grants}


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
