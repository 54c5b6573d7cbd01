"""The checker against the plain definition: the union of all rectangles, cell by cell."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from rescind.errors import PlanError
from rescind.model import CallShape, Cell, Mode, PlannedCall
from rescind.plan.check import check_plan, check_request
from tests.support.reviews.examples import examples

ROWS = st.sampled_from(["m1", "m2", "m3"])
COLUMNS = st.sampled_from([("user", ("u1",)), ("user", ("u2",)), ("group", ("u1",))])
CONTAINERS = st.sampled_from(["p", "q"])
CELLS = st.builds(lambda container, row, column: Cell(container, row, *column), CONTAINERS, ROWS, COLUMNS)
CALLS = st.builds(
    lambda container, rows, columns: PlannedCall("s", "a", container, tuple(sorted(rows)), tuple(sorted(columns))),
    CONTAINERS,
    st.sets(ROWS, min_size=1),
    st.sets(COLUMNS, min_size=1),
)
EMPTIED = st.sets(st.builds(lambda container, column: (container, *column), CONTAINERS, COLUMNS))
MANY = examples(120)


def passes(calls: list[PlannedCall], going: set[Cell], staying: set[Cell], **change: object) -> bool:
    shape = CallShape(2, {"user": 2, "group": 1}, max_cells=4, modes=tuple(Mode))
    revoke = {str(n): item for n, item in enumerate(sorted(going))}
    try:
        check_plan(calls, revoke, staying, system="s", account="a", shape=shape, **change)  # type: ignore[arg-type]
    except PlanError:
        return False
    return True


def touched(calls: list[PlannedCall]) -> list[Cell]:
    return [cell for call in calls for cell in sorted(call.cells())]


@MANY
@given(st.lists(CALLS, max_size=4), st.sets(CELLS))
def test_in_strict_mode_a_plan_that_passes_takes_exactly_what_was_approved(
    calls: list[PlannedCall], staying: set[Cell]
) -> None:
    effect = touched(calls)
    fits = all(len(c.rows) <= 2 and len(c.rows) * len(c.columns) <= 4 for c in calls)
    once = len(set(effect)) == len(effect)
    assert passes(calls, set(effect), staying) == (fits and once and not set(effect) & staying)


@MANY
@given(st.lists(CALLS, max_size=3), st.sets(CELLS), st.sets(CELLS), EMPTIED, st.sampled_from(Mode))
def test_whatever_passes_is_inside_the_approved_effect(
    calls: list[PlannedCall],
    going: set[Cell],
    staying: set[Cell],
    emptied: set[tuple[str, str, tuple[str, ...]]],
    mode: Mode,
) -> None:
    if not passes(calls, going, staying, mode=mode, emptied=frozenset(emptied)):
        return
    effect = set(touched(calls))
    assert going <= effect
    assert not effect & staying
    beyond = effect - going
    if mode is Mode.STRICT:
        assert not beyond
    if mode is Mode.EMPTYING:
        assert {(cell.container, cell.kind, cell.column) for cell in beyond} <= emptied
    for call in calls:
        assert {cell.row for cell in call.cells() & going} == set(call.rows)
        assert {(cell.kind, cell.column) for cell in call.cells() & going} == set(call.columns)


@MANY
@given(st.lists(CALLS, min_size=1, max_size=3), st.sets(CELLS), st.sampled_from(Mode), EMPTIED)
def test_keeping_more_or_emptying_less_never_lets_a_plan_pass(
    calls: list[PlannedCall], staying: set[Cell], mode: Mode, emptied: set[tuple[str, str, tuple[str, ...]]]
) -> None:
    going = set(touched(calls[:1]))
    whole = passes(calls, going, set(), mode=mode, emptied=frozenset(emptied))
    assert whole or not passes(calls, going, staying, mode=mode, emptied=frozenset(emptied))
    assert whole or not passes(calls, going, set(), mode=mode, emptied=frozenset(sorted(emptied)[1:]))


@MANY
@given(st.lists(CELLS), st.sets(CELLS), EMPTIED, st.sets(CELLS), st.sets(CELLS))
def test_a_request_passes_exactly_when_every_cell_is_covered(
    cells: list[Cell],
    approved: set[Cell],
    emptied: set[tuple[str, str, tuple[str, ...]]],
    absent: set[Cell],
    kept: set[Cell],
) -> None:
    rows = {(cell.container, cell.row) for cell in approved}

    def free(c: Cell) -> bool:
        return c in absent or ((c.container, c.kind, c.column) in emptied and (c.container, c.row) in rows)

    covered = all(c not in kept and (c in approved or free(c)) for c in cells)
    expected = covered and bool(set(cells) & approved)
    try:
        taken = check_request(cells, approved, emptied, absent=absent, kept=kept)
    except PlanError:
        assert not expected
    else:
        assert expected
        assert taken == sum(cell in approved for cell in cells)
