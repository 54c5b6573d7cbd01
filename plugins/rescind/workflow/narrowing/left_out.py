"""What an approver may leave out of a plan: people, or people in one permission system."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Sequence, Set
from dataclasses import dataclass
from typing import Any

from rescind.errors import InputError
from rescind.i18n import tr
from rescind.ledger import Ledger, Plan, Run
from rescind.model import Choice, PrincipalType, digest
from rescind.review.roster.lookup import find_person, quoted
from rescind.systems import system_named
from rescind.workflow.closing.removable import CLOSES_PATH
from rescind.workflow.inputs import inputs_of
from rescind.workflow.narrowing.selected import selection_of
from rescind.workflow.plan_part import LOSING
from rescind.workflow.question.answer_fields import LEAVE_OUT, MOST_ENTRY, MOST_LEFT_OUT, AnswerFields, readable
from rescind.workflow.question.plan_people import PersonLoss, PlanPeople, person_of, plan_people, who

MOST_LISTED = 200
"""Most entries of the list in the form. With more of them the form has a field for ids and mails instead."""
_WHERE = "what the answer leaves out"
_REMEDY = "Correct the answer"
_Closing = tuple[str, str, tuple[str, ...], bool]
"""A grant that closes a path: its id, the grant whose path it closes, its person, and whether others lose by it."""


@dataclass(frozen=True, slots=True)
class Part:
    """A part of a plan that can be left out: a person, or a person in one permission system.

    :param person: the texts that identify the person, see :func:`~rescind.workflow.question.plan_people.person_of`.
    :param system: a permission system, or an empty text for all of them.
    :param grants: how many grants go.
    :param shown: who it is, for people.
    """

    person: tuple[str, ...]
    system: str
    grants: int
    shown: str

    @property
    def where(self) -> str:
        """The system, for people. Whom the roster does not know is somebody else in each system."""
        system, *account = (self.system,) if len(self.person) == 1 else self.person[:2]
        return ", ".join([system_named(system).title, *account]) if system else "everything"

    @property
    def chosen(self) -> tuple[str, ...]:
        """The part as the ledger keeps it."""
        return (*self.person, self.system)

    def value(self, plan: Plan) -> str:
        """Return the value in the form of the question for this plan. It fits no other plan and no other run."""
        return digest([plan.run_id, plan.digest, *self.chosen])[:16]


def parts_of(people: PlanPeople) -> list[Part]:
    """Return what can be left out, in the order of the question: each person, and then each of their systems."""
    found = []
    for person in (one for one in people.people if one.going):
        systems = Counter[str]()
        for (system, _, _), count in person.loses.items():
            systems[system] += count
        shown = _shown(person)
        found.append(Part(person.key, "", person.going, shown))
        if len(systems) > 1:
            found += [Part(person.key, one, count, shown) for one, count in sorted(systems.items())]
    return found


def leave_out_field(plan: Plan, people: PlanPeople) -> dict[str, dict[str, Any]]:
    """Return the form's field, as Airflow's ``Param`` takes it: a list, or a text where the list would be too long."""
    parts = parts_of(people)
    said = tr(
        "These people keep what they have for now. Then press Approve: nothing is sent yet. A second question shows the"
        " plan without them, and only its answer approves. The comment says why."
    )
    if len(parts) > MOST_LISTED:
        said = f"{tr('One on each line: an id or a mail of a person in the plan.')} {said}"
        return {LEAVE_OUT: {"default": None, "type": ["string", "null"], "format": "multiline",
                            "maxLength": MOST_LEFT_OUT * MOST_ENTRY, "title": tr("Leave out (optional)"),
                            "description": said}}  # fmt: skip
    values = [part.value(plan) for part in parts]
    labels = [f"{part.shown} · {part.where} ({part.grants})" for part in parts]
    return {LEAVE_OUT: {"default": None, "type": ["array", "null"], "items": {"type": "string"}, "examples": values,
                        "values_display": dict(zip(values, labels, strict=True)), "title": tr("Leave out (optional)"),
                        "description": said}}  # fmt: skip


def chosen_parts(ledger: Ledger, run: Run, plan: Plan, fields: AnswerFields) -> list[Part]:
    """Return the parts that an answer leaves out.

    :raises InputError: for an entry that is not in the plan or not certain, and without a reason.
    """
    if not fields.comment:
        raise InputError(_WHERE, "has no reason", f"Write the reason into the comment. {_REMEDY}")
    parts = parts_of(plan_people(ledger, run))
    by_value = {part.value(plan): part for part in parts}
    strange = [entry for entry in fields.leave_out if entry not in by_value]
    found = [by_value[entry] for entry in fields.leave_out if entry in by_value]
    if strange and len(parts) <= MOST_LISTED:
        raise InputError(_WHERE, f"has {len(strange)} entries that are not in this plan", _REMEDY)
    return found + _typed(ledger, run, strange, [part for part in parts if not part.system])


def left_out_grants(ledger: Ledger, run: Run, chosen: Iterable[Sequence[str]]) -> frozenset[str]:
    """Return the ids of the grants of the live plan that a choice leaves out.

    A grant that goes only to close a path stays with the people who are left out: if it is theirs, if it closes a path
    of theirs, and if other people than its holder lose something by it.

    :param chosen: see :attr:`Part.chosen`; or the entry of a selection. Its people are those of its lines.
    :raises InputError: for a selection that is not in the plan, or splits what one call removes together.
    :raises NotApprovedError: for a selection that the ledger does not hold as it was signed.
    """
    wanted = {tuple(one) for one in chosen}
    selection = selection_of(ledger, run.run_id, wanted)
    lines = frozenset(selection.grant_ids if selection else ())
    people = set() if selection else {one[:-1] for one in wanted}
    planned = {item.grant_id for item in ledger.plans.items(run.run_id) if item.call_id}
    left, closing, cells = set[str](), list[_Closing](), dict[str, tuple[object, ...]]()
    for grant, decision in ledger.decisions.each(run.run_id, choice=Choice.REVOKE):
        if grant.grant_id not in planned:
            continue
        person, ident = person_of(grant, decision), grant.grant_id
        if lines:
            cells[ident] = (*grant.key[:2], grant.cell)
        if decision.rule == CLOSES_PATH:
            shared = grant.key.principal_type != PrincipalType.USER or bool(decision.facts.get(LOSING))
            closing.append((ident, str(decision.facts.get("closes", "")), person, shared))
        if ident in lines:
            people.add(person)
        if ident in lines or (*person, "") in wanted or (*person, grant.key.system) in wanted:
            left.add(ident)
    left |= {ident for ident, _, person, shared in closing if shared or person in people}
    left |= {ident for ident, ended, _, _ in closing if ended in left}
    _refuse_split(lines, left, cells)
    return frozenset(left)


def _refuse_split(lines: Set[str], left: Set[str], cells: Mapping[str, tuple[object, ...]]) -> None:
    """Refuse a selection that is not in the plan, or that has a part of what one call removes together."""
    if strange := len(lines - cells.keys()):
        raise InputError(_WHERE, f"has {strange} grants that are not in this plan, or that a guard holds", _REMEDY)
    stay = {cells[ident] for ident in lines}
    if split := sum(cell in stay for ident, cell in cells.items() if ident not in left):
        raise InputError(_WHERE, f"has only a part of what a call removes together ({split} grants more)", _REMEDY)


def _typed(ledger: Ledger, run: Run, entries: Collection[str], people: Sequence[Part]) -> list[Part]:
    """Return the people whom typed entries mean: by the id in the plan, or by id or mail in the roster of the run."""
    by_id: dict[str, list[Part]] = {}
    for part in people:
        by_id.setdefault(part.person[-1], []).append(part)
    roster = inputs_of(ledger, run).roster.roster if entries else None
    found = []
    for entry in entries:
        mine = by_id.get(entry, [])
        if not mine and roster is not None:
            mine = by_id.get(find_person(entry, roster, where=_WHERE)[0].person_id, [])
        if len(mine) != 1:
            problem = "is not in this plan" if not mine else "means several people"
            raise InputError(_WHERE, f"{quoted(entry)} {problem}", _REMEDY)
        found += mine
    return found


def _shown(person: PersonLoss) -> str:
    """Return who a person is, in one line without invisible characters."""
    name = " ".join(readable(who(person)).split())[:80]
    ident = person.key[-1]
    return name if ident in name else f"{name} ({' '.join(readable(ident).split())[:40]})"
