"""The population that a discovery finds, and the figures of its certificate of completeness.

A population can have a million grants, too many for the memory of one task. A :class:`Population` passes every grant,
principal, membership and listing record to a sink immediately. It holds only what the certificate needs: about 15
bytes per grant to detect repeats, and the ids in complete listings to detect dangling references.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Iterator
from typing import NamedTuple, Protocol

from rescind.cloud.paging import ListingRecord
from rescind.errors import ListingIncompleteError
from rescind.model import Grant, Membership, Principal
from rescind.systems.last_use import UsageRequest
from rescind.systems.surfaces import Gap

MOST_GAPS = 500
"""Most gaps of surfaces that a population keeps apart."""
EXAMPLES = 5
"""Most examples of dangling references in a certificate."""
_ENTRY = 11
_RUNS = re.compile(r"\d+|[^\W\d_]+")


class Sink(Protocol):
    """Receives what a discovery finds, in any order: a spool of the ledger or lists in memory."""

    def add_grants(self, grants: Iterable[Grant]) -> None:
        """Store grants; none is passed twice."""

    def add_principals(self, principals: Iterable[Principal]) -> None:
        """Store principals; none is passed twice."""

    def add_memberships(self, memberships: Iterable[Membership]) -> None:
        """Store memberships; one may be passed again."""

    def add_record(self, record: ListingRecord) -> None:
        """Store the record of one complete listing."""


class Sentinel(NamedTuple):
    """A grant that is known to exist. A discovery that does not find it could not see the whole population."""

    principal: str
    resource: str
    entitlement: str

    def describe(self) -> str:
        """The sentinel in words."""
        return f"{self.entitlement} of {self.principal} on {self.resource}"


class Population:
    """The population of one scope while it is being discovered.

    :param sink: receives everything immediately.
    :param sentinels: grants that must be found; :meth:`close` checks them.
    :param excluded: ids of objects that the deployment leaves out; they are reported as not reviewed.
    """

    def __init__(self, sink: Sink, sentinels: Iterable[Sentinel] = (), excluded: Iterable[str] = ()) -> None:
        self._sink = sink
        self._seen = _Seen()
        self._principals: set[tuple[str, str]] = set()
        self._shown: dict[str, set[str]] = {}
        self._missing = set(sentinels)
        self._excluded = frozenset(excluded)
        self.sentinels = len(self._missing)
        self.actions: Counter[str] = Counter()
        self.pages = 0
        self.declared = 0
        self.rows = 0
        self.repeats = 0
        self.second_passes = 0
        self.dangling: Counter[str] = Counter()
        self.dangling_examples: list[str] = []
        self.notes: dict[str, int] = {}
        self.surfaces: dict[str, str] = {}
        self.left_out: list[dict[str, str]] = []
        self.gaps: list[Gap] = []
        self.usage: UsageRequest | None = None
        """What to ask about the use of the grants; None for nothing."""

    @property
    def grants(self) -> int:
        """Distinct grants found so far."""
        return self._seen.count

    @property
    def principals(self) -> int:
        """Distinct principals found so far."""
        return len(self._principals)

    def shown(self, kind: str, ids: Iterable[str]) -> None:
        """Record the ids of one kind of principal or resource that complete listings showed.

        From now on a grant that refers to another id of this kind counts as dangling. A kind without a listing is not
        checked.
        """
        self._shown.setdefault(kind, set()).update(ids)

    def add_grants(self, grants: Iterable[Grant]) -> None:
        """Pass on grants that were not seen before.

        :raises ListingIncompleteError: when the same grant is listed once as revocable and once not.
        """
        self._sink.add_grants(self._new(grants))

    def add_principals(self, principals: Iterable[Principal]) -> None:
        """Pass on principals. Of the same principal, the first one counts."""
        self._sink.add_principals(self._first(principals))

    def add_memberships(self, memberships: Iterable[Membership]) -> None:
        """Pass on memberships."""
        self._sink.add_memberships(memberships)

    def add_record(self, record: ListingRecord) -> None:
        """Count one complete listing and pass on its record; ``record.restarts`` is the passes before the last."""
        self.actions[record.action] += 1
        self.pages += record.pages
        self.declared += record.declared or 0
        self.rows += record.counted
        self.repeats += record.duplicates
        self.second_passes += bool(record.restarts)
        self._sink.add_record(record)

    def note(self, name: str, figure: int) -> None:
        """Add to a figure of the certificate that no listing carries."""
        self.notes[name] = self.notes.get(name, 0) + figure

    def not_reviewed(self, kind: str, ident: str, why: str) -> None:
        """Name an object whose grants could not be listed; the rest of the population goes on without it."""
        self.left_out.append({"type": kind, "id": ident, "why": why})

    def leaves_out(self, kind: str, ident: str) -> bool:
        """Whether the deployment leaves an object out; it is then reported as not reviewed."""
        if ident not in self._excluded:
            return False
        self.not_reviewed(kind, ident, "left out by the setting 'not_reviewed'")
        return True

    def asked(self, surface: str) -> None:
        """Say that a surface was asked completely; one failure stays a failure."""
        self.surfaces.setdefault(surface, "")

    def could_not_ask(self, surface: str, why: str) -> None:
        """Say that a surface was not asked, or not completely, and why; the first reason stays."""
        if not self.surfaces.get(surface):
            self.surfaces[surface] = why or "not answered"

    def could_not_tell(self, gap: Gap) -> None:
        """Say that a surface did not tell about one object or one principal; too many of them count as not asked."""
        if len(self.gaps) < MOST_GAPS:
            self.gaps.append(gap)
        else:
            self.could_not_ask(gap.surface, f"{gap.why} (one of more than {MOST_GAPS})")

    def close(self) -> None:
        """Finish the discovery.

        :raises ListingIncompleteError: when a sentinel was not among the grants.
        """
        if self._missing:
            raise ListingIncompleteError(
                "the population",
                f"{len(self._missing)} of {self.sentinels} sentinels were not found among {self.grants} grants, the"
                f" first: {min(self._missing).describe()}. Either the reading key no longer sees everything (check its"
                " rights), or that grant is gone (correct the setting 'sentinels')",
            )

    def _new(self, grants: Iterable[Grant]) -> Iterator[Grant]:
        for grant in grants:
            before = self._seen.add(grant.grant_id, grant.revocable)
            if before is not None:
                if before != grant.revocable:
                    raise ListingIncompleteError(
                        "the population",
                        f"a grant on a {grant.key.resource_type} was listed twice, once revocable and once not",
                        shifted=True,
                    )
                self.repeats += 1
                continue
            self._look_up(grant)
            yield grant

    def _look_up(self, grant: Grant) -> None:
        key = grant.key
        if self._missing:
            self._missing.discard(Sentinel(key.principal_id, key.resource_id, key.entitlement))
        known = self._shown.get(key.principal_type)
        if known is not None and key.principal_id not in known:
            self._dangles(f"principal {key.principal_type}", key.principal_id)
        known = self._shown.get(key.resource_type)
        if known is not None and key.resource_id not in known:
            self._dangles(f"resource {key.resource_type}", key.resource_id)

    def _dangles(self, what: str, ident: str) -> None:
        self.dangling[what] += 1
        example = f"{what} {shape_of(ident)}"
        if len(self.dangling_examples) < EXAMPLES and example not in self.dangling_examples:
            self.dangling_examples.append(example)

    def _first(self, principals: Iterable[Principal]) -> Iterator[Principal]:
        for principal in principals:
            key = (principal.principal_type, principal.principal_id)
            if key not in self._principals:
                self._principals.add(key)
                yield principal


class _Seen:
    """The grants found so far, each with a flag, by 96 bits of the grant id. A set of them would be six times as large.

    :ivar count: how many there are.
    """

    def __init__(self) -> None:
        self.count = 0
        self._buckets = [b""] * (1 << 16)  # by two bytes of the id; an entry: ten further bytes, and the flag

    def add(self, grant_id: str, flag: bool) -> bool | None:
        """Add a grant that is not there. Return its flag if it is."""
        number, name = int(grant_id[:4], 16), bytes.fromhex(grant_id[4:24])
        bucket = self._buckets[number]
        at = bucket.find(name)
        while at > 0 and at % _ENTRY:  # across the border of two entries
            at = bucket.find(name, at + 1)
        if at >= 0:
            return bucket[at + _ENTRY - 1] == 1
        self._buckets[number] = bucket + name + (b"\1" if flag else b"\0")
        self.count += 1
        return None


def shape_of(ident: str) -> str:
    """Return the shape of an id without its value: runs of digits and letters with their lengths."""
    return _RUNS.sub(lambda run: f"{'9' if run[0].isdigit() else 'a'}{{{len(run[0])}}}", ident[:200])[:80] or "(empty)"
