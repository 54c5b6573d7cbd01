"""Find the person whom somebody means: by an id of any space, a mail, or a name that only one person has.

For what a person types into a form, and nothing else: principals are matched to people by exact id alone.
"""

from __future__ import annotations

from collections.abc import Iterator
from difflib import get_close_matches
from itertools import islice

from rescind.errors import InputError
from rescind.review.roster.admit import PERSON_SPACE, Person, Roster
from rescind.review.roster.aside import folded
from rescind.review.text import printable

SUGGESTED = 3
_SEARCHED = 50_000
"""Texts that are compared for near matches; comparing is slow."""
_SHOWN = 60


def quoted(value: str) -> str:
    """Return a value for an error message: in quotes, without invisible characters, not too long."""
    text = printable(value)
    return f"'{text[:_SHOWN]}{'...' if len(text) > _SHOWN else ''}'"


def find_person(value: str, roster: Roster, *, where: str) -> tuple[Person, str]:
    """Return the person, and the id space of the value (``person_id`` for a mail or a name).

    :raises InputError: repeating the value, for nobody (with near matches) and for several people (with their ids).
    """
    everywhere = (PERSON_SPACE, *sorted(roster.spaces))
    found = {space: people for space in everywhere if (people := roster.holders(space, value))}
    means = {p.person_id: p for people in (*found.values(), roster.called(value)) for p in people}
    aside = roster.aside
    row = next((row for space in found if (row := aside.row_of(space, value))), None)
    row = row if found else aside.row_with((value,))
    if len(means) == 1 and row is None:
        return next(iter(means.values())), next(iter(found), PERSON_SPACE)
    if means:
        ids = ", ".join(list(means)[:10])
        lost = f", and line {row.line} of the roster, which cannot be read, may mean another one" if row else ""
        count = f"{len(means)} people" if len(means) > 1 else "one person"
        problem = f"{quoted(value)} is {count} ({ids}){lost}"
        if len(found) > 1 and len(means) > 1:
            problem = f"the id {quoted(value)} belongs to different people in {', '.join(found)}"
        raise InputError(where, problem, "Name a person_id as person_id:P7, or an account as dms_user_id:51001.")
    if row is not None:
        problem = f"{quoted(value)} stands in line {row.line} of the roster, which cannot be read"
        raise InputError(where, problem, "Name the account with its id space, such as dms_user_id:51001.")
    problem = f"the roster does not know {quoted(value)}, neither as an id in any id space nor as a mail or name"
    near = suggestions(value, roster)
    hint = f"Near: {'; '.join(near)}. " if near else ""
    remedy = (
        f"{hint}For an account that no roster knows, name its id space, such as dms_user_id:{printable(value)[:20]}."
    )
    raise InputError(where, problem, remedy)


def suggestions(value: str, roster: Roster) -> list[str]:
    """Return at most three ids, mails or names that are near to a value, each with its person."""
    texts: dict[str, str] = {}
    for text, what, person in islice(_texts(roster), _SEARCHED):
        if abs(len(text) - len(value)) <= 3:
            texts.setdefault(folded(text), f"{quoted(text)} ({what} of {person.person_id})")
    exact = texts.get(folded(value))
    if exact:
        return [exact]
    return [texts[key] for key in get_close_matches(folded(value), texts, SUGGESTED, 0.75)]


def _texts(roster: Roster) -> Iterator[tuple[str, str, Person]]:
    for person in roster.people:
        yield person.person_id, PERSON_SPACE, person
        for space, ident in person.ids.items():
            yield ident, space, person
        for what, text in (("mail", person.email), ("name", person.name)):
            if text:
                yield text, what, person
