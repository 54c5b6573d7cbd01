"""The sender of a batch over a ledger: what each answer of the vendor leads to, and what is never sent."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from datetime import UTC, datetime
from types import SimpleNamespace
from typing import Any

import pytest

from rescind.cloud.answers.outcomes import ResourceOutcome, Said, UnknownResultsError
from rescind.errors import (
    BlastRadiusExceededError,
    ExpiredSignatureError,
    NotFoundError,
    PlanError,
    RefusedError,
    RunInterruptedError,
    RunStoppedError,
    ThrottledError,
    TransientError,
    UnauthorizedError,
    UnknownOutcomeError,
)
from rescind.ledger import Call, Ledger
from rescind.model import Cell, Grant, GrantKey, ItemState, Mode, PlannedCall
from rescind.plan.approved import Approved
from rescind.systems.base import PartOutcome
from rescind.workflow.execute import batch_sender
from rescind.workflow.execute.batch_sender import MAX_TRIES, BatchReport, BatchSender
from rescind.workflow.execute.direction import ClaimedBatch, Screening
from rescind.workflow.execute.kill_switch_monitor import KillSwitchMonitor
from tests.support.ledger.attempts import attempts, claim, states
from tests.support.ledger.pacing import FreePacer
from tests.support.ledger.runs import Frozen, ready_run
from tests.support.scripted import ScriptedMenus

pytestmark = pytest.mark.postgres
S = ItemState
FACTS: dict[str, Any] = {"vendor": "alibaba", "action": "CancelAuthorizationMenu"}


class Platform(ScriptedMenus):
    """Answers calls from a script: an exception, or the state of each cell of the call in order; the last one stays.

    :ivar sent: the cells of each request that arrived.
    """

    def __init__(self, *answers: Any) -> None:
        super().__init__()
        self.answers, self.sent = list(answers), 0

    async def warm(self, *, connections: int) -> None:
        pass

    async def dispatch(self, prepared: Any) -> Any:
        answer = self.answers[min(self.sent, len(self.answers) - 1)]
        self.sent += 1
        if isinstance(answer, Exception):
            raise answer
        now = datetime.now(UTC)
        return SimpleNamespace(value=answer, sent_at=now, answered_at=now, http_status=200, request_id="r")

    def outcome(self, call: PlannedCall, answer: Any) -> list[PartOutcome]:
        held = sorted(cell for cell in call.cells() if cell in self.cells)
        states = [answer.value[min(number, len(answer.value) - 1)] for number in range(len(held))]
        return [PartOutcome(frozenset({cell}), state, "said so") for cell, state in zip(held, states, strict=True)]

    cells: frozenset[Cell] = frozenset()


class Way:
    """A direction that lets everything go; what it is asked and answers can be changed.

    :ivar read: calls that were read back.
    """

    def __init__(self, *, opens: bool = False) -> None:
        self.read: list[str] = []
        self.opens = opens
        self.approved: Callable[[frozenset[GrantKey]], frozenset[GrantKey]] = lambda asked: asked
        self.reopen: Callable[[Call], None] = lambda call: None

    def read_approved(self, asked: frozenset[GrantKey]) -> Approved:
        return Approved(Mode.STRICT, self.approved(asked), frozenset())

    async def screen(self, grants: list[Grant]) -> Screening:
        return Screening(grants)

    async def absent_cells(self, call: Call, grants: list[Grant], own: set[Cell]) -> frozenset[Cell] | None:
        return frozenset()

    def prepare(self, call: Call, grants: list[Grant], absent: frozenset[Cell]) -> Any:
        return SimpleNamespace(bucket=None, fingerprint="d", action="CancelAuthorizationMenu", version="1")

    async def read_back(self, call: Call) -> bool:
        self.read.append(call.call_id)
        if self.opens:
            await asyncio.to_thread(self.reopen, call)
        return self.opens


def sender(ledger: Ledger, run: Frozen, platform: Platform, way: Way | None = None, **more: Any) -> BatchSender:
    platform.cells = frozenset(grant.cell for grant in run.grants)
    lease = claim(ledger, run)
    batch = ClaimedBatch(ledger, platform, platform, lease, run.plan.digest)  # type: ignore[arg-type]
    direction: Any = way or Way()

    def reopen(call: Call) -> None:
        pairs = ledger.plans.item_grants(call.run_id, call.call_id)
        present = [item.grant_id for item, _ in pairs if item.state is S.UNKNOWN]
        ledger.batches.reopen(
            lease, call.call_id, present=present, method="m", observed_at=datetime.now(UTC), reason="present"
        )

    direction.reopen = reopen
    return BatchSender(batch, direction, FreePacer(), **more)


def run_it(one: BatchSender) -> BatchReport:
    return asyncio.run(asyncio.wait_for(one.run(), 60))


@pytest.fixture(autouse=True)
def no_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    """Pauses between two tries are not what these tests are about."""
    sleep = asyncio.sleep

    async def brief(seconds: float) -> None:
        await sleep(min(seconds, 0.001))

    monkeypatch.setattr(batch_sender.asyncio, "sleep", brief)


@pytest.mark.parametrize(
    ("said", "call", "items"),
    [
        ([S.ACCEPTED, S.ACCEPTED], "accepted", {"accepted"}),
        ([S.ACCEPTED, S.UNKNOWN], "unknown", {"accepted", "unknown"}),
        ([S.UNKNOWN, S.ACCEPTED], "unknown", {"accepted", "unknown"}),
        ([S.UNKNOWN, S.REFUSED], "unknown", {"refused", "unknown"}),
        ([S.UNKNOWN, S.UNKNOWN], "unknown", {"unknown"}),
        ([S.ACCEPTED, S.REFUSED], "accepted", {"accepted", "refused"}),
        ([S.REFUSED, S.ACCEPTED], "accepted", {"accepted", "refused"}),
    ],
)
def test_an_answer_is_no_better_than_its_worst_part(
    ledger: Ledger, said: list[ItemState], call: str, items: set[str]
) -> None:
    run = ready_run(ledger, groups=1)
    platform, way = Platform(said), Way()
    report = run_it(sender(ledger, run, platform, way))
    assert states(ledger, run) == (call, items)
    assert [one.outcome for one in attempts(ledger, run)] == [call]
    assert way.read == ([run.call_ids[0]] if call == "unknown" else [])
    assert report.outcomes == {call: 1} and platform.sent == 1


@pytest.mark.parametrize("error", [RefusedError("no", **FACTS), NotFoundError("no", **FACTS), [S.REFUSED]], ids=repr)
def test_a_call_that_is_refused_as_a_whole_is_halved_until_it_goes(ledger: Ledger, error: Any) -> None:
    run = ready_run(ledger, groups=1)
    platform = Platform(error, [S.ACCEPTED], [S.REFUSED])
    report = run_it(sender(ledger, run, platform))
    assert platform.sent == 3 and report.outcomes == {"accepted": 1, "refused": 1}
    found = sorted(str(item.state) for item in ledger.plans.items(run.run.run_id))
    assert found == ["accepted", "refused"]
    assert sorted(call.state for call in ledger.plans.calls(run.run.run_id)) == ["accepted", "refused", "skipped"]


def test_an_answer_that_is_unclear_in_part_keeps_what_it_says(ledger: Ledger) -> None:
    run = ready_run(ledger, groups=1)
    first, second = sorted(run.grants, key=lambda one: one.key.resource_id)
    outcomes = [ResourceOutcome("menu", first.key.resource_id, Said.ACCEPTED),
                ResourceOutcome("menu", second.key.resource_id, Said.UNKNOWN, "no result")]  # fmt: skip
    platform = Platform(UnknownResultsError("unclear", outcomes=outcomes, **FACTS))
    report = run_it(sender(ledger, run, platform))
    found = {item.grant_id: str(item.state) for item in ledger.plans.items(run.run.run_id)}
    assert found == {first.grant_id: "accepted", second.grant_id: "unknown"}
    assert states(ledger, run)[0] == "unknown" and report.outcomes == {"unknown": 1}


def test_an_unknown_outcome_that_cannot_be_read_back_is_sent_once(ledger: Ledger) -> None:
    run = ready_run(ledger, groups=1)
    platform, way = Platform(UnknownOutcomeError("cut", **FACTS)), Way(opens=False)
    assert run_it(sender(ledger, run, platform, way)).outcomes == {"unknown": 1}
    # So does a later task that takes the batch over.
    assert run_it(sender(ledger, run, platform, way)).outcomes == {"unknown": 1}
    assert platform.sent == 1 and len(way.read) == 2
    assert states(ledger, run) == ("unknown", {"unknown"})


def test_an_unknown_outcome_is_sent_again_only_after_it_was_read_back(ledger: Ledger) -> None:
    run = ready_run(ledger, groups=1)
    platform, way = Platform(UnknownOutcomeError("cut", **FACTS), [S.ACCEPTED]), Way(opens=True)
    assert run_it(sender(ledger, run, platform, way)).outcomes == {"accepted": 1}
    assert platform.sent == 2 and len(way.read) == 1
    assert [one.outcome for one in attempts(ledger, run)] == ["unknown", "accepted"]


def test_tries_inside_one_task_are_bounded(ledger: Ledger) -> None:
    run = ready_run(ledger, groups=1)
    platform, way = Platform(UnknownOutcomeError("cut", **FACTS)), Way(opens=True)
    assert run_it(sender(ledger, run, platform, way)).outcomes == {"unknown": 1}
    assert platform.sent == MAX_TRIES


@pytest.mark.parametrize(
    ("error", "outcome", "tries"),
    [
        (ThrottledError("flow control", **FACTS), "throttled", MAX_TRIES),
        (TransientError("not sent", **FACTS), "not_sent", MAX_TRIES),
        (ExpiredSignatureError("clock", **FACTS), "not_sent", 1),
        (UnauthorizedError("no right", **FACTS), "refused", 1),
    ],
    ids=lambda value: type(value).__name__ if isinstance(value, Exception) else str(value),
)
def test_what_an_error_means_for_the_attempt_and_the_batch(
    ledger: Ledger, error: Exception, outcome: str, tries: int
) -> None:
    run = ready_run(ledger, groups=1)
    platform = Platform(error)
    one = sender(ledger, run, platform)
    with pytest.raises(type(error)):
        run_it(one)
    assert platform.sent == tries
    assert [record.outcome for record in attempts(ledger, run)] == [outcome] * tries
    pending = outcome != "refused"
    assert states(ledger, run) == (("pending", {"approved"}) if pending else ("refused", {"refused"}))
    assert one.report.throttled == (tries if outcome == "throttled" else 0)


def test_a_throttled_call_goes_when_the_storm_is_over(ledger: Ledger) -> None:
    run = ready_run(ledger, groups=1)
    platform = Platform(*[ThrottledError("flow control", **FACTS)] * (MAX_TRIES - 1), [S.ACCEPTED])
    assert run_it(sender(ledger, run, platform)).outcomes == {"accepted": 1}


@pytest.mark.parametrize("missing", range(4))
def test_a_grant_that_was_not_approved_stops_the_batch_before_anything_is_sent(ledger: Ledger, missing: int) -> None:
    """Also before the calls that stand before it and are approved."""
    run = ready_run(ledger)
    way, platform = Way(), Platform([S.ACCEPTED])
    way.approved = lambda asked: asked - {run.grants[missing].key}
    with pytest.raises(PlanError, match="not in the approved plan"):
        run_it(sender(ledger, run, platform, way, in_flight=1))
    assert platform.sent == 0 and list(ledger.attempts.each(run.run.run_id)) == []


def test_a_grant_that_joins_a_call_later_is_compared_again(ledger: Ledger, monkeypatch: pytest.MonkeyPatch) -> None:
    """The batch was compared as a whole; each call is compared again with the grants that it is sent for."""
    run = ready_run(ledger, groups=1)
    way, platform = Way(), Platform([S.ACCEPTED])
    way.approved = lambda asked: frozenset(sorted(asked)[1:])
    one = sender(ledger, run, platform, way)
    monkeypatch.setattr(
        BatchSender, "_read_approved", lambda self: way.read_approved(frozenset(g.key for g in run.grants))
    )
    with pytest.raises(PlanError, match="not in the approved plan"):
        run_it(one)
    assert platform.sent == 0 and list(ledger.attempts.each(run.run.run_id)) == []


def test_a_request_that_would_touch_more_is_not_begun(ledger: Ledger, monkeypatch: pytest.MonkeyPatch) -> None:
    def too_wide(*_: Any) -> Any:
        raise BlastRadiusExceededError("a cell that was not approved")

    run = ready_run(ledger)
    way, platform = Way(), Platform([S.ACCEPTED])
    monkeypatch.setattr(way, "prepare", too_wide)
    with pytest.raises(BlastRadiusExceededError):
        run_it(sender(ledger, run, platform, way))
    assert platform.sent == 0 and list(ledger.attempts.each(run.run.run_id)) == []


def test_a_protected_grant_holds_its_call(ledger: Ledger, monkeypatch: pytest.MonkeyPatch) -> None:
    async def held(grants: list[Grant]) -> Screening:
        return Screening([], {one.grant_id: (S.HELD, "protected") for one in grants}, "protected at send", "held")

    run = ready_run(ledger)
    way, platform = Way(), Platform([S.ACCEPTED])
    monkeypatch.setattr(way, "screen", held)
    assert run_it(sender(ledger, run, platform, way)).outcomes == {"held": 2}
    assert platform.sent == 0
    assert states(ledger, run) == ("skipped", {"held"})


@pytest.mark.parametrize("when", ["before", "while it waits"])
def test_a_kill_switch_stops_before_the_intent(ledger: Ledger, when: str) -> None:
    run = ready_run(ledger, groups=1)
    platform, stop = Platform([S.ACCEPTED]), KillSwitchMonitor()
    one = sender(ledger, run, platform, stop=stop)

    class Late(FreePacer):
        async def slot(self, bucket: Any, *, write: bool) -> None:
            assert write
            stop.end("the worker ends")

    if when == "before":
        stop.read = lambda: "an incident"
    else:
        one.pacer = Late()
    with pytest.raises(RunStoppedError if when == "before" else RunInterruptedError):
        run_it(one)
    assert platform.sent == 0 and list(ledger.attempts.each(run.run.run_id)) == []


@pytest.mark.parametrize("turned", [False, True])
def test_a_non_retryable_error_comes_before_the_others(turned: bool) -> None:
    throttled, unauthorized = ThrottledError("flow control", **FACTS), UnauthorizedError("no right", **FACTS)
    ended, cut = RunInterruptedError("the worker ends"), TransientError("cut", **FACTS)
    errors = [throttled, ExceptionGroup("inner", [ended, unauthorized]), cut]
    group = ExceptionGroup("the batch", errors[::-1] if turned else errors)
    assert batch_sender._non_retryable_first(group) is unauthorized
