from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager
from itertools import pairwise
from pathlib import Path
from typing import Any, NamedTuple

import psycopg
import pytest

from rescind.errors import ConfigurationError, LedgerError, RunStoppedError
from rescind.ledger import Ledger
from rescind.ledger.ratelimit.pacer import LedgerPacer, PacerSettings
from tests.support.servers.postgres import PostgresServer

pytestmark = pytest.mark.postgres


class Bucket(NamedTuple):
    """The shape that the cloud seam uses."""

    vendor: str
    account: str
    region: str
    action: str
    rate: float


BUCKET = Bucket("tencent", "1000", "ap-guangzhou", "RevokePrivileges", 20.0)


@asynccontextmanager
async def pacing(ledger: Ledger, **settings: Any) -> AsyncIterator[LedgerPacer]:
    pacer = LedgerPacer(ledger, PacerSettings(**settings))
    try:
        yield pacer
    finally:
        await pacer.aclose()


def run(work: Callable[[], Coroutine[Any, Any, Any]]) -> Any:
    return asyncio.run(work())


def test_requests_are_spaced_whoever_asks(ledger: Ledger) -> None:
    async def work() -> list[float]:
        async with pacing(ledger, limits={"*": 100.0}) as one, pacing(ledger, limits={"*": 100.0}) as two:
            times: list[float] = []

            async def sender(pacer: LedgerPacer) -> None:
                for _ in range(8):
                    await pacer.slot(BUCKET, write=True)
                    times.append(time.monotonic())
                    pacer.succeeded(BUCKET)

            begun = time.monotonic()
            await asyncio.gather(*(sender(pacer) for pacer in (one, two) for _ in range(2)))
            return [begun, *times]

    begun, *times = run(work)
    assert len(times) == 32
    # 32 requests at no more than 99 a second; a slow machine only makes it longer.
    assert max(times) - begun >= 31 / 99
    (bucket,) = ledger.buckets.states()
    assert (bucket.vendor, bucket.action, bucket.throttles) == ("tencent", "RevokePrivileges", 0)


def test_waiters_of_a_lane_go_in_order(ledger: Ledger) -> None:
    async def work() -> list[int]:
        async with pacing(ledger, limits={"*": 200.0}) as pacer:
            order: list[int] = []

            async def sender(number: int) -> None:
                await pacer.slot(BUCKET)
                order.append(number)

            tasks = []
            for number in range(12):
                tasks.append(asyncio.create_task(sender(number)))
                await asyncio.sleep(0)
            await asyncio.gather(*tasks)
            return order

    assert run(work) == list(range(12))


def test_lanes_do_not_wait_for_each_other(ledger: Ledger) -> None:
    async def work() -> None:
        async with pacing(ledger, limits={"slow": 0.01, "fast": 200.0}) as pacer:
            slow, fast = BUCKET._replace(action="slow"), BUCKET._replace(action="fast")
            await pacer.slot(slow)
            waiting = asyncio.create_task(pacer.slot(slow))
            for _ in range(10):
                await asyncio.wait_for(pacer.slot(fast), 20)
            assert not waiting.done()
            waiting.cancel()

    run(work)
    assert {bucket.action for bucket in ledger.buckets.states()} == {"slow", "fast"}


def test_a_waiter_that_gives_up_leaves_its_place_to_the_next(ledger: Ledger) -> None:
    async def work() -> list[str]:
        async with pacing(ledger, limits={"*": 10.0}) as pacer:
            served: list[str] = []

            async def sender(name: str) -> None:
                await pacer.slot(BUCKET)
                served.append(name)

            tasks = {name: asyncio.create_task(sender(name)) for name in "abcd"}
            await asyncio.sleep(0)
            tasks["b"].cancel()
            await asyncio.gather(*tasks.values(), return_exceptions=True)
            return served

    assert run(work) == ["a", "c", "d"]


def test_the_kill_switch_stops_writes_and_not_reads(ledger: Ledger) -> None:
    async def work() -> None:
        async with pacing(ledger, limits={"*": 100.0}) as pacer:
            await pacer.slot(BUCKET, write=True)
            await asyncio.to_thread(ledger.kill_switch.stop, "olga", "incident")
            reading = BUCKET._replace(action="ListPermissions")
            with pytest.raises(RunStoppedError):
                for _ in range(60):
                    await pacer.slot(BUCKET, write=True)
            await pacer.slot(reading, write=False)

    run(work)


def test_a_refusal_here_holds_everybody_back(ledger: Ledger) -> None:
    async def work() -> float:
        async with pacing(ledger, limits={"*": 100.0}) as here, pacing(ledger, limits={"*": 100.0}) as there:
            await here.slot(BUCKET)
            await there.slot(BUCKET)
            here.throttled(BUCKET, 1.0)
            refused = time.monotonic()
            while not (await asyncio.to_thread(ledger.buckets.states))[0].throttles:
                await asyncio.sleep(0.01)
            reported = time.monotonic()
            await there.slot(BUCKET)
            assert reported - refused < 30
            return time.monotonic() - refused

    assert run(work) >= 0.95
    assert ledger.buckets.states()[0].pace < 0.8 * 95


def test_instants_that_were_missed_are_given_up(ledger: Ledger) -> None:
    async def work() -> int:
        async with pacing(ledger, limits={"*": 100.0}, reserve_s=0.5) as pacer:
            times: list[float] = []

            async def sender() -> None:
                while True:
                    await pacer.slot(BUCKET)
                    times.append(time.monotonic())

            tasks = [asyncio.create_task(sender()) for _ in range(40)]
            while len(times) < 10:
                await asyncio.sleep(0.01)
            time.sleep(0.5)
            woke = time.monotonic()
            await asyncio.sleep(0.1)
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
            return sum(woke <= at < woke + 0.1 for at in times)

    # Half a second was missed: 50 requests. They are not made up for in one burst.
    assert run(work) <= 20


def test_the_event_loop_runs_while_the_ledger_thinks(ledger: Ledger, ledger_dsn: str) -> None:
    async def work() -> int:
        async with pacing(ledger, limits={"*": 100.0}) as pacer:
            await pacer.slot(BUCKET)
            ticks = 0
            with psycopg.connect(ledger_dsn) as other:
                other.execute("SELECT 1 FROM rescind.lane FOR UPDATE")
                waiting = asyncio.create_task(pacer.slot(BUCKET))
                for _ in range(20):
                    await asyncio.sleep(0.01)
                    ticks += 1
                assert not waiting.done()
            await waiting
            return ticks

    assert run(work) == 20


def test_without_the_ledger_each_worker_keeps_to_its_part(
    own_ledger_dsn: str, postgres_server: PostgresServer, caplog: pytest.LogCaptureFixture
) -> None:
    async def work(ledger: Ledger, name: str) -> tuple[float, int]:
        async with pacing(ledger, limits={"*": 100.0}, workers=4, retry_s=0.2) as pacer:
            await pacer.slot(BUCKET)
            await asyncio.to_thread(postgres_server.cut_off, name)
            begun = time.monotonic()
            await asyncio.gather(*(pacer.slot(BUCKET) for _ in range(12)))
            took = time.monotonic() - begun
            await asyncio.to_thread(postgres_server.let_in, name)
            handed = (await asyncio.to_thread(ledger.buckets.states))[0].handed
            for _ in range(200):
                await pacer.slot(BUCKET)
                if (await asyncio.to_thread(ledger.buckets.states))[0].handed > handed:
                    return took, handed
            pytest.fail("the ledger was never asked again")

    with Ledger(own_ledger_dsn) as ledger:
        took, _ = run(lambda: work(ledger, str(ledger.database.target["dbname"])))
    # A quarter of 95 a second; a few instants were in reserve already.
    assert took >= 6 / (95 / 4)
    assert "the ledger does not answer; sending at 23.75 requests/s" in caplog.text


def test_without_the_ledger_for_long_nothing_is_sent(tmp_path: Path) -> None:
    ledger = Ledger(f"postgresql://nobody@/none?host={tmp_path}", connect_timeout_s=2)

    async def work() -> int:
        async with pacing(ledger, limits={"*": 1.0}, workers=100, retry_s=0.05, give_up_s=0.4) as pacer:
            results = await asyncio.gather(*(pacer.slot(BUCKET) for _ in range(5)), return_exceptions=True)
            errors = [result for result in results if result is not None]
            assert all(isinstance(error, LedgerError) for error in errors)
            assert "no answer from the ledger" in str(errors[0])
            return len(errors)

    # One request in 105 s is this worker's part: one may leave, the others may not.
    assert run(work) >= 4


def test_an_error_of_any_kind_reaches_those_who_wait(postgres_server: PostgresServer) -> None:
    ledger = Ledger(postgres_server.uri(postgres_server.create_database()))

    async def work() -> None:
        async with pacing(ledger) as pacer:
            with pytest.raises(ConfigurationError, match="ledger migrate"):
                await pacer.slot(BUCKET)

    run(work)


def test_closing_sends_everybody_away(ledger: Ledger) -> None:
    async def work() -> None:
        async with pacing(ledger, limits={"*": 0.01}) as pacer:
            await pacer.slot(BUCKET)
            waiting = asyncio.create_task(pacer.slot(BUCKET))
            await asyncio.sleep(0.05)
        with pytest.raises(LedgerError, match="was closed"):
            await waiting

    run(work)


def test_a_pacer_outlives_its_event_loop(ledger: Ledger) -> None:
    pacer = LedgerPacer(ledger, PacerSettings(limits={"*": 100.0}))

    async def work() -> None:
        await pacer.slot(BUCKET)
        pacer.succeeded(BUCKET)

    async def last() -> None:
        await work()
        await pacer.aclose()

    run(work)
    run(last)
    assert ledger.buckets.states()[0].handed == 2


def test_without_a_configured_limit_the_rate_of_the_message_counts() -> None:
    assert PacerSettings().limit(BUCKET) == 20.0
    assert PacerSettings().limit(BUCKET._replace(action="Whatever", rate=5.0)) == 5.0


def test_configured_limits_come_first_the_most_special_before_all() -> None:
    limits = {"tencent:RevokePrivileges": 1.0, "RevokePrivileges": 2.0, "tencent:*": 3.0, "*": 4.0}
    expected = []
    for name in list(limits):
        expected.append(PacerSettings(limits=limits).limit(BUCKET))
        del limits[name]
    assert expected == [1.0, 2.0, 3.0, 4.0]
    assert PacerSettings(limits={"ListTable": 1.0}).limit(BUCKET) == 20.0


@pytest.mark.parametrize("settings", [{"share": 0.0}, {"share": 1.5}, {"workers": 0}])
def test_settings_that_make_no_sense_are_refused(settings: dict[str, Any]) -> None:
    with pytest.raises(ConfigurationError):
        PacerSettings(**settings)
    with pytest.raises(ConfigurationError, match="must be above 0"):
        PacerSettings(limits={"*": 0.0}).limit(BUCKET)


def test_spacing_is_even(ledger: Ledger) -> None:
    """The instants themselves, as the ledger hands them out to two pacers, never lie closer than the pace."""

    async def work() -> list[float]:
        seen: list[float] = []
        async with pacing(ledger, limits={"*": 50.0}) as one, pacing(ledger, limits={"*": 50.0}) as two:
            for pacer in (one, two):
                queue = pacer._queue(BUCKET)
                at = queue._at

                def noted(instant: float, at: Callable[[float], None] = at) -> None:
                    seen.append(instant)
                    at(instant)

                queue._at = noted  # type: ignore[method-assign]
            await asyncio.gather(*(pacer.slot(BUCKET) for pacer in (one, two) for _ in range(10)))
        return sorted(seen)

    instants = run(work)
    assert len(instants) >= 20
    # Both read the same monotonic clock; each places the database's instants on it to within its reading error.
    assert sum(b - a < 0.5 / 50 for a, b in pairwise(instants)) <= 2
