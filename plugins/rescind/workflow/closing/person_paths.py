"""The paths by which a person reaches what, in words and as a drawing."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from xml.sax.saxutils import escape

from rescind.ledger import Ledger, Run
from rescind.model import GrantKey, PrincipalType
from rescind.plan.access_graph import Node
from rescind.review.text import printable
from rescind.systems.effective import AccessPath, access_text
from rescind.workflow.closing.surroundings import Surroundings, complete_systems, product

DRAWN = 60
"""Paths in one drawing."""
_ROW, _COLUMN, _LONGEST = 24, 28, 110


def person_paths(ledger: Ledger, run: Run, holders: Iterable[GrantKey]) -> Iterator[tuple[str, list[AccessPath]]]:
    """Yield (user in an account, paths) for every user among these holders, over all systems of the product.

    :param holders: keys of grants; only those of users in completely listed systems count.
    """
    users: dict[tuple[str, str], set[str]] = defaultdict(set)
    for key in holders:
        if key.principal_type == PrincipalType.USER:
            users[product(key.system), key.account].add(key.principal_id)
    complete = complete_systems(ledger, run)
    for place, people in sorted(users.items()):
        if systems := complete.get(place):
            account = place[1]
            around = Surroundings(ledger, run, account, systems, people)
            for person in sorted(people):
                ways = sorted(around.paths(person), key=lambda way: (len(way.through), way.describe()))
                yield f"user {person} ({', '.join(systems)}; {account})", ways


def paths_text(title: str, ways: Sequence[AccessPath]) -> Iterator[str]:
    """Yield the paths of one person as lines of text."""
    yield f"paths of {printable(title)}: {len(ways)}"
    yield from (f"  {printable(way.describe())}" for way in ways)


def paths_svg(title: str, ways: Sequence[AccessPath]) -> str:
    """Return a drawing of the first :data:`DRAWN` paths as a tree: the person, what the person is in, what is reached.

    Text of vendors is escaped; the drawing has no scripts, links or styles.
    """
    walks = sorted((*(_named(way, node) for node in way.through), access_text(way.grant)) for way in ways[:DRAWN])
    rows: dict[tuple[str, ...], int] = {(): 0}
    parts = [_text(0, 0, title)]
    for nodes in (walk[:depth] for walk in walks for depth in range(1, len(walk) + 1)):
        if nodes not in rows:
            row = rows[nodes] = len(rows)
            x, above = len(nodes) * _COLUMN, rows[nodes[:-1]] * _ROW
            parts.append(f'<path d="M{x - 8} {above + 28}V{row * _ROW + 18}H{x + 6}" stroke="#999" fill="none"/>')
            parts.append(_text(len(nodes), row, nodes[-1]))
    if len(ways) > DRAWN:
        parts.append(_text(0, len(rows), f"{DRAWN} of {len(ways)} paths"))
    height, width = (len(rows) + 2) * _ROW, 900
    head = f'<svg xmlns="http://www.w3.org/2000/svg" width="{width}" height="{height}" font-family="sans-serif">'
    return "\n".join([head, *parts, "</svg>", ""])


def _named(way: AccessPath, node: Node) -> str:
    return "all users" if node[0] == PrincipalType.EVERYONE else f"{node[0]} {way.names.get(node) or node[1]}"


def _text(depth: int, row: int, text: str) -> str:
    shown = printable(text)
    shown = shown if len(shown) <= _LONGEST else shown[: _LONGEST - 1] + "…"
    return f'<text x="{10 + depth * _COLUMN}" y="{22 + row * _ROW}" font-size="13">{escape(shown)}</text>'
