"""How long a run about one leaver takes from its start to its plan, and with how many list calls.

The four default systems, at the vendors' limits and with the product's default pace. Everybody is listed once before
the clock starts. Each scope is listed on its own; on Airflow they are listed side by side, so the time to the plan is
that of the slowest scope, and of preflight, seal, decide and plan.

    python -m tests.bench.leaver [--quick] [--grants N [N ...]]
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from rescind.ledger.store.migrate import migrate
from tests.support.reviews.review import Review, ReviewBench
from tests.support.servers.emulator import running_emulator
from tests.support.servers.postgres import PostgresServer


@dataclass(frozen=True)
class Figures:
    """One run. :param scopes: by system, (list calls, seconds)."""

    scopes: dict[str, tuple[int, float]]
    planned: int
    seconds: float


def measure(setup: ReviewBench, person: str, name: str, hours: int) -> Figures:
    """A dry run about one person, up to its plan."""
    from rescind.operators.discover import DiscoverOperator

    setup.configure(targeted_discovery_hours=hours)
    review = Review(setup, name, "targets", "rita", {"principals": [person], "reason": "a leaver", "dry_run": True})
    began = time.monotonic()
    review.preflight()
    rest = time.monotonic() - began
    scopes: dict[str, tuple[int, float]] = {}
    for index, scope in enumerate(review.scopes):
        began = time.monotonic()
        facts: dict[str, Any] = DiscoverOperator(task_id="discover", scope=scope).execute(
            review.context("discover", index)
        )
        scopes[scope["label"].partition(" · ")[0]] = (facts["list_calls"], time.monotonic() - began)
    began = time.monotonic()
    review.plan()
    rest += time.monotonic() - began
    with review.ledger() as ledger:
        run = ledger.runs.find("access_review", name)
        planned = sum(1 for item in ledger.plans.items(run.run_id) if item.call_id)
    if not planned:
        raise RuntimeError(f"the plan takes nothing away from {person}: this row would measure nothing")
    return Figures(scopes, planned, rest + max(seconds for _, seconds in scopes.values()))


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="3,000 grants")
    parser.add_argument("--grants", type=int, nargs="+", default=[], help="sizes of the organization")
    options = parser.parse_args(arguments)
    print("| grants | listed | DMS permissions: calls, s | slowest: calls, s | planned | start to plan, s |")
    print("| ---: | --- | --- | --- | ---: | ---: |", flush=True)
    for grants in options.grants or ([3_000] if options.quick else [10_000, 100_000]):
        for line in _rows(grants):
            print(line, flush=True)
    return 0


def _rows(grants: int) -> Iterator[str]:
    with ExitStack() as stack:
        postgres = PostgresServer()
        stack.callback(postgres.stop)
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="rescind-bench-")))
        patch = stack.enter_context(pytest.MonkeyPatch.context())
        emulator = stack.enter_context(running_emulator(folder, "--grants", str(grants)))
        dsn = postgres.uri(postgres.create_database())
        migrate(dsn)
        setup = ReviewBench(emulator, dsn, folder, patch, {"max_percent": 100}, {})
        people = emulator.get("org")["people"]
        person = next(one["person_id"] for one in people if one["status"] == "left" and one["dms_user_id"])
        for name, hours in (("everybody", 0), ("named people, where a system can", 24)):
            found = measure(setup, person, f"manual__{hours}", hours)
            dms = found.scopes["DMS permissions"]
            slowest = max(found.scopes, key=lambda one: found.scopes[one][1])
            calls, seconds = found.scopes[slowest]
            yield (
                f"| {grants:,} | {name} | {dms[0]:,}, {dms[1]:.1f} | {slowest}: {calls:,}, {seconds:.1f} |"
                f" {found.planned} | {found.seconds:.1f} |"
            )


if __name__ == "__main__":
    sys.exit(main())
