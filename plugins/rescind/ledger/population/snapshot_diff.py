"""The differences between two snapshots: a sorted merge, a page at a time."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from rescind.errors import InputError
from rescind.ledger.population.grant_rows import TERMS
from rescind.ledger.population.snapshot import Snapshot
from rescind.ledger.runs.records import PARTS_OF_PEOPLE, Run, Scope
from rescind.ledger.runs.runs import Runs
from rescind.ledger.runs.scopes import Scopes
from rescind.model import Grant


@dataclass(frozen=True, slots=True)
class Change:
    """One difference.

    :param kind: ``added``, ``removed`` or ``changed``.
    :param grant: the grant in the newer snapshot; for ``removed`` in the older one.
    :param fields: for ``changed``, field name -> (old, new).
    """

    kind: str
    grant: Grant
    fields: dict[str, tuple[Any, Any]]

    def as_dict(self) -> dict[str, Any]:
        """Return the change as JSON values; times as text."""
        fields = {name: {"old": _plain(old), "new": _plain(new)} for name, (old, new) in self.fields.items()}
        return {"change": self.kind, "grant_id": self.grant.grant_id, **self.grant.key._asdict(), "fields": fields}


@dataclass(frozen=True, slots=True)
class NotComparable:
    """A system and account that cannot be compared, with the reason."""

    system: str
    account: str
    why: str


class SnapshotDiff:
    """Compares the snapshots of two runs.

    Only populations that both runs listed completely are compared, because an incomplete listing proves no absence.

    :param old: id or number of the older run.
    :param new: id or number of the newer run.
    :param system: only this permission system.
    :raises InputError: when a run does not exist.
    """

    def __init__(
        self, runs: Runs, scopes: Scopes, snapshot: Snapshot, old: str, new: str, system: str | None = None
    ) -> None:
        self.old, self.new = run_named(runs, old), run_named(runs, new)
        self._snapshot = snapshot
        before, after = (_parts(scopes.all(run.run_id), system) for run in (self.old, self.new))
        self.comparable: list[tuple[str, str]] = []
        self.not_comparable: list[NotComparable] = []
        for account in sorted({*before, *after}):
            why = _why_not(before.get(account), after.get(account), self.old, self.new)
            if why:
                self.not_comparable.append(NotComparable(*account, why))
            else:
                self.comparable.append(account)

    def changes(self) -> Iterator[Change]:
        """Yield every difference by system, account and grant id."""
        for system, account in self.comparable:
            sides = (self._snapshot.grants(run.run_id, system=system, account=account) for run in (self.old, self.new))
            yield from merge(*sides)


def merge(old: Iterator[Grant], new: Iterator[Grant]) -> Iterator[Change]:
    """Yield the differences of two streams of grants; both must be ordered by grant id."""
    one, other = _next(old), _next(new)
    while one is not None or other is not None:
        if other is None or (one is not None and one[0] < other[0]):
            assert one is not None
            yield Change("removed", one[1], {})
            one = _next(old)
        elif one is None or other[0] < one[0]:
            yield Change("added", other[1], {})
            other = _next(new)
        else:
            fields = _differing(one[1], other[1])
            if fields:
                yield Change("changed", other[1], fields)
            one, other = _next(old), _next(new)


def run_named(runs: Runs, name: str) -> Run:
    """Return a run by its id or number.

    :raises InputError: when it does not exist.
    """
    run = runs.named(name)
    if run is None:
        problem = f"no run has the id or number {name[:80]!r}"
        raise InputError("run", problem, "`rescind ledger status` lists the runs")
    return run


def _next(grants: Iterator[Grant]) -> tuple[str, Grant] | None:
    grant = next(grants, None)
    return None if grant is None else (grant.grant_id, grant)


def _differing(old: Grant, new: Grant) -> dict[str, tuple[Any, Any]]:
    pairs = ((name, getattr(old, name), getattr(new, name)) for name in TERMS)
    return {name: (before, after) for name, before, after in pairs if before != after}


def _parts(scopes: list[Scope], system: str | None) -> dict[tuple[str, str], dict[str, str]]:
    """Return the scopes of each system and account: part -> state."""
    parts: dict[tuple[str, str], dict[str, str]] = {}
    for scope in scopes:
        if system in (None, scope.system):
            parts.setdefault((scope.system, scope.account), {})[scope.part] = scope.state
    return parts


def _why_not(before: dict[str, str] | None, after: dict[str, str] | None, old: Run, new: Run) -> str:
    for parts, run in ((before, old), (after, new)):
        if parts is None:
            return f"run {run.number} did not cover it"
        if any(state != "complete" for state in parts.values()):
            return f"run {run.number} did not list it completely"
        if only := parts.keys() & set(PARTS_OF_PEOPLE):
            return f"run {run.number} listed {min(only)}"
    assert before is not None and after is not None
    return "" if before.keys() == after.keys() else "the two runs divided it into different parts"


def _plain(value: Any) -> Any:
    return value.isoformat() if hasattr(value, "isoformat") else value
