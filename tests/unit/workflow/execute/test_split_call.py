"""Halves of a call: together all grants, each once, and no row or column without one."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from rescind.model import Cell, Grant, GrantKey, PlannedCall
from rescind.workflow.execute.split_call import halves
from tests.support.reviews.examples import examples

ROWS = ("m1", "m2", "m3", "m4")
COLUMNS = (("user", ("u1",)), ("user", ("u2",)), ("group", ("u1",)))
CALL = PlannedCall("s", "a", "p", ROWS, COLUMNS)


def _grant(cell: Cell) -> Grant:
    return Grant(GrantKey("s", "a", "menu", cell.row, cell.kind, cell.column[0], "view"), cell)


@examples(200)
@given(st.sets(st.sampled_from(sorted(CALL.cells())), min_size=1))
def test_cutting_again_and_again_ends_with_every_grant_in_one_call(cells: set[Cell]) -> None:
    grants = [_grant(cell) for cell in sorted(cells)]
    inverse = {grant.grant_id: {"row": grant.cell.row} for grant in grants}
    waiting, done = [(CALL, grants)], []
    while waiting:
        call, mine = waiting.pop()
        if call.cells() == {grant.cell for grant in mine}:
            done += mine
            continue
        parts, owner = halves(call, inverse, mine)
        assert 1 <= len(parts) <= 2 and set(owner) == {grant.grant_id for grant in mine}
        for part in parts:
            own = [grant for grant in mine if owner[grant.grant_id] == part.planned.call_id]
            assert part.planned.cells() < call.cells() and set(part.inverse) == {grant.grant_id for grant in own}
            assert {grant.cell.row for grant in own} == set(part.planned.rows)
            assert {(grant.cell.kind, grant.cell.column) for grant in own} == set(part.planned.columns)
            waiting.append((part.planned, own))
    assert sorted(grant.grant_id for grant in done) == sorted(grant.grant_id for grant in grants)
