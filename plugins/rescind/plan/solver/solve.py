"""One covering problem from start to end: first cover, bound, improvement, proof, trimming."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from random import Random

from rescind.plan.solver.bitsets import bit_set, members, transpose, union
from rescind.plan.solver.block_codes import code_cover
from rescind.plan.solver.cover_state import State
from rescind.plan.solver.exact_search import settle
from rescind.plan.solver.greedy import Growth, growing
from rescind.plan.solver.initial_cover import EFFORT, first_cover
from rescind.plan.solver.local_search import Search
from rescind.plan.solver.lower_bounds import lower_bound
from rescind.plan.solver.problem import Clock, Groups, Problem, Rect, Residue, make_problem
from rescind.plan.solver.trivial import trivial_cover

_BEFORE_PROOF = 0.25


def solve(problem: Problem, rng: Random, clock: Clock) -> tuple[list[Rect], int]:
    """Calls that cover the problem, and a number of calls that no cover goes below."""
    cover = trivial_cover(problem)
    if cover is not None:
        return cover, len(cover)
    cover = first_cover(problem, rng, clock)
    bound = lower_bound(problem, len(cover), rng, clock)
    code = code_cover(problem) if len(cover) > bound else None
    cover = code if code is not None and len(code) < len(cover) else cover
    for share in (_BEFORE_PROOF, 1.0):
        if len(cover) > bound:
            inner = clock.share(share)
            cover = _improved(problem, cover, bound, rng, inner)
            clock.take_back(inner)
            cover, bound = settle(problem, cover, bound, rng, clock)
    state = State(problem, cover)
    state.trim()
    return list(state.calls.values()), min(bound, len(state.calls))


def _improved(problem: Problem, cover: Sequence[Rect], bound: int, rng: Random, clock: Clock) -> list[Rect]:
    search = Search(State(problem, cover), rng, clock)
    search.run(bound)
    return list(search.state.calls.values())


def stream(problem: Problem, rng: Random, clock: Clock, head: int) -> Iterator[Rect]:
    """Calls that cover the problem, the first ``head`` of them as soon as the greedy has chosen them."""
    growth = Growth()
    first: list[Rect] = []
    if trivial_cover(problem) is None:
        for rect in growing(problem, rng, clock, EFFORT, growth):
            if len(first) == head:
                break
            yield rect
            first.append(rect)
    left = left_over(problem, first)
    if left is not None:
        rest, rows, columns = left
        for some, mask in solve(rest, rng, clock)[0]:
            yield tuple(rows[row] for row in some), bit_set(columns[column] for column in members(mask))


def left_over(problem: Problem, rects: Sequence[Rect]) -> tuple[Problem, list[int], list[int]] | None:
    """What the calls leave as a problem of its own, with its rows and columns in this one; None for nothing."""
    rest = Residue(problem)
    for rows, columns in rects:
        rest.strike(rows, columns)
    if not rest.need:
        return None
    lines, places = sorted(rest.need), members(union(rest.need.values()))
    need = _cut([rest.need[row] for row in lines], places)
    free = _cut([rest.free[row] for row in lines], places)
    row_groups, column_groups = _groups(problem.row_groups, lines), _groups(problem.column_groups, places)
    exact = need if free == need else free
    return make_problem(need, exact, row_groups, column_groups, problem.max_cells, problem.overlap), lines, places


def _cut(lines: Sequence[int], places: Sequence[int]) -> list[int]:
    """Only these columns of the lines, numbered anew."""
    turned = transpose(lines, max(max(places) + 1, *(bits.bit_length() for bits in lines)))
    return transpose([turned[place] for place in places], len(lines))


def _groups(groups: Groups, kept: Sequence[int]) -> Groups:
    """The groups over the members that are kept, numbered anew."""
    found = []
    for mask, cap in groups:
        mine = bit_set(index for index, place in enumerate(kept) if mask >> place & 1)
        if mine:
            found.append((mine, cap))
    return tuple(found)
