from __future__ import annotations

import asyncio
import itertools
from typing import Any

import pytest

from rescind.cloud.base import Bucket, Pacer, Request
from rescind.cloud.clients import QuickBiClient
from rescind.cloud.connection.settings import ClientSettings
from rescind.cloud.pacing.local_pacer import PACE, LocalPacer
from rescind.cloud.quickbi.inventory import QueryUserList
from rescind.cloud.quickbi.menus import CancelAuthorizationMenu, ListPortalMenus
from tests.support.ledger.pacing import FreePacer

BUCKET = Bucket("tencent", "1", "r", "RevokePrivileges", 20.0)
OTHER = Bucket("tencent", "1", "r", "ListPermissions", 20.0)


class Clock:
    """Time that passes only by sleeping."""

    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    made = Clock()

    async def sleep(seconds: float) -> None:
        made.now += seconds

    monkeypatch.setattr("rescind.cloud.pacing.local_pacer.asyncio.sleep", sleep)
    return made


def times(pacer: LocalPacer, clock: Clock, count: int, bucket: Bucket = BUCKET) -> list[float]:
    async def run() -> list[float]:
        out = []
        for _ in range(count):
            await pacer.slot(bucket, write=True)
            out.append(clock.now)
        return out

    return asyncio.run(run())


def test_both_are_pacers() -> None:
    assert isinstance(FreePacer(), Pacer)
    assert isinstance(LocalPacer({}), Pacer)


def test_requests_are_evenly_spaced_under_the_limit(clock: Clock) -> None:
    at = times(LocalPacer({"RevokePrivileges": 20.0, "*": 5.0}, clock=clock), clock, 60)
    gaps = [later - earlier for earlier, later in itertools.pairwise(at)]
    assert all(abs(gap - 1 / (20 * PACE)) < 1e-9 for gap in gaps)
    for start in at:
        assert sum(start <= moment < start + 1 for moment in at) <= 20


def test_lanes_do_not_wait_for_each_other(clock: Clock) -> None:
    pacer = LocalPacer({"RevokePrivileges": 1.0, "*": 10.0}, clock=clock)
    assert times(pacer, clock, 1) == [100.0]
    assert times(pacer, clock, 1, OTHER) == [100.0]


def test_concurrent_callers_get_different_places() -> None:
    pacer = LocalPacer({"*": 200.0})

    async def run() -> float:
        started = asyncio.get_running_loop().time()
        await asyncio.gather(*(pacer.slot(BUCKET, write=True) for _ in range(20)))
        return asyncio.get_running_loop().time() - started

    assert asyncio.run(run()) >= 19 / 200


def test_throttling_holds_back_and_narrows(clock: Clock) -> None:
    pacer = LocalPacer({"*": 10.0}, clock=clock)
    times(pacer, clock, 1)
    pacer.throttled(BUCKET, 7.0)
    first, second = times(pacer, clock, 2)
    assert first >= 107.0
    assert second - first > 1 / (10 * PACE)
    for _ in range(30):
        pacer.succeeded(BUCKET)
    third, fourth = times(pacer, clock, 2)
    assert fourth - third == pytest.approx(1 / (10 * PACE))


def test_pauses_grow_without_advice_and_stay_bounded(clock: Clock) -> None:
    pacer = LocalPacer({"*": 10.0}, clock=clock)
    waits = []
    for _ in range(12):
        pacer.throttled(BUCKET, None)
        before = clock.now
        waits.append(times(pacer, clock, 1)[0] - before)
    assert waits[0] >= 0.5
    assert waits[3] >= 4.0
    assert max(waits) <= 31.0


@pytest.mark.parametrize(
    ("given", "word"),
    [(({"*": 0.0},), "limits"), (({"A": -1.0},), "limits"), (({}, 0.0), "share"), (({}, 1.5), "share")],
)
def test_limits_and_share_must_make_sense(given: Any, word: str) -> None:
    with pytest.raises(ValueError, match=word):
        LocalPacer(*given)


def test_the_default_pacer_follows_the_connection(clock: Clock) -> None:
    fields = {"login": "a", "password": "b", "region": "cn-hangzhou", "share": 0.5, "limits": {"ListPortalMenus": 4}}
    pacer = QuickBiClient(ClientSettings.from_fields("quickbi", fields)).pacer
    assert isinstance(pacer, LocalPacer)
    pacer._clock = clock

    def gap(message: type[Request[Any]]) -> float:
        one, two = times(pacer, clock, 2, Bucket("alibaba", "1", "r", message.action, message.rate))
        return 1 / ((two - one) * PACE)

    assert gap(CancelAuthorizationMenu) == pytest.approx(25.0)
    assert gap(ListPortalMenus) == pytest.approx(2.0)
    assert gap(QueryUserList) == pytest.approx(15.0)
