"""Lower bounds: how many calls every cover takes, with the proof of each.

* *Area.* No call covers more cells than the largest rectangle that the limits allow.
* *Slots.* A row with n needed cells in a group is in at least ceil(n / limit) calls. Add that up over all rows: a call
  holds at most ``max_rows`` rows, so divide by it and round up. The same holds for columns.
* *Fooling set.* Two needed cells (r, c) and (s, d) conflict when (r, d) or (s, c) is not free: a rectangle with both
  would contain it. Cells of which any two conflict need a call each.
* *Rank.* In strict mode the calls do not overlap and contain needed cells only, so the matrix of needs is the sum of
  the calls' matrices. Each of these has rank 1 over GF(2), and rank is subadditive: there are at least as many calls
  as the rank of the matrix (Graham and Pollak's argument for biclique partitions).
"""

from __future__ import annotations

from collections.abc import Sequence
from random import Random

from rescind.plan.solver.bitsets import members, pick
from rescind.plan.solver.problem import Clock, Groups, Problem, calls_alone

_ROUNDS = 12
_LOOKS = 16


def quick_bound(problem: Problem) -> int:
    """Return the better of area and slots."""
    size = sum(min(cap, mask.bit_count()) for mask, cap in problem.column_groups)
    size *= sum(min(cap, mask.bit_count()) for mask, cap in problem.row_groups)
    size = size if problem.max_cells is None else min(size, problem.max_cells)
    by_rows = _slots(problem.need, problem.row_groups, problem.column_groups, problem.max_cells)
    by_columns = _slots(problem.need_t, problem.column_groups, problem.row_groups, problem.max_cells)
    return max(1, -(-problem.cells() // size), by_rows, by_columns)


def _slots(lines: Sequence[int], own: Groups, across: Groups, max_cells: int | None) -> int:
    calls = [calls_alone(bits, across, max_cells) for bits in lines]
    return max(-(-sum(calls[index] for index in members(mask)) // cap) for mask, cap in own)


def lower_bound(problem: Problem, cover: int, rng: Random, clock: Clock) -> int:
    """Return the best bound found; never above the true minimum.

    :param cover: calls of a known cover. The search for a better bound stops when it meets this number.
    """
    bound = quick_bound(problem)
    if bound < cover and problem.strict:
        clock.spent += len(problem.need) ** 2 * problem.row_work / 4
        bound = max(bound, gf2_rank(min(problem.need, problem.need_t, key=len)))
    for _ in range(_ROUNDS):
        if bound >= cover or clock.over():
            break
        bound = max(bound, len(fooling_set(problem, rng, clock)))
    return min(bound, cover)


def fooling_set(problem: Problem, rng: Random, clock: Clock) -> list[tuple[int, int]]:
    """Return needed cells (row, column) of which any two conflict, chosen greedily.

    Cells whose row and column have few free cells come first: they rule out few others.
    """
    left = dict(enumerate(problem.need))
    free, free_t = problem.free, problem.free_t
    cells: list[tuple[int, int]] = []
    while left:
        keys = list(left)
        some = [keys[int(rng.random() * len(keys))] for _ in range(_LOOKS)]
        looks = [(row, pick(left[row], rng)) for row in some]
        row, column = min(looks, key=lambda cell: free[cell[0]].bit_count() * free_t[cell[1]].bit_count())
        cells.append((row, column))
        compatible = free[row]
        others = members(free_t[column])
        clock.spent += 20 + len(others) * problem.row_work / 2
        for other in others:
            rest = left.get(other, 0)
            rest ^= rest & compatible
            if rest:
                left[other] = rest
            else:
                left.pop(other, None)
    return cells


def gf2_rank(lines: Sequence[int]) -> int:
    """Return the rank of a bit matrix over GF(2)."""
    basis: dict[int, int] = {}
    for bits in lines:
        while bits:
            top = bits.bit_length()
            if top not in basis:
                basis[top] = bits
                break
            bits ^= basis[top]
    return len(basis)
