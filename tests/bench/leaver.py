"""How long a run about one leaver takes from its start to its plan, and from the approval to the last verdict.

The four default systems, at the vendors' limits and with the product's default pace. Everybody is listed once before
the clock starts, without limits. Each scope is listed on its own; on Airflow they are listed side by side, so the time
to the plan is that of the slowest scope, and of preflight, seal, decide and plan. Batches and verifications run one
after the other here.

    python -m tests.bench.leaver [--quick] [--known] [--grants N [N ...]]
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
    """One run.

    :param scopes: by system, (list calls, seconds).
    :param seconds: from the start to the plan.
    :param gone: from the approval to the end of verification, in seconds; 0 for a dry run.
    """

    scopes: dict[str, tuple[int, float]]
    planned: int
    seconds: float
    gone: float = 0.0


def measure(setup: ReviewBench, person: str, name: str, hours: int, *, known_first: bool = False) -> Figures:
    """A run about one person: a dry run up to its plan, or a run of known access up to the end of its verification."""
    setup.configure(targeted_discovery_hours=hours)
    asked = {"principals": [person], "reason": "a leaver", "dry_run": not known_first}
    review = Review(setup, name, "targets", "rita", asked)
    began = time.monotonic()
    review.preflight()
    rest = time.monotonic() - began
    scopes = _discover(review)
    began = time.monotonic()
    review.plan()
    rest += time.monotonic() - began
    with review.ledger() as ledger:
        run = ledger.runs.find("access_review", name)
        planned = sum(1 for item in ledger.plans.items(run.run_id) if item.call_id)
    if not planned:
        raise RuntimeError(f"the plan takes nothing away from {person}: this row would measure nothing")
    seconds = rest + max(seconds for _, seconds in scopes.values())
    return Figures(scopes, planned, seconds, _gone(review) if known_first else 0.0)


def _discover(review: Review) -> dict[str, tuple[int, float]]:
    from rescind.operators.discover import DiscoverOperator

    scopes: dict[str, tuple[int, float]] = {}
    for index, scope in enumerate(review.scopes):
        began = time.monotonic()
        facts: dict[str, Any] = DiscoverOperator(task_id="discover", scope=scope).execute(
            review.context("discover", index)
        )
        scopes[scope["label"].partition(" · ")[0]] = (facts["list_calls"], time.monotonic() - began)
    return scopes


def _gone(review: Review) -> float:
    """Approve, send and verify; return the seconds, with batches and scopes one after the other."""
    from rescind.operators.verify import VerifyOperator

    began = time.monotonic()
    review.approve()
    review.canary()
    review.revoke()
    for index, scope in enumerate(review.scopes):
        VerifyOperator(task_id="verify", scope=scope).execute(review.context("verify", index))
    return time.monotonic() - began


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="3,000 grants")
    parser.add_argument("--grants", type=int, nargs="+", default=[], help="sizes of the organization")
    parser.add_argument("--known", action="store_true", help="only the run that reads known access first")
    options = parser.parse_args(arguments)
    print("| grants | listed | slowest: calls, s | planned | start to plan, s | approval to verified, s |")
    print("| ---: | --- | --- | ---: | ---: | ---: |", flush=True)
    for grants in options.grants or ([3_000] if options.quick else [10_000, 100_000]):
        for line in _rows(grants, options.known):
            print(line, flush=True)
    return 0


def _rows(grants: int, only_known: bool) -> Iterator[str]:
    with ExitStack() as stack:
        postgres = PostgresServer()
        stack.callback(postgres.stop)
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="rescind-bench-")))
        patch = stack.enter_context(pytest.MonkeyPatch.context())
        emulator = stack.enter_context(running_emulator(folder, "--grants", str(grants)))
        dsn = postgres.uri(postgres.create_database())
        migrate(dsn)
        setup = ReviewBench(emulator, dsn, folder, patch, {"max_percent": 100}, {"*": 1000.0})
        setup.list_people_from_now()
        setup.limits = {}
        people = emulator.get("org")["people"]
        person = next(one["person_id"] for one in people if one["status"] == "left" and one["dms_user_id"])
        known_first = "known access first"
        for name, hours in (("everybody", 0), ("named people, where a system can", 24), (known_first, 24)):
            if only_known and name != known_first:
                continue
            found = measure(setup, person, f"manual__{name}", hours, known_first=name == known_first)
            slowest = max(found.scopes, key=lambda one: found.scopes[one][1])
            calls, seconds = found.scopes[slowest]
            gone = f"{found.gone:.1f}" if found.gone else ""
            yield (
                f"| {grants:,} | {name} | {slowest}: {calls:,}, {seconds:.1f} | {found.planned} | {found.seconds:.1f}"
                f" | {gone} |"
            )


if __name__ == "__main__":
    sys.exit(main())
