"""Facts about principals that come from the platforms: memberships and held entitlements."""

from __future__ import annotations

from collections.abc import Container, Iterable, Mapping
from sys import intern
from typing import NamedTuple

from rescind.model import Grant, Membership, Principal


class PrincipalKey(NamedTuple):
    """The identity of a principal."""

    system: str
    account: str
    principal_type: str
    principal_id: str


def principal_key(item: Grant | Principal) -> PrincipalKey:
    """Return the principal of a grant, or the key of a principal."""
    if isinstance(item, Principal):
        return PrincipalKey(item.system, item.account, item.principal_type, item.principal_id)
    key = item.key
    return PrincipalKey(key.system, key.account, key.principal_type, key.principal_id)


def index_principals(principals: Iterable[Principal]) -> dict[PrincipalKey, Principal]:
    """Return the principals by their key."""
    return {principal_key(principal): principal for principal in principals}


class Memberships:
    """Direct and nested memberships in groups and roles."""

    def __init__(self, edges: Mapping[PrincipalKey, frozenset[PrincipalKey]]) -> None:
        self._edges = edges

    @classmethod
    def of(cls, memberships: Iterable[Membership]) -> Memberships:
        """Build the graph from the listed memberships."""
        edges: dict[PrincipalKey, list[PrincipalKey]] = {}
        known: dict[PrincipalKey, PrincipalKey] = {}
        for edge in memberships:
            member = PrincipalKey(edge.system, edge.account, edge.member_type, edge.member_id)
            container = PrincipalKey(edge.system, edge.account, edge.container_type, edge.container_id)
            edges.setdefault(member, []).append(known.setdefault(container, container))
        shared: dict[frozenset[PrincipalKey], frozenset[PrincipalKey]] = {}  # many are in the same ones
        sets = ((member, frozenset(edges.pop(member))) for member in list(edges))
        return cls({member: shared.setdefault(containers, containers) for member, containers in sets})

    def containers(self, member: PrincipalKey) -> frozenset[PrincipalKey]:
        """Return everything that the member belongs to; cycles are harmless."""
        found: set[PrincipalKey] = set()
        waiting = [member]
        while waiting:
            new = self._edges.get(waiting.pop(), frozenset()) - found
            found |= new
            waiting.extend(new)
        return frozenset(found - {member})

    def groups(self, member: PrincipalKey) -> list[str]:
        """Return ids of all containers that are not roles, sorted."""
        return sorted({c.principal_id for c in self.containers(member) if c.principal_type != "role"})

    def roles(self, member: PrincipalKey) -> list[str]:
        """Return ids of all roles, sorted."""
        return sorted({c.principal_id for c in self.containers(member) if c.principal_type == "role"})


class Holdings:
    """All entitlements of each principal in its system, for separation of duties."""

    def __init__(self, held: Mapping[PrincipalKey, frozenset[str]]) -> None:
        self.held = held

    def of(self, principal: PrincipalKey) -> frozenset[str]:
        """Return the principal's entitlements."""
        return self.held.get(principal, frozenset())


def collect_holdings(grants: Iterable[Grant], wanted: Container[str] | None = None) -> Holdings:
    """Collect the holdings in one pass over the grants of a complete snapshot.

    :param wanted: only these entitlements are kept. Memory grows with principals, not with grants.
    """
    held: dict[PrincipalKey, frozenset[str]] = {}
    shared: dict[frozenset[str], frozenset[str]] = {}
    for grant in grants:
        entitlement = grant.key.entitlement
        if wanted is None or entitlement in wanted:
            key = principal_key(grant)
            before = held.get(key)
            if before is None:
                before = frozenset()
                system, account, kind = (intern(str(part)) for part in key[:3])
                key = PrincipalKey(system, account, kind, key.principal_id)
            if entitlement not in before:
                both = before | {entitlement}
                held[key] = shared.setdefault(both, both)
    return Holdings(held)
