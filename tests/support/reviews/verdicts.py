"""What tests of verification share: somebody to take access from, changes by others, and what a run says in the end."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from tests.support.reviews.review import Review, ReviewBench

Row = dict[str, Any]
DMS, PRIVILEGES, SOURCES, MENUS = "dms_permissions", "wedata_privileges", "wedata_data_sources", "quickbi_menus"


def somebody(bench: ReviewBench) -> Row:
    """Somebody whom nothing protects, with an id everywhere."""
    people = bench.emulator.get("org")["people"]
    return next(
        one
        for one in people
        if one["status"] == "active" and one["kind"] == "human" and not one["protected"] and one["dms_user_id"]
    )


def mutate(bench: ReviewBench, *operations: Row) -> None:
    changed = bench.emulator.post("mutate", {"actor": "somebody", "ops": list(operations)})["changed"]
    assert all(changed), (operations, changed)


def script(bench: ReviewBench, *faults: Row) -> None:
    numbered = [{"id": f"fault {number}", "times": 0, **fault} for number, fault in enumerate(faults)]
    bench.emulator.post("faults", {"faults": numbered, "replace": True})


def approved(bench: ReviewBench, person: Row, *systems: str) -> Review:
    """A run that takes everything from one person, approved and not yet sent."""
    review = bench.run(
        kind="targets", principals=[person["person_id"]], systems=list(systems), reason="a test", dry_run=False
    )
    review.through_plan()
    review.approve()
    return review


def items_of(review: Review) -> list[Row]:
    """What the run says of each item in the end."""
    return items_file(review.report())


def items_file(summary: Row) -> list[Row]:
    """What a run's summary says of each item."""
    return [json.loads(line) for line in Path(summary["items_file"]).read_text(encoding="utf-8").splitlines()]


def records_of(bench: ReviewBench, person: Row, wanted: int) -> list[Row]:
    """So many valid DMS records of one person in different databases, made where they are missing."""
    truth = bench.emulator.get("truth")[DMS]
    databases = {row["db_id"]: row for row in truth if row["ds_type"] == "DATABASE"}
    mine = [row for row in truth if row["user_id"] == person["dms_user_id"]]
    mutate(bench, *({**row, "op": "revoke", "system": DMS} for row in mine))
    names = ("ds_type", "instance_id", "db_id", "logic")
    places = [(row, perm) for _, row in sorted(databases.items()) for perm in ("QUERY", "EXPORT", "CORRECT")][:wanted]
    assert len(places) == wanted
    for row, perm in places:
        given = {name: row[name] for name in names} | {"user_id": person["dms_user_id"], "perm_type": perm}
        mutate(bench, {"op": "grant", "system": DMS, **given})
    return [row for row in bench.emulator.get("truth")[DMS] if row["user_id"] == person["dms_user_id"]]
