"""The other ids of one person, as edges for the paths to a resource."""

from __future__ import annotations

from rescind.ledger import Ledger, Run
from rescind.model import Membership, PrincipalType
from rescind.systems import system_named
from rescind.workflow.inputs import inputs_of


def same_people(ledger: Ledger, run: Run, system: str, account: str) -> list[Membership]:
    """Return edges from the ids of people in grants to their other ids in memberships, where the roster has both.

    Without a separate id space for memberships there are no such edges.
    """
    other = system_named(system).member_space
    if not other:
        return []
    own = system_named(system).id_spaces[0]
    return [
        Membership(system, account, PrincipalType.USER, ident, PrincipalType.USER, member)
        for person in inputs_of(ledger, run).roster.roster.people
        if (ident := person.ids.get(own)) and (member := person.ids.get(other))
    ]
