"""Residual access: access that remains through another path after every planned grant is gone."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from itertools import groupby
from typing import Any

from rescind.ledger import Ledger, Run
from rescind.model import Grant, Membership, PrincipalType
from rescind.systems import system_named
from rescind.systems.effective import Near, still_reachable
from rescind.workflow.closing.close_paths import MOST_PATHS, ClosingPlanner
from rescind.workflow.closing.part import ClosingPart
from rescind.workflow.closing.proposal import CLOSING, closing_lines, closing_notes, narrowed_notes
from rescind.workflow.closing.surroundings import ended_elsewhere, product
from rescind.workflow.closing.what_stays import what_stays
from rescind.workflow.same_people import same_people

EXAMPLES = 5
"""Paths that are stored as examples for each system and account."""
CHUNK = 50_000
"""Grants to revoke that are checked together: about 100 MB."""
WAYS = 20
"""Remaining ways that are stored in words for each system and account, those of most grants first."""
STAYS_REACHABLE = "stays_reachable"
"""Name of the note of a scope: ``{"grants": n, "of": planned, "examples": [text], "ways": [...]}``.

Each way is ``{"way": text, "close": text, "grants": n}``: where the access comes from, what closes it, and how many
planned grants stay reachable by it.
"""


def note_residual_access(
    ledger: Ledger,
    run: Run,
    closings: list[ClosingPart] | None = None,
    noted: Mapping[tuple[str, str], Mapping[str, Any]] | None = None,
) -> Iterator[str]:
    """Compute the residual access of the live plan, store it with the scopes, and yield it as lines of text.

    It is based on the snapshot. Verification follows the same paths on the listings after the revocation.

    :param closings: what the plan itself does to close paths; None: what would close them is computed.
    :param noted: for a narrowed plan: what the plan before it noted about what it does to close paths.
    """
    planned = [item.grant_id for item in ledger.plans.items(run.run_id) if item.call_id]
    ending, elsewhere = ended_elsewhere(ledger, run, planned)
    gone = frozenset(planned) | elsewhere
    found: dict[tuple[str, str], dict[str, Any]] = {
        (scope.system, scope.account): {"grants": 0, "of": 0, "examples": []}
        for scope in ledger.scopes.all(run.run_id)
        if scope.state == "complete"
    }
    reachable: list[str] = []
    for start in range(0, len(planned), CHUNK):
        grants = ledger.snapshot.grants_by_id(run.run_id, planned[start : start + CHUNK]).values()
        for own, part in groupby(sorted(grants, key=_account), key=_account):
            reachable += _count(ledger, run, list(part), gone, ending, found[own])
    parts = closings
    if closings is None and noted is None:
        # What nobody may lose is not proposed either. Without a path there is nothing to propose.
        planner = ClosingPlanner(ledger, run)
        if reachable:
            planner.spared, planner.kept = what_stays(ledger, run)
        parts = planner.parts(planned, reachable)
    notes = closing_notes(parts, gone if closings is not None else None)
    for own, closing in (notes if noted is None else narrowed_notes(noted, gone)).items():
        found[own][CLOSING] = closing
    if noted is None:
        yield from closing_lines(parts)
    for (system, account), note in sorted(found.items()):
        ledger.scopes.note(run.run_id, system, account, STAYS_REACHABLE, note)
        if note["of"]:
            yield f"{system} {account}: {note['grants']} of {note['of']} would stay reachable by another path"
            yield from (f"  stays reachable: {example}" for example in note["examples"])


def _count(
    ledger: Ledger,
    run: Run,
    revoke: list[Grant],
    gone: frozenset[str],
    ending: Mapping[tuple[str, str], list[Membership]],
    note: dict[str, Any],
) -> list[str]:
    """Count the grants of one system and account whose access would remain; return the ids of those of users."""
    users: list[str] = []
    note["of"] += len(revoke)
    system, account = _account(revoke[0])
    memberships = ledger.snapshot.memberships(run.run_id, system=system, account=account)
    people = same_people(ledger, run, system, account)
    one = system_named(system)
    ends = ending.get((product(system), account), ())
    names = ledger.snapshot.container_names(run.run_id, system, account)
    ways: Counter[tuple[str, str]] = Counter({(w["way"], w["close"]): w["grants"] for w in note.get("ways", ())})

    def remaining(near: Near) -> Iterator[Grant]:
        return ledger.snapshot.grants_on(run.run_id, system, account, *near)

    for grant, path in still_reachable(one, revoke, gone, remaining, memberships, people, ends, names):
        note["grants"] += 1
        ways[path.in_words(), path.how_to_close()] += 1
        if grant.key.principal_type == PrincipalType.USER and len(users) <= MOST_PATHS:
            users.append(grant.grant_id)
        if len(note["examples"]) < EXAMPLES:
            key = grant.key
            what = f"{key.entitlement} on {key.resource_type} {key.resource_id} of {key.principal_type}"
            note["examples"].append(f"{what} {key.principal_id}: {path.describe()}")
    first = sorted(ways.items(), key=lambda pair: (-pair[1], pair[0]))[:WAYS]
    note["ways"] = [{"way": way, "close": close, "grants": count} for (way, close), count in first]
    return users


def _account(grant: Grant) -> tuple[str, str]:
    return grant.key.system, grant.key.account
