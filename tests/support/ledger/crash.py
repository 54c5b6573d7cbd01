"""Kills a batch's process at its n-th boundary, for real: a forked child that sends itself SIGKILL.

Beside it, the n-th write to the ledger can be made to fail, before it is committed or after.

A boundary is a moment before or after something that matters: claiming the batch, a place under the limit, the
intent's commit, the send (and, with the request executed and its answer on the way, the middle of it), the
outcome's commit, letting the batch go. The child is the whole task but for the scheduler: the same operator,
ledger and requests.
"""

from __future__ import annotations

import asyncio
import os
import signal
import threading
from collections.abc import Callable
from typing import Any

import pytest

from tests.support.reviews.review import Review

UNTOUCHED, KILLED = 0, -signal.SIGKILL
_IN_THE_AIR_S = 0.05


def revoke_and_die(review: Review, batch: dict[str, str], n: int) -> int:
    """Send a batch in a child that dies at its n-th boundary.

    :returns: KILLED, or UNTOUCHED when the batch has fewer boundaries and was sent whole.
    """
    child = os.fork()
    if child == 0:
        code = 1
        try:
            _install(_Countdown(n))
            _send(review, batch)
            code = 0
        finally:
            os._exit(code)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


def revoke_with_a_failing_ledger(review: Review, batch: dict[str, str], n: int, monkeypatch: pytest.MonkeyPatch) -> str:
    """Send a batch in this process while the n-th of these fails: odd ones before their commit, even ones after.

    :returns: name and moment of the write that failed, or an empty text when there was none.
    """
    from rescind.errors import LedgerError
    from rescind.ledger.store.errors import DatabaseError

    failed: list[str] = []
    count = iter(range(1, 1_000_000, 2))

    def failing(owner: Any, name: str) -> Callable[..., Any]:
        method = getattr(owner, name)

        def wrapped(*arguments: Any, **named: Any) -> Any:
            number = next(count)
            if number == n:
                failed.append(f"{name}, before its commit")
                raise DatabaseError("ledger: the connection is gone", lost=True)
            result = method(*arguments, **named)
            if number + 1 == n:
                failed.append(f"{name}, after its commit")
                raise DatabaseError("ledger: the connection is gone, the effect is not known", lost=True)
            return result

        return wrapped

    with monkeypatch.context() as patched:
        for owner, name in _ledger_writes():
            patched.setattr(owner, name, failing(owner, name))
        try:
            _send(review, batch)
        except LedgerError:
            assert failed, "the batch failed for another reason"
    return failed[0] if failed else ""


def _ledger_writes() -> list[tuple[Any, str]]:
    from rescind.ledger.plans.attempts import Attempts
    from rescind.ledger.plans.batches import Batches

    return [(Batches, "claim"), (Attempts, "begin"), (Attempts, "finish"), (Batches, "release")]


class _Countdown:
    def __init__(self, n: int) -> None:
        self._left = n
        self._lock = threading.Lock()

    def tick(self) -> None:
        """Pass a boundary, or die there."""
        with self._lock:
            self._left -= 1
            if self._left == 0:
                os.kill(os.getpid(), signal.SIGKILL)


def _send(review: Review, batch: dict[str, str]) -> None:
    from rescind.operators.revoke import RevokeBatchOperator

    RevokeBatchOperator(task_id="revoke", batch=batch).execute(review.context("revoke"))


def _install(countdown: _Countdown) -> None:
    """Put the boundaries around the product's own methods; in the child only."""
    from rescind.cloud.client import CloudClient
    from rescind.cloud.pacing.counting_pacer import CountingPacer

    for owner, name in _ledger_writes():
        setattr(owner, name, _around(getattr(owner, name), countdown))
    setattr(CountingPacer, "slot", _around_async(CountingPacer.slot, countdown))  # noqa: B010 - mypy
    setattr(CloudClient, "dispatch", _in_the_air(CloudClient.dispatch, countdown))  # noqa: B010


def _around(method: Callable[..., Any], countdown: _Countdown) -> Callable[..., Any]:
    def wrapped(*arguments: Any, **named: Any) -> Any:
        countdown.tick()
        result = method(*arguments, **named)
        countdown.tick()
        return result

    return wrapped


def _around_async(method: Callable[..., Any], countdown: _Countdown) -> Callable[..., Any]:
    async def wrapped(self: Any, bucket: Any, *, write: bool) -> None:
        if write:
            countdown.tick()
        await method(self, bucket, write=write)
        if write:
            countdown.tick()

    return wrapped


def _in_the_air(method: Callable[..., Any], countdown: _Countdown) -> Callable[..., Any]:
    async def wrapped(client: Any, prepared: Any) -> Any:
        if not prepared.write:
            return await method(client, prepared)
        countdown.tick()
        sending = asyncio.ensure_future(method(client, prepared))
        await asyncio.sleep(_IN_THE_AIR_S)
        countdown.tick()
        answer = await sending
        countdown.tick()
        return answer

    return wrapped
