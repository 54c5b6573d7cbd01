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
        _sentence("people who left without a date, on whom rules about the date cannot act", undated),
        _sentence("people whose manager is nobody's person_id, but may be somebody here written in another way", lost),
        _sentence("people without an id in some platforms, where their access belongs to nobody known", partly),
        _sentence("people who are not active and have no id in any platform, so no access is found for them", nowhere),
    ]
    if len(roster.held) > NAMED:
        found.insert(NAMED, f"{len(roster.held) - NAMED} more people are held for the same reason")
    return [sentence for sentence in found if sentence]


def _sentence(which: str, people: Sequence[Person]) -> str:
    names = ", ".join(person.person_id for person in people[:NAMED])
    return f"{which}: {len(people)} ({names}{', ...' if len(people) > NAMED else ''})" if people else ""
