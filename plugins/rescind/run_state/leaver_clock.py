"""How long people kept their access: from the event and the end of employment to the proof that it is gone.

Every place that shows these times computes them here, from what the ledger or the bundle of the run holds.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from rescind.i18n import mark, tr, trn
from rescind.run_state.states import Counts

EVENT, REQUEST = "event", "request"


@dataclass(frozen=True, slots=True)
class Reached:
    """One step of a run about people.

    :param name: ``asked``, ``approved``, ``known access gone`` or ``verified gone``.
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
    :param follows: whether the run completes a run of known access, with which the clock began.
    :param open_before: records that may be gone since that run while access is not proven gone.
    """

    begun: datetime
    by: str = REQUEST
    ends: tuple[datetime, ...] = ()
    people: int = 0
    asked: datetime | None = None
    approved: datetime | None = None
    verified: datetime | None = None
    aside: int = 0
    follows: bool = False
    open_before: int = 0


def moments(started_at: datetime, occasion: Mapping[str, Any], **reached: datetime | None) -> Moments:
    """Return the moments of a run.

    :param occasion: facts of the run's occasion: its events, the ends of employment, the run that it completes.
    """
    first = occasion.get("follows") or {}
    used = [_time(one["at"]) for one in occasion.get("events") or () if one.get("people")]
    ends = occasion.get("employment") or {}
    return Moments(
        begun=_time(first["begun"]) if first else min(used, default=started_at),
        by=first["by"] if first else EVENT if used else REQUEST,
        ends=tuple(sorted(map(_time, ends.get("ends", ())))),
        people=int(ends.get("people", 0)),
        aside=int(first.get("aside", 0)) + sum(bool(one.get("aside")) for one in occasion.get("events") or ()),
        follows=bool(first),
        open_before=int(first.get("open", 0)),
        **reached,
    )


def leaver_clock(
    known: Moments,
    counts: Counts,
    *,
    dry_run: bool,
    answer: str | None,
    planned: bool,
    listed: bool,
    known_only: bool = False,
) -> list[Reached]:
    """Return the steps of a run about people, each with how long it took or why it is open.

    :param counts: what became of the grants.
    :param answer: ``approve`` or ``reject``; None without an answer.
    :param planned: whether there is a plan.
    :param listed: whether every listing of the run was complete.
    :param known_only: whether the run read known access only, so that another one has to follow.
    """
    refused = tr("no: the plan was rejected") if answer == "reject" else ""
    waits = (_nothing(counts, listed) if planned else "") or tr("not yet")
    open_ = tr("no: a dry run asks nobody") if dry_run else waits
    left = (tr("no: a dry run") if dry_run else refused) or (
        tr("not yet") if not planned else _left(counts, listed, known)
    )
    gone = None if left else known.verified
    last = [_reached(mark("verified gone"), gone, known, left or tr("not yet"))]
    if known_only:
        last = [
            _reached(mark("known access gone"), gone, known, left or tr("not yet")),
            _reached(mark("verified gone"), None, known, tr("not yet: the run over everybody proves it")),
        ]
    return [
        _reached(mark("asked"), known.asked, known, open_),
        _reached(mark("approved"), known.approved, known, refused or open_),
        *last,
    ]


def clock_line(steps: Iterable[tuple[str, str]]) -> str:
    """Return names and words of steps in one line: ``Clock: asked 20 s after the event; ...``."""
    return "Clock: " + "; ".join(f"{name} {words}" for name, words in steps)


def span(seconds: float) -> str:
    """Return a duration in its two largest units."""
    left = max(int(seconds), 0)
    parts: list[str] = []
    units = (
        (mark("{count} d"), 86_400), (mark("{count} h"), 3_600), (mark("{count} min"), 60), (mark("{count} s"), 1)
    )  # fmt: skip
    for unit, size in units:
        if left >= size or (size == 1 and not parts):
            parts.append(tr(unit, count=left // size))
            left %= size
    return " ".join(parts[:2])


def _reached(name: str, at: datetime | None, known: Moments, missing: str) -> Reached:
    if at is None:
        return Reached(name, None, missing)
    after = mark("{time} after the event") if known.by == EVENT else mark("{time} after the request")
    words = [tr(after, time=span((at - known.begun).total_seconds()))]
    if known.ends:
        first, some = known.ends[0], len(known.ends) > 1 or known.people > 1
        gap = (at - first).total_seconds()
        end = mark("{time} after the end of employment") if gap >= 0 else mark("{time} before the end of employment")
        of = tr(" (the first of {count} people)", count=known.people) if some else ""
        words.append(tr(end, time=span(abs(gap))) + of)
    return Reached(name, at, tr(", ").join(words))


def _nothing(counts: Counts, listed: bool) -> str:
    return tr("not needed: no grant was found to revoke") if listed and not counts.items and not counts.kept else ""


def _left(counts: Counts, listed: bool, known: Moments) -> str:
    """Return why "verified gone" is not reached for everything that the request named, or an empty text."""
    if not listed:
        return tr("not yet: a listing is not complete")
    left = counts.items - counts.proven
    parts = []
    if left:
        parts.append(tr("{count} of {total} grants are not proven gone", count=left, total=counts.items))
    if known.open_before:
        parts.append(tr("{count} of the run before are not proven gone", count=known.open_before))
    if counts.kept:
        parts.append(tr("no call of the run can remove {count} more", count=counts.kept))
    if aside := known.aside:
        parts.append(
            trn("{count} event was not used or only in part", "{count} events were not used or only in part", aside)
        )
    if parts:
        return tr("not yet: {reasons}", reasons=tr("; ").join(parts))
    # The listing of a run that completes another one is the proof.
    return "" if known.follows else _nothing(counts, listed)


def _time(text: str) -> datetime:
    return datetime.fromisoformat(text.replace("Z", "+00:00"))
