"""A plain drawing of the paths of one person: person, memberships, grants, resources, from left to right.

What goes is a solid line with a cross and the word; what stays is a dashed line, and what ends with a membership before
it a dotted one. Lines and letters have the color of the text around them, so the drawing fits a light and a dark page.
It has no scripts, links or styles.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from xml.sax.saxutils import escape, quoteattr

from rescind.model import PrincipalType
from rescind.plan.access_graph import Node
from rescind.review.text import printable
from rescind.run_state.states import STAYS, Fate
from rescind.workflow.closing.person_paths import MarkedPath

DRAWN = 60
"""Resources and rights in one drawing."""
_ROW, _BOX, _NODE, _GAP, _END = 44, 30, 190, 250, 330
_NODE_TEXT, _END_TEXT, _EDGE_TEXT = 23, 42, 30
_ENDS = "ends"
"""Class of the lines behind a membership that goes."""


@dataclass
class _Place:
    """A box of the tree: its text, the edge that leads to it, and what it leads to."""

    text: str
    kind: str
    edge: str = ""
    fate: Fate = field(default_factory=lambda: Fate(STAYS, "stays"))
    below: dict[tuple[str, ...], _Place] = field(default_factory=dict)
    row: float = 0.0


def paths_svg(title: str, name: str, ways: Sequence[MarkedPath]) -> str:
    """Return the drawing of the first :data:`DRAWN` paths. Text of vendors is escaped.

    :param title: what the drawing shows, for screen readers.
    :param name: the person, for the first box.
    """
    drawn = _joined(ways)
    root = _tree(name, drawn[:DRAWN])
    depth = _depth(root)
    rows = _rows(root, 0)
    more = f"{DRAWN} of {len(drawn)} ends of paths are drawn" if len(drawn) > DRAWN else ""
    width = depth * (_NODE + _GAP) - _NODE + _END + _NODE + 20
    height = int(rows * _ROW) + (48 if more else 20)
    parts = list(_drawn(root, 0, depth))
    if more:
        parts.append(_text(10, height - 12, more))
    head = (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" width="{width}" height="{height}"'
        f' font-family="sans-serif" font-size="13" role="img" aria-label={quoteattr(printable(title))}>'
    )
    return "\n".join([head, f"<title>{escape(printable(title))}</title>", *parts, "</svg>", ""])


def _joined(ways: Iterable[MarkedPath]) -> list[tuple[MarkedPath, list[str]]]:
    """Return the paths with their rights: those that differ in the right alone are one."""
    found: dict[tuple[object, ...], tuple[MarkedPath, list[str]]] = {}
    for way in ways:
        grant = way.path.grant
        place = (way.path.through, grant.key.resource_type, grant.key.resource_id, grant.key.system, way.fate, way.step)
        found.setdefault(place, (way, []))[1].append(grant.key.entitlement)
    return list(found.values())


def _tree(name: str, drawn: Iterable[tuple[MarkedPath, list[str]]]) -> _Place:
    root = _Place(name, "person")
    for number, (way, rights) in enumerate(drawn):
        place, cut = root, way.step
        for step, node in enumerate(way.path.through):
            fate = way.fate if cut == step else _behind(cut, step)
            key = (*node, fate.words)
            word = "is among" if node[0] == PrincipalType.EVERYONE else "is in"
            place = place.below.setdefault(key, _Place(_named(way, node), "group", word, fate))
        grant = way.path.grant
        what = grant.resource_name or grant.key.resource_id
        kind = grant.key.resource_type.replace("_", " ")
        text = what if what == grant.key.resource_type else f"{kind}: {what}"
        last = len(way.path.through)
        fate = way.fate if cut in (None, last) else _behind(cut, last)
        place.below["end", str(number)] = _Place(text, "end", ", ".join(sorted(set(rights))), fate)
    return root


def _behind(cut: int | None, step: int) -> Fate:
    """Return the fate of a step that does not go itself."""
    return Fate(_ENDS, "ends with it") if cut is not None and step > cut else Fate(STAYS, "stays")


def _named(way: MarkedPath, node: Node) -> str:
    if node[0] == PrincipalType.EVERYONE:
        return "all users"
    return f"{node[0].replace('_', ' ')}: {way.path.names.get(node) or node[1]}"


def _depth(place: _Place) -> int:
    """Return the number of columns before the column of resources."""
    return max((1 + _depth(one) for one in place.below.values() if one.kind != "end"), default=1)


def _rows(place: _Place, first: float) -> float:
    """Give every box its row, in the middle of what it leads to; return the rows that it takes."""
    if not place.below:
        place.row = first
        return 1
    taken = 0.0
    for one in place.below.values():
        taken += _rows(one, first + taken)
    rows = [one.row for one in place.below.values()]
    place.row = (rows[0] + rows[-1]) / 2
    return taken


def _drawn(place: _Place, column: int, depth: int) -> Iterable[str]:
    left, middle = 10 + column * (_NODE + _GAP), place.row * _ROW + 10 + _BOX / 2
    for one in place.below.values():
        to = depth if one.kind == "end" else column + 1
        yield from _edge(left + _NODE, middle, 10 + to * (_NODE + _GAP), one.row * _ROW + 10 + _BOX / 2, one)
        yield from _drawn(one, to, depth)
    width, most = (_END, _END_TEXT) if place.kind == "end" else (_NODE, _NODE_TEXT)
    radius = {"person": _BOX / 2, "group": 8}.get(place.kind, 0)
    double = ' stroke-width="2"' if place.kind == "group" else ""
    yield (
        f'<rect x="{left}" y="{middle - _BOX / 2:g}" width="{width}" height="{_BOX}" rx="{radius:g}" fill="none"'
        f' stroke="currentColor"{double}/>'
    )
    yield _text(left + 10, middle + 4, _cut(place.text, most))


def _edge(x: float, y: float, to_x: float, to_y: float, one: _Place) -> Iterable[str]:
    """Draw the edge to a box: down at once, then across with its words above the line."""
    goes = one.fate.kind not in (STAYS, _ENDS)
    style = 'stroke-width="2"' if goes else f'stroke-dasharray="{"2 5" if one.fate.kind == _ENDS else "6 4"}"'
    turn = x + 14
    yield (
        f'<path class="{one.fate.kind}" d="M{x:g} {y:g}H{turn:g}V{to_y:g}H{to_x:g}" fill="none" stroke="currentColor"'
        f" {style}/>"
    )
    if goes:
        at = to_x - 14
        yield (
            f'<path class="{one.fate.kind}" d="M{at - 6:g} {to_y - 6:g}l12 12m0 -12l-12 12" stroke="currentColor"'
            ' stroke-width="2.5"/>'
        )
    space = _EDGE_TEXT - len(one.fate.words)
    yield _text(turn + 8, to_y - 5, f"{_cut(one.edge, max(space, 8))}: {one.fate.words}", size=12)


def _text(x: float, y: float, text: str, size: int = 13) -> str:
    return f'<text x="{x:g}" y="{y:g}" font-size="{size}" fill="currentColor">{escape(printable(text))}</text>'


def _cut(text: str, most: int) -> str:
    """Cut a text to the width of its box. A wide letter counts twice."""
    taken, shown = 0, list[str]()
    for letter in printable(text):
        taken += 1 + (ord(letter) >= 0x1100)
        if taken > most:
            return "".join(shown)[:-1] + "…"
        shown.append(letter)
    return "".join(shown)
