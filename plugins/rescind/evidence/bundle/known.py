"""About whom a bundle has to say everything: what it leaves out must not be able to hold one of these principals."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from rescind.model import PrincipalType, digest
from rescind.snapshot_tree import SEALED_PEOPLE, Known, PrincipalId

Record = Mapping[str, Any]
_INPUTS = ("exceptions", "protections", "roster", "id_map", "owners")
"""The inputs that the version of a request covers, in this order."""
Account = tuple[str, str]
"""(system, account)."""


def names_people(review: Record) -> bool:
    """Return whether the run of a bundle is about people whom its form names."""
    params = review["params"]
    return params.get("kind") == "targets" and bool(params.get("principals"))


class KnownPeople:
    """The principals of a run about named people that its bundle holds in full, by system and account.

    These are the people of the run as they were sealed and as the form names them, the holders of items, lost grants
    and questions, the principals in the columns of calls, and every group, role or other container of these, at any
    depth.

    :param review: the record of the run.
    :param scopes: its scopes, as records.
    :param calls: its calls, as records.
    :param holders: (system, account, type, id) of the holders.
    :param memberships: its memberships, as records.
    """

    def __init__(
        self,
        review: Record,
        scopes: Iterable[Record],
        calls: Iterable[Record],
        holders: Iterable[tuple[str, str, str, str]],
        memberships: Iterable[Record],
    ) -> None:
        self.by_account: dict[Account, set[PrincipalId]] = {}
        asked = [pair for text in review["params"]["principals"] for pair in _spelled(text)]
        for scope in scopes:
            mine = self.by_account.setdefault((scope["system"], scope["account"]), set(asked))
            mine.update((kind, ident) for kind, ident in scope["notes"].get(SEALED_PEOPLE, {}).get("principals", ()))
        for system, account, kind, ident in holders:
            self.by_account.setdefault((system, account), set()).add((kind, ident))
        for call in calls:
            mine = self.by_account.setdefault((call["system"], call["account"]), set())
            mine.update((kind, ident) for kind, column in call["columns"] for ident in column)
        self._add_containers(memberships)

    def of(self, system: str, account: str) -> Known:
        """Return the principals of one system and account."""
        return Known(self.by_account.get((system, account), ()))

    def principals(self) -> set[PrincipalId]:
        """Return the principals of every account, without everyone."""
        return set().union(*self.by_account.values())

    def has(self, system: str, account: str, principal: PrincipalId) -> bool:
        """Return whether a principal is one of them. Everyone always is."""
        return principal[0] == PrincipalType.EVERYONE or principal in self.by_account.get((system, account), ())

    def _add_containers(self, memberships: Iterable[Record]) -> None:
        above = containers(
            (
                (edge["system"], edge["account"]),
                (edge["member_type"], edge["member_id"]),
                (edge["container_type"], edge["container_id"]),
            )
            for edge in memberships
        )
        for account, mine in self.by_account.items():
            add_containers(mine, above.get(account, {}))


def containers(
    edges: Iterable[tuple[Account, PrincipalId, PrincipalId]],
) -> dict[Account, dict[PrincipalId, list[PrincipalId]]]:
    """Return the containers of each member, by account.

    :param edges: account, member and container of each membership.
    """
    above: dict[Account, dict[PrincipalId, list[PrincipalId]]] = {}
    for account, member, container in edges:
        above.setdefault(account, {}).setdefault(member, []).append(container)
    return above


def add_containers(mine: set[PrincipalId], above: Mapping[PrincipalId, Iterable[PrincipalId]]) -> None:
    """Add every group, role or other container that these principals are in, at any depth.

    A member that the platform does not name may be one of them, so its containers are added as well.
    """
    mine |= {member for member in above if member[0] == PrincipalType.UNKNOWN}
    rest = list(mine)
    while rest:
        new = set(above.get(rest.pop(), ())) - mine
        mine |= new
        rest += new


def request_version(review: Record, inputs: Iterable[Record]) -> str:
    """Return the policy version of a run that a form asked for: over its form and the digests of its input files."""
    by_name = {one["name"]: one for one in inputs}
    digests = [by_name[name]["sha256"] for name in _INPUTS if name in by_name]
    complete = by_name["roster"]["facts"]["complete"] if "roster" in by_name else None
    return digest([digest([review["params"]]), complete, *digests])


def _spelled(text: str) -> list[PrincipalId]:
    """Return the principals that a name of a form may mean by its own text: an id, or ``system:type:id``."""
    first, _, rest = text.partition(":")
    kind, _, ident = rest.partition(":")
    users = [(str(PrincipalType.USER), one.strip()) for one in (first, text, rest, ident)]
    return [pair for pair in (*users, (kind, ident.strip())) if pair[1]]
