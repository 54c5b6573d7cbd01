"""What would close the remaining paths, or what the plan does to close them: for approvers and evidence."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Container, Iterator, Mapping, Sequence
from typing import Any

from rescind.plan.access_graph import Removal, Walk
from rescind.systems import system_named
from rescind.systems.access_path import access_text
from rescind.workflow.closing.close_paths import MOST_PATHS, Account
from rescind.workflow.closing.part import ClosingPart

CLOSING = "closing"
"""Name of the part of a scope's note on residual access that holds the proposal."""
NAMED = 100
"""Own removals and open paths that are stored by name for each system and account, and lost accesses of a removal.

Grants of groups are all stored: the approver sees everybody who loses something.
"""


def closing_notes(parts: Sequence[ClosingPart] | None, planned: Container[str] | None) -> dict[Account, dict[str, Any]]:
    """Return the proposal as JSON, by system and account: removals with their grants, open paths with theirs.

    :param parts: None when too many planned grants have a path.
    :param planned: ids of the planned grants when the removals are part of the plan; else None.
    :returns: ``more`` counts what is left out of each list.
    """
    notes: dict[Account, dict[str, Any]] = defaultdict(
        lambda: {"planned": planned is not None, "removals": [], "cost": 0, "open": [], "certificate": [], "more": {}}
    )
    for part in parts or ():
        for removal in part.closing.removals:
            grants = part.records[removal.ident]
            note = notes[grants[0].key.system, grants[0].key.account]
            note["cost"] += removal.price
            held = planned is not None and any(grant.grant_id not in planned for grant in grants)
            row = {**_removal(part, removal), **({"held": True} if held else {})}
            _add(note, "removals", row, whole=row["shared"])
        for demand, walk in part.closing.open.items():
            grant = part.demands[demand]
            row = {"grant_id": demand, "principal": grant.key.principal_id, "name": grant.principal_name}
            row |= {"access": access_text(grant), "path": part.path(walk), "who": part.who[demand]}
            _add(notes[grant.key.system, grant.key.account], "open", row)
        for walk, amount in part.closing.packing:
            grant = part.demands[walk.demand]
            _add(notes[grant.key.system, grant.key.account], "certificate", _certificate(walk, amount))
    return dict(notes)


def narrowed_notes(
    notes: Mapping[Account, Mapping[str, Any]], planned: Container[str]
) -> dict[Account, dict[str, Any]]:
    """Return these notes of a plan that closes paths, without what a plan that was narrowed from it leaves out.

    :param planned: ids of the grants of the narrowed plan.
    """
    found: dict[Account, dict[str, Any]] = {}
    for place, note in notes.items():
        removals = [row for row in note["removals"] if row.get("held") or row["grant_id"] in planned]
        less = sum(row["price"] for row in note["removals"]) - sum(row["price"] for row in removals)
        found[place] = {**note, "removals": removals, "cost": note["cost"] - less}
        for name, key in (("open", "grant_id"), ("certificate", "demand")):
            found[place][name] = [row for row in note[name] if row[key] in planned]
    return found


def _add(note: dict[str, Any], name: str, row: dict[str, Any], *, whole: bool = False) -> None:
    if whole or len(note[name]) < NAMED:
        note[name].append(row)
    else:
        note["more"][name] = note["more"].get(name, 0) + 1


def _removal(part: ClosingPart, removal: Removal) -> dict[str, Any]:
    record, *more = part.records[removal.ident]
    lost = part.lost(removal.ident)
    person = part.holders.get(removal.ident, "")
    ended = [one for one in part.demands.values() if one.grant_id not in part.closing.open]
    ended = [one for one in ended if person in ("", one.key.principal_id)]
    name = record.principal_name or next((one.principal_name for one in ended if person and one.principal_name), "")
    reasons = {why for grant in (record, *more) if (why := system_named(grant.key.system).unfaithful(grant))}
    return {
        "grant_id": removal.ident,
        "principal": person or f"{record.key.principal_type} {record.key.principal_id}",
        "name": name,
        "shared": not person,
        "what": access_text(record) + "".join(f", with {one.key.entitlement}" for one in more),
        "price": removal.price,
        "also_loses": lost[:NAMED],
        "also_loses_count": len(lost),
        "not_restored": "; ".join(sorted(reasons)),
        "ends": [grant.grant_id for grant in ended][:NAMED],
    }


def _certificate(walk: Walk, amount: int) -> dict[str, Any]:
    way = walk.way
    last = {"holder": list(way.holder), "access": way.access, "removal": way.removal}
    return {
        "demand": walk.demand, "nodes": [list(node) for node in walk.nodes], "first": walk.first, "way": last,
        "amount": amount,
    }  # fmt: skip


def closing_lines(parts: Sequence[ClosingPart] | None) -> Iterator[str]:
    """Yield the proposal in a few lines for the task log."""
    if parts is None:
        yield f"closing paths: not computed, more than {MOST_PATHS} planned grants stay reachable"
    elif parts:
        removals = [removal for part in parts for removal in part.closing.removals]
        people = {(part.product, grant.key.principal_id) for part in parts for grant in part.demands.values()}
        left = sum(len(part.closing.open) for part in parts)
        cost = sum(removal.price for removal in removals)
        yield (
            f"closing paths: {len(people)} people keep a path; {len(removals)} removals at cost {cost} (fewest, proven)"
            f" would close what can be closed; {left} grants stay reachable even then"
        )
