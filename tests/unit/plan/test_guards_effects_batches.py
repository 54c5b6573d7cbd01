"""Guards with their figures, the digest over effects, and batches named by content."""

from __future__ import annotations

import json

import pytest

from rescind.errors import ConfigurationError, GuardTrippedError, InputError
from rescind.model import GrantKey, Mode, PlannedCall, canonical
from rescind.plan import SystemEffects, effects
from rescind.plan.approved import read_approved
from rescind.plan.batches import split
from rescind.plan.guards import Caps, check_caps, count_holders, hold_irreversible, hold_last_holders


def _key(number: int, entitlement: str = "view", resource: str = "r", system: str = "s") -> GrantKey:
    return GrantKey(system, "a", "menu", resource, "user", f"u{number}", entitlement)


PLANNED = [_key(n) for n in range(10)]


def _caps(**change: int) -> Caps:
    return Caps(**{"total": 99, "percent": 100, "per_principal": 99, **change})


def test_what_people_lose_beside_the_grants_counts_for_the_caps() -> None:
    behind = {("s", "a", "user", "u0"): 3, ("s", "a", "user", "somebody else"): 1}
    total, _, each = check_caps(PLANNED, {"s": 100}, _caps(total=14, per_principal=4), behind)
    assert total.measured == "10 grants and 4 that people lose with them" and each.measured == "4 grants at most"
    with pytest.raises(GuardTrippedError, match="cap_total"):
        check_caps(PLANNED, {"s": 100}, _caps(total=13), behind)
    with pytest.raises(GuardTrippedError, match="cap_per_principal"):
        check_caps(PLANNED, {"s": 100}, _caps(per_principal=3), behind)


def test_caps_state_their_figures_and_zero_means_none() -> None:
    records = check_caps(PLANNED, {"s": 100, "t": 40}, _caps(total=10, percent=8, per_principal=1))
    assert [record.facts() for record in records] == [
        {"guard": "cap_total", "scope": "plan", "limit": "10 grants", "measured": "10 grants", "held": 0},
        {
            "guard": "cap_percent",
            "scope": "plan",
            "limit": "8 %",
            "measured": "7.1429 % (10 of 140 grants)",
            "held": 0,
        },
        {
            "guard": "cap_per_principal",
            "scope": "10 principals",
            "limit": "1 grants",
            "measured": "1 grants at most",
            "held": 0,
        },
    ]
    for caps in (_caps(total=9), _caps(total=0), _caps(percent=9), _caps(percent=0), _caps(per_principal=0)):
        with pytest.raises(GuardTrippedError):
            check_caps(PLANNED, {"s": 100}, caps)
    assert check_caps([], {"s": 100}, Caps(total=0, percent=0, per_principal=0))[2].measured == "0 grants at most"


@pytest.mark.parametrize(
    ("planned", "population", "percent", "measured"),
    [
        (10, 100, 10, "10 % (10 of 100 grants)"),
        (10, 105, 10, "9.5239 % (10 of 105 grants)"),
        (10, 105, 9, None),
        (10, 111, 9, None),
        (10, 112, 9, "8.9286 % (10 of 112 grants)"),
        (1, 100_000_000, 1, "0.0001 % (1 of 100000000 grants)"),
        (1, 8, 13, "12.5 % (1 of 8 grants)"),
        (10, 10, 100, "100 % (10 of 10 grants)"),
        (10, 9, 100, None),
        (1, 0, 100, None),
        (0, 0, 0, "0 of 0 grants"),
        (0, 7, 0, "0 % (0 of 7 grants)"),
    ],
)
def test_a_share_is_compared_exactly_and_none_of_an_empty_population_is_allowed(
    planned: int, population: int, percent: int, measured: str | None
) -> None:
    grants, caps = [_key(number) for number in range(planned)], _caps(percent=percent)
    if measured is None:
        with pytest.raises(
            GuardTrippedError, match=rf"guard cap_percent \(plan\): limit {percent} %, measured .*{planned} of"
        ):
            check_caps(grants, {"s": population}, caps)
    else:
        assert check_caps(grants, {"s": population}, caps)[1].measured == measured


def test_a_percentage_of_an_unknown_population_means_nothing() -> None:
    with pytest.raises(GuardTrippedError, match="population of s: limit a complete population, measured none"):
        check_caps(PLANNED, {"other": 1000}, _caps())


def test_one_principal_loses_no_more_than_the_cap() -> None:
    one = [_key(1, resource="a"), _key(1, resource="b"), _key(2)]
    with pytest.raises(
        GuardTrippedError, match="cap_per_principal: limit 1 grants, measured 2 grants of principal user u1"
    ):
        check_caps(one, {"s": 100}, _caps(per_principal=1))
    assert check_caps(one, {"s": 100}, _caps(per_principal=2))[2].measured == "2 grants at most"
    # The same id elsewhere is another principal.
    apart = [_key(1), _key(1, system="t"), _key(1)._replace(account="b"), _key(1)._replace(principal_type="group")]
    record = check_caps(apart, {"s": 100, "t": 100}, _caps(per_principal=1))[2]
    assert (record.scope, record.measured) == ("4 principals", "1 grants at most")
    # Of two principals with as many grants always the same one is named.
    two = [*one, _key(2, resource="b")]
    for order in (two, two[::-1]):
        with pytest.raises(GuardTrippedError, match="2 grants of principal user u2"):
            check_caps(order, {"s": 100}, _caps(per_principal=1))


@pytest.mark.parametrize("name", ["total", "percent", "per_principal"])
@pytest.mark.parametrize("bad", [-1, True, 1.5, 20.0, "3", None])
def test_caps_are_counts(name: str, bad: object) -> None:
    with pytest.raises(ConfigurationError, match=f"cap {name}: not a count of 0 or more"):
        _caps(**{name: bad})  # type: ignore[arg-type]


def test_a_percentage_ends_at_100() -> None:
    assert _caps(percent=100).facts() == {"total": 99, "percent": 100, "per_principal": 99}
    with pytest.raises(ConfigurationError, match="cap percent: more than 100"):
        _caps(percent=101)
    assert _caps(total=101, per_principal=101)


def test_the_last_administrator_stays() -> None:
    admin = [("s", "edit")]
    population = [_key(1, "edit"), _key(2, "edit"), _key(3, "edit", "other"), *PLANNED]
    holders = count_holders(population, admin)
    assert {slot.resource_id: count for slot, count in holders.items()} == {"r": 2, "other": 1}
    one = hold_last_holders([_key(1, "edit"), *PLANNED], holders, admin)
    assert one.held == {}
    assert one.record.facts() == {
        "guard": "last_holder",
        "scope": "plan",
        "limit": "at least 1 holder stays",
        "measured": "0 of 1 administrative slots would lose their last holder",
        "held": 0,
    }
    both = hold_last_holders([_key(1, "edit"), _key(2, "edit"), _key(3, "edit", "other"), PLANNED[0]], holders, admin)
    assert set(both.held) == {_key(1, "edit").grant_id, _key(2, "edit").grant_id, _key(3, "edit", "other").grant_id}
    assert both.held[_key(1, "edit").grant_id] == "would leave menu r without a holder of edit (2 of 2 would go)"
    assert (both.record.held, both.record.measured[:6]) == (3, "2 of 2")


def test_an_administrator_of_what_nobody_counted_stays() -> None:
    found = hold_last_holders([_key(9, "edit", "unknown")], {}, [("s", "edit")])
    assert list(found.held.values()) == ["would leave menu unknown without a holder of edit (1 of 0 would go)"]
    assert found.record.measured == "1 of 1 administrative slots would lose their last holder"


def test_an_entitlement_is_administrative_in_its_own_system_only() -> None:
    admin = [("t", "edit")]
    assert count_holders([_key(1, "edit")], admin) == {}
    assert hold_last_holders([_key(1, "edit")], {}, admin).held == {}


def test_irreversible_items_need_permission() -> None:
    why = {PLANNED[0]: "no way back"}
    held = hold_irreversible(PLANNED, lambda key: why.get(key, ""), allowed=False)
    assert held.held == {PLANNED[0].grant_id: "cannot be restored: no way back"}
    assert (held.record.limit, held.record.measured, held.record.held) == (
        "none without explicit permission", "1 irreversible items", 1,
    )  # fmt: skip
    allowed = hold_irreversible(PLANNED, lambda key: why.get(key, ""), allowed=True)
    assert allowed.held == {}
    assert (allowed.record.limit, allowed.record.measured, allowed.record.held) == (
        "allowed",
        "1 irreversible items",
        0,
    )


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


def test_the_whole_policy_version_and_settings_are_bound() -> None:
    last = {name: [effects(**_effects(**{name: "a" * 63 + end})) for end in "bc"] for name in _TEXTS}  # type: ignore[arg-type]
    assert all(one != two for one, two in last.values())


_TEXTS = ("policy_version", "settings")


def test_every_grant_of_a_large_plan_is_bound_and_comes_back() -> None:
    keys = [_key(number, resource=f"r{number:05d}") for number in range(2_500)]
    whole = effects(**_effects(grants=keys))  # type: ignore[arg-type]
    (system,) = json.loads(whole)["systems"]
    assert [GrantKey(*key) for key in system["grants"]] == sorted(keys)
    assert canonical(json.loads(whole)) == whole
    others = [
        effects(**_effects(grants=[*keys[:place], keys[place]._replace(native_id="n"), *keys[place + 1 :]]))  # type: ignore[arg-type]
        for place in (0, 999, 1_000, 1_999, 2_000, 2_499)
    ]
    assert len({whole, effects(**_effects(grants=keys[:-1])), *others}) == 8  # type: ignore[arg-type]
    pieces = [whole[start : start + 10_000] for start in range(0, len(whole), 10_000)]
    assert read_approved(pieces, "s", "a", keys).grants == frozenset(keys)


@pytest.mark.parametrize("seconds", [0, -1])
def test_a_plan_that_is_never_valid_is_refused(seconds: int) -> None:
    with pytest.raises(InputError, match="valid_for_s"):
        effects(**_effects(valid_for_s=seconds))  # type: ignore[arg-type]
    assert effects(**_effects(valid_for_s=1))  # type: ignore[arg-type]


def test_an_account_is_named_once() -> None:
    (one,) = _effects()["systems"]  # type: ignore[misc]
    elsewhere = SystemEffects("s", "b", {}, Mode.STRICT, [])
    rest = {"policy_version": "p", "settings": "", "guards": {}, "valid_for_s": 1}
    with pytest.raises(InputError, match="names s on one account twice"):
        effects([one, elsewhere, SystemEffects("s", "a", {}, Mode.STRICT, [])], **rest)  # type: ignore[arg-type]
    assert effects([one, elsewhere], **rest)  # type: ignore[arg-type]


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


def test_what_comes_after_others_is_sent_last_and_has_no_canary() -> None:
    calls, rates = [*_calls(50), *_calls(50, "t")], {("s", "a"): 10.0, ("t", "a"): 10.0}
    batches = split(calls, rates, target_seconds=1, canary_above=0, turn=lambda call: int(call.system == "s"))
    order = [batch.system for batch in batches]
    assert order == sorted(order, reverse=True) and order.count("s") == 5
    assert {batch.system for batch in batches if batch.canary} == {"t"}
    turns = split(_calls(50), rates, target_seconds=1, canary_above=0, turn=lambda call: int(call.rows[0][1:]) // 20)
    rows = [[int(call.rows[0][1:]) // 20 for call in batch.calls] for batch in turns]
    assert all(len(set(row)) == 1 for row in rows) and [row[0] for row in rows] == sorted(row[0] for row in rows)
    assert [batch.canary for batch in turns] == [True] + [False] * (len(turns) - 1) and sum(map(len, rows)) == 50


@pytest.mark.parametrize("mode", [Mode.STRICT, Mode.SPARSE])
def test_columns_are_emptied_in_their_own_mode_only(mode: Mode) -> None:
    emptied = frozenset({("c", "user", ("u1",))})
    one = SystemEffects("s", "a", {}, mode, PLANNED, emptied)
    whole = {"policy_version": "p", "settings": "s", "guards": {}, "valid_for_s": 60}
    with pytest.raises(InputError, match="emptied"):
        effects([one], **whole)  # type: ignore[arg-type]
    assert b'"emptied":[["c","user",["u1"]]]' in effects(
        [SystemEffects("s", "a", {}, Mode.EMPTYING, PLANNED, emptied)],
        **whole,  # type: ignore[arg-type]
    )


def test_a_call_given_twice_is_refused() -> None:
    with pytest.raises(InputError, match="twice"):
        split([*_calls(3), _calls(3)[1]], {("s", "a"): 1.0})


def test_batches_need_a_rate_and_room() -> None:
    with pytest.raises(InputError, match="rate"):
        split(_calls(3), {})
    with pytest.raises(InputError, match="max_batches"):
        split([*_calls(3), *_calls(3, "t")], {("s", "a"): 1.0, ("t", "a"): 1.0}, max_batches=1)
