"""What the bundle of a run about named people leaves out: complete subtrees of the sealed population."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from rescind.evidence.bundle.known import KnownPeople, names_people, request_version
from rescind.ledger import Ledger, Run
from rescind.snapshot_tree import FORM_2, SEALED_PEOPLE, Part, join, omittable, snapshot_digest

Record = dict[str, Any]
HOLDER = ("system", "account", "principal_type", "principal_id")
"""Fields of a grant that say who holds it."""


@dataclass(frozen=True, slots=True)
class LeftOut:
    """What a bundle leaves out.

    :param known: the principals of whom it tells everything.
    :param records: one for each part, by scope and place in the tree; never empty.
    """

    known: KnownPeople
    records: Sequence[Record]


def left_out_of(ledger: Ledger, run: Run, records: Callable[[str], Iterable[Record]]) -> LeftOut | None:
    """Return what the bundle of a run may leave out; None if it has to be whole.

    It is whole too if the grants of the ledger are not those that were sealed: then it shows which they are.

    :param records: returns the records of a file, nothing left out.
    """
    if not (run.snapshot_digest.startswith(FORM_2) and names_people({"params": run.params})):
        return None
    (review,), scopes = records("review"), list(records("scopes"))
    if any(SEALED_PEOPLE not in scope["notes"] for scope in scopes):
        return None
    leaves = ledger.scopes.leaves(run.run_id)
    rows = [
        (scope["scope"], scope["state"], join(leaves.get(scope["scope"], ())), scope["notes"][SEALED_PEOPLE])
        for scope in scopes
    ]
    if snapshot_digest(rows) != run.snapshot_digest:
        return None
    if request_version(review, records("inputs")) != review["policy_version"]:
        return None
    holders = _holders(ledger, run, records)
    known = KnownPeople(review, scopes, records("calls"), holders, records("memberships"))
    made = [
        _record(scope["scope"], part)
        for scope in sorted(scopes, key=lambda one: str(one["scope"]))
        for part in omittable(leaves.get(scope["scope"], ()), known.of(scope["system"], scope["account"]))
    ]
    return LeftOut(known, made) if made else None


def _holders(
    ledger: Ledger, run: Run, records: Callable[[str], Iterable[Record]]
) -> Iterator[tuple[str, str, str, str]]:
    """Yield who holds the items, the lost grants and the grants that owners were asked about."""
    ids = {item.grant_id for item in ledger.plans.items(run.run_id)} if ledger.plans.find(run.run_id) else set()
    ids.update(lost for check in records("kept") for lost in check["lost"])
    ids.update(question["grant_id"] for question in records("questions"))
    for grant in ledger.snapshot.grants_by_id(run.run_id, sorted(ids)).values():
        yield grant.key.system, grant.key.account, str(grant.key.principal_type), grant.key.principal_id


def _record(scope: str, part: Part) -> Record:
    return {
        "scope": scope,
        "hash": part.hash,
        "principals": part.leaves,
        "grants": part.grants,
        "first": list(part.first),
        "last": list(part.last),
    }
