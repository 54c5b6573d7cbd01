"""What a plan takes from whom: its grants by person of the roster, what is held back, and what nobody can remove.

Counts are of grants. Every planned item is counted exactly once, so the sums of persons, rules and systems agree.
"""

from __future__ import annotations

import heapq
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

from rescind.ledger import Ledger, Run
from rescind.model import ASKED_FOR, Choice, Decision, Grant, ItemState, PrincipalType
from rescind.review import PrincipalKey, principal_key
from rescind.run_state.states import was_left_out
from rescind.systems.entitlement_class import EntitlementClass, entitlement_class
from rescind.workflow.closing.surroundings import product
from rescind.workflow.question.risk import LEVELS, Risk, risk_of

NAMED = 12
"""Grants that are kept by name for each list."""
Loss = tuple[str, EntitlementClass, str]
"""Permission system, class of the entitlement, kind of resource."""
Holder = tuple[str, str, str]
"""Product, account, id of a user: another account may give the same id to somebody else."""


@dataclass(slots=True)
class PersonLoss:
    """What one person, or one principal that the roster does not know, loses.

    :param key: the roster's id, or system, account, type and id of the principal.
    :param name: from the roster, else from the platform; may be empty.
    :param known: whether the roster knows the person.
    :param gone_from: moment from which the person counts as gone, as text, or empty.
    :param matched: how the principal was looked for in the roster, see :class:`~rescind.review.roster.matching.Match`.
    :param loses: how many grants go, by system, class of entitlement and kind of resource.
    :param levels: how many grants go, by level of risk.
    """

    key: tuple[str, ...]
    name: str
    kind: str
    known: bool
    department: str
    status: str
    gone_from: str
    matched: str
    going: int = 0
    held: int = 0
    loses: Counter[Loss] = field(default_factory=Counter)
    levels: Counter[str] = field(default_factory=Counter)

    @property
    def order(self) -> tuple[object, ...]:
        """The order of the list: most high-risk grants first, then most grants, then by name."""
        return (*(-self.levels[level] for level in reversed(LEVELS)), -self.held, self.name, self.key)


@dataclass(frozen=True, slots=True)
class Line:
    """One grant for people.

    :param who: the person, by name where there is one.
    :param why: why it is held or kept; for a grant that goes, why it is listed.
    """

    who: str
    grant: Grant
    why: str
    level: str = ""


@dataclass(slots=True)
class PlanPeople:
    """The people of a plan, with its sums.

    :param left_out: how many of the held grants an approver left out.
    :param rules: (grants that go, grants that are held) by rule.
    :param unplanned: grants that were to go and are in no item of the plan: their listing is incomplete.
    :param held: the first held grants by reason.
    :param kept: grants that the request names and that no call can remove; the first of them, and their number.
    """

    people: list[PersonLoss] = field(default_factory=list)
    rules: dict[str, list[int]] = field(default_factory=dict)
    going: int = 0
    held_total: int = 0
    left_out: int = 0
    unplanned: int = 0
    riskiest: list[Line] = field(default_factory=list)
    held: list[Line] = field(default_factory=list)
    kept: list[Line] = field(default_factory=list)
    kept_total: int = 0
    names: dict[Holder, str] = field(default_factory=dict)
    """Names of the people."""


def plan_people(ledger: Ledger, run: Run) -> PlanPeople:
    """Return the people of the live plan, in one pass over its grants. Memory grows with items and people."""
    items = {item.grant_id: item.reason if item.state == ItemState.HELD else None
             for item in ledger.plans.items(run.run_id)}  # fmt: skip
    names = names_of(ledger, run)
    made, people = PlanPeople(), dict[tuple[str, ...], PersonLoss]()
    riskiest: list[tuple[tuple[object, ...], int, Line]] = []
    held: list[tuple[tuple[object, ...], int, Line]] = []
    for number, (grant, decision) in enumerate(ledger.decisions.each(run.run_id, choice=Choice.REVOKE)):
        if decision.grant_id not in items:
            made.unplanned += 1
            continue
        why = items[decision.grant_id]
        person = _person(people, grant, decision, names)
        if grant.key.principal_type == PrincipalType.USER:
            holder = (product(grant.key.system), grant.key.account, grant.key.principal_id)
            made.names.setdefault(holder, who(person))
        risk = risk_of(grant, decision)
        rule = made.rules.setdefault(decision.rule, [0, 0])
        line = Line(who(person), grant, why if why is not None else "; ".join(risk.reasons), risk.level)
        place = (_order(risk, line), -number, line)
        if why is None:
            rule[0] += 1
            made.going += 1
            person.going += 1
            person.levels[risk.level] += 1
            person.loses[grant.key.system, entitlement_class(grant.key.entitlement), grant.key.resource_type] += 1
            _keep(riskiest, place)
        else:
            rule[1] += 1
            made.held_total += 1
            made.left_out += was_left_out(ItemState.HELD, why)
            person.held += 1
            _keep(held, place)
    made.riskiest = [line for _, _, line in sorted(riskiest, key=lambda one: one[:2], reverse=True)]
    made.held = [line for _, _, line in sorted(held, key=lambda one: one[:2], reverse=True)]
    made.people = sorted(people.values(), key=lambda one: one.order)
    _kept(ledger, run, names, made)
    return made


def kept_of_request(ledger: Ledger, run: Run) -> Iterator[Decision]:
    """Yield the decisions on grants that the request of a run names and that stay all the same."""
    yield from ledger.decisions.bare(run.run_id, choice=Choice.KEEP, fact=ASKED_FOR)


def names_of(ledger: Ledger, run: Run) -> dict[PrincipalKey, str]:
    """Return the names of principals as their platforms list them."""
    return {principal_key(one): one.name for one in ledger.snapshot.principals(run.run_id) if one.name}


def who(person: PersonLoss) -> str:
    """Return a person for a sentence: by name, or by kind and id where nothing has a name."""
    return person.name or f"{person.kind.replace('_', ' ')} {person.key[-1]}"


def person_of(grant: Grant, decision: Decision) -> tuple[str, ...]:
    """Return the roster's id of the person behind a grant, or system, account, type and id of the principal."""
    ident, key = str(decision.facts.get("person.id", "")), grant.key
    return (ident,) if ident else (key.system, key.account, str(key.principal_type), key.principal_id)


def _person(
    people: dict[tuple[str, ...], PersonLoss], grant: Grant, decision: Decision, names: Mapping[PrincipalKey, str]
) -> PersonLoss:
    facts, key = decision.facts, grant.key
    place = person_of(grant, decision)
    found = people.get(place)
    if found is None:
        platform = grant.principal_name or names.get(principal_key(grant), "")
        everyone = key.principal_type == PrincipalType.EVERYONE
        gone = str(facts.get("person.terminated_at", ""))
        found = people[place] = PersonLoss(
            place,
            str(facts.get("person.name", "")) or platform or ("all users" if everyone else ""),
            str(key.principal_type),
            len(place) == 1,
            str(facts.get("person.department", "")),
            str(facts.get("person.status", "")),
            f"{gone[:16].replace('T', ' ')} UTC" if gone not in ("", "unknown") else "",
            str(facts.get("matched_by", "")),
        )
    return found


def _order(risk: Risk, line: Line) -> tuple[object, ...]:
    """Return a key of which the largest comes first; names are turned round, so that the first in the alphabet wins."""
    key = line.grant.key
    name = line.grant.resource_name or key.resource_id
    return (*risk.order, _turned(line.who), _turned(name), _turned(key.entitlement))


def _turned(text: str) -> tuple[int, ...]:
    return (*(-ord(character) for character in text[:40]), 1)


def _keep(lines: list[tuple[tuple[object, ...], int, Line]], one: tuple[tuple[object, ...], int, Line]) -> None:
    if len(lines) < NAMED:
        heapq.heappush(lines, one)
    else:
        heapq.heappushpop(lines, one)


def _kept(ledger: Ledger, run: Run, names: Mapping[PrincipalKey, str], made: PlanPeople) -> None:
    first: dict[str, Decision] = {}
    for decision in kept_of_request(ledger, run):
        made.kept_total += 1
        if len(first) < NAMED:
            first[decision.grant_id] = decision
    grants = ledger.snapshot.grants_by_id(run.run_id, list(first)) if first else {}
    for ident, decision in first.items():
        one = _person({}, grants[ident], decision, names)
        made.kept.append(Line(who(one), grants[ident], decision.reason))
