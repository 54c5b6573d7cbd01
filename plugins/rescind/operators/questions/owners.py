"""Questions to owners: one request for each reviewer, answered once, recorded in the ledger."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, ClassVar

from airflow.sdk.exceptions import AirflowException

from rescind.i18n import reading, tr
from rescind.ledger import Ledger, Question, Run
from rescind.operators.bases.human_input import HumanInputOperator
from rescind.settings import Settings
from rescind.workflow.question.approval_text import question_body
from rescind.workflow.question.owner_questions import chosen, options
from rescind.workflow.references import QuestionRef

if TYPE_CHECKING:
    from airflow.sdk import Context

    from rescind.notifications.events import Notice


class AskOwnerOperator(HumanInputOperator):
    """Ask one reviewer about the grants of one question and record the answer in the ledger.

    Every option carries the question's digest, so an answer to one list can never count for another. The reviewer
    chooses single items to revoke, or all, or keeps all; items that are not chosen stay. When the time runs out, the
    rule ``no_answer`` of the owners file applies and is recorded. A run with an unsettled question gets no plan: the
    planning task reads the ledger, not the state of this task.

    :param question: ``{"question": digest, "label": text}`` from the deciding task.
    :param ledger_conn_id: connection of the ledger's PostgreSQL database.
    :param notifiers: called once when the task starts to wait for the reviewer, for example Airflow's ``HttpNotifier``.
        The chats of the setting ``notifications`` are not told: a campaign may ask hundreds of owners.
    """

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
        """Put the question; ask nobody when the ledger already holds the answer."""
        run = self.run_of(context, ledger)
        question = ledger.questions.get(run.run_id, self.question["question"])
        if question.method:
            return _result(question)
        settings = self.settings()
        with reading(settings.language, settings.time_zone):
            self.subject = tr(
                "Which of these {count} grants should be revoked? ({digest})",
                count=len(question.items),
                digest=question.digest[:8],
            )
            self.body = question_body(run, question)
        self.options = options(question)
        self.assigned_users = [{"id": question.reviewer, "name": question.reviewer}]
        self.response_timeout = timedelta(hours=self.settings_of(ledger, run).campaign_hours)
        return None

    def asked_notice(self, ledger: Ledger, run: Run, settings: Settings) -> Notice:
        """Return the message that the owner is asked."""
        from rescind.notifications import events  # only where something is told

        return events.asked_owner(run, ledger.questions.get(run.run_id, self.question["question"]), settings)

    def record(self, context: Context, ledger: Ledger, event: dict[str, Any]) -> dict[str, Any]:
        """Record the answer, or apply ``no_answer`` after a timeout.

        :raises AirflowException: when Airflow lost the question; the task's retry asks again.
        """
        run = self.run_of(context, ledger)
        question = ledger.questions.get(run.run_id, self.question["question"])
        if event.get("error_type") == "timeout":
            question = ledger.questions.close(run.run_id, question.digest, at=datetime.now(UTC))
            self.log.warning("no answer in time; no_answer applies: %s", question.no_answer)
            return _result(question)
        if "error" in event:
            raise AirflowException("Airflow lost the question; the retry asks again")
        revoke = chosen(question, event["chosen_options"])
        user = str((event.get("responded_by_user") or {}).get("id") or "")
        answered = ledger.questions.answer(
            run.run_id, question.digest, revoke=revoke, responded_by=user, responded_at=event["responded_at"]
        )
        self.log.info("%s: %d of %d grants to revoke", user, len(revoke), len(question.items))
        return _result(answered)


def _result(question: Question) -> dict[str, Any]:
    """Return the task's result; the items themselves are in the ledger."""
    revoke = sum(item.answer == "revoke" for item in question.items)
    return {"question": question.digest, "by": question.responded_by, "method": question.method, "revoke": revoke}
