"""Progress: counted, forecast, told at a steady pace, and never in the way of the work."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from rescind.cloud.base import Bucket
from rescind.cloud.pacing.counting_pacer import CountingPacer
from rescind.workflow.execute.progress_meter import Meter, Reading
from tests.support.ledger.pacing import FreePacer

BUCKET = Bucket("tencent", "1", "r", "ListPermissions", 20.0)


@pytest.mark.parametrize(
    ("reading", "text"),
    [
        (Reading(2310, 9000, 20.0, 334.5), "2,310 of 9,000 calls, 20/s, 6 min left"),
        (Reading(0, 9000, 0.0, None), "0 of 9,000 calls, 0.0/s"),
        (Reading(12, 0, 3.26, None), "12 calls, 3.3/s"),
        (Reading(5, 10, 0.5, 10.0), "5 of 10 calls, 0.5/s, 10 s left"),
        (Reading(1, 10, 0.0001, 90000.0), "1 of 10 calls, 0.0/s, 25.0 h left"),
    ],
)
def test_a_reading_is_a_sentence(reading: Reading, text: str) -> None:
    assert reading.sentence("calls") == text


def test_the_pace_is_that_of_the_last_minute(monkeypatch: pytest.MonkeyPatch) -> None:
    now = [0.0]
    monkeypatch.setattr("rescind.workflow.execute.progress_meter.time.monotonic", lambda: now[0])
    meter = Meter(of=1000)
    meter.reading()
    for second in range(1, 61):
        now[0] = float(second)
        meter.add(10)
        assert meter.reading().per_second == pytest.approx(10)
    assert meter.reading().seconds_left == pytest.approx(40)
    for second in range(61, 181):
        now[0] = float(second)
        meter.add(1)
        meter.reading()
    last = meter.reading()
    assert last.per_second == pytest.approx(1, rel=0.1) and last.done == 720


def test_a_total_that_was_too_small_grows() -> None:
    meter = Meter(of=3)
    meter.add(5)
    assert (meter.reading().done, meter.reading().of) == (5, 5)
    assert Meter().reading().of == 0


def test_progress_is_told_while_the_work_runs_and_at_its_end() -> None:
    told: list[Reading] = []

    async def work(meter: Meter) -> None:
        async with meter.running():
            while len(told) < 3:
                meter.add()
                await asyncio.sleep(0.001)

    meter = Meter(told.append, of=10_000, every_s=0.001)
    asyncio.run(asyncio.wait_for(work(meter), 30))
    assert len(told) >= 4 and told[-1].done == meter.done
    assert [r.done for r in told] == sorted(r.done for r in told)


def test_a_board_that_breaks_does_not_stop_the_work() -> None:
    def broken(_reading: Reading) -> None:
        raise OSError("no board")

    async def work() -> str:
        async with Meter(broken, every_s=0.001).running():
            await asyncio.sleep(0.01)
        return "done"

    assert asyncio.run(work()) == "done"


def test_a_counting_pacer_passes_on_and_counts() -> None:
    class Inner(FreePacer):
        def __init__(self) -> None:
            self.heard: list[Any] = []

        async def slot(self, bucket: Bucket, *, write: bool) -> None:
            self.heard.append(("slot", write))

        def throttled(self, bucket: Bucket, retry_after: float | None) -> None:
            self.heard.append(("throttled", retry_after))

        def succeeded(self, bucket: Bucket) -> None:
            self.heard.append("succeeded")

    inner, answers = Inner(), []
    pacer = CountingPacer(inner)
    pacer.on_answer = lambda: answers.append(1)

    async def work() -> None:
        await pacer.slot(BUCKET, write=True)
        await pacer.slot(BUCKET, write=False)
        await pacer.slot(BUCKET, write=False)
        pacer.throttled(BUCKET, 2.5)
        pacer.succeeded(BUCKET)

    asyncio.run(work())
    assert inner.heard == [("slot", True), ("slot", False), ("slot", False), ("throttled", 2.5), "succeeded"]
    counts = pacer.counts()
    assert (counts["requests.write"], counts["requests.read"], counts["throttles"], len(answers)) == (1, 2, 1, 1)


def test_metrics_grow_by_what_has_come_and_name_the_system_only(monkeypatch: pytest.MonkeyPatch) -> None:
    from rescind.airflow_support import metrics

    sent: list[tuple[Any, ...]] = []
    monkeypatch.setattr(metrics.stats, "incr", lambda name, count, tags: sent.append((name, count, tags)))
    monkeypatch.setattr(metrics.stats, "gauge", lambda name, value, tags: sent.append((name, value, tags)))
    told = metrics.Metrics("dms_permissions")
    told.counts({"throttles": 2, "wait_s": 0.7})
    told.counts({"throttles": 5, "wait_s": 1.9})
    told.outcomes({"accepted": 3})
    told.outcomes({"accepted": 3})
    told.in_flight(4)
    tags = {"system": "dms_permissions"}
    assert sent == [
        ("rescind.throttles", 2, tags),
        ("rescind.throttles", 3, tags),
        ("rescind.wait_s", 1, tags),
        ("rescind.outcomes", 3, {**tags, "outcome": "accepted"}),
        ("rescind.in_flight", 4, tags),
    ]


def test_a_batch_is_one_span() -> None:
    from opentelemetry import trace

    from rescind.airflow_support.metrics import span

    with span("batch", {"system": "dms_permissions", "calls": 3}) as facts:
        assert facts["calls"] == 3
        assert trace.get_current_span() is not None
