"""An outdated plan against current listings: nothing there is skipped, the last administrator stays."""

from __future__ import annotations

import asyncio
from types import SimpleNamespace
from typing import Any

import pytest

from rescind.errors import ListingIncompleteError
from rescind.ledger import Ledger
from rescind.model import Grant
from rescind.workflow.execute import outdated
from tests.support.ledger.attempts import claim
from tests.support.ledger.runs import ACCOUNT, SYSTEM, Frozen, approve, begin, decide, freeze, grant, list_scope

pytestmark = pytest.mark.postgres


class _System:
    """One listing with fixed content; ``view`` is the administrative entitlement."""

    name = SYSTEM
    admin_entitlements = frozenset({"view"})

    def __init__(self, shown: list[Grant] | Exception) -> None:
        self.shown = shown

    def listing_scope(self, one: Grant) -> tuple[str, ...]:
        return (one.cell.container,)

    async def reread(self, client: object, listings: object) -> Any:
        if isinstance(self.shown, Exception):
            raise self.shown
        return SimpleNamespace(grants=tuple(self.shown), calls=1, pages=())


def _recheck(ledger: Ledger, run: Frozen, shown: list[Grant] | Exception, monkeypatch: pytest.MonkeyPatch) -> Any:
    monkeypatch.setattr(outdated.ClaimedBatch, "account", ACCOUNT)
    batch: Any = outdated.ClaimedBatch(
        ledger,
        _System(shown),
        SimpleNamespace(),
        claim(ledger, run),
        run.plan.digest,  # type: ignore[arg-type]
    )
    return dict(asyncio.run(outdated.recheck(batch)))


def _approved(ledger: Ledger, groups: list[list[Grant]], everything: list[Grant]) -> Frozen:
    run = begin(ledger)
    list_scope(ledger, run, everything)
    decide(ledger, run, everything, [one for group in groups for one in group])
    frozen = freeze(ledger, run, groups)
    approve(ledger, frozen)
    return frozen


def _after(ledger: Ledger, run: Frozen) -> list[tuple[str, set[str]]]:
    return [
        (call.state, {str(item.state) for item in ledger.plans.items(run.run.run_id, call_id=call.call_id)})
        for call in ledger.plans.calls(run.run.run_id)
    ]


def test_a_call_of_which_nothing_is_listed_is_skipped_and_its_items_stay_to_be_verified(
    ledger: Ledger, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Menus m1 and m2 have two more viewers each, so no administrator is the last one.
    everything = [grant(number) for number in (1, 11, 21, 2, 12, 22)]
    run = _approved(ledger, [everything[:2], everything[3:5]], everything)
    assert _recheck(ledger, run, everything[1:3] + everything[5:], monkeypatch) == {"gone": 2}
    assert _after(ledger, run) == [("pending", {"approved"}), ("skipped", {"approved"})]


def test_together_two_runs_do_not_take_the_last_administrator(ledger: Ledger, monkeypatch: pytest.MonkeyPatch) -> None:
    everything = [grant(number) for number in (1, 11, 21, 2, 12)]
    run = _approved(ledger, [everything[:1], everything[1:2], everything[3:4]], everything)
    # The plan leaves grant 21 on menu m1. Another run has removed it since.
    shown = [one for one in everything if one is not everything[2]]
    assert _recheck(ledger, run, shown, monkeypatch) == {"held": 2}
    assert _after(ledger, run) == [("skipped", {"held"}), ("skipped", {"held"}), ("pending", {"approved"})]
    (item, *_) = ledger.plans.items(run.run.run_id, call_id=run.call_ids[0])
    assert "would leave menu portal-1/m1 without a holder of view (2 of 2 would go)" in item.reason


def test_a_listing_that_fails_changes_nothing_and_ends_the_batch(
    ledger: Ledger, monkeypatch: pytest.MonkeyPatch
) -> None:
    everything = [grant(number) for number in (1, 11)]
    run = _approved(ledger, [everything[:1]], everything)
    with pytest.raises(ListingIncompleteError, match="37 of 40"):
        _recheck(ledger, run, ListingIncompleteError("menus", "37 of 40"), monkeypatch)
    assert _after(ledger, run) == [("pending", {"approved"})]
