"""The lines about other paths to what a plan ends, from the notes of the scopes."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any


def closing_rows(scopes: Iterable[tuple[str, Mapping[str, Any]]]) -> list[dict[str, Any]]:
    """Return what closes other paths, then the paths that no removal ends; grants of groups first.

    :param scopes: (system, notes of the scope).
    :returns: the rows of the notes, each with ``system``, ``planned`` and ``kind`` (``removals`` or ``open``).
    """
    notes = [(system, one.get("stays_reachable", {}).get("closing", {})) for system, one in scopes]
    empty = {"held": False, "shared": False, "not_restored": ""}
    rows = [
        {"system": system, "planned": note["planned"], "kind": kind, **empty, **row}
        for kind in ("removals", "open")
        for system, note in notes
        for row in note.get(kind, ())
    ]
    return sorted(rows, key=lambda row: not row["shared"])


def concerning(rows: Iterable[Mapping[str, Any]], principals: Iterable[str], grants: Iterable[str] = ()) -> list[Any]:
    """Return the rows about a person: the person's own, and those of groups that end or take something of theirs.

    :param principals: ids of the person in accounts.
    :param grants: ids of the person's grants.
    """
    people, mine = set(principals), set(grants)

    def concerns(row: Mapping[str, Any]) -> bool:
        if row["principal"] in people or not mine.isdisjoint(row.get("ends", ())):
            return True
        return any(f"({one})" in lost for lost in row.get("also_loses", ()) for one in people if row["shared"])

    return [row for row in rows if concerns(row)]


def closing_text(row: Mapping[str, Any]) -> str:
    """Return one row as a sentence for people: what closes the path and what else is lost, or who can close it."""
    if row["kind"] == "open":
        return f"Stays open: {row['path']}. It can be closed by {row['who']}."
    whose = row["name"] or row["principal"]
    count = row["also_loses_count"]
    lost = "; ".join(row["also_loses"][:5]) + (f" and {count - 5} more" if count > 5 else "")
    plan = "not in the plan" if not row["planned"] else "held back" if row["held"] else "in the plan"
    end = f" A restore does not bring it back: {row['not_restored']}." if row["not_restored"] else ""
    also = f" {'Also lost' if count else 'Nothing else is lost'}{': ' + lost if count else ''}."
    return f"Remove {row['what']} of {whose} (price {row['price']}, {plan}).{also}{end}"
