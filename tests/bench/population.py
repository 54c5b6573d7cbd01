"""How fast a large population goes through a review, and in how much memory: discovery to report.

One scope: Quick BI menus, listed over HTTP from the emulator (a process of its own, no rate limit) by the operators
themselves, into a PostgreSQL of its own. Every stage runs in a fresh process.

    python -m tests.bench.population [--quick] [--grants N ...] [--users N] [--json FILE]

Processor seconds: of the stage's process, and of PostgreSQL meanwhile. They are comparable on a busy machine; the wall
time is not. Autovacuum is off: its time would count for the stage in which it starts.
Peak: highest resident memory of the stage's process, in MB; base: of the same process before the stage began, with
Airflow and the package imported.
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import os
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, suppress
from dataclasses import asdict, dataclass, field, replace
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

import pytest

from rescind.ledger.store.migrate import migrate
from tests.bench.aims import Aim, show
from tests.support.reviews.review import Review, ReviewBench
from tests.support.servers.emulator import Emulator, running_emulator
from tests.support.servers.postgres import PostgresServer

_SPAWN = multiprocessing.get_context("spawn")
MENUS_PER_PORTAL = 100
RECEIVERS_PER_MENU = 20


@dataclass(frozen=True)
class Setting:
    """What every stage needs to know; goes to each process."""

    emulator: Emulator
    dsn: str
    folder: Path
    scopes: list[dict[str, str]] = field(default_factory=list)


@dataclass(frozen=True)
class Figures:
    """One row of the table; memory in MB.

    :param client: processor seconds of the stage's process.
    :param postgres: processor seconds of PostgreSQL during the stage.
    """

    stage: str
    grants: int
    seconds: float
    client: float
    postgres: float
    peak_mb: float
    base_mb: float
    result: Any = None


# --- the stages, each in a process of its own -----------------------------------------------------


def preflight(review: Review) -> Any:
    review.preflight()
    return review.scopes


def discover(review: Review) -> Any:
    from rescind.operators.discover import DiscoverOperator

    for index, scope in enumerate(review.scopes):
        DiscoverOperator(task_id="discover", scope=scope).execute(review.context("discover", index))  # type: ignore[arg-type]
    with review.ledger() as ledger:
        run = ledger.runs.find("access_review", review.run_id)
        (scope,) = ledger.scopes.all(run.run_id)
        return {"grants": scope.counted, "pages": scope.pages, "passes": scope.notes["second_passes"]}


def seal(review: Review) -> Any:
    from rescind.operators.decide import SealOperator

    return SealOperator(task_id="seal").execute(review.context("seal"))  # type: ignore[arg-type]


def decide(review: Review) -> Any:
    from rescind.operators.decide import DecideOperator

    return DecideOperator(task_id="decide").execute(review.context("decide"))  # type: ignore[arg-type]


def plan(review: Review) -> Any:
    from rescind.operators.decide import PlanOperator

    PlanOperator(task_id="plan").execute(review.context("plan"))  # type: ignore[arg-type]
    with review.ledger() as ledger:
        run = ledger.runs.find("access_review", review.run_id)
        found = ledger.plans.get(run.run_id)
        return {"items": found.items, "calls": found.calls}


def send(review: Review) -> Any:
    from rescind.operators.canary import named_batches

    review.approve()
    with review.ledger() as ledger:
        run = ledger.runs.find("access_review", review.run_id)
        review.canaries = named_batches(ledger, run, canary=True)
        review.batches = named_batches(ledger, run, canary=False)
    review.canary()
    return review.revoke()


def verify(review: Review) -> Any:
    from rescind.operators.verify import VerifyOperator

    return [
        VerifyOperator(task_id="verify", scope=scope).execute(review.context("verify", index))  # type: ignore[arg-type]
        for index, scope in enumerate(review.scopes)
    ]


def report(review: Review) -> Any:
    return review.close()["state"]


STAGES: dict[str, Callable[[Review], Any]] = {
    "preflight": preflight,
    "discover": discover,
    "seal": seal,
    "decide": decide,
    "plan": plan,
    "send": send,
    "verify": verify,
    "report": report,
}


def _stage(name: str, setting: Setting, pipe: Connection) -> None:
    os.environ |= {"AIRFLOW_HOME": str(setting.folder), "AIRFLOW__LOGGING__LOGGING_LEVEL": "ERROR"}
    import rescind.operators.decide
    import rescind.operators.discover
    import rescind.operators.report
    import rescind.operators.revoke  # noqa: F401 - imported before the clock starts

    review = _review(setting)
    base, began, worked = _memory("VmRSS"), time.perf_counter(), time.process_time()
    result = STAGES[name](review)
    pipe.send((time.perf_counter() - began, time.process_time() - worked, _memory("VmHWM"), base, result))


def _review(setting: Setting) -> Review:
    bench = ReviewBench(
        setting.emulator,
        setting.dsn,
        setting.folder,
        pytest.MonkeyPatch(),
        {"connections": {"quickbi_menus": ["quickbi_default"]}, "max_percent": 100, "max_revocations": 10**6},
        limits={"*": 1000.0},
    )
    params = {"systems": ["quickbi_menus"], "dry_run": False, "reason": "a benchmark"}
    return Review(bench, "bench", "policy", "rita", params, scopes=list(setting.scopes))


def _memory(name: str) -> float:
    """A figure of this process's memory in MB. Unlike ``ru_maxrss``, it does not remember the parent's."""
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith(name + ":"):
            return int(line.split()[1]) / 1024
    raise RuntimeError(f"/proc/self/status has no {name}; this benchmark needs Linux")


def _postgres_seconds(process: int) -> float:
    """Processor seconds of a server and of its children, those that have ended included."""
    own = Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()
    total = sum(map(int, own[11:15]))
    for child in Path(f"/proc/{process}/task/{process}/children").read_text().split():
        with suppress(FileNotFoundError):
            total += sum(map(int, Path(f"/proc/{child}/stat").read_text().rpartition(")")[2].split()[11:13]))
    return total / os.sysconf("SC_CLK_TCK")


def measure(name: str, setting: Setting, grants: int, server: int) -> Figures:
    before = _postgres_seconds(server)
    ours, theirs = _SPAWN.Pipe()
    process = _SPAWN.Process(target=_stage, args=(name, setting, theirs))
    process.start()
    theirs.close()
    try:
        seconds, client, peak, base, result = ours.recv()
    except EOFError:
        raise RuntimeError(f"the stage {name} failed; its error is above") from None
    finally:
        process.join()
    postgres = _postgres_seconds(server) - before
    return Figures(
        name, grants, round(seconds, 1), round(client, 1), round(postgres, 1), round(peak), round(base), result
    )


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="10,000 and 50,000 grants")
    parser.add_argument("--grants", type=int, nargs="*", help="grants in each population")
    parser.add_argument("--users", type=int, default=0, help="people in the organization (default: grants / 50)")
    parser.add_argument("--json", default="", help="write the figures to this file as well")
    options = parser.parse_args(arguments)
    sizes = options.grants or ([10_000, 50_000] if options.quick else [10_000, 100_000, 1_000_000])
    print("| stage | grants | seconds | processor s | of it PostgreSQL | microseconds a grant | peak MB | base MB |")
    print("| --- | ---: | ---: | ---: | ---: | ---: | ---: | ---: |", flush=True)
    rows = [row for grants in sizes for row in run(grants, options.users or max(200, grants // 50))]
    show(aims({row.stage: row for row in rows if row.grants == rows[-1].grants}))
    if options.json:
        Path(options.json).write_text(json.dumps([asdict(row) for row in rows], indent=1) + "\n", encoding="utf-8")
    return 0


def aims(rows: dict[str, Figures]) -> Iterator[Aim]:
    """The stages of the largest population. The aims are those of a million grants, and follow the grants."""
    grants = rows["discover"].grants
    part = grants / 1_000_000

    def seconds(*stages: str) -> float:
        return sum(rows[stage].client + rows[stage].postgres for stage in stages)

    def aim(what: str, figure: float, most: float, unit: str, today: str = "") -> Aim:
        return Aim(f"{grants:,} grants: {what}", figure, most, unit, today=today)

    each = 1e6 / grants
    yield aim("discover, our process", rows["discover"].client * each, 40, "microseconds a grant")
    alone = f"a script with one call per grant at 20 a second: {rows['plan'].result['items'] / 20:,.0f} s of sending"
    yield aim("decide and plan", seconds("decide", "plan"), 25 * part, "processor s", alone)
    yield aim("seal", seconds("seal"), 10 * part, "processor s")
    yield aim("report with evidence", seconds("report") * each, 80, "microseconds a grant")
    yield aim("memory of the largest task", max(row.peak_mb for row in rows.values()), 300, "MB")


def run(grants: int, users: int) -> list[Figures]:
    sizes = {
        "people": users,
        "leavers": users // 20,
        "groups": max(12, users // 50),
        "portals": max(2, grants // (MENUS_PER_PORTAL * RECEIVERS_PER_MENU)),
        "menus_per_portal": MENUS_PER_PORTAL,
        "menu_pairs": grants,
    }
    options = [word for name, size in sizes.items() for word in ("--size", f"{name}={size}")]
    limits = [word for name in ("wedata", "dms", "quickbi") for word in (f"--limit-{name}", "0")]
    with ExitStack() as stack:
        postgres = PostgresServer()
        stack.callback(postgres.stop)
        with postgres.admin() as connection:
            connection.execute("ALTER SYSTEM SET autovacuum = off")
            connection.execute("SELECT pg_reload_conf()")
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="rescind-bench-")))
        emulator = stack.enter_context(running_emulator(folder, "--preset", "tiny", *options, *limits))
        dsn = postgres.uri(postgres.create_database())
        migrate(dsn)
        scopes = measure("preflight", Setting(emulator, dsn, folder), 0, postgres.pid).result
        rows: list[Figures] = []
        found = 0
        for name in list(STAGES)[1:]:
            row = measure(name, Setting(emulator, dsn, folder, scopes), found, postgres.pid)
            found = row.result["grants"] if name == "discover" else found
            rows.append(replace(row, grants=found))
            print(_line(rows[-1]), flush=True)
    return rows


def _line(row: Figures) -> str:
    total = row.client + row.postgres
    each = 1e6 * total / max(row.grants, 1)
    figures = f"{row.seconds:.1f} | {total:.1f} | {row.postgres:.1f} | {each:.1f}"
    return f"| {row.stage} | {row.grants:,} | {figures} | {row.peak_mb:.0f} | {row.base_mb:.0f} |"


if __name__ == "__main__":
    sys.exit(main())
