"""Owners of resources: which reviewer is asked about which grant; never about the reviewer's own access.

A reviewer is a user of Airflow and a person of the roster. Whatever access that person may hold under any of their ids
goes to the reviewer's alternate; where there is none, nobody is asked and the grant stays.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Literal, NamedTuple

from pydantic import Field

from rescind.errors import InputError
from rescind.last_use import last_use_words
from rescind.model import Decision, Grant, GrantKey
from rescind.review.decide import Decider
from rescind.review.files import Line, Strict, load
from rescind.review.knowledge import principal_key
from rescind.review.patterns import ResourcePattern, check_pattern
from rescind.review.roster.admit import PERSON_SPACE, AdmittedRoster, Person
from rescind.review.roster.users import UserLinks
from rescind.review.text import check_id, check_text
from rescind.users import check_different, same_user

ERROR = "error"
"""As ``default``: a resource without a reviewer stops the run."""

MOST_ITEMS = 100
"""Most items in one question: what a person can read at once."""

MOST_DELEGATES = 50
"""Most delegates of one reviewer: what a list in a form can show."""


class ReviewerFile(Strict):
    """One reviewer as written: who it is in the roster, who answers about their own access, and who may take over."""

    person_id: Line
    alternate: Line | None = None
    delegates: list[Line] = Field(default=[], max_length=MOST_DELEGATES)


class OwnerFile(Strict):
    """Which resources a reviewer answers for; ``account`` and ``type`` may be left out."""

    reviewer: Line
    system: Line
    account: Line | None = None
    type: Line | None = None
    id: Line | None = None
    pattern: Line | None = None


class OwnersFile(Strict):
    """The file of owners as written."""

    format: Literal[1]
    no_answer: Literal["keep", "revoke"]
    default: Line
    reviewers: dict[str, ReviewerFile] = Field(max_length=10_000)
    owners: list[OwnerFile] = Field(max_length=100_000)


@dataclass(frozen=True, slots=True, kw_only=True)
class OwnedResources(ResourcePattern):
    """One line of the file."""

    reviewer: str


@dataclass(frozen=True)
class Owners:
    """A checked file of owners.

    :param people: reviewer -> every (id space, id) under which the roster knows them: those of the person whom the file
        names, and of the people whom the roster links to the user.
    :param default: reviewer of all other resources, or None: then such a resource is an error.
    :param delegates: reviewer -> other reviewers to whom they may hand a question over, with their names in the roster.
        All of them are active people.
    """

    no_answer: Literal["keep", "revoke"]
    default: str | None
    people: Mapping[str, frozenset[tuple[str, str]]]
    alternates: Mapping[str, str]
    resources: tuple[OwnedResources, ...]
    source: str
    delegates: Mapping[str, Mapping[str, str]] = field(default_factory=dict)

    def owner(self, key: GrantKey) -> str:
        """Return the reviewer of the grant's resource.

        :raises InputError: when no line names the resource and there is no default.
        """
        found = next((line.reviewer for line in self.resources if line.covers(key)), self.default)
        if found is None:
            problem = (
                f"no line names {key.resource_type} {check_text(key.resource_id, where='resource')!r} in {key.system}"
            )
            raise InputError(f"{self.source}, owners", problem, "Add a line for it, or name a default reviewer.")
        return found

    def reviewer(self, key: GrantKey, ids: Iterable[tuple[str, str]]) -> str | None:
        """Return who is asked about a grant of the principal with these ids, or None: then nobody may be."""
        held, owner = frozenset(ids), self.owner(key)
        for candidate in (owner, self.alternates.get(owner)):
            if candidate is not None and not held & self.people[candidate]:
                return candidate
        return None

    def may_take(self, reviewer: str, held: frozenset[tuple[str, str]]) -> dict[str, str]:
        """Return to whom the reviewer may hand a question over that is about the access of people with these ids."""
        own = held | self.people[reviewer]
        return {one: name for one, name in self.delegates.get(reviewer, {}).items() if not own & self.people[one]}


class Ask(NamedTuple):
    """What one reviewer is asked at once: (grant id, line to show) pairs.

    :param no_answer: what a missing answer means. About grants that were not seen in use it means to keep them.
    :param delegates: to whom the reviewer may hand the question over: user ids with names.
    """

    reviewer: str
    items: tuple[tuple[str, str], ...]
    no_answer: Literal["keep", "revoke"] = "keep"
    delegates: Mapping[str, str] = {}


@dataclass(frozen=True, slots=True)
class Asks:
    """All questions of a run.

    :param own: ids of grants that stay because only their holder could have been asked.
    """

    questions: tuple[Ask, ...]
    own: tuple[str, ...]


def load_owners(text: bytes | str, *, source: str, roster: AdmittedRoster) -> Owners:
    """Return the owners in a YAML text, joined with the roster.

    :raises InputError: naming file, line and field; for reviewers that the roster does not know.
    """
    model, file = load(OwnersFile, text, source=source)
    check_different(model.reviewers, where=f"{source}, reviewers")
    links = UserLinks(roster.roster)
    people: dict[str, frozenset[tuple[str, str]]] = {}
    alternates: dict[str, str] = {}
    active: dict[str, str] = {}
    for name, entry in model.reviewers.items():
        where = f"{source}, line {file.line(('reviewers', name))}, reviewer {name}"
        if name == ERROR or name != check_id(name, where=where):
            raise InputError(where, "not a usable user id", "Write the user id of Airflow's auth manager.")
        persons = [_person(entry, roster, where), *links.people(name)]
        people[name] = frozenset().union(*map(_ids_of, persons))
        if all(_works(one, roster.admitted_at) for one in persons):
            active[name] = persons[0].name
        if entry.alternate is not None:
            alternates[name] = _known(entry.alternate, model, f"{where}, alternate")
            if same_user(alternates[name], name):
                raise InputError(f"{where}, alternate", "the reviewer is their own alternate", "Name another person.")
    default = None if model.default == ERROR else _known(model.default, model, f"{source}, default")
    lines = (
        _line(entry, model, f"{source}, line {file.line(('owners', number))}, owners[{number}]")
        for number, entry in enumerate(model.owners)
    )
    delegates = {
        name: _delegates(name, model, active, f"{source}, line {file.line(('reviewers', name))}, reviewer {name}")
        for name in model.reviewers
    }
    return Owners(model.no_answer, default, people, alternates, tuple(lines), source, delegates)


def questions(asked: Iterable[tuple[Grant, Decision]], owners: Owners, decider: Decider) -> Asks:
    """Return the questions about these grants, at most :data:`MOST_ITEMS` in each, always in the same order.

    What rules about the last use, or behind one, ask is a question of its own: there a missing answer never revokes.

    :param decider: knows the ids of every principal.
    :raises InputError: as :meth:`Owners.owner`.
    """
    by_use = {rule.id for rule in decider.ctx.policy.rules if rule.by_use} if decider.ctx.policy else set()
    by_reviewer: dict[tuple[str, bool], list[tuple[GrantKey, str, str]]] = {}
    holders: dict[str, frozenset[tuple[str, str]]] = {}
    own: list[str] = []
    for grant, decision in asked:
        view = decider.view(grant)
        ids = [*decider.people.ids(principal_key(grant))]
        if view.person is not None:
            ids += [*view.person.ids.items(), (PERSON_SPACE, view.person.person_id)]
        reviewer = owners.reviewer(grant.key, ids)
        if reviewer is None:
            own.append(decision.grant_id)
        else:
            place = (reviewer, decision.rule in by_use)
            by_reviewer.setdefault(place, []).append((grant.key, decision.grant_id, _shown(grant, decision)))
            holders[decision.grant_id] = frozenset(ids)
    found = []
    for reviewer, use in sorted(by_reviewer):
        items = sorted(by_reviewer[reviewer, use], key=lambda item: (item[0].system, item[0].resource_id, item))
        unanswered = "keep" if use else owners.no_answer
        for part in _parts(items):
            held = frozenset().union(*(holders[name] for _, name, _ in part))
            shown = tuple((name, line) for _, name, line in part)
            found.append(Ask(reviewer, shown, unanswered, owners.may_take(reviewer, held)))
    return Asks(tuple(found), tuple(sorted(own)))


def _parts(items: list[tuple[GrantKey, str, str]]) -> Iterator[list[tuple[GrantKey, str, str]]]:
    for start in range(0, len(items), MOST_ITEMS):
        yield items[start : start + MOST_ITEMS]


def _shown(grant: Grant, decision: Decision) -> str:
    """Return the item in one line: everything that distinguishes it from other items, and why it is asked about."""
    key = grant.key
    person = decision.facts.get("person.id")
    who = f"{key.principal_type} {key.principal_id}" + (f", person {person}" if person else "")
    name = f" ({grant.resource_name})" if grant.resource_name and grant.resource_name != key.resource_id else ""
    place = f"{key.resource_type} {key.resource_id}{name} in {key.system}, {key.account}"
    record = f", record {key.native_id}" if key.native_id else ""
    use = f"; last used: {last_use_words(*grant.use)}" if grant.last_use else ""
    return f"{who}: {key.entitlement} on {place}{record}; {decision.severity}: {decision.reason}{use}"


def _person(entry: ReviewerFile, roster: AdmittedRoster, where: str) -> Person:
    person = roster.roster.by_person_id(check_id(entry.person_id, where=f"{where}, person_id"))
    if person is None:
        problem = "the roster does not know this person_id, so the reviewer's own access cannot be recognized"
        raise InputError(f"{where}, person_id", problem, "Name the reviewer's person_id in the roster.")
    return person


def _works(person: Person, now: datetime) -> bool:
    return person.status == "active" and (person.terminated_at is None or person.terminated_at > now)


def _delegates(name: str, model: OwnersFile, active: Mapping[str, str], where: str) -> dict[str, str]:
    """Return the delegates of a reviewer whom the roster knows as active."""
    where = f"{where}, delegates"
    given = [_known(one, model, where) for one in model.reviewers[name].delegates]
    check_different([name, *given], where=where)
    if name in given or len(set(given)) != len(given):
        raise InputError(where, "the reviewer, or somebody who is listed twice", "Name each other person once.")
    return {one: active[one] for one in given if one in active}


def _ids_of(person: Person) -> frozenset[tuple[str, str]]:
    return frozenset({(PERSON_SPACE, person.person_id), *person.ids.items()})


def _known(name: str, model: OwnersFile, where: str) -> str:
    if name not in model.reviewers:
        raise InputError(where, "a user who is not listed under `reviewers`", "Add the user there.")
    return name


def _line(entry: OwnerFile, model: OwnersFile, where: str) -> OwnedResources:
    if (entry.id is None) == (entry.pattern is None):
        raise InputError(where, "needs either id or pattern", "Write exactly one of the two.")
    glob = entry.id is None
    value = check_pattern(entry.pattern if glob else entry.id, where=where, glob=glob)  # type: ignore[arg-type]
    return OwnedResources(
        reviewer=_known(entry.reviewer, model, where),
        system=entry.system,
        account=entry.account,
        type=entry.type,
        value=check_text(value, where=where),
        glob=glob,
    )
