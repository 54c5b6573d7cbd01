"""Crashes, one after the other at every boundary, until a batch passes untouched; for each permission system.

Every case takes another batch of one and the same plan: the process that sends it is killed (SIGKILL) at the first,
second, third boundary and so on, or a write to the ledger fails, or an answer is lost; then the batch is sent again,
as Airflow's retry would. Plan, ledger and journal are judged after every case, the platforms are read at the end. The
second plan is of a run that listed only the people whom it names.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack
from typing import Any

import psycopg
import pytest

from tests.support.ledger.crash import KILLED, UNTOUCHED, revoke_and_die, revoke_with_a_failing_ledger
from tests.support.reviews.journal_check import journal_problems
from tests.support.reviews.review import Review, ReviewBench
from tests.support.servers.emulator import running_emulator
from tests.support.servers.postgres import PostgresServer

pytestmark = pytest.mark.sockets

SYSTEMS = {
    "wedata_privileges": "RevokePrivileges",
    "wedata_data_sources": "RevokeDataSourceAuthorization",
    "dms_permissions": "RevokeUserPermission",
    "quickbi_menus": "CancelAuthorizationMenu",
}
BOUNDARIES = 13
"""Of a batch with one call: claim, place, intent, send, outcome and release, before and after, and mid-send."""
LEDGER_WRITES = 8
"""Claim, intent, outcome and release, each lost before its commit and after it."""
LOST_ANSWERS = (
    {"kind": "reset_after"},
    {"kind": "close_after"},
    {"kind": "status_after", "status": 502, "body": "html"},
)
NEEDED = BOUNDARIES + 1 + LEDGER_WRITES + 1 + len(LOST_ANSWERS)
_SIZES = {
    "dms_per_leaver": 9, "dms_records": 50, "source_grants_per_leaver": 10, "source_grants": 60, "data_sources": 16,
    "menus_per_portal": 20, "menu_pairs_per_leaver": 16, "privileges_per_leaver": 9, "privileges": 80,
}  # fmt: skip


class Plan:
    """An approved plan with a batch for every call, and which of them a test has used."""

    def __init__(self, review: Review, systems: dict[str, str]) -> None:
        self.review, self.systems = review, systems
        with review.ledger() as ledger:
            run = ledger.runs.find("access_review", review.run_id)
            found = ledger.plans.batches(run.run_id)
        assert all(batch.calls == 1 for batch in found)
        self._free = {name: [b for b in found if b.system == name] for name in systems}
        assert {name: len(free) >= NEEDED for name, free in self._free.items()} == dict.fromkeys(systems, True)
        self.used: list[bytes] = []

    def batch(self, system: str) -> dict[str, str]:
        batch = self._free[system].pop()
        self.used.append(bytes.fromhex(batch.batch_id))
        return {"batch": batch.batch_id, "label": batch.label}

    def again(self, batch: dict[str, str]) -> None:
        """What a retry does; afterwards nothing is open, nothing was done twice, nothing else was done."""
        from rescind.operators.revoke import RevokeBatchOperator

        RevokeBatchOperator(task_id="revoke", batch=batch).execute(self.review.context("revoke"))
        assert journal_problems(self.review, retries=0, verified=False) == []
        assert self._rows("SELECT 1 FROM rescind.call WHERE batch_id = ANY(%s) AND state IN ('pending', 'sent')") == []

    def finish(self) -> None:
        """Every grant of every used batch is proven gone, in a final state, and nothing else changed."""
        self.review.verify()
        assert journal_problems(self.review, retries=0) == []
        left = self._rows(
            "SELECT i.state, v.verdict FROM rescind.call c JOIN rescind.plan_item i USING (run_no, call_id)"
            " LEFT JOIN rescind.verdict_latest v USING (run_no, grant_id) WHERE c.batch_id = ANY(%s)"
            " AND v.verdict NOT IN ('verified_gone', 'record_gone', 'still_effective')"
        )
        assert left == []

    def _rows(self, query: str) -> list[tuple[Any, ...]]:
        with psycopg.connect(self.review.bench.ledger_dsn) as connection:
            return connection.execute(query, (self.used,)).fetchall()


@pytest.fixture(scope="module", params=[False, True], ids=["everybody listed", "named people listed"])
def plan(
    request: pytest.FixtureRequest,
    tmp_path_factory: pytest.TempPathFactory,
    postgres_server: PostgresServer,
    ledger_template: str,
) -> Iterator[Plan]:
    name = postgres_server.create_database(template=ledger_template)
    folder = tmp_path_factory.mktemp("crash")
    options = ["--preset", "tiny", "--limit-wedata", "0", "--limit-dms", "0", "--limit-quickbi", "0"]
    options += [word for size, value in _SIZES.items() for word in ("--size", f"{size}={value}")]
    with ExitStack() as stack:
        patch = stack.enter_context(pytest.MonkeyPatch.context())
        emulator = stack.enter_context(running_emulator(folder, *options))
        # One write a second and batches of a second: a batch for every call. Sent much faster than that.
        slow = {"*": 500.0, **dict.fromkeys(SYSTEMS.values(), 1.0)}
        rows = {"wedata_privileges": 1, "quickbi_menus": 1}
        settings = {"rows_per_call": rows, "batch_seconds": 1, "max_percent": 100, "canary_items": 0}
        setup = ReviewBench(emulator, postgres_server.uri(name), folder, patch, settings, slow)
        systems, asked = SYSTEMS, {}
        if request.param:
            setup.list_people_from_now()
            systems = {"dms_permissions": SYSTEMS["dms_permissions"]}
            people = [one["person_id"] for one in emulator.get("org")["people"] if one["status"] == "left"]
            asked = {"kind": "targets", "principals": people, "systems": list(systems), "reason": "leavers"}
        review = setup.run(dry_run=False, **asked)
        review.through_plan()
        review.approve()
        setup.limits = {"*": 500.0}
        setup.configure()
        yield Plan(review, systems)
    postgres_server.drop_database(name)


def test_killed_at_every_boundary(plan: Plan) -> None:
    for system in plan.systems:
        for n in range(1, BOUNDARIES + 2):
            batch = plan.batch(system)
            ended = revoke_and_die(plan.review, batch, n)
            # The enumeration is whole: the one after the last boundary passes untouched, none before does.
            assert ended == (KILLED if n <= BOUNDARIES else UNTOUCHED), f"{system}, boundary {n}"
            plan.again(batch)
    plan.finish()


def test_every_write_to_the_ledger_fails_once(plan: Plan, monkeypatch: pytest.MonkeyPatch) -> None:
    for system in plan.systems:
        failures = []
        for n in range(1, LEDGER_WRITES + 2):
            batch = plan.batch(system)
            failures.append(revoke_with_a_failing_ledger(plan.review, batch, n, monkeypatch))
            plan.again(batch)
        names = [failure.partition(",")[0] for failure in failures]
        assert names == ["claim", "claim", "begin", "begin", "finish", "finish", "release", "release", ""]
    plan.finish()


def test_every_way_to_lose_an_answer(plan: Plan) -> None:
    emulator = plan.review.bench.emulator
    for system, action in plan.systems.items():
        for lost in LOST_ANSWERS:
            batch = plan.batch(system)
            emulator.post("faults", {"faults": [{"id": "lost", "action": action, **lost}], "replace": True})
            plan.again(batch)
            assert emulator.get("faults")["all_fired"]
    emulator.post("faults", {"faults": [], "replace": True})
    plan.finish()
