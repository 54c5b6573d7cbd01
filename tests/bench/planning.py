"""How few calls the planner needs, how fast, and in how much memory: beside the obvious ways and the best known.

Made-up organizations (tests/bench/organizations.py) of three sizes, with the vendor's limits (100 menus x 200 users
and 200 groups). Every case runs in a process of its own on one core; every cover is judged by the independent
checker, and a cover that does not pass ends the benchmark.

    python -m tests.bench.planning [--quick] [--only TEXT] [--seconds S] [--json FILE]

Goes: grants to revoke, which is also the number of calls at one call per grant. Each: one call per principal.
Column, row: principals with equal losses together, menus with equal losses together. At least: the planner's own
lower bound. Best: the optimum where it is known (by construction or by proof), marked with =, else the fewest
calls ever found for this table. Read: seconds until all cells are read. First: seconds from there to the first final
call. Seconds: in all. Seconds are those of the processor, whatever else the machine does. Peak: memory in MB.
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
from random import Random
from typing import Any

from rescind.errors import PlanError
from rescind.model import CallShape, Cell, Mode
from rescind.plan import plan_calls
from rescind.plan.check import check_plan
from rescind.plan.solver.pieces import Piece, pieces
from rescind.plan.solver.problem import Clock
from rescind.plan.solver.solve import stream
from tests.bench.organizations import BLOCKS, LARGE, MEDIUM, SMALL, Instance, Line
from tests.bench.planning_best import BEST

_SPAWN = multiprocessing.get_context("spawn")
SIZES = {"small": SMALL, "medium": MEDIUM, "large": LARGE, "blocks": BLOCKS}
LIMITS: dict[str, Any] = {"max_rows": 100, "max_columns": {"user": 200, "group": 200}, "modes": tuple(Mode)}
RATE = 20.0


@dataclass(frozen=True)
class Case:
    """One row of the table. :param shared: whether calls may overlap; else each grant is in exactly one call."""

    size: str
    name: str
    mode: Mode
    seconds: float
    shared: bool = True

    @property
    def shape(self) -> CallShape:
        return CallShape(**LIMITS, overlap=self.shared)


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
    first_s: float
    seconds: float
    peak_mb: float
    legal: bool


def measure(case: Case) -> Figures:
    """Plan one case, in this process."""
    instance = SIZES[case.size][case.name]()
    known = {"mode": case.mode, "emptied": instance.emptied() if case.mode is Mode.EMPTYING else frozenset()}
    begin = time.process_time()
    found, _ = pieces(_named(instance), instance.cells(instance.keep), case.shape, **known)
    read = time.process_time() - begin
    first = min(_first(piece, case.seconds) for piece in found)
    found.clear()
    begin = time.process_time()
    stays = instance.cells(instance.keep)
    cover = plan_calls("s", "a", case.shape, _named(instance), stays, **known, budget_s=case.seconds)
    seconds = time.process_time() - begin
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    going = dict(enumerate(instance.cells(instance.need)))
    named = {str(number): cell for number, cell in going.items()}
    stays = instance.cells(instance.keep)
    try:
        check_plan(cover.calls, named, stays, system="s", account="a", shape=case.shape, **known)
    except PlanError as error:
        print(f"{case}: {error}", file=sys.stderr)
        legal = False
    else:
        legal = True
    optimum = instance.optimum if case.mode is Mode.STRICT else None
    optimum = len(cover.calls) if cover.proven else optimum
    simple = (len(going), _each(instance), _columns(instance), _rows(instance))
    return Figures(*simple, len(cover.calls), cover.lower_bound, optimum, read, first, seconds, peak, legal)


def _first(piece: Piece, seconds: float) -> float:
    """How long the first final call takes, when calls are sent as they come."""
    begin = time.process_time()
    next(stream(piece.problem, Random(0), Clock(seconds), int(RATE * seconds) + 1))
    return time.process_time() - begin


def _named(instance: Instance) -> Iterator[tuple[Cell, str]]:
    return ((cell, str(number)) for number, cell in enumerate(instance.cells(instance.need)))


def _each(instance: Instance) -> int:
    """Calls when every principal gets its own."""
    return sum(-(-bits.bit_count() // LIMITS["max_rows"]) for bits in instance.need)


def _columns(instance: Instance) -> int:
    """Calls when principals with equal losses go together, cut at the limits."""
    alike: dict[int, Counter[str]] = {}
    for number, bits in enumerate(instance.need):
        if bits:
            alike.setdefault(bits, Counter())[instance.column(number)[0]] += 1
    return sum(-(-bits.bit_count() // 100) * -(-max(kinds.values()) // 200) for bits, kinds in alike.items())


def _rows(instance: Instance) -> int:
    """Calls when menus with equal losses go together, cut at the limits."""
    groups = sum(1 << n for n in range(len(instance.need)) if instance.column(n)[0] == "group")
    calls = 0
    for bits, count in Counter(bits for bits in _turned(instance) if bits).items():
        wide = max((bits & groups).bit_count(), (bits & ~groups).bit_count())
        calls += -(-count // 100) * -(-wide // 200)
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
    """Everything, or a part of it that takes about a minute."""
    strict, free = Mode.STRICT, Mode.SPARSE
    rows = [Case("small", name, strict, 0.5 if quick else 2) for name in list(SMALL)[:: 4 if quick else 1]]
    rows += [Case("blocks", name, strict, 2) for name in BLOCKS]
    for name in MEDIUM:
        rows += [Case("medium", name, strict, seconds) for seconds in ((2,) if quick else (2, 10))]
        if name != "planted" and not quick:
            rows += [Case("medium", name, strict, 10, shared=False), Case("medium", name, free, 10)]
    for name in ("leavers", "mixed"):
        rows += [Case("medium", name, Mode.EMPTYING, 2), Case("medium", name, Mode.EMPTYING, 2, shared=False)]
    for name in ("leavers",) if quick else LARGE:
        rows += [Case("large", name, strict, seconds) for seconds in ((3,) if quick else (3, 30))]
        if name != "planted" and not quick:
            rows += [Case("large", name, free, 30)]
    if not quick:
        rows += [Case("large", name, Mode.EMPTYING, 30) for name in ("leavers", "mixed")]
    return rows


def best_of(case: Case, figures: Figures) -> tuple[int, bool]:
    """The fewest calls known, and whether fewer are impossible."""
    if figures.optimum is not None:
        return figures.optimum, True
    known = BEST.get((case.size, case.name, str(case.mode), case.shared))
    return min(figures.calls, known or figures.calls), figures.bound == known


def show(rows: Iterable[Case]) -> Iterator[tuple[Case, Figures]]:
    """Run the cases and print the table row by row."""
    print("| table | mode | budget s | goes | each | column | row | calls | at least | best | ratio |", end="")
    print(" read s | first s | seconds | peak MB | legal |")
    print("| --- " * 16 + "|", flush=True)
    for case in rows:
        found = measured(case)
        best, sure = best_of(case, found)
        mode = str(case.mode) if case.shared else f"{case.mode}, each once"
        what = [f"{case.size} {case.name}", mode, f"{case.seconds:g}", found.goes, found.each, found.column, found.row]
        what += [found.calls, found.bound, f"{'=' if sure else ''}{best}", f"{found.calls / best:.3f}"]
        what += [f"{found.read_s:.2f}", f"{found.first_s:.2f}", f"{found.seconds:.1f}", f"{found.peak_mb:.0f}"]
        print("|", *(f"{cell} |" for cell in [*what, "yes" if found.legal else "NO"]), flush=True)
        yield case, found


def summary(found: list[tuple[Case, Figures]]) -> None:
    """Calls over best known, over all tables of a size and budget together, beside what is aimed at."""
    aims = {("small", 2): 1.01, ("medium", 2): 1.05, ("medium", 10): 1.02, ("large", 3): 1.20, ("large", 30): 1.05}
    sums: dict[tuple[str, float], list[float]] = {}
    for case, figures in found:
        if case.mode is Mode.STRICT and case.shared:
            ratio = figures.calls / best_of(case, figures)[0]
            sums.setdefault((case.size, case.seconds), []).append(ratio)
    print("\n| size | budget s | tables | mean ratio | worst ratio | aim |\n| --- | --- | --- | --- | --- | --- |")
    for (size, seconds), ratios in sums.items():
        aim = aims.get((size, seconds))
        mean, worst = sum(ratios) / len(ratios), max(ratios)
        print(f"| {size} | {seconds:g} | {len(ratios)} | {mean:.3f} | {worst:.3f} | {aim or ''} |")


def main(arguments: list[str] | None = None) -> int:
    """Print the tables; 1 when a cover is not legal."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="a part of the tables, about a minute")
    parser.add_argument("--only", default="", help="only cases whose size, name and mode contain this text")
    parser.add_argument("--seconds", type=float, default=0, help="another budget for every case")
    parser.add_argument("--json", default="", help="write the figures to this file as well")
    options = parser.parse_args(arguments)
    rows = [case for case in cases(options.quick) if options.only in f"{case.size} {case.name} {case.mode}"]
    if options.seconds:
        again = {(c.size, c.name, c.mode, c.shared): c for c in rows}.values()
        rows = [Case(c.size, c.name, c.mode, options.seconds, c.shared) for c in again]
    found = list(show(rows))
    summary(found)
    if options.json:
        with open(options.json, "w", encoding="utf-8") as file:
            json.dump([{**asdict(case), **asdict(figures)} for case, figures in found], file, indent=1)
    return 0 if all(figures.legal for _, figures in found) else 1


if __name__ == "__main__":
    sys.exit(main())
