"""Why a grant stays or goes, in words: for one principal or one grant."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from rescind.errors import InputError
from rescind.model import Choice, Decision, Grant
from rescind.review.decide import OTHERWISE, Decider, DecisionContext, unsupported
from rescind.review.knowledge import principal_key
from rescind.review.policy.rules import Answer
from rescind.review.roster.admit import PERSON_SPACE
from rescind.review.text import printable

_WORDS = {True: "holds", False: "does not hold", None: "cannot be answered"}


@dataclass(frozen=True, slots=True)
class Step:
    """What one rule of the policy says.

    :param would: its effect: keep, revoke or ask.
    :param holds: None when something is unknown.
    :param facts: what it looked at.
    """

    rule: str
    would: str
    condition: str
    holds: bool | None
    facts: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Explanation:
    """The decision on one grant and the way to it.

    :param ids: all (space, id) pairs under which the principal is known.
    :param person: the roster's ``person_id``, or empty.
    :param matched_by: how the person was found, see :class:`~rescind.review.roster.matching.Match`.
    :param steps: every rule of the policy, also those behind the one that decided.
    """

    grant: Grant
    decision: Decision
    ids: tuple[tuple[str, str], ...]
    person: str
    matched_by: str
    steps: tuple[Step, ...]


def explain(
    grants: Iterable[Grant], ctx: DecisionContext, *, principal: str = "", grant_id: str = ""
) -> Iterator[Explanation]:
    """Yield explanations for the grants of one principal (by its exact id in any id space), or for one grant.

    :raises InputError: when neither or both are named.
    """
    if bool(principal) == bool(grant_id):
        raise InputError("principal, grant_id", "exactly one of the two must be given", "Name a principal or a grant.")
    decider = Decider(ctx)
    return (_explained(grant, decider) for grant in grants if _wanted(grant, decider, principal, grant_id))


def _wanted(grant: Grant, decider: Decider, principal: str, grant_id: str) -> bool:
    if grant_id:
        return grant.grant_id == grant_id
    return any(value == principal for _, value in _ids(grant, decider))


def _ids(grant: Grant, decider: Decider) -> tuple[tuple[str, str], ...]:
    view = decider.view(grant)
    pairs = list(decider.people.ids(principal_key(grant)))
    if view.person is not None:
        pairs += [*view.person.ids.items(), (PERSON_SPACE, view.person.person_id)]
    return tuple(dict.fromkeys(pairs))


def _explained(grant: Grant, decider: Decider) -> Explanation:
    view = decider.view(grant)
    runners = decider.runner.runners if decider.runner and not unsupported(grant) else []
    steps = tuple(
        _step(runner.rule.id, runner.rule.effect, runner.rule.condition.text, runner.answer(grant, view))
        for runner in runners
    )
    person = view.person.person_id if view.person else ""
    return Explanation(grant, decider.decide(grant), _ids(grant, decider), person, view.method, steps)


def _step(rule: str, would: str, condition: str, answer: Answer) -> Step:
    return Step(rule, would, condition, answer.holds, answer.facts)


def render_explanation(explanation: Explanation) -> str:
    """The explanation as plain text of several lines; vendor text is shown with its control characters escaped."""
    grant, decision, key = explanation.grant, explanation.decision, explanation.grant.key
    verb = "goes" if decision.choice is Choice.REVOKE else "stays unless its owner objects" if decision.ask else "stays"
    ids = ", ".join(f"{space}={_shown(value)}" for space, value in explanation.ids)
    lines = [
        f"{verb}: {_shown(key.entitlement)} on {key.resource_type} {_shown(key.resource_id)} ({key.system})",
        f"  grant      {decision.grant_id}",
        f"  principal  {key.principal_type} {ids}",
        f"  person     {_shown(explanation.person) or 'not matched'} ({explanation.matched_by})",
        f"  because    {decision.rule}: {_shown(decision.reason)}",
    ]
    if grant.expires_raw:
        lines.append(f"  ends       {_shown(grant.expires_raw)}")
    lines += [f"  {name} = {_shown(value)}" for name, value in sorted(decision.facts.items())]
    if explanation.steps and decision.rule.startswith("kept.") and decision.rule != OTHERWISE:
        lines.append("  rules that were not reached:")
    elif explanation.steps:
        lines.append("  rules:")
    for step in explanation.steps:
        lines.append(f"    {step.rule} ({step.would}) {_WORDS[step.holds]}: {' '.join(step.condition.split())}")
        lines += [f"      {name} = {_shown(value)}" for name, value in sorted(step.facts.items())]
    return "\n".join(lines)


def _shown(value: object) -> str:
    return printable(str(value))
