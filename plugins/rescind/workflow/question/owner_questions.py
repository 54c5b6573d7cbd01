"""Questions to owners: build them, list the options of one, and read the answer."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from rescind.errors import InputError
from rescind.i18n import tr
from rescind.ledger import Ledger, NewQuestion, Question, QuestionItem, Run
from rescind.model import Decision
from rescind.review import Decider, Owners
from rescind.review.owners import questions
from rescind.users import shown_user
from rescind.workflow.question.answer_fields import COMMENT, MOST_COMMENT, read_comment
from rescind.workflow.references import QuestionRef

MOST_QUESTIONS = 200
"""Maximum number of questions in one run: each is a mapped task."""
DELEGATE = "delegate"
_REMEDY = "Answer with the form of the question"
_HOW = "Choose *Hand over* as the only option, and the colleague in the field below it"


def asked_decisions(ledger: Ledger, run: Run, decider: Decider) -> Mapping[str, Decision]:
    """Return the decisions of rules that ask, by grant id, from the ledger."""
    rules = [rule.id for rule in decider.ctx.policy.rules if rule.asks] if decider.ctx.policy else []
    found = ledger.decisions.bare(run.run_id, rules=rules) if rules else ()
    return {decision.grant_id: replace(decision, ask=True) for decision in found}


def put_questions(
    ledger: Ledger, run: Run, owners: Owners, decider: Decider, asked: Mapping[str, Decision]
) -> tuple[list[QuestionRef], Sequence[str]]:
    """Write the questions about these decisions to the ledger.

    :param asked: grant id -> decision of a rule that asks.
    :returns: one ``{"question": digest, "label": text}`` for each question, for mapping, and the ids of the grants
        whose only possible reviewer is their own holder.
    :raises InputError: for a resource without a reviewer, or more than :data:`MOST_QUESTIONS` questions.
    """
    grants = ledger.snapshot.grants_by_id(run.run_id, asked) if asked else {}
    found = questions(((grants[name], decision) for name, decision in asked.items()), owners, decider)
    if len(found.questions) > MOST_QUESTIONS:
        problem = f"{len(asked)} grants make {len(found.questions)} questions, more than {MOST_QUESTIONS}"
        raise InputError(f"policy, {owners.source}", problem, "Narrow the rules that ask.")
    new = [
        NewQuestion(
            ask.reviewer,
            ask.no_answer,
            tuple(QuestionItem(*item) for item in ask.items),
            delegates=ask.delegates,
        )
        for ask in found.questions
    ]
    put = ledger.questions.ask(run.run_id, new)
    return [{"question": q.digest, "label": f"{q.reviewer} · {len(q.items)} grants"} for q in put], found.own


def options(question: Question) -> list[str]:
    """Return the options of a question; who is asked may choose several. A colleague cannot hand it over again."""
    mark = question.digest[:8]
    single = [f"Revoke {number} ({mark})" for number in range(1, len(question.items) + 1)]
    handing = [f"Hand over ({mark})"] if _may_hand_over(question) else []
    return [f"Keep all listed ({mark})", f"Revoke all listed ({mark})", *single, *handing]


def fields(question: Question) -> dict[str, dict[str, Any]]:
    """Return the form's fields, as Airflow's ``Param`` takes them; each accepts null."""
    comment = {
        "default": None,
        "type": ["string", "null"],
        "maxLength": MOST_COMMENT,
        "title": tr("Comment (optional)"),
        "description": tr("It is recorded with the answer and is part of the evidence. Do not write secrets."),
    }
    if not _may_hand_over(question):
        return {COMMENT: comment}
    labels = {"null": tr("nobody"), **{one: shown_user(one, name) for one, name in question.delegates.items()}}
    colleague = {
        "default": None,
        "type": ["string", "null"],
        "enum": [None, *question.delegates],
        "values_display": labels,
        "title": tr("Hand over to (optional)"),
        "description": tr(
            "This colleague is asked instead of you, until the same time. Choose Hand over as the only option. It "
            "cannot be undone."
        ),
    }
    return {DELEGATE: colleague, COMMENT: comment}


@dataclass(frozen=True, slots=True)
class OwnerAnswer:
    """A checked answer.

    :param revoke: ids of the grants to revoke; all others stay.
    :param hand_to: Airflow user id of the colleague who is asked instead, or empty. Then ``revoke`` is empty too.
    """

    revoke: tuple[str, ...] = ()
    hand_to: str = ""
    comment: str = ""


def read_answer(question: Question, event: Mapping[str, Any]) -> OwnerAnswer:
    """Return what an answer says. Airflow checks neither the fields nor how they go together.

    :param event: Airflow's event, with ``chosen_options`` and ``params_input``.
    :raises InputError: for anything that is not one clear answer to exactly this question.
    """
    given = event.get("params_input") or {}
    if not isinstance(given, Mapping) or not set(given) <= {COMMENT, DELEGATE}:
        raise InputError("answer", "its fields are not those of the form", _REMEDY)
    choices, colleague = list(event["chosen_options"]), given.get(DELEGATE)
    comment = read_comment(given.get(COMMENT))
    if colleague in (None, "") and not any(choice in _handing(question) for choice in choices):
        return OwnerAnswer(tuple(chosen(question, choices)), comment=comment)
    if choices != _handing(question):
        raise InputError("answer", "both hands the question over and answers it, or hands nothing over", _HOW)
    if not isinstance(colleague, str) or colleague not in question.delegates:
        raise InputError("answer", "names nobody to whom this question may be handed over", _HOW)
    return OwnerAnswer(hand_to=colleague, comment=comment)


def chosen(question: Question, answer: Sequence[str]) -> list[str]:
    """Return the ids of the grants that the answer revokes; none if "keep all" is among the choices.

    :raises InputError: for choices that are not this question's.
    """
    keep, everything, *single = options(question)[: len(question.items) + 2]
    if not answer or not set(answer) <= {keep, everything, *single}:
        raise InputError("answer", "it belongs to another list of grants than this question", "Start a new run.")
    if keep in answer:
        return []
    return [
        item.grant_id for item, option in zip(question.items, single, strict=True) if {everything, option} & set(answer)
    ]


def _handing(question: Question) -> list[str]:
    return options(question)[len(question.items) + 2 :]


def _may_hand_over(question: Question) -> bool:
    return bool(question.delegates) and question.handover is None
