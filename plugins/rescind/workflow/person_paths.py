"""The paths by which a person reaches what, in words and as a drawing."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from itertools import pairwise
from xml.sax.saxutils import escape

from rescind.ledger import Ledger, Run
from rescind.model import GrantKey, PrincipalType
from rescind.plan.access_graph import Node
from rescind.review.text import printable
from rescind.systems import system_named
from rescind.systems.effective import AccessPath, access_text
from rescind.workflow.surroundings import Surroundings, complete_systems

DRAWN = 60
"""Paths in one drawing."""
_ROW, _COLUMN, _LONGEST = 22, 350, 46
_Spot = tuple[int, str]
"""(column, text)."""


def person_paths(ledger: Ledger, run: Run, holders: Iterable[GrantKey]) -> Iterator[tuple[str, list[AccessPath]]]:
    """Yield (user in an account, paths) for every user among these holders, over all systems of the vendor.

    :param holders: keys of grants; only those of users in completely listed systems count.
    """
    users: dict[tuple[str, str], set[str]] = defaultdict(set)
    for key in holders:
        if key.principal_type == PrincipalType.USER:
            users[system_named(key.system).vendor, key.account].add(key.principal_id)
    complete = complete_systems(ledger, run)
    for (vendor, account), people in sorted(users.items()):
        if systems := complete.get((vendor, account)):
            around = Surroundings(ledger, run, account, systems, people)
            for person in sorted(people):
                ways = sorted(around.paths(person), key=lambda way: (len(way.through), way.describe()))
                yield f"user {person} ({vendor} {account})", ways


def paths_text(title: str, ways: Sequence[AccessPath]) -> Iterator[str]:
    """Yield the paths of one person as lines of text."""
    yield f"paths of {printable(title)}: {len(ways)}"
    yield from (f"  {printable(way.describe())}" for way in ways)


def paths_svg(title: str, ways: Sequence[AccessPath]) -> str:
    """Return a drawing of the first :data:`DRAWN` paths: the person, what the person is in, what is reached.

    Text of vendors is escaped; the drawing has no scripts, links or styles.
    """
    depth = max((len(way.through) for way in ways[:DRAWN]), default=0)
    rows: dict[int, dict[str, int]] = defaultdict(dict, {0: {title: 0}})
    lines: set[tuple[_Spot, _Spot]] = set()
    for way in ways[:DRAWN]:
        spots = [(0, title), *((level, _named(way, node)) for level, node in enumerate(way.through, 1))]
        spots.append((depth + 1, access_text(way.grant)))
        for column, text in spots:
            rows[column].setdefault(text, len(rows[column]))
        lines.update(pairwise(spots))
    width, height = _COLUMN * (depth + 2), _ROW * (max(map(len, rows.values())) + 2)
    parts = [f'<svg xmlns="http://www.w3.org/2000/svg" width="{width}" height="{height}" font-family="sans-serif">']
    for (left, one), (right, two) in sorted(lines):
        start, end = _at(left + 1, rows[left][one]), _at(right, rows[right][two])
        parts.append(f'<path d="M{start[0] - 40} {start[1] - 4}L{end[0] - 6} {end[1] - 4}" stroke="#999"/>')
    for column, texts in rows.items():
        parts += [_text(_at(column, row), text) for text, row in texts.items()]
    if len(ways) > DRAWN:
        parts.append(_text((10, height - 6), f"{DRAWN} of {len(ways)} paths"))
    return "\n".join([*parts, "</svg>", ""])


def _named(way: AccessPath, node: Node) -> str:
    return f"{node[0]} {way.names.get(node) or node[1]}"


def _at(column: int, row: int) -> tuple[int, int]:
    return 10 + column * _COLUMN, _ROW * (row + 1)


def _text(place: tuple[int, int], text: str) -> str:
    shown = printable(text)
    shown = shown if len(shown) <= _LONGEST else shown[: _LONGEST - 1] + "…"
    halo = 'stroke="#fff" stroke-width="4" paint-order="stroke"'
    return f'<text x="{place[0]}" y="{place[1]}" font-size="12" {halo}>{escape(shown)}</text>'
