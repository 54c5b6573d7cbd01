"""The rate of a bucket: pure arithmetic over sent and throttled requests.

Requests of a bucket are spaced evenly at ``pace`` requests per second. Let the limit be L in any window of one second.
Evenly spaced requests at a rate r below L are never throttled while none arrives more than L/r - 1 seconds late. So
the pace keeps a margin below the limit, and the margin follows the measured jitter. With exponential jitter of mean J
seconds, about n requests pass without throttling at a margin of 1 / (1 + J ln(n/2)).

When a request is throttled, the vendor has accepted exactly its limit in the second before. That number is known here
and is the estimate of the limit:

- Close to the documented limit: a late request reached the limit. The margin is reduced a little.
- Clearly below it: the limit is lower than documented, or other clients use it too. The estimate is adopted. Later a
  higher rate is tried, in growing steps while nothing is throttled, and after longer waits while requests are.

In both cases all workers pause until the vendor's window has space again, and continue at a lower rate that rises in
steps. Times are seconds on the database clock.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields, replace
from itertools import pairwise
from typing import Any

START_MARGIN = 0.95
MOST_MARGIN = 0.99
LEAST_MARGIN = 0.88
LEARNED_MARGIN = 0.97
NARROW = 0.7
# After a failed probe above a valid estimate: the limit is known and near.
NARROW_AFTER_TRY = 0.95
# Part of the target that the pace recovers each second.
RECOVER_PER_S = 0.4
# Part of the distance to the goal that the margin covers each second while nothing is throttled.
RISE_PER_S = 0.3
STEP_BACK = 0.015
CAP_RISE_PER_S = 0.001
FIRST_PAUSE_S = 0.1
MOST_PAUSE_S = 30.0
# Throttled again this soon after a pause: the next pause is twice as long.
STREAK_S = 1.5
FIRST_PROBE = 0.05
MOST_PROBE = 0.5
FIRST_WAIT_S = 3.0
RISE_WAIT_S = 2.0
MOST_WAIT_S = 30.0
WAIT_LONGER = 2.5
FORGET_S = 600.0
# Other workers still send the instants that they reserved before a throttled request; their refusals are ignored.
RESERVE_S = 0.25
# ln(1000 / 2): no throttled request is expected in a thousand.
_JITTER_FACTOR = math.log(500)
_MARKS_S = 4.0


@dataclass(frozen=True, slots=True)
class Control:
    """The state of the rate of one bucket.

    :param ceiling: documented limit times our share, in requests per second.
    :param pace: current rate.
    :param margin: part of the ceiling that is used by default.
    :param cap: highest margin for now; reduced at the limit, and rises slowly.
    :param learned: estimate of the true limit, or None while the documented limit is valid.
    :param good: the last estimate without throttling; below ``learned`` during a probe.
    :param event_at: when the last throttled request was reacted to.
    :param resume_at: when the pause after it ends.
    :param streak: throttled requests in a row, each soon after a pause.
    :param probe: part by which the next probe exceeds the estimate.
    :param wait: seconds until the next probe.
    :param probe_at: when the last probe started.
    :param stepped_at: when the state was last updated.
    :param marks: (time, requests due, throttled) of the last seconds.
    """

    ceiling: float
    pace: float
    margin: float = START_MARGIN
    cap: float = MOST_MARGIN
    learned: float | None = None
    good: float = 0.0
    event_at: float = 0.0
    resume_at: float = 0.0
    streak: int = 0
    probe: float = FIRST_PROBE
    wait: float = FIRST_WAIT_S
    probe_at: float = 0.0
    stepped_at: float = 0.0
    marks: tuple[tuple[float, float, float], ...] = ()

    @property
    def target(self) -> float:
        """The rate to which the pace recovers."""
        most = self.ceiling * self.margin
        return most if self.learned is None else min(most, self.learned * LEARNED_MARGIN)

    def to_json(self) -> dict[str, Any]:
        """Return the state as a JSON object."""
        return asdict(self)

    @classmethod
    def from_json(cls, value: Mapping[str, Any], ceiling: float) -> Control:
        """Return the state from a JSON object: a new state when it is empty, adapted when the ceiling has changed."""
        if not value:
            return cls(ceiling=ceiling, pace=ceiling * START_MARGIN)
        known = {field.name for field in fields(cls)}
        marks = tuple((float(at), float(due), float(refused)) for at, due, refused in value.get("marks", ()))
        control = cls(**{**{name: value[name] for name in known & value.keys()}, "marks": marks})
        if control.ceiling == ceiling:
            return control
        learned = control.learned if control.learned is not None and control.learned < ceiling else None
        fresh = replace(control, ceiling=ceiling, learned=learned)
        return replace(fresh, pace=min(fresh.pace, fresh.target))


def calm(control: Control, now: float, due: float, refused: float, jitter_s: float, *, ahead_s: float = 0.0) -> Control:
    """Return the state after a step without throttling: recover, raise the margin, probe.

    :param due: requests whose instant has passed, since the bucket was created.
    :param refused: throttled requests since the bucket was created.
    :param jitter_s: measured mean jitter.
    :param ahead_s: seconds for which instants are reserved already; a new pace shows only after them.
    """
    passed = now - control.stepped_at
    if passed > FORGET_S:
        fresh = Control(control.ceiling, control.ceiling * START_MARGIN, stepped_at=now, cap=control.cap)
        return _marked(fresh, now, due, refused)
    passed = min(max(passed, 0.0), 2.0)
    if now - control.resume_at > 1.0:
        cap = min(MOST_MARGIN, control.cap + CAP_RISE_PER_S * passed)
        goal = min(cap, max(START_MARGIN, 1 / (1 + jitter_s * _JITTER_FACTOR)))
        margin = control.margin + (goal - control.margin) * min(1.0, RISE_PER_S * passed)
        control = _probed(replace(control, cap=cap, margin=margin), now, now + ahead_s)
    pace = min(control.target, control.pace + RECOVER_PER_S * control.target * passed)
    return _marked(replace(control, pace=pace, stepped_at=now), now, due, refused)


def throttled(
    control: Control,
    now: float,
    due: float,
    refused: float,
    *,
    retry_after: float,
    age_s: float,
    count: int = 1,
    busy_s: float = 0.0,
    ahead_s: float = 0.0,
) -> Control:
    """Return the state after a throttled request: a pause until ``resume_at``, then a lower rate.

    :param due: requests whose instant has passed, since the bucket was created.
    :param refused: throttled requests since the bucket was created, including ``count``.
    :param retry_after: seconds to wait that the vendor asked for, or 0.
    :param age_s: seconds since the first of the throttled requests was sent.
    :param count: throttled requests that are reported now.
    :param busy_s: instants that other workers have reserved, as the seconds that they take.
    :param ahead_s: seconds until the last of these instants; discarded ones may lie between them.
    """
    sent_at = now - max(age_s, 0.0)
    if sent_at < max(control.event_at + RESERVE_S, control.resume_at):
        # Its instant was reserved before the last reaction.
        later = max(control.resume_at, now + retry_after if retry_after else 0.0)
        return _marked(replace(control, resume_at=later), now, due, refused)
    accepted = _accepted_before(control, sent_at, now, due, refused - count)
    streak = control.streak + 1 if sent_at - control.resume_at < STREAK_S else 1
    # The vendor's window is full; an entry leaves it one second after it arrived.
    full_for = 1.0 - accepted / control.pace - age_s
    changed = _learn(control, accepted)
    # Other workers still send at the old pace and fill the window again.
    more = max(0.0, 1.0 - LEARNED_MARGIN * math.floor(accepted + 0.25) / control.pace)
    # The last reserved instant is one gap before the next one.
    held = max(busy_s, ahead_s) + more if busy_s * control.pace > 1.01 else busy_s
    pause = max(retry_after, full_for, held, min(MOST_PAUSE_S, FIRST_PAUSE_S * 2 ** (streak - 1)))
    tried = streak == 1 and control.learned is not None and changed.learned == changed.good >= control.good
    changed = replace(
        changed,
        pace=max(changed.target * (NARROW_AFTER_TRY if tried else NARROW), 0.01),
        event_at=now,
        resume_at=now + pause,
        streak=streak,
        stepped_at=now + pause,
        probe_at=now + pause,
    )
    changed = _marked(changed, now, due, refused)
    return _marked(changed, now + pause, due + busy_s * control.pace, refused)


def _learn(control: Control, accepted: float) -> Control:
    """Return the state with the limit that a throttled request implies."""
    if control.learned is None:
        cap = control.margin - STEP_BACK
        near = accepted >= control.ceiling - min(max(1.5, 0.03 * control.ceiling), 0.1 * control.ceiling)
        if near and cap >= LEAST_MARGIN:
            return replace(control, cap=cap, margin=cap)
        return _estimate(control, math.floor(accepted + 0.25), FIRST_WAIT_S)
    if control.learned > control.good and accepted >= control.good - max(1.5, 0.03 * control.good):
        # The probe failed: return to the last good estimate, or to the accepted rate where that is higher, and wait
        # longer before the next probe.
        good = min(max(control.good, math.floor(accepted + 0.25)), control.learned)
        wait = min(MOST_WAIT_S, control.wait * WAIT_LONGER)
        return replace(control, learned=good, good=good, probe=FIRST_PROBE, wait=wait)
    if accepted >= control.learned - max(1.5, 0.03 * control.learned):
        return _estimate(control, control.learned * 0.97, control.wait)
    return _estimate(control, math.floor(accepted + 0.25), FIRST_WAIT_S)


def _estimate(control: Control, limit: float, wait: float) -> Control:
    limit = min(max(limit, 0.1 * control.pace, 0.2), control.ceiling)
    return replace(control, learned=limit, good=limit, probe=FIRST_PROBE, wait=wait)


def _probed(control: Control, now: float, seen_at: float) -> Control:
    """Return the state with a probe above the estimate, after a time without throttling.

    :param seen_at: when requests first use the new pace.
    """
    if control.learned is None:
        return control
    trying = control.learned > control.good
    if now - control.probe_at < (RISE_WAIT_S if trying else control.wait):
        return control
    more = control.learned * (1 + control.probe)
    probe = min(MOST_PROBE, control.probe * 2)
    # The probe succeeded, so the next one may start sooner.
    wait = FIRST_WAIT_S if trying else control.wait
    if more * LEARNED_MARGIN >= control.ceiling * control.margin:
        return replace(control, learned=None, good=0.0, probe=FIRST_PROBE, wait=FIRST_WAIT_S, probe_at=now)
    return replace(control, learned=more, good=control.learned, probe=probe, wait=wait, probe_at=seen_at)


def _accepted_before(control: Control, sent_at: float, now: float, due: float, refused: float) -> float:
    """Return the requests accepted in the second before ``sent_at``."""
    points = sorted({*control.marks, (now, due, refused)})
    due_then, _ = _between(points, sent_at)
    due_before, _ = _between(points, sent_at - 1.0)
    _, refused_before = _between(points, sent_at - 1.0)
    return max(0.0, (due_then - due_before) - (refused - refused_before))


def _between(points: list[tuple[float, float, float]], at: float) -> tuple[float, float]:
    """Return due and throttled requests at a time, by linear interpolation; constant before the first mark."""
    if at <= points[0][0]:
        return points[0][1], points[0][2]
    for (t0, d0, r0), (t1, d1, r1) in pairwise(points):
        if t0 <= at <= t1:
            part = (at - t0) / (t1 - t0) if t1 > t0 else 1.0
            return d0 + (d1 - d0) * part, r0 + (r1 - r0) * part
    return points[-1][1], points[-1][2]


def _marked(control: Control, now: float, due: float, refused: float) -> Control:
    recent = (mark for mark in control.marks if mark[0] >= now - _MARKS_S and mark[0] != now)
    return replace(control, marks=tuple(sorted((*recent, (now, due, refused)))))
