"""What a roster does not let anybody conclude, in sentences for people."""

from __future__ import annotations

from collections.abc import Sequence

from rescind.review.roster.admit import Person, Roster

NAMED = 10
"""People named in one sentence, and rows named one by one."""


def remarks(roster: Roster, *, names: bool = True) -> list[str]:
    """Return one sentence for each kind of row from which less can be concluded than its reader may expect.

    :param names: name the people; without, the sentences hold counts and lines only and may be stored anywhere.
    """
    people = roster.people
    gone = [person for person in people if person.status == "left"]
    undated = [person for person in gone if person.terminated_at is None]
    lost = [
        person
        for person in people
        if person.manager and roster.by_person_id(person.manager) is None and roster.may_list(person.manager)
    ]
    partly = [person for person in people if roster.spaces - person.ids.keys() and person.ids]
    nowhere = [person for person in people if person.status != "active" and not person.ids]
    silent = [person for person in people if person.status == "unknown" and not person.held]
    some = _Sentences(names)
    found = [
        *roster.notes,
        *_aside(roster),
        *_held(roster, names),
        some.of(undated, "left without a date: no rule about the leaving date can act on them"),
        some.of(silent, "neither active nor left: no rule about leavers can act on them"),
        some.of(lost, "a manager who is nobody's person_id, but may be somebody here written in another way", "with"),
        some.of(partly, "an id in some platforms only; their access in the others belongs to nobody known", "with"),
        some.of(nowhere, "not active and without an id in any platform, so no access is found for them"),
        ""
        if gone or roster.held or roster.aside.rows
        else "nobody in this roster has left: check that the export includes leavers",
    ]
    return [sentence for sentence in found if sentence]


def _aside(roster: Roster) -> list[str]:
    rows = roster.aside.rows
    found = [f"line {row.line} cannot be read and is set aside ({row.reason})" for row in rows[:NAMED]]
    more = [f"{len(rows) - NAMED} more rows are set aside"] if len(rows) > NAMED else []
    last = ["anyone who may be meant by a row that is set aside keeps all access"] if rows else []
    return [*found, *more, *last]


def _held(roster: Roster, names: bool) -> list[str]:
    held = roster.held
    found = []
    for person in held[:NAMED]:
        who = f"person {person.person_id} (line {person.line})" if names else f"line {person.line}"
        found.append(f"{who} is held: {person.held}. No rule acts on its status or date")
    return [*found, f"{len(held) - NAMED} more people are held for the same reason"] if len(held) > NAMED else found


class _Sentences:
    def __init__(self, names: bool) -> None:
        self.names = names

    def of(self, people: Sequence[Person], what: str, how: str = "") -> str:
        """Return ``3 people are ... (P1, P2, P3)``; empty for nobody."""
        if not people:
            return ""
        one = len(people) == 1
        verb = how or ("has" if one else "have") * what.startswith("left") or ("is" if one else "are")
        listed = ", ".join(person.person_id for person in people[:NAMED]) + (", ..." if len(people) > NAMED else "")
        return f"{len(people)} {'person' if one else 'people'} {verb} {what}{f' ({listed})' if self.names else ''}"
