"""Compute what the home page shows over many runs from the rows of the ledger. Pure functions, and their queries."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from markupsafe import Markup

from rescind.i18n import tr
from rescind.ledger.read_models.item_rows import NO_DEPARTMENT
from rescind.ledger.read_models.overview import QUARTERS, BucketLine, OpenCell, OverviewViews
from rescind.ledger.store.errors import DatabaseError
from rescind.web.charts import Bar, bars_svg, line_svg

log = logging.getLogger(__name__)

WEEKS = 26
"""Weeks of the line of open findings."""
NOTHING: Mapping[str, Any] = {"questions": [], "late": False}
"""What the template needs without any run."""
_DEPARTMENTS = 12
"""Departments with a row of their own in the heat map; the others share one."""
_LEVELS = 4
_QUARTER = timedelta(days=90)


@dataclass(frozen=True, slots=True)
class Quarter:
    """One quarter of the trend: proven gone in it; still reachable and kept at its end."""

    name: str
    revoked: int
    effective: int
    kept: int


@dataclass(frozen=True, slots=True)
class Point:
    """Grants that are open at the end of a week, or now."""

    at: datetime
    open: int


@dataclass(frozen=True, slots=True)
class HeatCell:
    """Open grants of a department in one system; ``level`` is 0 to 4, ``run`` the latest run that left some."""

    items: int
    level: int
    run: int = 0


@dataclass(frozen=True, slots=True)
class HeatRow:
    """One department of the heat map, or several together.

    :param key: the department as a filter takes it; empty for several.
    :param cells: one for each system.
    """

    department: str
    cells: Sequence[HeatCell]
    total: int
    key: str = ""


@dataclass(frozen=True, slots=True)
class Heat:
    """The heat map. ``systems`` are ids, in the order of the cells."""

    systems: Sequence[str]
    rows: Sequence[HeatRow]
    totals: Sequence[int]
    total: int


def overview(views: OverviewViews, dags: Iterable[str], names: Iterable[str], now: datetime) -> dict[str, Any]:
    """Return what the template of the home page needs, beside the runs.

    A history may be too long to be read in time. Then ``late`` is true and nothing else is there: the runs are still
    listed.

    :param names: the names of the reader.
    """
    try:
        return _overview(views, list(dags), names, now)
    except DatabaseError as error:
        log.warning("Access reviews: the figures over many runs could not be read (%s)", error)
        return {**NOTHING, "late": True}


def _overview(views: OverviewViews, seen: list[str], names: Iterable[str], now: datetime) -> dict[str, Any]:
    buckets, opened = views.buckets(seen), heat(views.open_now(seen))
    trend, line = quarters(buckets, now), weeks(buckets, now, opened.total)
    recent = [one for one in buckets if one.kind == "week" and one.begins > now - _QUARTER]
    return {
        **NOTHING,
        "questions": views.questions(seen, list(names)),
        "times": views.leaver_times(seen),
        "heat": opened,
        "trend": trend,
        "trend_drawing": Markup(_trend_drawing(trend)) if trend else None,
        "line": line,
        "line_drawing": Markup(_line_drawing(line)) if len(line) > 1 else None,
        "recent_items": sum(one.items for one in recent),
        "recent_proven": sum(one.proven for one in recent),
    }


def quarters(buckets: Iterable[BucketLine], now: datetime) -> list[Quarter]:
    """Return the quarters from the first one with a run to now; at most :data:`QUARTERS`, empty without a run."""
    found = [one for one in buckets if one.kind == "quarter"]
    if not found:
        return []
    last: dict[tuple[str, str], BucketLine] = {}
    made = []
    begins = min(one.begins for one in found)
    while begins <= now:
        mine = [one for one in found if one.begins == begins]
        last |= {(one.system, one.account): one for one in mine}
        made.append(
            Quarter(
                f"{begins.year} Q{(begins.month + 2) // 3}",
                sum(one.proven for one in mine),
                sum(one.effective for one in last.values()),
                sum(one.kept for one in last.values()),
            )
        )
        begins = _next_quarter(begins)
    return made[-QUARTERS:]


def weeks(buckets: Iterable[BucketLine], now: datetime, open_now: int) -> list[Point]:
    """Return the open grants at the end of each week since the first run, at most :data:`WEEKS`, and now."""
    found = sorted((one for one in buckets if one.kind == "week"), key=lambda one: one.begins)
    if not found:
        return []
    last: dict[tuple[str, str], int] = {}
    by_week: dict[datetime, list[BucketLine]] = {}
    for one in found:
        by_week.setdefault(one.begins.astimezone(UTC), []).append(one)
    made, begins = [], found[0].begins.astimezone(UTC)
    while (ends := begins + timedelta(days=7)) <= now:
        last |= {(one.system, one.account): one.open for one in by_week.get(begins, ())}
        made.append(Point(ends, sum(last.values())))
        begins = ends
    return [*made[-WEEKS:], Point(now, open_now)]


def heat(cells: Sequence[OpenCell]) -> Heat:
    """Return the heat map: departments with most open grants first."""
    systems = sorted({one.system for one in cells})
    by: dict[str, dict[str, int]] = {}
    latest: dict[tuple[str, str], int] = {}
    for one in cells:
        row = by.setdefault(one.department, {})
        row[one.system] = row.get(one.system, 0) + one.items
        place = (one.department, one.system)
        latest[place] = max(latest.get(place, 0), one.number)
    order = sorted(by, key=lambda name: (-sum(by[name].values()), name == "", name))
    rest = order[_DEPARTMENTS:]
    others = {s: sum(by[name].get(s, 0) for name in rest) for s in systems}
    most = max((count for row in [*(by[name] for name in order[:_DEPARTMENTS]), others] for count in row.values()),
               default=0)  # fmt: skip

    def cell(row: Mapping[str, int], system: str, run: int) -> HeatCell:
        return HeatCell(row.get(system, 0), _level(row.get(system, 0), most), run)

    made = [
        HeatRow(name or tr("not known"), [cell(by[name], s, latest.get((name, s), 0)) for s in systems],
                sum(by[name].values()), name or NO_DEPARTMENT)
        for name in order[:_DEPARTMENTS]
    ]  # fmt: skip
    if rest:
        made.append(
            HeatRow(tr("{count} others", count=len(rest)), [cell(others, s, 0) for s in systems], sum(others.values()))
        )
    totals = [sum(row.get(s, 0) for row in by.values()) for s in systems]
    return Heat(systems, made, totals, sum(totals))


def _level(count: int, most: int) -> int:
    return 0 if not count else max(1, -(-_LEVELS * count // most))


def _next_quarter(begins: datetime) -> datetime:
    month = begins.month + 3
    return begins.replace(year=begins.year + (month > 12), month=(month - 1) % 12 + 1)


def _trend_drawing(trend: Sequence[Quarter]) -> str:
    groups = [
        (
            one.name,
            [
                Bar("proven", one.revoked, tr("proven gone")),
                Bar("reachable", one.effective, tr("still reachable")),
                Bar("kept", one.kept, tr("kept")),
            ],
        )
        for one in trend
    ]
    title = tr("Grants by quarter: proven gone, still reachable, kept. The table below has the figures")
    return bars_svg(title, groups)


def _line_drawing(line: Sequence[Point]) -> str:
    day = f"{line[0].at:%Y-%m-%d}"
    title = tr("Open grants by week: {first} at {day}, {last} now", first=line[0].open, day=day, last=line[-1].open)
    return line_svg(title, [(one.at, one.open) for one in line])
