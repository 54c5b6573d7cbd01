"""Lower bounds: how many calls any cover takes, each with a certificate that is easy to check.

* *Area*: no call covers more cells than its largest shape.
* *Slots* (Schönheim's argument for covering designs): a row with more needs than a call has columns is in
  several calls; all rows together need that many places, and a call has ``max_rows``. The same for columns.
  That is why 150 x 300 cells need 3 calls of 100 x 200 and 250 x 500 need 8.
* *Fooling set*: cells of which any two conflict need a call each (a clique of the conflict graph).
* *Crown*: rows r_1..r_n and columns c_1..c_n where (r_i, c_i) may not be in a call and all other (r_i, c_j)
  must. The calls over r_i and those over c_j then meet exactly when i != j, so n <= C(k, k/2) for k calls
  (Bollobás' set pairs).
* *Rank*: calls that do not overlap add up to the matrix of needs, each of rank 1, over any field; here GF(2).
"""

from __future__ import annotations

from collections.abc import Sequence
from math import comb
from random import Random

from rescind.plan.solver.bitsets import members, pick
from rescind.plan.solver.problem import Clock, Groups, Problem, calls_alone

_ROUNDS = 12
_LOOKS = 16
_CROWNS = 4


def quick_bound(problem: Problem) -> int:
    """The best of area and slots."""
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
    """The best bound found; never above the true minimum. Stops when it meets ``cover``."""
    bound = quick_bound(problem)
    if bound < cover and not problem.overlap and problem.strict:
        clock.spent += len(problem.need) ** 2 * problem.row_work / 4
        bound = max(bound, gf2_rank(min(problem.need, problem.need_t, key=len)))
    for turn in range(_ROUNDS):
        if bound >= cover or clock.over():
            break
        bound = max(bound, len(fooling_set(problem, rng, clock)))
        if turn < _CROWNS and comb(bound, bound // 2) < len(problem.need):
            bound = max(bound, set_pairs_bound(len(crown(problem, rng, clock))))
    return min(bound, cover)


def fooling_set(problem: Problem, rng: Random, clock: Clock) -> list[tuple[int, int]]:
    """Needed cells (row, column) of which any two conflict, chosen greedily: those compatible with few others first."""
    open_ = dict(enumerate(problem.need))
    free, free_t = problem.free, problem.free_t
    cells: list[tuple[int, int]] = []
    while open_:
        keys = list(open_)
        some = [keys[int(rng.random() * len(keys))] for _ in range(_LOOKS)]
        looks = [(row, pick(open_[row], rng)) for row in some]
        row, column = min(looks, key=lambda cell: free[cell[0]].bit_count() * free_t[cell[1]].bit_count())
        cells.append((row, column))
        reach = free[row]
        others = members(free_t[column])
        clock.spent += 20 + len(others) * problem.row_work / 2
        for other in others:
            left = open_.get(other, 0)
            left ^= left & reach
            if left:
                open_[other] = left
            else:
                open_.pop(other, None)
    return cells


def crown(problem: Problem, rng: Random, clock: Clock) -> list[tuple[int, int]]:
    """Pairs (r_i, c_i) that are not free while every (r_i, c_j) with i != j is needed, chosen greedily."""
    rows = (1 << len(problem.need)) - 1
    columns = (1 << len(problem.need_t)) - 1
    pairs: list[tuple[int, int]] = []
    while rows and columns:
        clock.spent += 10 * (problem.row_work + problem.column_work)
        looks = []
        for _ in range(_LOOKS):
            row = pick(rows, rng)
            closed = columns ^ (columns & problem.free[row])
            if closed:
                column = pick(closed, rng)
                next_rows, next_columns = rows & problem.need_t[column], columns & problem.need[row]
                looks.append((next_rows.bit_count() * next_columns.bit_count(), row, column))
        if not looks:
            break
        _, row, column = max(looks)
        pairs.append((row, column))
        rows, columns = rows & problem.need_t[column], columns & problem.need[row]
    return pairs


def set_pairs_bound(size: int) -> int:
    """The smallest k with C(k, k/2) >= size: calls that a crown of this size takes."""
    calls = 0
    while comb(calls, calls // 2) < size:
        calls += 1
    return calls if size else 0


def gf2_rank(lines: Sequence[int]) -> int:
    """The rank of a bit matrix over GF(2)."""
    basis: dict[int, int] = {}
    for bits in lines:
        while bits:
            top = bits.bit_length()
            if top not in basis:
                basis[top] = bits
                break
            bits ^= basis[top]
    return len(basis)
