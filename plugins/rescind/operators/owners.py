"""The owners of resources are asked about single grants: one request for each person, answered once, kept for good."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, ClassVar

from airflow.providers.standard.operators.hitl import HITLOperator
from airflow.sdk import Variable
from airflow.sdk.exceptions import AirflowException, AirflowFailException

from rescind.errors import InputError, RescindError
from rescind.hooks.ledger import LedgerHook
from rescind.ledger import Ledger, NewQuestion, Question, QuestionItem, Run
from rescind.model import Decision
from rescind.operators.approve import careful
from rescind.operators.links import ReviewLink
from rescind.review import Decider, Owners
from rescind.review.owners import questions
from rescind.settings import LEDGER_CONNECTION, VARIABLE, Settings
from rescind.workflow.approval_text import question_body

if TYPE_CHECKING:
    from airflow.sdk import Context

MOST_QUESTIONS = 200
"""Most requests of one run: each is a mapped task."""


class AskOwnerOperator(HITLOperator):
    """Asks one reviewer about the grants of one question and records the answer in the ledger.

    Every option carries the question's digest, so that the answer to a list can never count for another one. The
    reviewer chooses single items to revoke, or all, or keeps all; whatever is not named stays. When nobody answers in
    time, the rule of the owners file does, and the ledger says so. Without a settled question there is no plan: the
    plan reads the ledger, not this task's state.

    :param question: ``{"question": digest, "label": text}`` from the deciding task.
    """

    template_fields = ()
    operator_extra_links = (ReviewLink(),)
    run_number: int | None = None
    LOOKS: ClassVar[dict[str, str]] = {
        "task_display_name": "Ask owners",
        "map_index_template": "{{ task.question['label'] }}",
        "doc_md": "The owner of a resource says which grants go. See *Required actions*.",
    }

    def __init__(self, *, question: dict[str, str], ledger_conn_id: str = LEDGER_CONNECTION, **kwargs: Any) -> None:
        fixed = {"subject": "Access of your resources", "options": ["Keep all listed"], "multiple": True}
        super().__init__(**{**self.LOOKS, **kwargs, **fixed})
        self.question = question
        self.notifiers = [careful(notifier, self.log) for notifier in self.notifiers]  # type: ignore[misc]
        self.ledger_conn_id = ledger_conn_id

    def execute(self, context: Context) -> Any:
        """Put the question; done at once when the ledger holds its answer."""
        try:
            with LedgerHook(self.ledger_conn_id).get_conn() as ledger:
                run, question = self._question(context, ledger)
                if question.method:
                    return _conclude(question)
                settings = Settings.parse(Variable.get(VARIABLE, default=None, deserialize_json=True))
                self.subject = f"Which of these {len(question.items)} grants go? ({question.digest[:8]})"
                self.body = question_body(run, question)
                self.options = options(question)
                self.assigned_users = [{"id": question.reviewer, "name": question.reviewer}]
                self.response_timeout = timedelta(hours=settings.campaign_hours)
        except RescindError as error:
            raise AirflowFailException(f"{type(error).__name__}: {error}") from error
        return super().execute(context)

    def execute_complete(self, context: Context, event: dict[str, Any]) -> Any:
        """Record the answer, or what its absence means."""
        with LedgerHook(self.ledger_conn_id).get_conn() as ledger:
            try:
                run, question = self._question(context, ledger)
                if event.get("error_type") == "timeout":
                    question = ledger.questions.close(run.run_id, question.digest, at=datetime.now(UTC))
                    self.log.warning("nobody answered in time: %s", question.no_answer)
                    return _conclude(question)
                if "error" in event:
                    raise AirflowException("the question was lost; it is asked again")
                gone = chosen(question, event["chosen_options"])
                user = str((event.get("responded_by_user") or {}).get("id") or "")
                answered = ledger.questions.answer(
                    run.run_id, question.digest, revoke=gone, responded_by=user, responded_at=event["responded_at"]
                )
            except RescindError as error:
                raise AirflowFailException(f"{type(error).__name__}: {error}") from error
        self.log.info("%s: %d of %d grants go", user, len(gone), len(question.items))
        return _conclude(answered)

    def _question(self, context: Context, ledger: Ledger) -> tuple[Run, Question]:
        dag_run = context["dag_run"]
        run = ledger.runs.find(dag_run.dag_id, dag_run.run_id)
        if run is None:
            raise AirflowFailException("this DAG run has no run in the ledger. Start a new run")
        self.run_number = run.number
        return run, ledger.questions.get(run.run_id, self.question["question"])


def put_questions(
    ledger: Ledger, run: Run, owners: Owners, decider: Decider, asked: Mapping[str, Decision]
) -> tuple[list[dict[str, str]], Sequence[str]]:
    """Write the questions about these decisions to the ledger.

    :param asked: grant id -> decision of a rule that asks.
    :returns: one ``{"question": digest, "label": text}`` for each question, for mapping, and the ids of grants about
        which nobody may be asked but their holder.
    :raises InputError: a resource without a reviewer, or more than :data:`MOST_QUESTIONS` questions.
    """
    grants = ledger.snapshot.grants_by_id(run.run_id, asked) if asked else {}
    found = questions(((grants[name], decision) for name, decision in asked.items()), owners, decider)
    if len(found.questions) > MOST_QUESTIONS:
        problem = f"{len(asked)} grants make {len(found.questions)} questions, more than {MOST_QUESTIONS}"
        raise InputError(f"policy, {owners.source}", problem, "Narrow the rules that ask.")
    new = [
        NewQuestion(ask.reviewer, owners.no_answer, tuple(QuestionItem(*item) for item in ask.items))
        for ask in found.questions
    ]
    put = ledger.questions.ask(run.run_id, new)
    return [{"question": q.digest, "label": f"{q.reviewer} · {len(q.items)} grants"} for q in put], found.own


def options(question: Question) -> list[str]:
    """What the reviewer may choose; several of them at once."""
    mark = question.digest[:8]
    single = [f"Revoke {number} ({mark})" for number in range(1, len(question.items) + 1)]
    return [f"Keep all listed ({mark})", f"Revoke all listed ({mark})", *single]


def chosen(question: Question, answer: Sequence[str]) -> list[str]:
    """Ids of the grants that the answer takes away. With "keep all" among the choices, none.

    :raises InputError: for choices that are not this question's.
    """
    keep, everything, *single = options(question)
    if not answer or not set(answer) <= {keep, everything, *single}:
        raise InputError("answer", "it belongs to another list than the one that was put", "Start a new run.")
    if keep in answer:
        return []
    return [
        item.grant_id for item, option in zip(question.items, single, strict=True) if {everything, option} & set(answer)
    ]


def _conclude(question: Question) -> dict[str, Any]:
    """The task's result; the items themselves are in the ledger."""
    revoke = sum(item.answer == "revoke" for item in question.items)
    return {"question": question.digest, "by": question.responded_by, "method": question.method, "revoke": revoke}
