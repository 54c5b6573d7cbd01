"""The independent checker against a planner that is right, and against its faulty variants."""

from __future__ import annotations

import ast
import dataclasses
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from rescind.errors import BlastRadiusExceededError, PlanError
from rescind.model import CallShape, Cell, Mode, PlannedCall
from rescind.plan.check import EmptiedColumn, PlanCheck, check_plan, check_request

SHAPE = CallShape(max_rows=3, max_columns={"user": 2, "group": 1}, max_cells=8, modes=tuple(Mode))
USERS = [("user", (f"u{n}",)) for n in range(4)]
GROUP = ("group", ("g1",))


def cell(row: str, column: tuple[str, tuple[str, ...]], container: str = "p") -> Cell:
    return Cell(container, row, *column)


def call(rows: tuple[str, ...], columns: Any, container: str = "p", **change: str) -> PlannedCall:
    place = {"system": "quickbi_menus", "account": "a", **change}
    return PlannedCall(place["system"], place["account"], container, rows, tuple(columns))


def check(calls: Any, revoke: list[Cell], keep: list[Cell] = [], **change: Any) -> PlanCheck:  # noqa: B006
    known = {"system": "quickbi_menus", "account": "a", "shape": SHAPE, **change}
    return check_plan(calls, {str(n): item for n, item in enumerate(revoke)}, keep, **known)


# A small world: leavers u0 and u1 lose everything in p, u2 loses one menu and keeps another, g1 loses one.
GOING = [
    *(cell(row, user) for row in ("m1", "m2", "m3", "m4") for user in USERS[:2]),
    cell("m1", USERS[2]),
    cell("m2", GROUP),
    cell("m9", USERS[0], "q"),
]
STAYING = [cell("m2", USERS[2]), cell("m1", USERS[3]), cell("m1", GROUP), cell("m9", USERS[2], "q")]
EMPTIED = frozenset({("p", *USERS[0]), ("p", *USERS[1])})


def planner(cells: list[Cell], shape: CallShape) -> Iterator[PlannedCall]:
    """Right, and simple: rows with the same columns together, cut at the limits, one kind in each call."""
    by_row: dict[tuple[str, str], set[Any]] = {}
    for item in cells:
        by_row.setdefault((item.container, item.kind), set()).add(item.row)
    for (container, kind), rows in sorted(by_row.items()):
        alike: dict[tuple[Any, ...], list[str]] = {}
        for row in sorted(rows):
            columns = sorted(
                (c.kind, c.column) for c in cells if (c.container, c.row, c.kind) == (container, row, kind)
            )
            alike.setdefault(tuple(columns), []).append(row)
        for columns, same in alike.items():
            wide, tall = shape.max_columns[kind], shape.max_rows
            for left in range(0, len(columns), wide):
                for top in range(0, len(same), tall):
                    yield call(tuple(same[top : top + tall]), columns[left : left + wide], container)


def test_a_right_plan_passes_and_is_counted() -> None:
    calls = list(planner(GOING, SHAPE))
    assert check(calls, GOING, STAYING) == PlanCheck(calls=len(calls), cells=len(GOING), absent=0)


def test_nothing_to_do() -> None:
    assert check([], [], STAYING) == PlanCheck(0, 0, 0)


Calls = list[PlannedCall]
Fault = Callable[[Calls], Calls]


def bounding_box(calls: Calls) -> Calls:
    """Two people with different losses put into one call: both lose both."""
    mine = [c for c in calls if c.container == "p" and c.columns[0][0] == "user"]
    rows = tuple(sorted({row for c in mine for row in c.rows}))[:3]
    return [c for c in calls if c not in mine] + [call(rows, sorted({col for c in mine for col in c.columns})[:2])]


def with_first(change: Callable[[PlannedCall], PlannedCall]) -> Fault:
    return lambda calls: [change(calls[0]), *calls[1:]]


def rows_as(change: Callable[[str], str]) -> Fault:
    return with_first(lambda c: dataclasses.replace(c, rows=tuple(change(row) for row in c.rows)))


def columns_as(change: Callable[[tuple[str, tuple[str, ...]]], tuple[str, tuple[str, ...]]]) -> Fault:
    return lambda calls: [dataclasses.replace(c, columns=tuple(change(column) for column in c.columns)) for c in calls]


def wider(calls: Calls, column: Any, rows: tuple[str, ...] = ("m1",)) -> Calls:
    return [*calls, call(rows, [column])]


FAULTS: dict[str, Fault] = {
    "forgets a call": lambda calls: calls[1:],
    "forgets a row": with_first(lambda c: dataclasses.replace(c, rows=c.rows[1:])),
    "forgets a column": with_first(lambda c: dataclasses.replace(c, columns=c.columns[:-1])),
    "forgets the last chunk": lambda calls: [c for c in calls if "m4" not in c.rows],
    "one row too many": with_first(lambda c: dataclasses.replace(c, rows=(*c.rows, "m7"))),
    "one column too many": with_first(lambda c: dataclasses.replace(c, columns=(USERS[0], USERS[3]))),
    "takes a kept grant": lambda calls: wider(calls, USERS[3]),
    "takes a kept grant of a group": lambda calls: wider(calls, GROUP),
    "takes what nobody holds": lambda calls: wider(calls, USERS[3], ("m4",)),
    "takes a menu of another portal": lambda calls: [*calls, call(("m1",), [USERS[0]], "q")],
    "bounding box of two people": bounding_box,
    "user as group": columns_as(lambda column: ("group", column[1])),
    "group as user": columns_as(lambda column: ("user", column[1])),
    "empty rows": lambda calls: [*calls, call((), [USERS[0]])],
    "empty columns": lambda calls: [*calls, call(("m1",), [])],
    "blank row": lambda calls: [*calls, call(("",), [USERS[0]])],
    "wildcard column": lambda calls: [*calls, call(("m1",), [("user", ("*",))])],
    "more rows than a call may have": lambda calls: [*calls[2:], call(("m1", "m2", "m3", "m4"), USERS[:2])],
    "more columns of a kind than a call may have": with_first(
        lambda c: dataclasses.replace(c, columns=tuple(USERS[:3]))
    ),
    "more cells than a call may have": with_first(
        lambda c: dataclasses.replace(c, rows=("m1", "m2", "m3"), columns=(*USERS[:2], GROUP))
    ),
    "a call twice": lambda calls: [*calls, calls[0]],
    "a call twice with its rows in another order": lambda calls: [
        *calls,
        dataclasses.replace(
            max(calls, key=lambda c: len(c.rows)), rows=max(calls, key=lambda c: len(c.rows)).rows[::-1]
        ),
    ],
    "a row twice in a call": with_first(lambda c: dataclasses.replace(c, rows=(*c.rows, c.rows[0])[-3:])),
    "overlapping calls": lambda calls: [*calls, call(("m1", "m2"), [USERS[0]])],
    "another account": with_first(lambda c: dataclasses.replace(c, account="b")),
    "another system": with_first(lambda c: dataclasses.replace(c, system="dms_permissions")),
    "another container": with_first(lambda c: dataclasses.replace(c, container="P")),
    "ids through a float": rows_as(lambda row: f"{float(row[1:]):.0f}"),
    "a blank behind an id": rows_as(lambda row: row + " "),
    "another case": rows_as(str.upper),
    "column split elsewhere": columns_as(lambda column: (column[0], (column[1][0][:1], column[1][0][1:]))),
    "an unknown kind": columns_as(lambda column: ("organization", column[1])),
    "everything in one call": lambda calls: [call(("m1", "m2", "m3"), [USERS[0], USERS[1]])],
}


@pytest.mark.parametrize("name", FAULTS)
def test_every_seeded_fault_is_caught(name: str) -> None:
    calls = FAULTS[name](list(planner(GOING, SHAPE)))
    with pytest.raises(PlanError):
        check(calls, GOING, STAYING)


def harmful(name: str) -> bool:
    """Whether the fault touches a kept grant or forgets something: wrong in every mode."""
    touched = {item for one in FAULTS[name](list(planner(GOING, SHAPE))) for item in one.cells()}
    return bool(touched & set(STAYING) or set(GOING) - touched)


@pytest.mark.parametrize("name", [name for name in FAULTS if harmful(name)])
@pytest.mark.parametrize("mode", [Mode.EMPTYING, Mode.SPARSE])
def test_harmful_faults_are_caught_in_every_mode(name: str, mode: Mode) -> None:
    calls = FAULTS[name](list(planner(GOING, SHAPE)))
    with pytest.raises(PlanError):
        check(calls, GOING, STAYING, mode=mode, emptied=EMPTIED)


def test_touching_a_kept_grant_has_its_own_error() -> None:
    with pytest.raises(BlastRadiusExceededError, match=r"holds a retained grant.*'m1'.*u3"):
        check(wider(list(planner(GOING, SHAPE)), USERS[3]), GOING, STAYING)
    with pytest.raises(BlastRadiusExceededError, match="has no approved cell"):
        check(wider(list(planner(GOING, SHAPE)), USERS[3], ("m4",)), GOING, STAYING)
    with pytest.raises(BlastRadiusExceededError, match="not approved"):
        check(
            [call(("m1", "m2"), USERS[2:3] + USERS[:1])],
            [cell("m1", USERS[2]), cell("m1", USERS[0]), cell("m2", USERS[0])],
        )


def test_a_cell_cannot_go_and_stay() -> None:
    with pytest.raises(BlastRadiusExceededError, match="retained grant"):
        check([], [cell("m1", USERS[0])], [cell("m1", USERS[0])])


# Modes. u0 goes from m1 and m2, u1 from m1 only: (m2, u1) is absent.
PAIR = [cell("m1", USERS[0]), cell("m2", USERS[0]), cell("m1", USERS[1])]
BOX = [call(("m1", "m2"), USERS[:2])]


def test_an_absent_cell_is_free_only_where_the_mode_says_so() -> None:
    with pytest.raises(BlastRadiusExceededError, match="not approved"):
        check(BOX, PAIR)
    with pytest.raises(BlastRadiusExceededError, match="not approved"):
        check(BOX, PAIR, emptied=EMPTIED)
    with pytest.raises(BlastRadiusExceededError, match="not approved"):
        check(BOX, PAIR, mode=Mode.EMPTYING, emptied={("p", *USERS[0]), ("q", *USERS[1])})
    assert check(BOX, PAIR, mode=Mode.EMPTYING, emptied=EMPTIED).absent == 1
    assert check(BOX, PAIR, mode=Mode.SPARSE).absent == 1


def test_a_column_that_keeps_something_is_not_emptied() -> None:
    kept = [cell("m8", USERS[1])]
    with pytest.raises(BlastRadiusExceededError, match="not approved"):
        check(BOX, PAIR, kept, mode=Mode.EMPTYING, emptied=EMPTIED)
    elsewhere = [cell("m8", USERS[1], "q")]
    assert check(BOX, PAIR, elsewhere, mode=Mode.EMPTYING, emptied=EMPTIED).absent == 1


@pytest.mark.parametrize("mode", [Mode.EMPTYING, Mode.SPARSE])
def test_rows_and_columns_that_only_widen_a_call_are_refused(mode: Mode) -> None:
    with pytest.raises(BlastRadiusExceededError, match=r"row 'm3'"):
        check([call(("m1", "m2", "m3"), USERS[:2])], PAIR, mode=mode, emptied=EMPTIED)
    with pytest.raises(BlastRadiusExceededError, match=r"column user \('u1',\)"):
        check([call(("m1", "m2"), USERS[:2])], PAIR[:2], mode=mode, emptied=EMPTIED)


def emptying(**change: Any) -> dict[str, Any]:
    """A plan that takes two leavers out of two menus in one call, changed."""
    return {"calls": BOX, "revoke": PAIR, "mode": Mode.EMPTYING, "emptied": EMPTIED, **change}


ABSENT = cell("m2", USERS[1])
SPARSE = {"mode": Mode.SPARSE, "emptied": frozenset()}
MODE_FAULTS: dict[str, dict[str, Any]] = {
    "an emptied column with a kept cell": emptying(keep=[cell("m8", USERS[1])]),
    "an emptied column with a kept cell in the call": emptying(keep=[ABSENT]),
    "an emptied column of another container": emptying(emptied={("p", *USERS[0]), ("q", *USERS[1])}),
    "an emptied column of another kind": emptying(emptied={("p", *USERS[0]), ("p", "group", ("u1",))}),
    "an emptied column of another name": emptying(emptied={("p", *USERS[0]), ("p", "user", ("u", "1"))}),
    "one of two columns emptied": emptying(emptied={("p", *USERS[0])}),
    "an absent cell beyond the emptied columns": emptying(
        calls=[call(("m1", "m2"), [USERS[0], USERS[2]]), call(("m1",), [USERS[1]])],
        revoke=[*PAIR, cell("m1", USERS[2])],
    ),
    "a row that only holds absent cells": emptying(calls=[call(("m1", "m2", "m3"), USERS[:2])]),
    "a column that only holds absent cells": emptying(revoke=PAIR[:2]),
    "an absent cell in two calls": emptying(
        calls=[*BOX, call(("m2", "m3"), [USERS[1]])], revoke=[*PAIR, cell("m3", USERS[1])]
    ),
    "a forgotten cell beside absent ones": emptying(revoke=[*PAIR, cell("m3", USERS[0])]),
    "more cells than a call may have": emptying(shape=dataclasses.replace(SHAPE, max_cells=3)),
    "absent cells in a strict plan": emptying(mode=Mode.STRICT),
    "emptied columns that the call does not know": emptying(shape=dataclasses.replace(SHAPE, modes=(Mode.STRICT,))),
    "sparse: a kept cell in the call": emptying(**SPARSE, keep=[ABSENT]),
    "sparse: a row that only holds absent cells": emptying(**SPARSE, calls=[call(("m1", "m2", "m3"), USERS[:2])]),
    "sparse: a column that only holds absent cells": emptying(**SPARSE, revoke=PAIR[:2]),
    "sparse: an absent cell in two calls": emptying(
        **SPARSE, calls=[*BOX, call(("m2", "m3"), [USERS[1]])], revoke=[*PAIR, cell("m3", USERS[1])]
    ),
    "sparse: another container": emptying(**SPARSE, calls=[call(("m1", "m2"), USERS[:2], "q")]),
}


def test_the_plans_without_these_faults_pass() -> None:
    assert check(BOX, PAIR, [], mode=Mode.EMPTYING, emptied=EMPTIED).absent == 1
    assert check(BOX, PAIR, [], mode=Mode.SPARSE).absent == 1


@pytest.mark.parametrize("name", MODE_FAULTS)
def test_every_fault_of_a_mode_is_caught(name: str) -> None:
    with pytest.raises(PlanError):
        check(**MODE_FAULTS[name])


def test_a_mode_that_the_call_does_not_allow() -> None:
    with pytest.raises(PlanError, match="not one that this call allows"):
        check(BOX, PAIR, mode=Mode.SPARSE, shape=CallShape(3, {"user": 2}))


def test_no_cell_is_covered_twice() -> None:
    calls = [call(("m1", "m2"), USERS[:1]), call(("m1",), USERS[:2])]
    with pytest.raises(PlanError, match="covered twice"):
        check(calls, PAIR)
    with pytest.raises(PlanError, match="planned twice"):
        check([calls[0], calls[0]], PAIR)


def test_limits_are_inclusive_and_counted_by_kind() -> None:
    going = [cell(row, column) for row in ("m1", "m2") for column in (*USERS[:2], GROUP)]
    whole = [call(("m1", "m2"), [*USERS[:2], GROUP])]
    assert check(whole, going).cells == 6
    for exact in ({"max_cells": 6}, {"max_rows": 2}, {"max_columns": {"user": 2, "group": 1}}):
        assert check(whole, going, shape=dataclasses.replace(SHAPE, **exact)).cells == 6, exact
    with pytest.raises(PlanError, match="2 rows, more than 1"):
        check(whole, going, shape=dataclasses.replace(SHAPE, max_rows=1))
    with pytest.raises(PlanError, match="of kind 'user', more than 1"):
        check(whole, going, shape=dataclasses.replace(SHAPE, max_columns={"user": 1, "group": 1}))
    with pytest.raises(PlanError, match="more than 5"):
        check([call(("m1", "m2"), [*USERS[:2], GROUP])], going, shape=dataclasses.replace(SHAPE, max_cells=5))
    with pytest.raises(PlanError, match="of kind 'group', more than 0"):
        check(
            [call(("m1", "m2"), [*USERS[:2], GROUP])], going, shape=dataclasses.replace(SHAPE, max_columns={"user": 2})
        )


@pytest.mark.parametrize(
    ("rows", "columns", "why"),
    [
        ((), USERS[:1], "names no rows or no columns"),
        (("m1",), [], "names no rows or no columns"),
        ((), [], "names no rows or no columns"),
        (("m1", "m1"), USERS[:1], "names a row or a column twice"),
        (("m1",), [USERS[0], USERS[0]], "names a row or a column twice"),
    ],
)
def test_a_call_names_each_row_and_column_once_and_at_least_one(rows: Any, columns: Any, why: str) -> None:
    with pytest.raises(PlanError, match=why):
        check([call(rows, columns)], [cell("m1", USERS[0])])


def test_an_absent_cell_opens_no_row_for_an_emptied_column() -> None:
    """Sparse and emptying are modes of their own: a row that holds nothing approved is none of an emptied column."""
    going, beside, beyond = cell("m1", USERS[0]), cell("m2", USERS[0]), cell("m2", USERS[1])
    emptied = {("p", *USERS[1])}
    assert check_request([going, cell("m1", USERS[1])], {going}, emptied) == 1
    with pytest.raises(BlastRadiusExceededError):
        check_request([going, beside, beyond], {going}, emptied, absent={beside})


def test_joined_ids_do_not_meet() -> None:
    """("a", "bc") and ("ab", "c") are different columns."""
    with pytest.raises(PlanError):
        check([call(("m1",), [("user", ("ab", "c"))])], [cell("m1", ("user", ("a", "bc")))])


# The final request


@pytest.fixture
def approved() -> frozenset[Cell]:
    return frozenset(PAIR)


def test_a_request_inside_the_approved_effect(approved: frozenset[Cell]) -> None:
    assert check_request(PAIR, approved) == 3
    assert check_request(PAIR[:1], approved) == 1


EXTRA = cell("m2", USERS[1])


@pytest.mark.parametrize(
    ("change", "passes"),
    [
        ({}, False),
        ({"emptied": {("p", *USERS[1])}}, True),
        ({"emptied": {("q", *USERS[1])}}, False),
        ({"emptied": {("p", "group", ("u1",))}}, False),
        ({"emptied": {("p", *USERS[1])}, "beyond": cell("m9", USERS[1])}, False),
        ({"emptied": {("p", *USERS[1])}, "beyond": cell("m2", USERS[1], "q")}, False),
        ({"absent": {EXTRA}}, True),
        ({"absent": {cell("m3", USERS[1])}}, False),
        ({"absent": {EXTRA}, "kept": {EXTRA}}, False),
        ({"emptied": {("p", *USERS[1])}, "kept": {EXTRA}}, False),
    ],
)
def test_a_cell_beyond_the_approved_ones(approved: frozenset[Cell], change: dict[str, Any], passes: bool) -> None:
    change = dict(change)
    beyond = change.pop("beyond", EXTRA)
    if passes:
        assert check_request([*PAIR, beyond], approved, **change) == 3
        return
    with pytest.raises(BlastRadiusExceededError):
        check_request([*PAIR, beyond], approved, **change)


def test_a_kept_cell_wins_over_an_approval(approved: frozenset[Cell]) -> None:
    with pytest.raises(BlastRadiusExceededError, match="retained grant"):
        check_request(PAIR, approved, kept=frozenset(PAIR[1:2]))


def test_a_request_without_cells_may_mean_everything(approved: frozenset[Cell]) -> None:
    with pytest.raises(BlastRadiusExceededError, match="everything"):
        check_request([], approved)


def test_a_request_that_takes_nothing_approved_is_not_sent(approved: frozenset[Cell]) -> None:
    emptied: set[EmptiedColumn] = {("p", *USERS[1])}
    with pytest.raises(PlanError, match="revokes nothing that was approved"):
        check_request([EXTRA], approved, emptied)


def test_the_cells_of_a_planned_call_pass_as_its_request() -> None:
    for one in planner(GOING, SHAPE):
        assert check_request(one.cells(), frozenset(GOING), kept=frozenset(STAYING)) == len(one.cells())


def test_control_characters_are_escaped_in_messages() -> None:
    with pytest.raises(BlastRadiusExceededError) as caught:
        check_request([cell("m\x1b[2J", USERS[0])], frozenset())
    assert "\x1b" not in str(caught.value)


# The checker itself


def test_it_shares_no_code_with_the_planner() -> None:
    path = Path(__file__).parents[3] / "plugins" / "rescind" / "plan" / "check.py"
    source = path.read_text()
    imported = {
        node.module if isinstance(node, ast.ImportFrom) else node.names[0].name
        for node in ast.walk(ast.parse(source))
        if isinstance(node, ast.Import | ast.ImportFrom)
    }
    assert {name for name in imported if name and name.startswith("rescind")} == {"rescind.errors", "rescind.model"}
    assert len(source.splitlines()) < 250


def test_a_large_plan_takes_seconds() -> None:
    rows, columns = [f"m{n}" for n in range(200)], [("user", (f"u{n}",)) for n in range(500)]
    going = [cell(row, column) for row in rows for column in columns]
    staying = [cell("k" + row, column) for row in rows for column in columns]
    calls = [call(tuple(rows[r : r + 100]), columns[c : c + 200]) for r in (0, 100) for c in range(0, 500, 200)]
    begin = time.process_time()
    found = check(calls, going, staying, shape=CallShape(100, {"user": 200}))
    assert found == PlanCheck(6, 100_000, 0)
    assert time.process_time() - begin < 5
