"""What a roster does not let anybody conclude, in sentences for people."""

from __future__ import annotations

from collections.abc import Sequence

from rescind.review.roster.admit import Person, Roster

NAMED = 10
"""People named in one sentence."""


def remarks(roster: Roster) -> list[str]:
    """Return one sentence for each kind of row from which less can be concluded than its reader may expect."""
    undated = [person for person in roster.people if person.status == "left" and person.terminated_at is None]
    lost = [
        person
        for person in roster.people
        if person.manager and roster.by_person_id(person.manager) is None and roster.may_list(person.manager)
    ]
    partly = [person for person in roster.people if roster.spaces - person.ids.keys() and person.ids]
    nowhere = [person for person in roster.people if person.status != "active" and not person.ids]
    found = [
        *(
            f"person {person.person_id} (line {person.line}) is held: {person.held}. No rule acts on its status or date"
            for person in roster.held[:NAMED]
        ),
        _sentence(undated, "left without a date, so rules about the leaving date cannot act on them"),
        _sentence(lost, "have a manager who is nobody's person_id, but may be somebody here written in another way"),
        _sentence(partly, "have no id in at least one of the platforms; their access there belongs to nobody known"),
        _sentence(nowhere, "are not active and have no id in any platform, so no access can be found for them"),
    ]
    if len(roster.held) > NAMED:
        found.insert(NAMED, f"{len(roster.held) - NAMED} more people are held for the same reason")
    return [sentence for sentence in found if sentence]


def _sentence(people: Sequence[Person], what: str) -> str:
    names = ", ".join(person.person_id for person in people[:NAMED])
    return f"{len(people)} people {what} ({names}{', ...' if len(people) > NAMED else ''})" if people else ""
