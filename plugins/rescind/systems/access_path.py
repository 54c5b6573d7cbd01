"""One way in that remains, and how it is said in words."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from rescind.model import Grant, PrincipalType

Node = tuple[str, str]
"""A principal or a resource, as (type, id)."""


@dataclass(frozen=True, slots=True)
class AccessPath:
    """One way in that remains.

    :param through: principals from the holder outward: empty for the principal itself, else the groups,
        roles or projects passed, nearest first, as (type, id).
    :param grant: the grant at the end of the way.
    :param names: names of the principals passed, as far as they are known.
    """

    through: tuple[Node, ...]
    grant: Grant
    names: Mapping[Node, str] = field(default_factory=dict)

    def describe(self) -> str:
        """The path in words, for reports and findings: the holder, then what it holds on which resource."""
        if not self.through:
            holder = "direct grant"
        elif self.through[-1][0] == PrincipalType.EVERYONE:
            holder = "all users"
        else:
            holder = " in ".join(
                f"{kind} {ident}{_quoted(self.names.get((kind, ident), ''), ident)}" for kind, ident in self.through
            )
        source = f" (inherited from {self.grant.inherited_from})" if self.grant.inherited_from else ""
        return f"{holder}: {access_text(self.grant)}{source}"

    def in_words(self) -> str:
        """The path for people: by names, and by ids only where nothing has a name."""
        what = f"{self.grant.key.entitlement} on {_resource(self.grant)}"
        if not self._groups:
            return f"a direct grant: {what}"
        if self._everyone:
            return f"all users: {what}"
        return f"{self._container}: {what}"

    def how_to_close(self) -> str:
        """What closes this path at its source."""
        what = f"{self.grant.key.entitlement} on {_resource(self.grant)}"
        if self._everyone:
            return f"take {what} away from all users"
        if not self._groups:
            return f"remove {what}" if self.grant.revocable else f"end it by hand: {self.grant.why_not}"
        return f"take the person out of {self._container}, or remove {what} from it"

    @property
    def _everyone(self) -> bool:
        return bool(self.through) and self.through[-1][0] == PrincipalType.EVERYONE

    @property
    def _groups(self) -> tuple[Node, ...]:
        """What the path goes through, without other ids of the person."""
        return tuple(node for node in self.through if node[0] != PrincipalType.USER)

    @property
    def _container(self) -> str:
        return " in ".join(_by_name(kind, ident, self.names.get((kind, ident), "")) for kind, ident in self._groups)


def access_text(grant: Grant) -> str:
    """Return what a grant gives, in words: the entitlement and the resource, without the holder."""
    key = grant.key
    resource = key.resource_type if key.resource_type == key.resource_id else f"{key.resource_type} {key.resource_id}"
    return f"{key.entitlement} on {resource}{_quoted(grant.resource_name, key.resource_id)}"


def _resource(grant: Grant) -> str:
    key = grant.key
    return _by_name(key.resource_type, key.resource_id, grant.resource_name)


def _by_name(kind: str, ident: str, name: str) -> str:
    """Return ``menu "Margin"``, or with the id where there is no name."""
    readable = kind.replace("_", " ")
    return f'{readable} "{name}"' if name else readable if kind == ident else f"{readable} {ident}"


def _quoted(name: str, ident: str) -> str:
    return f' "{name}"' if name and name != ident else ""
