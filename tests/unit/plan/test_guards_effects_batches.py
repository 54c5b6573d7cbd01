"""Guards with their figures, the digest over effects, and batches named by content."""

from __future__ import annotations

import pytest

from rescind.errors import ConfigurationError, GuardTrippedError, InputError
from rescind.model import GrantKey, Mode, PlannedCall
from rescind.plan import SystemEffects, effects
from rescind.plan.batches import split
from rescind.plan.guards import Caps, check_caps, count_holders, hold_irreversible, hold_last_holders


def _key(number: int, entitlement: str = "view", resource: str = "r", system: str = "s") -> GrantKey:
    return GrantKey(system, "a", "menu", resource, "user", f"u{number}", entitlement)


PLANNED = [_key(n) for n in range(10)]


def test_caps_state_their_figures_and_zero_means_none() -> None:
    records = check_caps(PLANNED, {"s": 100}, Caps(total=10, percent=10, per_principal=1))
    assert [(r.guard, r.measured) for r in records][:2] == [
        ("cap_total", "10 grants"),
        ("cap_percent", "10 % (10 of 100 grants)"),
    ]
    for caps in (
        Caps(total=9, percent=100),
        Caps(total=0, percent=100),
        Caps(total=99, percent=9),
        Caps(total=99, percent=0),
    ):
        with pytest.raises(GuardTrippedError):
            check_caps(PLANNED, {"s": 100}, caps)
    assert check_caps([], {"s": 100}, Caps(total=0, percent=0))


def test_a_percentage_of_an_unknown_population_means_nothing() -> None:
    with pytest.raises(GuardTrippedError, match="complete population"):
        check_caps(PLANNED, {"other": 1000}, Caps(total=100, percent=100))


def test_per_principal_and_per_resource() -> None:
    with pytest.raises(GuardTrippedError, match=r"cap_per_resource.*10 grants of resource menu r"):
        check_caps(PLANNED, {"s": 100}, Caps(total=100, percent=100, per_resource=9))


@pytest.mark.parametrize("bad", [-1, True, 1.5, "3"])
def test_caps_are_counts(bad: object) -> None:
    with pytest.raises(ConfigurationError):
        Caps(total=bad, percent=10)  # type: ignore[arg-type]


def test_the_last_administrator_stays() -> None:
    admin = [("s", "edit")]
    population = [_key(1, "edit"), _key(2, "edit"), _key(3, "edit", "other"), *PLANNED]
    holders = count_holders(population, admin)
    assert hold_last_holders([_key(1, "edit")], holders, admin).held == {}
    both = hold_last_holders([_key(1, "edit"), _key(2, "edit"), _key(3, "edit", "other")], holders, admin)
    assert set(both.held) == {_key(1, "edit").grant_id, _key(2, "edit").grant_id, _key(3, "edit", "other").grant_id}
    assert hold_last_holders([_key(9, "edit", "unknown")], holders, admin).held


def test_irreversible_items_need_permission() -> None:
    why = {PLANNED[0]: "no way back"}
    held = hold_irreversible(PLANNED, lambda key: why.get(key, ""), allowed=False)
    assert set(held.held) == {PLANNED[0].grant_id}
    assert hold_irreversible(PLANNED, lambda key: why.get(key, ""), allowed=True).held == {}


def _effects(**changes: object) -> dict[str, object]:
    one = {"system": "s", "account": "a", "identity": {"caller": "bot"}, "mode": Mode.STRICT, "grants": PLANNED}
    whole = {"policy_version": "p1", "settings": "s1", "guards": {"total": 10}, "valid_for_s": 60}
    system = SystemEffects(**{**one, **{k: v for k, v in changes.items() if k in one}})  # type: ignore[arg-type]
    return {"systems": [system], **whole, **{k: v for k, v in changes.items() if k in whole}}


def test_the_bytes_change_with_every_effect_and_with_nothing_else() -> None:
    base = effects(**_effects())  # type: ignore[arg-type]
    assert base == effects(**_effects(grants=[*reversed(PLANNED), PLANNED[0]]))  # type: ignore[arg-type]
    changes: list[dict[str, object]] = [
        {"grants": PLANNED[:-1]},
        {"grants": [*PLANNED, _key(99)]},
        {"identity": {"caller": "other"}},
        {"policy_version": "p2"},
        {"settings": "s2"},
        {"guards": {"total": 11}},
        {"valid_for_s": 61},
    ]
    others = {effects(**_effects(**change)) for change in changes}  # type: ignore[arg-type]
    assert base not in others and len(others) == len(changes)


def test_a_grant_under_the_wrong_account_is_refused() -> None:
    with pytest.raises(InputError, match="grants"):
        effects(**_effects(account="b"))  # type: ignore[arg-type]


def _calls(count: int, system: str = "s") -> list[PlannedCall]:
    return [PlannedCall(system, "a", f"c{n // 5}", (f"r{n}",), (("user", (str(n),)),)) for n in range(count)]


def test_batches_hold_every_call_once_and_are_named_by_content() -> None:
    calls = [*_calls(103), *_calls(7, "t")]
    rates = {("s", "a"): 10.0, ("t", "a"): 10.0}
    batches = split(calls, rates, target_seconds=2, canary=0)
    assert sorted(call.call_id for batch in batches for call in batch.calls) == sorted(call.call_id for call in calls)
    assert all(len({call.system for call in batch.calls}) == 1 and len(batch.calls) <= 20 for batch in batches)
    assert [b.batch_id for b in split(reversed(calls), rates, target_seconds=2, canary=0)] == [
        b.batch_id for b in batches
    ]
    assert len(split(calls, rates, target_seconds=0.1, max_batches=4, canary=0)) <= 4


def test_batches_need_a_rate_and_room() -> None:
    with pytest.raises(InputError, match="rate"):
        split(_calls(3), {})
    with pytest.raises(InputError, match="max_batches"):
        split([*_calls(3), *_calls(3, "t")], {("s", "a"): 1.0, ("t", "a"): 1.0}, max_batches=1)
