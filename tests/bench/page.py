"""How long the page takes to answer over a run of 10,000 items, in server time: routing, queries and template.

The app is asked in this process, without a network and without a login; its ledger is a PostgreSQL of its own. The
items belong to 500 people in three permission systems, and have decisions with facts, calls and verdicts. 60 weekly
reviews of 300 items are before it.

    python -m tests.bench.page [--quick] [--items N] [--json FILE]

Every address is asked once to warm up, then several times; the table shows median and slowest answer in milliseconds,
and the processor time of an answer, of this process and of PostgreSQL together, which is less noisy.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import statistics
import sys
import time
from collections.abc import Sequence
from contextlib import ExitStack, suppress
from dataclasses import asdict, dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any

import httpx
import psutil
import psycopg

from rescind.ledger import Ledger, VerdictRecord
from rescind.ledger.store.migrate import migrate
from rescind.model import Cell, Choice, Decision, Grant, GrantKey, Verdict
from rescind.web.app import create_app
from tests.bench.aims import Aim, show
from tests.support.ledger import history
from tests.support.ledger import runs as ledger_runs
from tests.support.ledger.web_runs import NOW
from tests.support.servers.postgres import PostgresServer

LIMIT_MS = 300
"""What an answer may take at 10,000 items."""
SYSTEMS = ("quickbi_menus", "dms_permissions", "wedata_privileges")
PEOPLE = 500
WEEKS = 60
"""Weekly reviews of 300 items before the run, for the pages over many runs."""
RUN = f"runs/{WEEKS + 1}"
ADDRESSES = (
    "runs",
    "runs.csv",
    RUN,
    f"{RUN}/live",
    f"{RUN}/people",
    f"{RUN}/people?q=person+77",
    f"{RUN}/items",
    f"{RUN}/items?verdict=open",
    f"{RUN}/items?q=finance",
    f"{RUN}/items?person=P00007",
    f"{RUN}/items?offset=5000",
    f"{RUN}/items?offset=9950",
    f"{RUN}/items?since=new",
    f"{RUN}/items?since=unchanged",
    f"{RUN}/items?sort=right",
    f"{RUN}/items?sort=resource&offset=9950",
    f"{RUN}/items?by=person",
    f"{RUN}/items?by=resource",
    f"{RUN}/items?by=system",
    f"{RUN}/items?department=Finance",
    f"{RUN}/person?id=P00007",
)


@dataclass(frozen=True)
class Figures:
    """One row of the table."""

    address: str
    items: int
    median_ms: float
    slowest_ms: float
    processor_ms: float
    kilobytes: float


def grants(count: int) -> list[Grant]:
    """Grants of :data:`PEOPLE` people."""
    found = []
    for number in range(count):
        system, user = SYSTEMS[number % len(SYSTEMS)], f"u{number % PEOPLE:05d}"
        key = GrantKey(system, ledger_runs.ACCOUNT, "menu", f"p/m{number}", "user", user, "view")
        cell = Cell("p", f"m{number}", "user", (user,))
        found.append(Grant(key, cell, principal_name=f"Person {number % PEOPLE}", resource_name=f"Menu {number}"))
    return found


def fill(ledger: Ledger, count: int) -> None:
    """One run: listed, decided, planned, approved, verified."""
    verdicts = (*[Verdict.VERIFIED_GONE] * 8, Verdict.STILL_EFFECTIVE, Verdict.RECORD_GONE)
    for week in range(WEEKS, 0, -1):
        ended = NOW - timedelta(weeks=week)
        history.closed_review(
            ledger,
            f"week {week}",
            range(100),
            verdicts,
            systems=SYSTEMS,
            ended=ended,
            left_at=ended - timedelta(days=3),
        )
    run = ledger_runs.begin(ledger)
    found = grants(count)
    for system in SYSTEMS:
        ledger_runs.list_scope(ledger, run, [one for one in found if one.key.system == system])
    ledger.scopes.seal(run.run_id)
    ledger.decisions.write(run.run_id, [_decision(number, one) for number, one in enumerate(found)])
    # One batch for each system: the groups go to the batches in turn, as the grants do to the systems.
    frozen = ledger_runs.freeze(ledger, run, [[one] for one in found], batches=len(SYSTEMS))
    ledger_runs.approve(ledger, frozen)
    ledger.verdicts.record(
        run.run_id,
        [
            VerdictRecord(one.grant_id, verdicts[number % len(verdicts)], "list", NOW)
            for number, one in enumerate(found)
        ],
    )
    history.close(ledger, run)


def _decision(number: int, grant: Grant) -> Decision:
    facts = {
        "person.id": f"P{number % PEOPLE:05d}",
        "person.name": f"Person {number % PEOPLE}",
        "person.department": ("Finance", "Sales", "Data")[number % PEOPLE % 3],
        "person.status": "terminated",
        "person.terminated_at": "2026-01-01T00:00:00+00:00",
        "matched_by": "quickbi_user_id",
    }
    return Decision(grant.grant_id, Choice.REVOKE, "leaver", "left the company", "high", (), facts)


def measure(app: Any, items: int, times: int, postgres: psutil.Process) -> list[Figures]:
    async def ask() -> list[Figures]:
        transport = httpx.ASGITransport(app)
        async with httpx.AsyncClient(transport=transport, base_url="http://page.test", timeout=60) as client:
            return [await _one(client, address, items, times, postgres) for address in ADDRESSES]

    return asyncio.run(ask())


def _processor_s(postgres: psutil.Process) -> float:
    """Processor seconds of this process and of all processes of PostgreSQL, also of those that have ended."""
    spent = time.process_time()
    for one in [postgres, *postgres.children(recursive=True)]:
        with suppress(psutil.NoSuchProcess):
            used = one.cpu_times()
            spent += used.user + used.system + (used.children_user + used.children_system if one == postgres else 0)
    return spent


async def _one(client: httpx.AsyncClient, address: str, items: int, times: int, postgres: psutil.Process) -> Figures:
    took, worked = [], 0.0
    for number in range(times + 1):
        if number == 1:
            worked = _processor_s(postgres)
        began = time.perf_counter()
        answer = await client.get(f"/{address}")
        took.append((time.perf_counter() - began) * 1000)
        if answer.status_code != 200:
            raise RuntimeError(f"{address} answered {answer.status_code}")
    worked = (_processor_s(postgres) - worked) * 1000 / times
    took = took[1:]
    size = len(answer.content) / 1024
    return Figures(address, items, round(statistics.median(took)), round(max(took)), round(worked), round(size))


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="5 answers for each address instead of 20")
    parser.add_argument("--items", type=int, default=10_000, help="items of the run")
    parser.add_argument("--json", default="", help="write the figures to this file as well")
    options = parser.parse_args(arguments)
    rows = run(options.items, 5 if options.quick else 20)
    if options.json:
        Path(options.json).write_text(json.dumps([asdict(row) for row in rows], indent=1) + "\n", encoding="utf-8")
    slowest = max(rows, key=lambda row: row.median_ms)
    show([Aim(f"answer of a page over {slowest.items:,} items, the slowest (`{slowest.address}`)", slowest.median_ms,
              LIMIT_MS, "ms", today="the vendors' consoles, one page for each system")])  # fmt: skip
    return 0


def _process_of(dsn: str) -> psutil.Process:
    """The postmaster behind a connection."""
    with psycopg.connect(dsn) as connection:
        row = connection.execute("SELECT pg_backend_pid()").fetchone()
        assert row is not None
        return psutil.Process(psutil.Process(row[0]).ppid())


def run(items: int, times: int) -> list[Figures]:
    async def reader(_request: Any) -> str:
        return "vera"

    with ExitStack() as stack:
        postgres = PostgresServer()
        stack.callback(postgres.stop)
        dsn = postgres.uri(postgres.create_database())
        migrate(dsn)
        ledger = stack.enter_context(Ledger(dsn))
        fill(ledger, items)
        app = create_app(lambda: dsn, list, {}, identify=reader, readable=lambda _, dags: frozenset(dags))
        rows = measure(app, items, times, _process_of(dsn))
    print("| page | items | median ms | slowest ms | processor ms | kB |")
    print("| --- | ---: | ---: | ---: | ---: | ---: |")
    for row in rows:
        times_ms = f"{row.median_ms:.0f} | {row.slowest_ms:.0f} | {row.processor_ms:.0f}"
        print(f"| `{row.address}` | {row.items:,} | {times_ms} | {row.kilobytes:.0f} |")
    return rows


if __name__ == "__main__":
    sys.exit(main())
