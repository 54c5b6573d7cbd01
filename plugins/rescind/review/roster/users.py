"""Which people of the roster an Airflow user may be.

Airflow knows users, the roster knows people. The link is the roster's column ``airflow_user``: the names and ids under
which Airflow's auth manager knows the person, separated by ``;``. A user whose name is the person's e-mail address or
``person_id`` is that person too. The link only ever takes something away (a right to answer), so every match counts.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from rescind.errors import InputError
from rescind.review.roster.admit import Person, Roster
from rescind.users import user_key

USER_COLUMN = "airflow_user"
"""Roster column with the Airflow users of a person."""


class UserLinks:
    """The people of a roster by Airflow user.

    :raises InputError: for a name in the column that may be taken for another one.
    """

    def __init__(self, roster: Roster) -> None:
        self._people: dict[str, list[Person]] = {}
        for person in roster.people:
            for key in set(_keys(person, roster.source)):
                self._people.setdefault(key, []).append(person)

    def people(self, user: str) -> list[Person]:
        """Return everyone whom the user may be; nobody for an unknown user.

        :raises InputError: for a name that may be taken for another one.
        """
        return list(self._people.get(user_key(user), ()))


def _keys(person: Person, source: str) -> Iterator[str]:
    where = f"{source}, line {person.line}, column {USER_COLUMN}"
    for name in person.attributes.get(USER_COLUMN, "").split(";"):
        if name.strip():
            yield user_key(name, where=where)
    yield from _usable((person.email, person.person_id))


def _usable(names: Iterable[str]) -> Iterator[str]:
    """Yield the keys of those names that a user can have."""
    for name in filter(None, names):
        try:
            yield user_key(name)
        except InputError:
            continue
