"""Plain charts as SVG: bars in groups, and a line over time. They hold numbers, dates and our own words only.

Lines and letters have the color of the text around them; bars also differ by their filling. Styles come from the page:
there are no scripts, links or styles inside. Each chart stands beside a table with the same figures.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from xml.sax.saxutils import escape, quoteattr

from rescind.i18n import tr

_WIDTH, _HEIGHT, _TOP, _BOTTOM = 620, 210, 24, 26
_BAR, _GAP = 22, 4


@dataclass(frozen=True, slots=True)
class Bar:
    """One bar: the class of its filling, its value, and what it means."""

    kind: str
    value: int
    words: str


def bars_svg(title: str, groups: Sequence[tuple[str, Sequence[Bar]]]) -> str:
    """Return bars in groups from left to right, with their values above and the names of the groups below.

    :param title: for screen readers.
    :param groups: (name, bars); at least one.
    """
    most = max((bar.value for _, bars in groups for bar in bars), default=0) or 1
    each = (_WIDTH - 20) / len(groups)
    parts = [
        '<defs><pattern id="hatch" width="6" height="6" patternUnits="userSpaceOnUse" patternTransform="rotate(45)">'
        '<path class="reachable" d="M0 0V6" stroke="currentColor" stroke-width="6"/></pattern></defs>'
    ]
    base = _HEIGHT - _BOTTOM
    for number, (name, bars) in enumerate(groups):
        wide = min(_BAR, (each - 12) / len(bars) - _GAP)
        left = 10 + number * each + (each - len(bars) * (wide + _GAP)) / 2
        for place, bar in enumerate(bars):
            x = left + place * (wide + _GAP)
            high = (base - _TOP) * bar.value / most
            high = max(high, 1.5) if bar.value else 0
            parts.append(
                f'<rect class="{bar.kind}" x="{x:.1f}" y="{base - high:.1f}" width="{wide:.1f}" height="{high:.1f}">'
                f"<title>{escape(f'{name}, {bar.words}: {bar.value}')}</title></rect>"
            )
            parts.append(_text(x + wide / 2, base - high - 5, short(bar.value), "middle", 11))
        parts.append(_text(10 + (number + 0.5) * each, _HEIGHT - 8, name, "middle"))
    parts.append(f'<path class="axis" d="M10 {base}H{_WIDTH - 10}"/>')
    return _svg(title, parts)


def line_svg(title: str, points: Sequence[tuple[datetime, int]]) -> str:
    """Return a line over time, with its first, highest and last value.

    :param title: for screen readers.
    :param points: (when, value) in the order of time; at least two.
    """
    most = max(value for _, value in points) or 1
    begin, end = points[0][0], points[-1][0]
    whole = max((end - begin).total_seconds(), 1.0)
    left, right, base = 14, _WIDTH - 60, _HEIGHT - _BOTTOM

    def at(point: tuple[datetime, int]) -> tuple[float, float]:
        x = left + (right - left) * (point[0] - begin).total_seconds() / whole
        return x, base - (base - _TOP) * point[1] / most

    places = [at(one) for one in points]
    drawn = " ".join(f"{x:.1f},{y:.1f}" for x, y in places)
    x, y = places[-1]
    parts = [
        f'<polygon class="area" points="{left},{base} {drawn} {x:.1f},{base}"/>',
        f'<polyline class="line" points="{drawn}"/>',
        f'<path class="axis" d="M{left} {base}H{_WIDTH - 10}"/>',
        *(f'<circle class="dot" cx="{px:.1f}" cy="{py:.1f}" r="2.5"/>' for px, py in places),
        _text(x + 8, y + 4, short(points[-1][1]), "start", 14),
        _text(left, _HEIGHT - 8, f"{begin:%Y-%m-%d}", "start"),
        _text(x, _HEIGHT - 8, tr("now"), "middle"),
    ]
    peak = max(range(len(points)), key=lambda place: points[place][1])
    if peak not in (0, len(points) - 1):
        parts.append(_text(places[peak][0], places[peak][1] - 7, short(points[peak][1]), "middle", 11))
    elif peak == 0:
        parts.append(_text(left, places[0][1] - 7, short(points[0][1]), "start", 11))
    return _svg(title, parts)


def short(value: int) -> str:
    """Return a number that fits above a bar: 981, 2.3k, 14k, 1.2M."""
    for size, unit in ((1_000_000, "M"), (1_000, "k")):
        if value >= size:
            part = value / size
            return f"{part:.1f}{unit}" if part < 10 else f"{part:.0f}{unit}"
    return str(value)


def _svg(title: str, parts: Sequence[str]) -> str:
    head = (
        f'<svg class="chart" viewBox="0 0 {_WIDTH} {_HEIGHT}" font-family="sans-serif" role="img"'
        f" aria-label={quoteattr(title)}>"
    )
    return "\n".join([head, *parts, "</svg>"])


def _text(x: float, y: float, text: str, anchor: str, size: int = 12) -> str:
    return (
        f'<text x="{x:.1f}" y="{y:.1f}" font-size="{size}" text-anchor="{anchor}" fill="currentColor"'
        f' aria-hidden="true">{escape(text)}</text>'
    )
