"""What would close the remaining paths, or what the plan does to close them: for approvers and evidence."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Container, Iterator, Sequence
from typing import Any

from rescind.plan.access_graph import Removal, Walk
from rescind.systems.effective import access_text
from rescind.workflow.close_paths import MOST_PATHS, Account, PersonClosing

CLOSING = "closing"
"""Name of the part of a scope's note on residual access that holds the proposal."""
NAMED = 100
"""Removals and open paths that are stored by name for each system and account, and lost accesses of each removal."""


def closing_notes(
    people: Sequence[PersonClosing] | None, planned: Container[str] | None
) -> dict[Account, dict[str, Any]]:
    """Return the proposal as JSON, by system and account: removals with their grants, open paths with theirs.

    :param people: None when too many planned grants have a path.
    :param planned: ids of the planned grants when the removals are part of the plan; else None.
    """
    notes: dict[Account, dict[str, Any]] = defaultdict(
        lambda: {"planned": planned is not None, "removals": [], "cost": 0, "open": [], "certificate": [], "more": 0}
    )
    for one in people or ():
        for removal in one.closing.removals:
            record = one.records[removal.ident]
            note = notes[record.key.system, record.key.account]
            note["cost"] += removal.price
            held = planned is not None and removal.ident not in planned
            _add(note, "removals", {**_removal(one, removal), **({"held": True} if held else {})})
        for demand, walk in one.closing.open.items():
            grant = one.demands[demand]
            row = {"grant_id": demand, "principal": one.person, "name": grant.principal_name}
            row |= {"access": access_text(grant), "path": one.path(walk), "who": one.who[demand]}
            _add(notes[grant.key.system, grant.key.account], "open", row)
        for walk, amount in one.closing.packing:
            grant = one.demands[walk.demand]
            _add(notes[grant.key.system, grant.key.account], "certificate", _certificate(walk, amount))
    return dict(notes)


def _add(note: dict[str, Any], name: str, row: dict[str, Any]) -> None:
    if len(note[name]) < NAMED:
        note[name].append(row)
    else:
        note["more"] += 1


def _removal(one: PersonClosing, removal: Removal) -> dict[str, Any]:
    record = one.records[removal.ident]
    lost = sorted(access for _, access in removal.collateral)
    ended = [one.demands[name] for name in one.demands if name not in one.closing.open]
    return {
        "grant_id": removal.ident,
        "principal": one.person,
        "name": record.principal_name or next((g.principal_name for g in ended if g.principal_name), ""),
        "what": access_text(record),
        "price": removal.price,
        "also_loses": lost[:NAMED],
        "also_loses_count": len(lost),
        "ends": [grant.grant_id for grant in ended][:NAMED],
    }


def _certificate(walk: Walk, amount: int) -> dict[str, Any]:
    way = walk.way
    last = {"holder": list(way.holder), "access": way.access, "removal": way.removal}
    return {
        "demand": walk.demand, "nodes": [list(node) for node in walk.nodes], "first": walk.first, "way": last,
        "amount": amount,
    }  # fmt: skip


def closing_lines(people: Sequence[PersonClosing] | None) -> Iterator[str]:
    """Yield the proposal in a few lines for the task log."""
    if people is None:
        yield f"closing paths: not computed, more than {MOST_PATHS} planned grants stay reachable"
    elif people:
        removals = [removal for one in people for removal in one.closing.removals]
        left = sum(len(one.closing.open) for one in people)
        cost = sum(removal.price for removal in removals)
        yield (
            f"closing paths: {len(people)} people keep a path; {len(removals)} removals at cost {cost} (fewest, proven)"
            f" would close what can be closed; {left} grants stay reachable even then"
        )
