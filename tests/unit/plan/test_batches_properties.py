"""Batches for any plan: each call once, few and short enough, and a canary that is small and harmless."""

from __future__ import annotations

from collections import Counter
from itertools import pairwise

from hypothesis import given, settings
from hypothesis import strategies as st

from rescind.model import PlannedCall
from rescind.plan.batches import Batch, split

_MOST = 200


def _call(system: int, container: int, number: int, rows: int, columns: int) -> PlannedCall:
    return PlannedCall(
        f"s{system}",
        "a",
        f"c{container}",
        tuple(f"{number}r{row}" for row in range(rows)),
        tuple(("user", (f"u{column}",)) for column in range(columns)),
    )


_SHAPE = st.tuples(st.integers(0, 3), st.integers(0, 4), st.integers(1, 6), st.integers(1, 6))
_PLANS = st.lists(_SHAPE, max_size=60).map(
    lambda shapes: [_call(s[0], s[1], n, s[2], s[3]) for n, s in enumerate(shapes)]
)


def _cells(call: PlannedCall) -> int:
    return len(call.cells())


@settings(max_examples=100, deadline=None)
@given(
    calls=_PLANS,
    rates=st.lists(st.floats(0.1, 50), min_size=4, max_size=4),
    seconds=st.floats(0.5, 120),
    most=st.integers(8, _MOST),
    canary=st.integers(0, 12),
    above=st.integers(0, 300),
)
def test_any_plan_is_cut_into_bounded_batches(
    calls: list[PlannedCall], rates: list[float], seconds: float, most: int, canary: int, above: int
) -> None:
    pace = {(f"s{system}", "a"): rate for system, rate in enumerate(rates)}

    def risk(call: PlannedCall) -> int:
        return len(call.columns) // 3

    batches = split(calls, pace, target_seconds=seconds, max_batches=most, canary=canary, canary_above=above, risk=risk)
    sent = Counter(call for batch in batches for call in batch.calls)
    assert sent == Counter(calls)
    assert len(batches) <= most and len({batch.batch_id for batch in batches}) == len(batches)
    assert all(
        {(call.system, call.account) for call in batch.calls} == {(batch.system, batch.account)} for batch in batches
    )
    roomy = split(calls, pace, target_seconds=seconds, max_batches=10_000, canary=canary, canary_above=above, risk=risk)
    if len(roomy) <= most:
        # A batch lasts as long as asked, or one call where a single call takes longer.
        usual = [batch for batch in batches if not batch.canary]
        assert all(batch.seconds <= seconds or len(batch.calls) == 1 for batch in usual)
    _each_in_turn([batch for batch in batches if not batch.canary])
    canaries = [batch for batch in batches if batch.canary]
    assert list(batches[: len(canaries)]) == canaries
    if canary == 0 or sum(map(_cells, calls)) <= above:
        assert canaries == []
        return
    systems = {call.system for call in calls}
    crowded = {system for system in systems if sum(call.system == system for call in calls) > 1}
    assert sorted(batch.system for batch in canaries) == sorted(crowded)
    for batch in canaries:
        rest = [call for call in calls if call.system == batch.system and call not in set(batch.calls)]
        assert rest, "a canary is never the whole system"
        assert len(batch.calls) == 1 or sum(map(_cells, batch.calls)) <= canary
        worst = max((risk(call), _cells(call)) for call in batch.calls)
        assert worst <= min((risk(call), _cells(call)) for call in rest)


def _each_in_turn(usual: list[Batch]) -> None:
    """No account waits for the second batch of another, and the one with the most work begins."""
    rounds = Counter[str]()
    numbers = []
    for batch in usual:
        rounds[batch.system] += 1
        numbers.append(rounds[batch.system])
    assert numbers == sorted(numbers)
    work = {name: sum(batch.seconds for batch in usual if batch.system == name) for name in rounds}
    first = [work[batch.system] for batch in usual[: len(work)]]
    assert all(one >= other - 1e-6 for one, other in pairwise(first))


def test_ten_thousand_calls_are_two_hundred_tasks_of_about_a_minute() -> None:
    calls = [_call(system, number // 40, number, 1, 1) for system in range(4) for number in range(2_500)]
    batches = split(calls, {(f"s{system}", "a"): 20.0 for system in range(4)})
    assert len(batches) <= _MOST and all(batch.seconds <= 60 for batch in batches)
    rest = [batch for batch in batches if not batch.canary]
    # 125 s of work in each system: three tasks, not one and not fifty.
    assert len(rest) == 12
