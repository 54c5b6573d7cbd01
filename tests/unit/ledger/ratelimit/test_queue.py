"""The queue of one bucket, without a clock to race: which reserved instants a throttled answer leaves."""

from __future__ import annotations

import asyncio
import time
from typing import Any

import pytest

from rescind.errors import LedgerError
from rescind.ledger.ratelimit import store
from rescind.ledger.ratelimit.queue import BucketPlan, BucketQueue
from rescind.ledger.ratelimit.rate_controller import RESERVE_S
from rescind.ledger.ratelimit.store import BucketKey

FAR = 3600.0
PLAN = BucketPlan(limit=10.0, share=1.0, workers=1, reserve_s=1.0, retry_s=0.01, give_up_s=0.05)


class Ledgerless:
    """Stands in for the database's thread: notes what is asked of it, and never answers."""

    def __init__(self) -> None:
        self.asked: list[tuple[Any, dict[str, Any]]] = []
        self.broken = False

    async def ask(self, question: Any, *_: Any, **facts: Any) -> Any:
        self.asked.append((question, facts))
        if self.broken:
            raise LedgerError("the ledger does not answer")
        if question is store.announce:
            return 1, 0.0, time.monotonic()
        if question is store.report_throttled:
            return None
        await asyncio.Event().wait()


def queue_of(db: Ledgerless) -> BucketQueue:
    key: BucketKey = ("tencent", "1000", "ap", "RevokePrivileges")
    return BucketQueue(key, PLAN, db, "w", asyncio.get_running_loop())  # type: ignore[arg-type]


async def _waiting(queue: BucketQueue, count: int) -> list[asyncio.Task[float]]:
    tasks = [asyncio.create_task(queue.wait(True, again=False)) for _ in range(count)]
    await asyncio.sleep(0)
    return tasks


def test_after_a_throttled_answer_no_reserved_instant_is_handed_out() -> None:
    async def work() -> None:
        db = Ledgerless()
        queue = queue_of(db)
        tasks = await _waiting(queue, 3)
        now = time.monotonic()
        soon = [now + 0.02, now + 0.03, now + FAR]
        for instant in soon:
            queue._at(instant)
        queue.throttled(0.0, now)
        assert queue._timers == {} and queue._unused == 3
        await asyncio.sleep(0.1)
        assert not any(task.done() for task in tasks), "the instants belong to the old pace"
        reports = [facts for question, facts in db.asked if question is store.report_throttled]
        assert [(facts["refused"], facts["unused"]) for facts in reports] == [(1, 3)]
        queue.close()
        for ended in await asyncio.gather(*tasks, return_exceptions=True):
            assert isinstance(ended, LedgerError)

    asyncio.run(work())


@pytest.mark.parametrize(("retry_after", "kept"), [(0.0, True), (2.0, False)])
def test_an_answer_to_what_was_sent_before_the_last_reaction_leaves_the_new_pace_alone(
    retry_after: float, kept: bool
) -> None:
    async def work() -> None:
        queue = queue_of(Ledgerless())
        tasks = await _waiting(queue, 1)
        now = time.monotonic()
        queue._reacted_at = now
        queue._at(now + FAR)
        queue.throttled(retry_after, now - RESERVE_S / 2)
        assert bool(queue._timers) == kept
        queue.close()
        await asyncio.gather(*tasks, return_exceptions=True)

    asyncio.run(work())


def test_instants_that_were_being_reserved_at_a_throttled_answer_are_not_used() -> None:
    async def work() -> None:
        answer: asyncio.Future[Any] = asyncio.get_running_loop().create_future()

        class Slow(Ledgerless):
            async def ask(self, question: Any, *_: Any, **facts: Any) -> Any:
                if question is store.reserve and not answer.done():
                    self.asked.append((question, facts))
                    return await answer
                return await super().ask(question, **facts)

        db = Slow()
        queue = queue_of(db)
        tasks = await _waiting(queue, 2)
        await asyncio.sleep(0.01)
        count = len([1 for question, _ in db.asked if question is store.reserve])
        assert count == 1
        queue.throttled(0.0, time.monotonic())
        answer.set_result((None, 0.0, 0.0))
        await asyncio.sleep(0.02)
        assert queue._timers == {} and not any(task.done() for task in tasks)
        queue.close()
        await asyncio.gather(*tasks, return_exceptions=True)

    asyncio.run(work())


def test_without_the_ledger_a_throttled_worker_pauses_as_long_as_it_was_asked_to() -> None:
    async def work() -> None:
        db = Ledgerless()
        db.broken = True
        queue = queue_of(db)
        now = time.monotonic()
        queue.throttled(FAR, now)
        assert queue._static_next >= now + FAR
        queue.close()

    asyncio.run(work())
