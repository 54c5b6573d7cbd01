"""Who would restore their own access: users of Airflow who are among the receivers of a restore."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from typing import Any

from rescind.errors import InputError
from rescind.model import Grant, Principal, PrincipalType
from rescind.review import Memberships, PrincipalKey, UserLinks, principal_key
from rescind.review.roster.admit import PERSON_SPACE, Person
from rescind.settings import Settings
from rescind.systems import system_named
from rescind.users import user_key
from rescind.workflow.inputs import current_roster
from rescind.workflow.restore.source import RestoreSource

_PERSONAL = frozenset({PrincipalType.USER, PrincipalType.UNKNOWN})
_FOR_ALL = frozenset({PrincipalType.EVERYONE, PrincipalType.ORGANIZATION})
"""Principals that stand for all people. What they get is nobody's own access."""


class Receivers:
    """The receivers of a restore, and which users they may be.

    A user receives what one of their accounts gets, directly or as a member of a group, role, project or workspace.
    Accounts are found by the roster (see :mod:`rescind.review.roster.users`), and by a name on the platform that equals
    the user's.

    :param source: everything that the request selects counts, whether it needs a call or not.
    :raises ConfigurationError: when the setting ``roster`` names one that cannot be read.
    """

    def __init__(self, source: RestoreSource, settings: Settings) -> None:
        self._grants = list(source.grants.values())
        self._memberships = Memberships.of(source.memberships)
        self._roster = current_roster(settings) if settings.roster else None
        self._links = UserLinks(self._roster) if self._roster else None
        self._accounts: defaultdict[Any, set[PrincipalKey]] = defaultdict(set)
        known: dict[PrincipalKey, Principal | None] = dict.fromkeys(map(principal_key, self._grants))
        for key, principal in (known | {principal_key(one): one for one in source.principals}).items():
            if key.principal_type in _PERSONAL:
                self._index(key, principal)

    def people(self, user: str) -> list[Person]:
        """Return the people of the roster whom the user may be."""
        return self._links.people(user) if self._links else []

    def own(self, user: str) -> list[Grant]:
        """Return the grants that the user would get.

        :raises InputError: when the name may be taken for another one.
        """
        accounts = set(self._accounts[user_key(user)])
        for pair in self._ids(user):
            accounts |= self._accounts[pair]
            accounts.update(self._listed_as(*pair))
        own = accounts.union(*map(self._memberships.containers, accounts))
        own = {key for key in own if key.principal_type not in _FOR_ALL}
        return [grant for grant in self._grants if principal_key(grant) in own]

    def refuse_own(self, role: str, *users: str) -> None:
        """Refuse a person who would get something.

        :param role: the person's role, for the message: ``requester`` or ``approver``.
        :param users: the names of the person's user; empty ones are left out.
        :raises InputError: when the person is among the receivers.
        """
        for user in filter(None, users):
            if own := self.own(user):
                who = f"{own[0].key.principal_type} {own[0].key.principal_id}"
                problem = f"{user!r} would get {len(own)} of the grants ({who}), and nobody restores their own access"
                raise InputError(role, problem, "Leave these grants out, or let other people request and approve them")

    def _ids(self, user: str) -> set[tuple[str, str]]:
        """Return every id that the roster gives the user, in rows that cannot be read too."""
        if self._roster is None:
            return set()
        people = self.people(user)
        ids = {(PERSON_SPACE, person.person_id) for person in people}
        ids.update(*(person.attributes.items() for person in people))
        ids |= self._roster.possible_ids({person.person_id for person in people})
        row = self._roster.aside.row_with((user,))
        return ids | row.ids if row else ids

    def _index(self, key: PrincipalKey, principal: Principal | None) -> None:
        """Note an account under all its ids, and under its names that a user can have."""
        others = principal.other_ids if principal else ()
        for pair in (*((space, key.principal_id) for space in system_named(key.system).id_spaces), *others):
            self._accounts[pair].add(key)
        names = {key.principal_id, principal.name if principal else "", *(value for _, value in others)}
        for name in _usable(names):
            self._accounts[name].add(key)

    def _listed_as(self, space: str, value: str) -> Iterable[PrincipalKey]:
        """Yield the keys of a person in memberships, where a platform lists those under an id of its own."""
        for system, account in {(grant.key.system, grant.key.account) for grant in self._grants}:
            if space in {system_named(system).member_space, *system_named(system).id_spaces} - {""}:
                yield PrincipalKey(system, account, PrincipalType.USER, value)


def _usable(names: Iterable[str]) -> Iterable[str]:
    """Yield the compared forms of names on a platform. A number is an id, which is no name of a user."""
    for name in names:
        if name and not name.isdigit():
            try:
                yield user_key(name)
            except InputError:
                continue
