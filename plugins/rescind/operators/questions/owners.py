"""Questions to owners: one request for each reviewer, answered or handed over once, recorded in the ledger."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, ClassVar

from airflow.sdk.definitions.param import Param, ParamsDict
from airflow.sdk.exceptions import AirflowException, AirflowSkipException

from rescind.errors import InputError
from rescind.i18n import reading, tr
from rescind.ledger import Ledger, Question, Run
from rescind.operators.bases.human_input import HumanInputOperator
from rescind.settings import Settings
from rescind.workflow.question.approval_text import question_body
from rescind.workflow.question.owner_questions import fields, options, read_answer
from rescind.workflow.references import QuestionRef

if TYPE_CHECKING:
    from airflow.sdk import Context

    from rescind.notifications.events import Notice

LEAST_TIME = timedelta(minutes=30)
"""A question is handed over at least this long before it is due, so that the colleague has time to answer."""


class AskOwnerOperator(HumanInputOperator):
    """Ask one reviewer about the grants of one question and record the answer in the ledger.

    Every option carries the question's digest, so an answer to one list can never count for another. The reviewer
    chooses single items to revoke, or all, or keeps all; items that are not chosen stay. When the time runs out, the
    rule ``no_answer`` of the owners file applies and is recorded. The due date is set when the question is put for the
    first time, and never moves; a later answer does not count. A run with an unsettled question gets no plan: the
    planning task reads the ledger, not the state of this task.

    A reviewer may hand the question over to a colleague of the owners file, once, instead of an answer. The colleague
    is asked by :class:`AskDelegateOperator`.

    An answer that is not clear records nothing. The task is tried again, which puts the same question again.

    :param question: ``{"question": digest, "label": text}`` from the deciding task.
    :param ledger_conn_id: connection of the ledger's PostgreSQL database.
    :param notifiers: called once when the task starts to wait for the reviewer, for example Airflow's ``HttpNotifier``.
        The chats of the setting ``notifications`` are not told: a campaign may ask hundreds of owners.
    """

    template_fields = ("question",)  # type: ignore[assignment]  # the base has none
    chats_of_settings = False
    LABELS: ClassVar[dict[str, str]] = {
        "task_display_name": "Ask owners",
        "map_index_template": "{{ task.question['label'] }}",
        "doc_md": "The owner of a resource chooses which grants to revoke. Answer under *Required Actions*.",
    }

    def __init__(self, *, question: QuestionRef, **kwargs: Any) -> None:
        fixed = {"subject": "Access to your resources", "options": ["Keep all listed"], "multiple": True}
        super().__init__(**{**kwargs, **fixed})
        self.question = question

    def ask(self, context: Context, ledger: Ledger) -> dict[str, Any] | None:
        """Put the question; ask nobody when the ledger already holds the answer, or who was asked instead."""
        run = self.run_of(context, ledger)
        question = self.asked_question(ledger, run)
        if question.method or not self.mine(question):
            return _result(question)
        within = timedelta(hours=self.settings_of(ledger, run).campaign_hours)
        question = ledger.questions.put(run.run_id, question.digest, within=within)
        left = (question.due_at or datetime.now(UTC)) - datetime.now(UTC)
        if left <= timedelta(0):
            return self._close(ledger, run, question)
        settings = self.settings()
        with reading(settings.language, settings.time_zone):
            self.subject = tr(
                "Which of these {count} grants should be revoked? ({digest})",
                count=len(question.items),
                digest=question.digest[:8],
            )
            self.body = question_body(run, question)
            self.params = ParamsDict({name: Param(**one) for name, one in fields(question).items()})
        self.options = options(question)
        self.assigned_users = [{"id": question.asked, "name": question.delegates.get(question.asked) or question.asked}]
        self.response_timeout = left
        return None

    def mine(self, question: Question) -> bool:
        """Return whether this task asks the person who is asked now."""
        return question.handover is None

    def asked_question(self, ledger: Ledger, run: Run) -> Question:
        """Return the question as the ledger has it."""
        return ledger.questions.get(run.run_id, self.question["question"])

    def asked_notice(self, ledger: Ledger, run: Run, settings: Settings) -> Notice:
        """Return the message that the owner, or the colleague, is asked."""
        from rescind.notifications import events  # only where something is told

        return events.asked_owner(run, self.asked_question(ledger, run), settings)

    def record(self, context: Context, ledger: Ledger, event: dict[str, Any]) -> dict[str, Any]:
        """Record the answer or the hand-over, or apply ``no_answer`` after a timeout.

        :raises AirflowException: when the answer is not clear, or Airflow lost the question; the task's retry asks
            again.
        """
        run = self.run_of(context, ledger)
        question = self.asked_question(ledger, run)
        if event.get("error_type") == "timeout":
            return self._close(ledger, run, question) if self.mine(question) else _result(question)
        if "error" in event:
            raise AirflowException("Airflow lost the question; the retry asks again")
        if not question.method and question.due_at is not None and event["responded_at"] > question.due_at:
            self.log.warning("the answer came after the due date %s and does not count", question.due_at)
            return self._close(ledger, run, question)
        try:
            return self._record(ledger, run, question, event)
        except InputError as error:
            raise AirflowException(
                f"{error}. Nothing was recorded: every grant stays, and the question is open. It is asked again while "
                f"this task has tries left. After that clear the task before {question.due_at}: later, no answer means "
                f"{question.no_answer}"
            ) from None

    def _record(self, ledger: Ledger, run: Run, question: Question, event: Mapping[str, Any]) -> dict[str, Any]:
        user, at = str((event.get("responded_by_user") or {}).get("id") or ""), event["responded_at"]
        answer = read_answer(question, event)
        if answer.hand_to:
            if question.due_at is not None and at > question.due_at - LEAST_TIME:
                raise InputError("answer", "is too late to hand the question over", "Answer it yourself")
            handed = ledger.questions.hand_over(
                run.run_id, question.digest, by=user, to=answer.hand_to, comment=answer.comment, at=at
            )
            self.log.info("%s hands %d grants over to %s", user, len(question.items), answer.hand_to)
            return _result(handed)
        answered = ledger.questions.answer(
            run.run_id,
            question.digest,
            revoke=answer.revoke,
            responded_by=user,
            responded_at=at,
            comment=answer.comment,
        )
        self.log.info("%s: %d of %d grants to revoke", user, len(answer.revoke), len(question.items))
        return _result(answered)

    def _close(self, ledger: Ledger, run: Run, question: Question) -> dict[str, Any]:
        closed = ledger.questions.close(run.run_id, question.digest, at=datetime.now(UTC))
        if closed.method == "no_answer":
            self.log.warning("no answer in time; no_answer applies: %s", closed.no_answer)
        return _result(closed)


class AskDelegateOperator(AskOwnerOperator):
    """Ask the colleague to whom a reviewer has handed a question over; without a hand-over the task is skipped.

    It is a task of its own: Airflow keeps text and users of a question for as long as its task instance. Only the
    colleague may answer then. The due date is that of the reviewer's question. Nothing can be handed over again.
    """

    LABELS: ClassVar[dict[str, str]] = {
        **AskOwnerOperator.LABELS,
        "task_display_name": "Ask colleagues",
        "doc_md": "Asks only if an owner has handed a question over: the colleague. Answer under *Required Actions*.",
    }

    def ask(self, context: Context, ledger: Ledger) -> dict[str, Any] | None:
        """Put the question to the colleague.

        :raises AirflowSkipException: when the question was not handed over.
        """
        if not self.mine(self.asked_question(ledger, self.run_of(context, ledger))):
            raise AirflowSkipException("The owner has not handed this question over")
        return super().ask(context, ledger)

    def mine(self, question: Question) -> bool:
        """Return whether the question was handed over."""
        return question.handover is not None


def _result(question: Question) -> dict[str, Any]:
    """Return the task's result; the items themselves are in the ledger."""
    revoke = sum(item.answer == "revoke" for item in question.items)
    result = {"question": question.digest, "by": question.responded_by, "method": question.method, "revoke": revoke}
    return {**result, "handed_to": question.handover.to} if question.handover else result
