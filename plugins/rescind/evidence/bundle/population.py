"""Check that the grants of a bundle, with what it leaves out, are the population that was sealed.

A bundle of a run about named people may leave out complete subtrees of the sealed tree (:mod:`rescind.snapshot_tree`).
Nothing is left out unless every check here says that it may be.
"""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from rescind.evidence.bundle.format import OMITTED
from rescind.evidence.bundle.known import KnownPeople, names_people, request_version
from rescind.evidence.bundle.read import Source, records
from rescind.model import digest
from rescind.snapshot_tree import FORM_2, SEALED_PEOPLE, Part, PrincipalId, join, leaf, snapshot_digest

Record = Mapping[str, Any]
Holder = tuple[str, str, str, str]
"""(system, account, type, id) of a principal."""
_SCOPE_ID = 16
"""Hex characters of the id of a scope."""
_DIFFERS = "the population differs from the sealed snapshot"
_COPY = "a copy without personal data: what is left out, and whether it may be, cannot be checked"


@dataclass(slots=True)
class _Grants:
    """The grants of one principal, as they are read in order of their ids."""

    ids: Any = field(default_factory=hashlib.sha256)
    count: int = 0


class Population:
    """The grants of a bundle, as they are read in order of their ids.

    :param scopes: the scopes by name.
    :param found: takes a problem and an example.
    """

    def __init__(
        self, source: Source, review: Record, scopes: Mapping[str, Record], found: Callable[[str, str], None]
    ) -> None:
        self._source, self._review, self._scopes, self._found = source, review, scopes, found
        self._sealed = str(review["snapshot_digest"])
        self._form_2 = self._sealed.startswith(FORM_2)
        self._ids = {name: hashlib.sha256() for name in scopes}
        self._held: dict[str, dict[PrincipalId, _Grants]] = {name: {} for name in scopes}
        self._counted: Counter[str] = Counter()
        self.holders: dict[str, Holder] = {}

    def take(self, grant: Record, *, subject: bool) -> None:
        """Take the next grant.

        :param subject: whether the bundle says something of this grant beside its decision.
        """
        name, ident = grant["scope"], bytes.fromhex(grant["grant_id"]) if len(grant["grant_id"]) == 64 else b""
        self._counted[name] += 1
        scope = self._scopes[name]
        if grant["account"] != scope["account"] or grant["system"] != scope["system"]:
            self._found("a grant is of another system or account than its scope", grant["grant_id"])
        principal = (grant["principal_type"], grant["principal_id"])
        if self._form_2:
            mine = self._held[name].setdefault(principal, _Grants())
            mine.ids.update(ident)
            mine.count += 1
        else:
            self._ids[name].update(ident)
        if subject:
            self.holders[grant["grant_id"]] = (grant["system"], grant["account"], *principal)

    def check(self, subjects: Iterable[str], *, sanitized: bool) -> str:
        """Compare with the certificates and the seal, once every grant was taken.

        :param subjects: ids of the grants of which the bundle says something beside their decision.
        :returns: what was not checked, for people; empty if nothing was left out.
        """
        left_out = list(records(self._source, OMITTED))
        sizes: Counter[str] = Counter()
        for one in left_out:
            if one["scope"] not in self._scopes:
                self._found("a part that is left out belongs to no scope", str(one["scope"]))
            sizes[one["scope"]] += one["grants"]
        for name, scope in self._scopes.items():
            if scope["state"] == "complete" and scope["counted"] != self._counted[name] + sizes[name]:
                self._found("the number of grants of a scope does not match its count", name)
        if sanitized:
            return f"{_COPY}: {number_unchecked(left_out)}" if left_out else ""
        self._places()
        self._seal(left_out)
        if left_out:
            self._may_be_left_out(left_out, subjects)
        return self._unchecked(left_out) if left_out else ""

    def _places(self) -> None:
        """Check that each scope is about the system and account that its id covers: the seal covers the id alone."""
        if sum(1 for _ in records(self._source, "scopes")) != len(self._scopes):
            self._found("duplicate scope", "")
        for name, scope in self._scopes.items():
            made = [scope[part] for part in ("system", "account", "part", "connection")]
            if digest(made)[:_SCOPE_ID] != name:
                self._found("a scope does not match its id", name)

    def _seal(self, left_out: Iterable[Record]) -> None:
        if not self._sealed:
            return
        if not self._form_2:
            scopes = ((name, self._scopes[name]["state"]) for name in sorted(self._scopes))
            whole = "".join(f"{name} {state} {self._ids[name].hexdigest()}\n" for name, state in scopes)
            if hashlib.sha256(whole.encode()).hexdigest() != self._sealed:
                self._found(_DIFFERS, "")
            return
        try:
            parts = {name: _leaves(held) for name, held in self._held.items()}
            for one in left_out:
                parts[one["scope"]].append(part_of(one))
            rows = [
                (name, scope["state"], _root(parts[name]), scope["notes"].get(SEALED_PEOPLE))
                for name, scope in self._scopes.items()
            ]
            if snapshot_digest(rows) != self._sealed:
                self._found(_DIFFERS, "")
        except ValueError as error:
            self._found(f"{_DIFFERS}: {error}", "")

    def _may_be_left_out(self, left_out: Iterable[Record], subjects: Iterable[str]) -> None:
        """Check that nothing is left out that the run is about."""
        if not self._form_2:
            self._found("a part is left out, and the form of the seal does not allow that", "")
        if not names_people(self._review):
            self._found("a part is left out, and the run names nobody", "")
            return
        self._names()
        for grant_id in set(subjects) - self.holders.keys():
            self._found("the bundle says something of a grant that it leaves out", grant_id)
        known = KnownPeople(
            self._review,
            self._scopes.values(),
            records(self._source, "calls"),
            self.holders.values(),
            records(self._source, "memberships"),
        )
        of_scope = {name: known.of(scope["system"], scope["account"]) for name, scope in self._scopes.items()}
        for one in left_out:
            if of_scope[one["scope"]].may_be_in(part_of(one)):
                self._found("a part that is left out could hold somebody whom the run is about", one["scope"])

    def _names(self) -> None:
        """Check that the people are those whom the form named: so the plan was approved, and so the snapshot sealed."""
        asked = self._review["params"]["principals"]
        for name, scope in self._scopes.items():
            if scope["notes"].get(SEALED_PEOPLE, {}).get("asked") != asked:
                self._found("the people of the run are not those for whom the snapshot was sealed", name)
        if request_version(self._review, records(self._source, "inputs")) != self._review["policy_version"]:
            self._found("the people of the run are not those whose request was planned and approved", "")

    def _unchecked(self, left_out: Iterable[Record]) -> str:
        grants = sum(self._counted.values())
        people = len({(name, one) for name, held in self._held.items() for one in held})
        return f"{number_checked(grants, people)}; {number_unchecked(left_out)}"


def number_checked(grants: int, people: int) -> str:
    """Return how much was checked, for people."""
    return f"{grants:,} grants of {people:,} principals were checked"


def number_unchecked(left_out: Iterable[Record]) -> str:
    """Return what the bundle does not show, for people."""
    every = list(left_out)
    grants, people = (sum(one[name] for one in every) for name in ("grants", "principals"))
    return (
        f"{grants:,} grants of {people:,} principals are represented by hashes: their decisions, and that they were"
        " retained, are not in this bundle"
    )


def part_of(record: Record) -> Part:
    """Return a part that is left out.

    :raises ValueError: when it is none.
    """
    (kind, ident), (last_kind, last_ident) = record["first"], record["last"]
    return Part(record["hash"], record["principals"], record["grants"], (kind, ident), (last_kind, last_ident))


def _leaves(held: Mapping[PrincipalId, _Grants]) -> list[Part]:
    return [leaf(principal, one.count, one.ids.hexdigest()) for principal, one in held.items()]


def _root(parts: list[Part]) -> Part | None:
    return join(sorted(parts, key=lambda part: part.first))
