"""How fast a lane may go: pure arithmetic over what was sent and what was refused.

A lane is spaced evenly at ``pace`` requests per second. Evenly spaced requests at a rate r under a
limit L (in any window of one second) are never refused as long as none arrives more than L/r - 1
seconds late; so the pace stays a margin below the limit, and the margin follows the jitter that is
measured: for exponential jitter of mean J seconds, about n requests pass without a refusal at a
margin of 1 / (1 + J ln(n/2)).

A refusal is one of two things:

- the edge: nearly as much was accepted in the last second as the pace allows, so a late request met
  the limit. The margin steps back a little.
- a lower limit than documented, or other users of the same quota: much less was accepted. What was
  accepted in the last second is then the best estimate of what is left, better than halving and
  creeping up (0.93 to 0.96 of it against 0.84). It is taken over when it happens twice in short
  order, and tried upwards now and then, in growing steps while nothing is refused.

In both cases everybody pauses, and the pace is narrowed for a moment and widened again in steps.
Times are seconds on the database's clock.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields, replace
from itertools import pairwise
from typing import Any

START_MARGIN = 0.95
MOST_MARGIN = 0.99
LEAST_MARGIN = 0.80
LEARNED_MARGIN = 0.97
NARROW = 0.7
# Part of the target that the pace wins back each second.
RECOVER_PER_S = 0.4
# Part of the distance to the goal that the margin covers each second while nothing is refused.
RISE_PER_S = 0.3
STEP_BACK = 0.015
CAP_RISE_PER_S = 0.001
FIRST_PAUSE_S = 0.1
MOST_PAUSE_S = 30.0
# Two refusals belong together when no more than this time lies between them.
STREAK_S = 5.0
EDGE = 0.88
PROBE_EVERY_S = 8.0
PROBE_EVERY_REQUESTS = 100
FIRST_PROBE = 0.03
MOST_PROBE = 0.25
FORGET_S = 600.0
# ln(1000 / 2): no refusal expected in a thousand requests.
_JITTER_FACTOR = math.log(500)
_MARKS_KEPT_S = 3.0


@dataclass(frozen=True, slots=True)
class Control:
    """The state of one lane's pace.

    :param ceiling: documented limit times our share, in requests per second.
    :param pace: current rate.
    :param margin: part of the ceiling that is used when nothing else is known.
    :param cap: highest margin for now; steps back at an edge and rises slowly.
    :param learned: estimate of the true limit, or None while the documented one holds.
    :param good: the last estimate that went without refusals.
    :param marks: (time, requests due, refused) of the last seconds.
    """

    ceiling: float
    pace: float
    margin: float = START_MARGIN
    cap: float = MOST_MARGIN
    learned: float | None = None
    good: float = 0.0
    event_at: float = 0.0
    quiet_until: float = 0.0
    streak: int = 0
    probe: float = FIRST_PROBE
    probe_at: float = 0.0
    stepped_at: float = 0.0
    marks: tuple[tuple[float, float, float], ...] = ()

    @property
    def target(self) -> float:
        """The rate that the pace recovers to."""
        most = self.ceiling * self.margin
        return most if self.learned is None else min(most, self.learned * LEARNED_MARGIN)

    def to_json(self) -> dict[str, Any]:
        """The state as a JSON object."""
        return asdict(self)

    @classmethod
    def from_json(cls, value: Mapping[str, Any], ceiling: float) -> Control:
        """The state from a JSON object; a new one when it is empty, and adapted when the ceiling has changed."""
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


def calm(control: Control, now: float, due: float, refused: float, jitter_s: float) -> Control:
    """One step while nothing is refused: recover, raise the margin, try a little more.

    :param due: requests whose instant has come, since the lane exists.
    :param refused: refused requests since the lane exists.
    :param jitter_s: measured mean jitter.
    """
    passed = now - control.stepped_at
    if passed > FORGET_S:
        fresh = Control(control.ceiling, control.ceiling * START_MARGIN, stepped_at=now, cap=control.cap)
        return _marked(fresh, now, due, refused)
    passed = min(max(passed, 0.0), 2.0)
    if now - control.event_at > 1.0:
        cap = min(MOST_MARGIN, control.cap + CAP_RISE_PER_S * passed)
        goal = min(cap, max(START_MARGIN, 1 / (1 + jitter_s * _JITTER_FACTOR)))
        goal = min(goal, cap)
        margin = control.margin + (goal - control.margin) * min(1.0, RISE_PER_S * passed)
        control = _probed(replace(control, cap=cap, margin=margin), now)
    pace = min(control.target, control.pace + RECOVER_PER_S * control.target * passed)
    return _marked(replace(control, pace=pace, stepped_at=now), now, due, refused)


def throttled(
    control: Control, now: float, due: float, refused: float, *, retry_after: float, answer_s: float
) -> tuple[Control, float]:
    """React to a refusal; returns the new state and how long everybody pauses, in seconds.

    :param refused: refused requests since the lane exists, with the ones reported now.
    :param retry_after: what the vendor asked for, or 0.
    :param answer_s: how long an answer takes: until then answers to earlier requests come in.
    """
    if now < control.quiet_until:
        # Sent before the lane was pushed: it has been reacted to.
        return _marked(control, now, due, refused), retry_after
    near = now - control.event_at < STREAK_S
    streak = control.streak + 1 if near else 1
    pause = max(retry_after, min(MOST_PAUSE_S, FIRST_PAUSE_S * 2 ** (streak - 1)))
    accepted = _accepted_in_last_second(control, now, due, refused)
    changed = _learn(control, accepted, streak)
    changed = replace(
        changed,
        pace=max(changed.target * NARROW, 0.01),
        event_at=now,
        streak=streak,
        stepped_at=now + pause,
        probe_at=now,
        quiet_until=now + max(pause, 0.25) + answer_s,
    )
    return _marked(changed, now, due, refused), pause


def _learn(control: Control, accepted: float, streak: int) -> Control:
    edge = accepted >= EDGE * control.pace
    if control.learned is None:
        if edge and streak < 3:
            cap = max(LEAST_MARGIN, control.margin - STEP_BACK)
            return replace(control, cap=cap, margin=cap)
        if streak < 2:
            return control
        return _estimate(control, control.pace * 0.95 if edge else accepted)
    if control.learned > control.good and edge:
        # A step upwards was too much: back to what had worked, and ask less often.
        return replace(control, learned=control.good, probe=FIRST_PROBE / 2)
    return _estimate(control, control.learned * 0.97 if edge else accepted)


def _estimate(control: Control, limit: float) -> Control:
    limit = min(max(limit, 0.1 * control.pace, 0.2), control.ceiling)
    return replace(control, learned=limit, good=limit, probe=FIRST_PROBE)


def _probed(control: Control, now: float) -> Control:
    """After a while without refusals try a little more than the estimate."""
    if control.learned is None:
        return control
    wait = (
        max(PROBE_EVERY_S, PROBE_EVERY_REQUESTS / max(control.pace, 0.01))
        * FIRST_PROBE
        / min(control.probe, FIRST_PROBE)
    )
    if now - control.probe_at < wait:
        return control
    learned = control.learned * (1 + control.probe)
    probe = min(MOST_PROBE, control.probe * 2)
    if learned * LEARNED_MARGIN >= control.ceiling * control.margin:
        return replace(control, learned=None, good=0.0, probe=FIRST_PROBE, probe_at=now)
    return replace(control, learned=learned, good=control.learned, probe=probe, probe_at=now)


def _accepted_in_last_second(control: Control, now: float, due: float, refused: float) -> float:
    """Requests due in the last second less those refused, by linear interpolation between marks."""
    before_due, before_refused = 0.0, 0.0
    wanted = now - 1.0
    marks = control.marks
    if not marks:
        return control.pace
    if marks[0][0] >= wanted:
        before_due, before_refused = marks[0][1], marks[0][2]
    else:
        points = (*marks, (now, due, refused))
        for (t0, d0, r0), (t1, d1, r1) in pairwise(points):
            if t0 <= wanted <= t1:
                part = (wanted - t0) / (t1 - t0) if t1 > t0 else 0.0
                before_due, before_refused = d0 + (d1 - d0) * part, r0 + (r1 - r0) * part
    return max(0.0, (due - before_due) - (refused - before_refused))


def _marked(control: Control, now: float, due: float, refused: float) -> Control:
    recent = tuple(mark for mark in control.marks if now - _MARKS_KEPT_S <= mark[0] < now)
    return replace(control, marks=(*recent, (now, due, refused)))
