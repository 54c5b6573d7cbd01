"""Small plans by hand: what shares a call, what must not, and the bound that proves it."""

from __future__ import annotations

import itertools
from dataclasses import replace
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rescind.errors import InputError
from rescind.model import CallShape, Cell, Mode
from rescind.plan import plan_calls
from rescind.plan.check import check_plan
from tests.support.reviews.examples import examples

MENUS = CallShape(max_rows=3, max_columns={"user": 2, "group": 2})
PAIRS = CallShape(max_rows=4, max_columns={"pair": 1})
RECORDS = CallShape(max_rows=1, max_columns={"record": 1}, max_cells=1)


def _cell(row: object, column: object, kind: str = "user", container: str = "p") -> Cell:
    return Cell(container, str(row), kind, (str(column),))


def _revoke(cells: list[Cell]) -> list[tuple[Cell, str]]:
    return [(cell, f"g{number}") for number, cell in enumerate(cells)]


def test_a_full_block_is_one_call() -> None:
    cover = plan_calls("s", "a", MENUS, _revoke([_cell(r, c) for r in range(3) for c in range(2)]), [])
    assert len(cover.calls) == cover.lower_bound == 1
    assert cover.proven and cover.gap == Fraction(0) and cover.cells == 6


def test_equal_columns_share_calls_when_a_call_takes_one_column() -> None:
    cells = [_cell(f"t{r}", c, "pair") for c in ("x", "y") for r in range(8)] + [_cell("t9", "x", "pair")]
    cover = plan_calls("s", "a", PAIRS, _revoke(cells), [])
    assert len(cover.calls) == 5 and cover.proven
    assert all(len(call.columns) == 1 and len(call.rows) <= 4 for call in cover.calls)


def test_records_are_one_call_each() -> None:
    cells = [Cell(f"user{n}", f"record{n}", "record", (str(n),)) for n in range(7)]
    cover = plan_calls("s", "a", RECORDS, _revoke(cells), [])
    assert len(cover.calls) == cover.lower_bound == 7 and cover.proven


def test_a_cell_that_also_holds_a_kept_grant_is_held() -> None:
    shared, free = _cell(1, 1), _cell(1, 2)
    cover = plan_calls("s", "a", MENUS, [(shared, "go"), (free, "free")], [shared])
    assert set(cover.held) == {"go"} and "kept" in cover.held["go"]
    assert {cell for call in cover.calls for cell in call.cells()} == {free}


def test_nothing_to_revoke_is_no_call() -> None:
    cover = plan_calls("s", "a", MENUS, [], [_cell(1, 1)])
    assert cover.calls == () and cover.lower_bound == 0 and cover.proven


def test_users_and_groups_have_limits_of_their_own() -> None:
    cells = [_cell(1, c, kind) for kind in ("user", "group") for c in range(2)]
    cover = plan_calls("s", "a", MENUS, _revoke(cells), [])
    assert {kind for call in cover.calls for kind, _ in call.columns} == {"user", "group"}
    for call in cover.calls:
        assert all(sum(k == kind for k, _ in call.columns) <= 2 for kind in ("user", "group"))


def test_an_unknown_kind_or_mode_is_an_error() -> None:
    with pytest.raises(InputError, match="no limit for kind 'workspace'"):
        plan_calls("s", "a", MENUS, _revoke([_cell(1, 1, "workspace")]), [])
    with pytest.raises(InputError, match="sparse is not one of strict"):
        plan_calls("s", "a", MENUS, [], [], modes=[Mode.SPARSE])


def test_search_finds_what_grouping_misses() -> None:
    """Rows with equal losses and columns with equal losses both need five calls; mixing them needs three."""
    blocks = [((0, 1, 2), (0,)), ((3,), (0, 1, 2)), ((1,), (3, 4, 5))]
    cells = sorted({_cell(row, column) for rows, columns in blocks for row in rows for column in columns})
    keep = [_cell(0, 4), _cell(3, 5)]
    shape = CallShape(max_rows=100, max_columns={"user": 200})
    cover = plan_calls("s", "a", shape, _revoke(cells), keep)
    assert len(cover.calls) == cover.lower_bound == 3 and cover.proven
    check_plan(cover.calls, dict(enumerate_ids(cells)), keep, system="s", account="a", shape=shape)


def test_all_but_a_diagonal_is_proven_by_rank() -> None:
    """Calls that share no cell: six rows need six calls, and the rank of the matrix proves it."""
    shape = CallShape(max_rows=100, max_columns={"user": 200})
    cells = [_cell(row, column) for row in range(6) for column in range(6) if row != column]
    keep = [_cell(n, n) for n in range(6)]
    cover = plan_calls("s", "a", shape, _revoke(cells), keep)
    assert len(cover.calls) == cover.lower_bound == 6 and cover.proven
    check_plan(cover.calls, dict(enumerate_ids(cells)), keep, system="s", account="a", shape=shape)


def test_a_block_beyond_the_sizes_is_cut_into_four() -> None:
    """150 rows of 300 columns at 100 x 200: four calls that share no cell; three is the bound by area."""
    shape = CallShape(max_rows=100, max_columns={"user": 200})
    cells = [_cell(row, column) for row in range(150) for column in range(300)]
    cover = plan_calls("s", "a", shape, _revoke(cells), [])
    assert (len(cover.calls), cover.lower_bound) == (4, 3)
    check_plan(cover.calls, dict(enumerate_ids(cells)), [], system="s", account="a", shape=shape)


def test_a_limit_of_cells_is_met_by_calls_of_one_row() -> None:
    shape = CallShape(max_rows=4, max_columns={"user": 4, "group": 4}, max_cells=3)
    cells = [_cell(row, column, kind) for row in range(4) for column in range(2) for kind in ("user", "group")]
    cover = plan_calls("s", "a", shape, _revoke(cells), [])
    assert (len(cover.calls), cover.lower_bound, cover.proven) == (8, 6, False)
    check_plan(cover.calls, dict(enumerate_ids(cells)), [], system="s", account="a", shape=shape)


def enumerate_ids(cells: list[Cell]) -> list[tuple[str, Cell]]:
    """Grant ids for cells, as in :func:`_revoke`."""
    return [(grant, cell) for cell, grant in _revoke(cells)]


def test_a_mode_that_touches_more_is_taken_only_where_it_saves_calls() -> None:
    """A row and a column that meet in an absent cell: two calls in any mode that keeps off it, one that does not."""
    shape = CallShape(max_rows=4, max_columns={"user": 4}, modes=tuple(Mode))
    corner = [_cell(0, 0), _cell(0, 1), _cell(1, 0)]
    apart = [_cell(0, 0), _cell(1, 1)]
    for cells, keep, mode, calls in (
        (corner, [], Mode.SPARSE, 1),
        (corner, [_cell(1, 1)], Mode.STRICT, 2),
        (apart, [_cell(0, 1), _cell(1, 0)], Mode.STRICT, 2),
        (corner[:1], [], Mode.STRICT, 1),
    ):
        cover = plan_calls("s", "a", shape, _revoke(cells), keep, modes=(Mode.STRICT, Mode.SPARSE))
        assert (cover.mode, len(cover.calls), cover.absent) == (mode, calls, int(mode is Mode.SPARSE))
        assert cover.lower_bound <= calls


def test_what_shares_no_call_in_strict_mode_counts_one_by_one_in_the_bound() -> None:
    apart = _revoke([_cell(number, number) for number in range(4)])
    shape = CallShape(max_rows=9, max_columns={"user": 9}, modes=tuple(Mode))
    strict = plan_calls("s", "a", shape, apart, [])
    assert (len(strict.calls), strict.lower_bound, strict.proven) == (4, 4, True)
    sparse = plan_calls("s", "a", shape, apart, [], modes=(Mode.SPARSE,))
    assert (len(sparse.calls), sparse.lower_bound) == (1, 1)


@pytest.mark.parametrize(
    "shape",
    [
        CallShape(max_rows=0, max_columns={"user": 1}),
        CallShape(max_rows=1, max_columns={"user": 0}),
        CallShape(max_rows=1, max_columns={"user": 1}, max_cells=0),
    ],
)
def test_a_limit_of_nothing_is_refused(shape: CallShape) -> None:
    with pytest.raises(InputError, match="limit of at least 1"):
        plan_calls("s", "a", shape, _revoke([_cell(0, 0)]), [])


CELLS = st.frozensets(st.tuples(st.integers(0, 6), st.integers(0, 6), st.sampled_from(["user", "group"])), max_size=30)


@examples(400)
@given(going=CELLS, staying=CELLS)
def test_every_plan_passes_the_independent_check(
    going: frozenset[tuple[int, int, str]], staying: frozenset[tuple[int, int, str]]
) -> None:
    keep = [_cell(*one) for one in staying]
    revoke = _revoke([_cell(*one) for one in sorted(going)])
    cover = plan_calls("s", "a", MENUS, revoke, keep, budget_s=0.02)
    planned = {grant: cell for cell, grant in revoke if grant not in cover.held}
    facts = check_plan(cover.calls, planned, keep, system="s", account="a", shape=MENUS)
    assert facts.absent == 0 and facts.cells == cover.cells == len(planned)
    assert cover.lower_bound <= len(cover.calls)
    assert {grant for cell, grant in revoke if cell in set(keep)} == set(cover.held)
    again = plan_calls("s", "a", MENUS, reversed(revoke), reversed(keep), budget_s=0.02)
    assert {cell for call in again.calls for cell in call.cells()} == {
        cell for call in cover.calls for cell in call.cells()
    }


@examples(150)
@given(going=CELLS, staying=CELLS, emptied=st.frozensets(st.integers(0, 6), max_size=7))
def test_a_wider_mode_never_takes_more_calls_than_strict(
    going: frozenset[tuple[int, int, str]], staying: frozenset[tuple[int, int, str]], emptied: frozenset[int]
) -> None:
    shape = replace(MENUS, modes=tuple(Mode))
    keep = {_cell(*one) for one in staying}
    revoke = _revoke([_cell(*one) for one in sorted(going)])
    columns = {("p", "user", (str(number),)) for number in emptied}
    strict = plan_calls("s", "a", shape, revoke, keep, budget_s=0.01)
    wider = plan_calls("s", "a", shape, revoke, keep, modes=list(Mode), emptied=columns, budget_s=0.01)
    assert len(wider.calls) < len(strict.calls) or (wider.mode is Mode.STRICT and wider.calls == strict.calls)
    planned = {grant: cell for cell, grant in revoke if grant not in wider.held}
    known = {"mode": wider.mode, "emptied": columns}
    facts = check_plan(wider.calls, planned, keep, system="s", account="a", shape=shape, **known)  # type: ignore[arg-type]
    assert (facts.cells, facts.absent) == (wider.cells, wider.absent)
    assert wider.lower_bound <= len(wider.calls)


GRID = frozenset(itertools.product(range(3), range(3)))


@examples(150)
@given(
    going=st.frozensets(st.sampled_from(sorted(GRID)), min_size=1, max_size=7),
    staying=st.frozensets(st.sampled_from(sorted(GRID))),
)
def test_the_bound_is_never_above_the_true_optimum(
    going: frozenset[tuple[int, int]], staying: frozenset[tuple[int, int]]
) -> None:
    shape = CallShape(max_rows=2, max_columns={"user": 2}, modes=tuple(Mode))
    revoke, keep = _revoke([_cell(*one) for one in sorted(going)]), [_cell(*one) for one in sorted(staying - going)]
    for mode, free in ((Mode.STRICT, going), (Mode.SPARSE, GRID - (staying - going))):
        cover = plan_calls("s", "a", shape, revoke, keep, modes=[mode], budget_s=0.01)
        assert cover.lower_bound <= _optimum(going, free, 2, 2) <= len(cover.calls)


def _optimum(going: frozenset[tuple[int, int]], free: frozenset[tuple[int, int]], most_rows: int, most: int) -> int:
    """Return the fewest legal rectangles that share no cell, by trying all of them."""
    rows, columns = sorted({r for r, _ in going}), sorted({c for _, c in going})
    legal = [
        frozenset(itertools.product(some, others))
        for height in range(1, most_rows + 1)
        for some in itertools.combinations(rows, height)
        for width in range(1, most + 1)
        for others in itertools.combinations(columns, width)
        if set(itertools.product(some, others)) <= free
    ]
    for count in range(1, len(going) + 1):
        for chosen in itertools.combinations(legal, count):
            together = frozenset().union(*chosen)
            if len(together) == sum(map(len, chosen)) and together >= going:
                return count
    raise AssertionError("single cells always cover")
