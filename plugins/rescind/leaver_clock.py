"""How long people kept their access: from the event and the end of employment to the proof that it is gone.

Every place that shows these times computes them here, from what the ledger or the bundle of the run holds.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from rescind.run_state import Counts

EVENT, REQUEST = "event", "request"


@dataclass(frozen=True, slots=True)
class Reached:
    """One step of a run about people.

    :param name: ``asked``, ``approved`` or ``verified gone``.
    :param at: when it was reached; None if it was not.
    :param words: how long that took, or why it is open, for people.
    """

    name: str
    at: datetime | None
    words: str


@dataclass(frozen=True, slots=True)
class Moments:
    """What the clock is computed from.

    :param begun: when the first event was recorded, or when the run started where a form named the people.
    :param by: ``event`` or ``request``: what ``begun`` is.
    :param ends: when the employment of the people ends, for each who has a date.
    :param people: number of people that the roster knows.
    :param verified: when the last item got its latest verdict.
    :param aside: number of events of which something was not used.
    """

    begun: datetime
    by: str = REQUEST
    ends: tuple[datetime, ...] = ()
    people: int = 0
    asked: datetime | None = None
    approved: datetime | None = None
    verified: datetime | None = None
    aside: int = 0


def moments(started_at: datetime, occasion: Mapping[str, Any], **reached: datetime | None) -> Moments:
    """Return the moments of a run.

    :param occasion: facts of the run's occasion: its events, and the ends of employment.
    """
    used = [_time(one["at"]) for one in occasion.get("events") or () if one.get("people")]
    ends = occasion.get("employment") or {}
    return Moments(
        begun=min(used, default=started_at),
        by=EVENT if used else REQUEST,
        ends=tuple(sorted(map(_time, ends.get("ends", ())))),
        people=int(ends.get("people", 0)),
        aside=sum(bool(one.get("aside")) for one in occasion.get("events") or ()),
        **reached,
    )


def leaver_clock(
    known: Moments, counts: Counts, *, dry_run: bool, answer: str | None, planned: bool, listed: bool
) -> list[Reached]:
    """Return the steps of a run about people, each with how long it took or why it is open.

    :param counts: what became of the grants.
    :param answer: ``approve`` or ``reject``; None without an answer.
    :param planned: whether there is a plan.
    :param listed: whether every listing of the run was complete.
    """
    refused = "no: the plan was rejected" if answer == "reject" else ""
    waits = (_nothing(counts, listed) if planned else "") or "not yet"
    open_ = "no: a dry run asks nobody" if dry_run else waits
    left = ("no: a dry run" if dry_run else refused) or (
        "not yet" if not planned else _left(counts, listed, known.aside)
    )
    return [
        _reached("asked", known.asked, known, open_),
        _reached("approved", known.approved, known, refused or open_),
        _reached("verified gone", None if left else known.verified, known, left or "not yet"),
    ]


def clock_line(steps: Iterable[tuple[str, str]]) -> str:
    """Return names and words of steps in one line: ``Clock: asked 20 s after the event; ...``."""
    return "Clock: " + "; ".join(f"{name} {words}" for name, words in steps)


def span(seconds: float) -> str:
    """Return a duration in its two largest units."""
    left = max(int(seconds), 0)
    parts: list[str] = []
    for unit, size in (("d", 86_400), ("h", 3_600), ("min", 60), ("s", 1)):
        if left >= size or (unit == "s" and not parts):
            parts.append(f"{left // size} {unit}")
            left %= size
    return " ".join(parts[:2])


def _reached(name: str, at: datetime | None, known: Moments, missing: str) -> Reached:
    if at is None:
        return Reached(name, None, missing)
    words = [f"{span((at - known.begun).total_seconds())} after the {known.by}"]
    if known.ends:
        first, some = known.ends[0], len(known.ends) > 1 or known.people > 1
        of = f" (the first of {known.people} people)" if some else ""
        gap = (at - first).total_seconds()
        words.append(f"{span(abs(gap))} {'after' if gap >= 0 else 'before'} the end of employment{of}")
    return Reached(name, at, ", ".join(words))


def _nothing(counts: Counts, listed: bool) -> str:
    return "not needed: no grant was found to revoke" if listed and not counts.items and not counts.kept else ""


def _left(counts: Counts, listed: bool, aside: int) -> str:
    """Return why "verified gone" is not reached for everything that the request named, or an empty text."""
    if not listed:
        return "not yet: a listing is not complete"
    left = counts.items - counts.proven
    parts = [f"{left} of {counts.items} grants are not proven gone"] if left else []
    parts += [f"no call of the run can remove {counts.kept} more"] if counts.kept else []
    parts += [f"{aside} event{'s were' if aside > 1 else ' was'} not used or only in part"] if aside else []
    return f"not yet: {'; '.join(parts)}" if parts else _nothing(counts, listed)


def _time(text: str) -> datetime:
    return datetime.fromisoformat(text.replace("Z", "+00:00"))
