"""Questions to owners: build them, list the options of one, and read the answer."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

from rescind.errors import InputError
from rescind.ledger import Ledger, NewQuestion, Question, QuestionItem, Run
from rescind.model import Decision
from rescind.review import Decider, Owners
from rescind.review.owners import questions
from rescind.workflow.references import QuestionRef

MOST_QUESTIONS = 200
"""Maximum number of questions in one run: each is a mapped task."""


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
        NewQuestion(ask.reviewer, ask.no_answer, tuple(QuestionItem(*item) for item in ask.items))
        for ask in found.questions
    ]
    put = ledger.questions.ask(run.run_id, new)
    return [{"question": q.digest, "label": f"{q.reviewer} · {len(q.items)} grants"} for q in put], found.own


def options(question: Question) -> list[str]:
    """Return the options of a question; the reviewer may choose several."""
    mark = question.digest[:8]
    single = [f"Revoke {number} ({mark})" for number in range(1, len(question.items) + 1)]
    return [f"Keep all listed ({mark})", f"Revoke all listed ({mark})", *single]


def chosen(question: Question, answer: Sequence[str]) -> list[str]:
    """Return the ids of the grants that the answer revokes; none if "keep all" is among the choices.

    :raises InputError: for choices that are not this question's.
    """
    keep, everything, *single = options(question)
    if not answer or not set(answer) <= {keep, everything, *single}:
        raise InputError("answer", "it belongs to another list of grants than this question", "Start a new run.")
    if keep in answer:
        return []
    return [
        item.grant_id for item, option in zip(question.items, single, strict=True) if {everything, option} & set(answer)
    ]
