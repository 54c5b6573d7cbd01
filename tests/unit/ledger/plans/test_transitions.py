from __future__ import annotations

import pytest

from rescind.ledger import Ledger
from rescind.ledger.plans.transitions import ARROWS
from rescind.ledger.store.errors import TransitionError
from rescind.model import ItemState
from tests.support.ledger.runs import ready_run
from tests.support.servers.postgres import tampering

pytestmark = pytest.mark.postgres
S = ItemState
RESERVED = {S.PLANNED, S.APPROVED, S.SENT}


def test_every_state_has_its_arrows_and_ends_have_none() -> None:
    assert set(ARROWS) == set(ItemState)
    assert {state for state, targets in ARROWS.items() if not targets} == {S.HELD, S.STALE, S.EXPIRED, S.RESTORED}
    assert all(state not in targets for state, targets in ARROWS.items())


def test_only_existing_arrows_can_be_walked(ledger: Ledger, ledger_dsn: str) -> None:
    run = ready_run(ledger)
    run_id, grant_id = run.run.run_id, run.grants[0].grant_id

    def state() -> ItemState:
        return next(item.state for item in ledger.plans.items(run_id) if item.grant_id == grant_id)

    with tampering(ledger_dsn) as connection:
        for origin in ItemState:
            for target in ItemState:
                connection.execute(
                    "UPDATE rescind.plan_item SET state = %s WHERE grant_id = %s", (origin, bytes.fromhex(grant_id))
                )
                walked = True
                try:
                    ledger.batches.set_items(run_id, {grant_id: (target, "why")})
                except TransitionError:
                    walked = False
                allowed = target not in RESERVED and (target in ARROWS[origin] or target is origin)
                assert walked == allowed, (origin, target)
                assert state() is (target if walked else origin)


def test_either_all_items_move_or_none(ledger: Ledger) -> None:
    run = ready_run(ledger)
    first, second = run.grants[0].grant_id, run.grants[1].grant_id
    ledger.batches.set_items(run.run.run_id, {first: (S.HELD, "guard")})
    with pytest.raises(TransitionError, match="1 of 2 items cannot become stale"):
        ledger.batches.set_items(run.run.run_id, {first: (S.STALE, "x"), second: (S.STALE, "x")})
    with pytest.raises(TransitionError):
        ledger.batches.set_items(run.run.run_id, {second: (S.STALE, "x"), "a" * 64: (S.HELD, "no such item")})
    found = {item.grant_id: (item.state, item.reason) for item in ledger.plans.items(run.run.run_id)}
    assert found[first] == (S.HELD, "guard")
    assert found[second][0] is S.APPROVED


def test_saying_the_same_again_is_fine(ledger: Ledger) -> None:
    run = ready_run(ledger)
    move = {run.grants[0].grant_id: (S.HELD, "guard")}
    ledger.batches.set_items(run.run.run_id, move)
    ledger.batches.set_items(run.run.run_id, move)
    assert len(list(ledger.plans.items(run.run.run_id, state=S.HELD))) == 1
