"""The pace of a bucket against a vendor that counts strictly, on a clock that only the test moves."""

from __future__ import annotations

import heapq
import json
import random
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from itertools import count, pairwise

import pytest

from rescind.ledger.ratelimit import rate_controller
from rescind.ledger.ratelimit.rate_controller import Control

START = 1_000_000.0


@dataclass
class World:
    """One bucket, workers that always have something to send, and a vendor that allows ``limit(t)`` a second.

    Requests arrive after an exponential delay of mean ``jitter`` and are answered ``answer`` seconds later. Each worker
    holds its part of a quarter of a second in reserve, at least one instant, and throws it away when it is refused.
    """

    limit: Callable[[float], float]
    told: float
    answer: float = 0.15
    jitter: float = 0.001
    seed: int = 1
    workers: int = 1
    accepted: list[float] = field(default_factory=list)
    refused: list[float] = field(default_factory=list)

    def run(self, seconds: float) -> Control:
        self.random = random.Random(self.seed)
        self.control = Control(ceiling=self.told, pace=self.told * rate_controller.START_MARGIN)
        self.window: deque[float] = deque()
        self.handed, self.reported, self.adjusted, self.next_at = 0, 0, 0.0, START
        self.order = count()
        self.reserves: list[set[int]] = [set() for _ in range(self.workers)]
        self.asks, self.reacted = [0] * self.workers, [0.0] * self.workers
        self.events: list[tuple[float, int, str, int, float]] = []
        for worker in range(self.workers):
            self.later(START, "reserve", worker, 0)
        while self.events[0][0] < START + seconds:
            now, _, what, worker, fact = heapq.heappop(self.events)
            getattr(self, what)(now, worker, fact)
        return self.control

    def later(self, at: float, what: str, worker: int, fact: float) -> None:
        heapq.heappush(self.events, (at, next(self.order), what, worker, fact))

    def ahead(self, now: float) -> float:
        return max(0.0, self.next_at - max(now, self.control.resume_at))

    def reserve(self, now: float, worker: int, ask: float) -> None:
        if ask != self.asks[worker]:
            return
        number, gap = max(1, int(0.25 * self.control.pace / self.workers)), 1 / self.control.pace
        first = max(self.next_at, now + 0.002)
        self.next_at, self.handed = first + number * gap, self.handed + number
        if now - self.adjusted >= 0.5:
            ahead = self.ahead(now)
            due = self.handed - ahead * self.control.pace
            self.control = rate_controller.calm(self.control, now, due, self.reported, self.jitter, ahead_s=ahead)
            self.adjusted = now
        for index in range(number):
            instant = next(self.order)
            self.reserves[worker].add(instant)
            self.later(first + index * gap, "send", worker, instant)
        self.asks[worker] += 1
        self.later(max(now, self.next_at - gap - 0.02), "reserve", worker, self.asks[worker])

    def send(self, now: float, worker: int, instant: float) -> None:
        if instant in self.reserves[worker]:
            self.reserves[worker].discard(int(instant))
            self.later(now + self.random.expovariate(1 / self.jitter), "arrive", worker, now)

    def arrive(self, now: float, worker: int, sent: float) -> None:
        while self.window and self.window[0] <= now - 1.0:
            self.window.popleft()
        if len(self.window) < self.limit(now - START):
            self.window.append(now)
            self.accepted.append(now - START)
        else:
            self.refused.append(now - START)
            self.later(now + self.answer, "refused_answer", worker, sent)

    def refused_answer(self, now: float, worker: int, sent: float) -> None:
        self.reported += 1
        ahead, before, pace, unused = self.ahead(now), self.control.resume_at, self.control.pace, 0
        if sent >= self.reacted[worker] + rate_controller.RESERVE_S:
            unused, self.reacted[worker] = len(self.reserves[worker]), now
            self.reserves[worker].clear()
            self.asks[worker] += 1
            self.later(now, "reserve", worker, self.asks[worker])
        self.control = rate_controller.throttled(
            self.control,
            now,
            self.handed - ahead * pace,
            self.reported,
            retry_after=0.0,
            age_s=now - sent,
            busy_s=max(0.0, ahead - unused / pace),
            ahead_s=ahead,
        )
        self.handed -= unused
        if self.control.resume_at > before:
            self.next_at, self.adjusted = self.control.resume_at, now

    def share(self, begin: float, end: float) -> float:
        """Accepted requests as a part of what the vendor would have allowed."""
        allowed = sum(self.limit(begin + step * 0.01) * 0.01 for step in range(int((end - begin) * 100)))
        return sum(begin <= at < end for at in self.accepted) / allowed


@pytest.mark.parametrize("limit", [5, 20, 50, 200])
@pytest.mark.parametrize("answer", [0.02, 0.5])
def test_little_jitter_nothing_refused_and_almost_everything_used(limit: int, answer: float) -> None:
    world = World(lambda _: limit, limit, answer)
    control = world.run(30)
    assert world.refused == []
    assert world.share(5, 30) >= 0.98
    assert control.learned is None


@pytest.mark.parametrize("limit", [20, 50, 200])
@pytest.mark.parametrize("seed", [1, 2, 3])
def test_more_jitter_costs_a_little_more(limit: int, seed: int) -> None:
    world = World(lambda _: limit, limit, jitter=0.005, seed=seed)
    world.run(60)
    assert len(world.refused) <= len(world.accepted) / 1000
    assert world.share(5, 60) >= 0.95


@pytest.mark.parametrize(("limit", "told"), [(4, 5), (10, 20), (15, 20), (35, 50), (100, 200)])
@pytest.mark.parametrize("answer", [0.02, 0.15])
def test_a_lower_limit_than_documented_is_learnt(limit: int, told: int, answer: float) -> None:
    world = World(lambda _: limit, told, answer)
    control = world.run(60)
    assert control.learned is not None
    # At four a second, each single request is two percent of a quarter of a minute.
    assert world.share(5, 60) >= (0.93 if limit >= 10 else 0.92)
    assert len(world.refused) <= max(5, 0.02 * len(world.accepted))


@pytest.mark.parametrize("answer", [0.02, 0.15, 0.5])
@pytest.mark.parametrize(
    ("workers", "used", "wasted"), [(1, 0.95, 0.02), (2, 0.93, 0.02), (4, 0.93, 0.02), (8, 0.87, 0.03)]
)
def test_three_of_twenty_are_found_and_used(answer: float, workers: int, used: float, wasted: float) -> None:
    """Eight workers hold almost three seconds of such a bucket's slots; that is felt."""
    world = World(lambda _: 3, 20, answer, workers=workers)
    world.run(120)
    refused = sum(at >= 5 for at in world.refused)
    assert world.share(5, 120) >= used
    assert refused <= wasted * (refused + sum(at >= 5 for at in world.accepted))


@pytest.mark.parametrize("workers", [2, 4, 8])
@pytest.mark.parametrize("limit", [3, 5, 20])
def test_several_workers_under_the_documented_limit(limit: int, workers: int) -> None:
    world = World(lambda _: limit, limit, workers=workers)
    world.run(60)
    assert world.refused == []
    assert world.share(5, 60) >= 0.95


def test_what_others_take_is_left_to_them_and_taken_back_when_they_stop() -> None:
    def limit(t: float) -> float:
        return 8 if 20 <= t < 40 else 20

    world = World(limit, 20)
    control = world.run(90)
    assert world.share(22, 40) >= 0.9
    assert world.share(70, 90) >= 0.93
    assert len(world.refused) <= 0.02 * len(world.accepted)
    assert control.target > 0.93 * 20


def test_a_vendor_that_refuses_everything_for_a_while_is_asked_less_and_less() -> None:
    world = World(lambda t: 0 if 10 <= t < 40 else 20, 20)
    world.run(120)
    during = [at for at in world.refused if 15 <= at < 40]
    assert len(during) < 25
    assert world.share(100, 120) >= 0.9


def test_evenly_spaced_even_at_the_start() -> None:
    world = World(lambda _: 20, 20, jitter=1e-9)
    world.run(5)
    gaps = [b - a for a, b in pairwise(world.accepted)]
    assert min(gaps) > 1 / 20 - 1e-6


def refusal(control: Control, now: float = START + 10, *, due: float, **more: float) -> Control:
    given = {"retry_after": 0.0, "age_s": 0.1, **more}
    return rate_controller.throttled(control, now, due, 1, **given)  # type: ignore[arg-type]


def running(pace: float = 19.0, ceiling: float = 20.0) -> Control:
    """A bucket that has been going at ``pace`` for some seconds; request number 190 is due at START + 10."""
    marks = tuple((START + 6 + step * 0.5, pace * (6 + step * 0.5), 0.0) for step in range(8))
    return Control(ceiling=ceiling, pace=pace, marks=marks, stepped_at=START + 9.5)


def test_a_refusal_narrows_the_pace_pauses_and_recovers_in_steps() -> None:
    narrowed = refusal(running(), due=190)
    assert narrowed.pace == pytest.approx(rate_controller.NARROW * narrowed.target)
    assert narrowed.margin == pytest.approx(rate_controller.START_MARGIN - rate_controller.STEP_BACK)
    assert narrowed.resume_at >= START + 10 + rate_controller.FIRST_PAUSE_S
    paces = [narrowed.pace]
    for step in range(1, 8):
        narrowed = rate_controller.calm(narrowed, narrowed.resume_at + step * 0.25, 190 + step, 1, 0.0)
        paces.append(narrowed.pace)
    assert paces == sorted(paces)
    assert paces[1] < 0.9 * narrowed.target
    assert paces[-1] == pytest.approx(narrowed.target, rel=0.01)


def test_the_vendors_wish_is_respected() -> None:
    assert refusal(running(), due=190, retry_after=7.0).resume_at == START + 17
    told_again = refusal(refusal(running(), due=190), START + 10.2, due=190, age_s=0.3, retry_after=9.0)
    assert told_again.resume_at == START + 10.2 + 9.0


def test_refusals_of_requests_that_left_before_the_pause_change_nothing() -> None:
    once = refusal(running(), due=190)
    again = refusal(once, START + 10.3, due=190, age_s=0.4)
    assert (again.pace, again.margin, again.learned, again.resume_at, again.streak) == (
        once.pace,
        once.margin,
        once.learned,
        once.resume_at,
        once.streak,
    )


def test_pauses_grow_while_refusals_follow_each_other() -> None:
    control, now, pauses = running(), START + 10.0, []
    for _ in range(12):
        control = refusal(control, now, due=190, age_s=0.0)
        pauses.append(control.resume_at - now)
        now = control.resume_at + 0.5
    for number, pause in enumerate(pauses):
        assert pause >= min(rate_controller.MOST_PAUSE_S, rate_controller.FIRST_PAUSE_S * 2**number) - 1e-6
    assert max(pauses) == pytest.approx(rate_controller.MOST_PAUSE_S)


def test_the_margin_follows_the_jitter_that_is_measured() -> None:
    def settled(jitter: float) -> float:
        control = running()
        for step in range(60):
            control = rate_controller.calm(control, START + 10 + step * 0.5, 190 + step * 9, 0, jitter)
        return control.margin

    assert settled(0.0) == pytest.approx(rate_controller.MOST_MARGIN, abs=0.001)
    assert settled(0.005) == pytest.approx(1 / (1 + 0.005 * 6.2146), abs=0.001)
    # Answer times of a vendor vary for reasons of its own: they never cost more than the first margin.
    assert settled(0.5) == pytest.approx(rate_controller.START_MARGIN, abs=0.001)


def test_after_a_long_pause_an_old_estimate_is_forgotten() -> None:
    control = rate_controller.replace(running(), learned=3.0, good=3.0, pace=3.0)
    fresh = rate_controller.calm(control, START + 10 + rate_controller.FORGET_S, 190, 5, 0.0)
    assert (fresh.learned, fresh.pace) == (None, pytest.approx(19.0))


def test_the_state_survives_the_database() -> None:
    control = refusal(running(), due=190)
    assert Control.from_json(json.loads(json.dumps(control.to_json())), 20.0) == control
    assert Control.from_json({}, 5.0) == Control(ceiling=5.0, pace=4.75)
    lowered = Control.from_json(control.to_json(), 10.0)
    assert (lowered.ceiling, lowered.pace) == (10.0, pytest.approx(min(control.pace, 10.0 * control.margin)))
