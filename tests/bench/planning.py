"""How many calls the planner needs, how long it takes and how much memory: beside simple ways and the best known.

Generated organizations (tests/bench/organizations.py) of three sizes, with the limits of CancelAuthorizationMenu as
the product uses them (80 menus x 60 users and 40 groups) or as the vendor documents them (100 x 200 and 200). As in
the product, each grant is in exactly one call. Every case runs in a process of its own on one core. The independent
checker judges every cover; the benchmark fails if a cover does not pass.

    python -m tests.bench.planning [--quick] [--only TEXT] [--seconds S] [--json FILE]

Goes: grants to revoke, which is also the number of calls at one call per grant. Each: one call per principal.
Column, row: principals with equal losses together, menus with equal losses together. At least: the planner's own
lower bound. Best: the optimum where it is known (by construction or by proof), marked with =, else the fewest
calls ever found for this table. Read: seconds until all cells are read. Seconds: in all. Both are processor time.
Peak: memory in MB.
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import resource
import sys
import time
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass
from typing import Any

from rescind.errors import PlanError
from rescind.model import CallShape, Cell, Mode
from rescind.plan import plan_calls
from rescind.plan.check import check_plan
from rescind.plan.solver.tables import Tables
from tests.bench.aims import Aim, show
from tests.bench.organizations import BLOCKS, LARGE, MEDIUM, SMALL, WIDE, Instance, Line
from tests.bench.planning_best import BEST

_SPAWN = multiprocessing.get_context("spawn")
SIZES = {"small": SMALL, "medium": MEDIUM, "large": LARGE, "blocks": BLOCKS, "wide": WIDE}
VENDOR = CallShape(100, {"user": 200, "group": 200}, modes=tuple(Mode))
AIMS = (("small", 2, 1.01), ("medium", 2, 1.05), ("medium", 10, 1.02), ("large", 3, 1.20), ("large", 30, 1.05))
"""(size, seconds of search, most calls over the fewest known)."""
PEAK_MB = 512
PRODUCT = CallShape(80, {"user": 60, "group": 40}, modes=tuple(Mode))


@dataclass(frozen=True)
class Case:
    """One row of the table.

    :param vendor: whether calls have the vendor's limits; else the product's.
    """

    size: str
    name: str
    mode: Mode
    seconds: float
    vendor: bool = False

    @property
    def shape(self) -> CallShape:
        return VENDOR if self.vendor else PRODUCT


@dataclass(frozen=True)
class Figures:
    """What one case gave; see the module."""

    goes: int
    each: int
    column: int
    row: int
    calls: int
    bound: int
    optimum: int | None
    read_s: float
    seconds: float
    peak_mb: float
    legal: bool


def measure(case: Case) -> Figures:
    """Plan one case, in this process."""
    instance = SIZES[case.size][case.name]()
    emptied = instance.emptied() if case.mode is Mode.EMPTYING else frozenset()
    begin = time.process_time()
    Tables(_named(instance), instance.cells(instance.keep), case.shape, emptied)
    read = time.process_time() - begin
    begin = time.process_time()
    keep, limits = instance.cells(instance.keep), {"emptied": emptied, "budget_s": case.seconds}
    cover = plan_calls("s", "a", case.shape, _named(instance), keep, modes=[case.mode], **limits)
    seconds = time.process_time() - begin
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    going = dict(enumerate(instance.cells(instance.need)))
    named = {str(number): cell for number, cell in going.items()}
    keep, known = instance.cells(instance.keep), {"mode": case.mode, "emptied": emptied}
    try:
        check_plan(cover.calls, named, keep, system="s", account="a", shape=case.shape, **known)
    except PlanError as error:
        print(f"{case}: {error}", file=sys.stderr)
        legal = False
    else:
        legal = True
    optimum = instance.optimum if case.mode is Mode.STRICT and case.vendor else None
    optimum = len(cover.calls) if cover.proven else optimum
    simple = (len(going), *(way(instance, case.shape) for way in (_each, _columns, _rows)))
    return Figures(*simple, len(cover.calls), cover.lower_bound, optimum, read, seconds, peak, legal)


def _named(instance: Instance) -> Iterator[tuple[Cell, str]]:
    return ((cell, str(number)) for number, cell in enumerate(instance.cells(instance.need)))


def _each(instance: Instance, shape: CallShape) -> int:
    """Calls when every principal gets its own."""
    return sum(-(-bits.bit_count() // shape.max_rows) for bits in instance.need)


def _columns(instance: Instance, shape: CallShape) -> int:
    """Calls when principals with equal losses go together, cut at the limits."""
    alike: dict[int, Counter[str]] = {}
    for number, bits in enumerate(instance.need):
        if bits:
            alike.setdefault(bits, Counter())[instance.column(number)[0]] += 1
    return sum(
        -(-bits.bit_count() // shape.max_rows) * max(-(-n // shape.max_columns[kind]) for kind, n in kinds.items())
        for bits, kinds in alike.items()
    )


def _rows(instance: Instance, shape: CallShape) -> int:
    """Calls when menus with equal losses go together, cut at the limits."""
    groups = sum(1 << n for n in range(len(instance.need)) if instance.column(n)[0] == "group")
    calls = 0
    for bits, count in Counter(bits for bits in _turned(instance) if bits).items():
        wide = {"group": (bits & groups).bit_count(), "user": (bits & ~groups).bit_count()}
        calls += -(-count // shape.max_rows) * max(-(-n // shape.max_columns[kind]) for kind, n in wide.items())
    return calls


def _turned(instance: Instance) -> Line:
    lines = [bytearray(b"0") * len(instance.need) for _ in range(instance.rows)]
    for number, bits in enumerate(instance.need):
        while bits:
            low = bits & -bits
            lines[low.bit_length() - 1][-1 - number] = 49
            bits ^= low
    return [int(line, 2) for line in lines]


def _work(case: Case, pipe: Any) -> None:
    pipe.send(measure(case))


def measured(case: Case) -> Figures:
    """The same in a process of its own, so that its peak of memory is its own."""
    pipe, other = _SPAWN.Pipe()
    process = _SPAWN.Process(target=_work, args=(case, other), daemon=True)
    process.start()
    other.close()
    try:
        figures: Figures = pipe.recv()
    finally:
        process.join(10)
    return figures


def cases(quick: bool) -> list[Case]:
    """Everything, or a part of it that takes about two minutes."""
    strict, sparse = Mode.STRICT, Mode.SPARSE
    rows = [Case("small", name, mode, 2) for name in list(SMALL)[:: 4 if quick else 1] for mode in (strict, sparse)]
    rows += [Case("blocks", name, strict, 2, vendor) for name in BLOCKS for vendor in (False, True)]
    for name in MEDIUM:
        rows += [Case("medium", name, strict, seconds) for seconds in ((2,) if quick else (2, 10))]
        rows += [Case("medium", name, strict, 2, vendor=True)]
        if name != "planted":
            rows += [Case("medium", name, sparse, 2)]
    rows += [Case("medium", name, Mode.EMPTYING, 2, v) for name in ("leavers", "mixed") for v in (False, True)]
    for name in WIDE:
        rows += [Case("wide", name, mode, 2) for mode in (strict, sparse)]
    for name in ("leavers",) if quick else LARGE:
        rows += [Case("large", name, strict, seconds) for seconds in ((3,) if quick else (3, 30))]
    if not quick:
        rows += [Case("large", name, Mode.EMPTYING, 2) for name in ("leavers", "mixed")]
    return rows


def best_of(case: Case, figures: Figures) -> tuple[int, bool]:
    """The fewest calls known, and whether fewer are impossible."""
    if figures.optimum is not None:
        return figures.optimum, True
    known = BEST.get((case.size, case.name, str(case.mode), case.vendor))
    return min(figures.calls, known or figures.calls), figures.bound == min(figures.calls, known or figures.calls)


def plans(rows: Iterable[Case]) -> Iterator[tuple[Case, Figures]]:
    """Run the cases and print the table row by row."""
    print("| table | mode | budget s | goes | each | column | row | calls | at least | best | ratio |", end="")
    print(" read s | seconds | peak MB | legal |")
    print("| --- " * 15 + "|", flush=True)
    for case in rows:
        found = measured(case)
        best, sure = best_of(case, found)
        mode = f"{case.mode}, vendor's limits" if case.vendor else str(case.mode)
        what = [f"{case.size} {case.name}", mode, f"{case.seconds:g}", found.goes, found.each, found.column, found.row]
        what += [found.calls, found.bound, f"{'=' if sure else ''}{best}", f"{found.calls / best:.3f}"]
        what += [f"{found.read_s:.2f}", f"{found.seconds:.1f}", f"{found.peak_mb:.0f}"]
        print("|", *(f"{cell} |" for cell in [*what, "yes" if found.legal else "NO"]), flush=True)
        yield case, found


def summary(found: list[tuple[Case, Figures]]) -> None:
    """Print calls over best known, for all tables of a size, mode and budget together."""
    sums: dict[tuple[str, str, float], list[float]] = {}
    for case, figures in found:
        limits = "vendor" if case.vendor else "product"
        ratio = figures.calls / best_of(case, figures)[0]
        sums.setdefault((f"{case.size}, {case.mode}", limits, case.seconds), []).append(ratio)
    print("\n| size and mode | limits | budget s | tables | mean ratio | worst ratio |\n| --- " + "| --- " * 5 + "|")
    for (size, limits, seconds), ratios in sums.items():
        mean, worst = sum(ratios) / len(ratios), max(ratios)
        print(f"| {size} | {limits} | {seconds:g} | {len(ratios)} | {mean:.3f} | {worst:.3f} |")


def aims(found: list[tuple[Case, Figures]]) -> Iterator[Aim]:
    """For each size and budget: calls over the best known, for the worst table."""
    for size, seconds, aim in AIMS:
        rows = [(case, figures) for case, figures in found if (case.size, case.seconds) == (size, seconds)]
        ratios = {figures.calls / best_of(case, figures)[0]: (case, figures) for case, figures in rows}
        what = f"{size} tables, {seconds:g} s: calls / fewest known, worst table"
        worst = max(ratios, default=None)
        today = ""
        if worst is not None:
            case, figures = ratios[worst]
            what += f" ({case.name}, {case.mode}) of {len(rows)}"
            today = f"one call per grant: {figures.goes / figures.calls:,.0f} times as many calls"
        yield Aim(what, worst, aim, today=today)
    large = [figures for case, figures in found if case.size == "large"]
    yield Aim("large tables: memory of the process", max((one.peak_mb for one in large), default=None), PEAK_MB, "MB")


def main(arguments: list[str] | None = None) -> int:
    """Print the tables; 1 when a cover is not legal."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="a part of the tables, about two minutes")
    parser.add_argument("--only", default="", help="only cases whose size, name and mode contain this text")
    parser.add_argument("--seconds", type=float, default=0, help="another budget for every case")
    parser.add_argument("--json", default="", help="write the figures to this file as well")
    options = parser.parse_args(arguments)
    rows = [case for case in cases(options.quick) if options.only in f"{case.size} {case.name} {case.mode}"]
    if options.seconds:
        again = {(c.size, c.name, c.mode, c.vendor): c for c in rows}.values()
        rows = [Case(c.size, c.name, c.mode, options.seconds, c.vendor) for c in again]
    found = list(plans(rows))
    summary(found)
    show(aims(found))
    if options.json:
        with open(options.json, "w", encoding="utf-8") as file:
            json.dump([{**asdict(case), **asdict(figures)} for case, figures in found], file, indent=1)
    return 0 if all(figures.legal for _, figures in found) else 1


if __name__ == "__main__":
    sys.exit(main())
