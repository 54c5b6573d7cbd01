"""What the page shows where lines of a plan are chosen: boxes, each the smallest thing that one call can remove."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Any

from psycopg.rows import class_row

from rescind.ledger.plans.selections import Selection
from rescind.ledger.read_models.item_sql import ITEMS, NAME, NAMED, OF_THE_READER, PERSON
from rescind.ledger.read_models.person import PersonViews
from rescind.ledger.store.database import Connection
from rescind.ledger.store.digest import Digest

BOXES_PER_PAGE = 200


@dataclass(frozen=True, slots=True)
class BoxLine:
    """One box: the planned grants of one cell, which a call can only remove together.

    :param value: the smallest id of its grants; it stands for the box in a form.
    :param grants: the ids of its grants, sorted.
    :param person: the roster's id, or ``system/account/type/id`` of the principal.
    :param rights: the entitlements.
    :param why: the reasons why they go.
    :param boxes: how many boxes match in all.
    """

    value: str
    grants: Sequence[str]
    system: str
    account: str
    person: str
    name: str
    department: str
    principal_type: str
    principal_id: str
    resource_type: str
    resource_id: str
    resource_name: str
    rights: Sequence[str]
    why: Sequence[str]
    boxes: int


@dataclass(frozen=True, slots=True)
class BoxFilter:
    """Which boxes a page shows.

    :param text: part of a name, an id, a department or a right; case does not matter.
    :param person: only this one, see :attr:`BoxLine.person`.
    :param offset: how many boxes stand before it.
    """

    text: str = ""
    person: str = ""
    offset: int = 0


@dataclass(frozen=True, slots=True)
class Preview:
    """What a selection leaves of a plan, if the plan without it were made now. Counts are of grants unless stated.

    :param going: those that would still go, and ``principals`` whose they are.
    :param calls: calls that would be sent, and ``before`` those of the whole plan.
    :param closing: those that stay beside the selection, because they would only close paths.
    :param held: those that guards would hold in addition.
    :param guards: the guards in words.
    :param problem: why it is not known; then nothing else is.
    """

    going: int = 0
    principals: int = 0
    calls: int = 0
    before: int = 0
    closing: int = 0
    held: int = 0
    guards: Sequence[str] = ()
    problem: str = ""


_BOXES = f"""
SELECT *, count(*) OVER () AS boxes FROM (
    SELECT (array_agg(i.grant_id ORDER BY i.grant_id))[1] AS value, array_agg(i.grant_id ORDER BY i.grant_id) AS grants,
           g.system, g.account, min({PERSON} COLLATE "C") AS person, min({NAME} COLLATE "C") AS name,
           coalesce(min(d.facts ->> 'person.department' COLLATE "C"), '') AS department,
           min(g.principal_type) AS principal_type, min(g.principal_id COLLATE "C") AS principal_id,
           min(g.resource_type) AS resource_type, min(g.resource_id COLLATE "C") AS resource_id,
           min(g.resource_name COLLATE "C") AS resource_name,
           array_agg(DISTINCT g.entitlement ORDER BY g.entitlement) AS rights,
           (array_agg(DISTINCT coalesce(d.reason, '') ORDER BY coalesce(d.reason, '')))[1:3] AS why
    {ITEMS} {NAMED}
    WHERE {OF_THE_READER} AND i.state = 'planned' AND i.call_id IS NOT NULL
    GROUP BY g.system, g.account, g.cell_container, g.cell_row, g.cell_kind, g.cell_column
) one
WHERE (%(person)s = '' OR person = %(person)s)
  AND (%(values)s::bytea[] IS NULL OR value = ANY(%(values)s))
  AND (%(text)s = '' OR strpos(normalize(lower(concat_ws(E'\n', name, person, principal_id, department, resource_name,
       resource_id, array_to_string(rights, ' '))), NFKC), normalize(lower(%(text)s), NFKC)) > 0)
ORDER BY name, person, system, account, resource_name, resource_id, value LIMIT %(limit)s OFFSET %(offset)s
"""
_SELECTION = """
SELECT s.selection_no AS number, r.run_id, s.digest, s.user_id, s.user_name, s.grant_ids, s.comment, s.chosen_at
FROM rescind.selection s JOIN rescind.run r ON r.number = s.run_no AND r.dag_id = ANY(%(dags)s)
WHERE s.run_no = %(run)s AND s.selection_no = %(number)s
"""


class BoxViews(PersonViews):
    """Queries for the pages on which lines of a plan are chosen."""

    def boxes(self, number: int, dags: Collection[str], wanted: BoxFilter) -> list[BoxLine]:
        """Return one page of the boxes of a plan, by person."""
        given = {"text": wanted.text, "person": wanted.person, "offset": wanted.offset, "limit": BOXES_PER_PAGE}
        return self._boxes({"run": number, "dags": list(dags), "values": None, **given})

    def boxes_named(self, number: int, dags: Collection[str], values: Collection[str]) -> list[BoxLine]:
        """Return the boxes of a plan with these values; those that are not in the plan, or are held, are left out.

        :raises LedgerError: when a value is not a digest.
        """
        ids = [Digest(one) for one in sorted(set(values))]
        given = {"text": "", "person": "", "offset": 0, "limit": len(ids), "values": ids}
        return self._boxes({"run": number, "dags": list(dags), **given}) if ids else []

    def selection(self, number: int, dags: Collection[str], selection: int) -> Selection | None:
        """Return one selection of a run, or None when it does not exist or the reader may not see it."""
        values = {"run": number, "dags": list(dags), "number": selection}

        def work(connection: Connection) -> Selection | None:
            row = connection.execute(_SELECTION, values).fetchone()
            return None if row is None else Selection(**row)

        return self._select(work)

    def _boxes(self, values: dict[str, Any]) -> list[BoxLine]:
        def work(connection: Connection) -> list[BoxLine]:
            with connection.cursor(row_factory=class_row(BoxLine)) as cursor:
                return cursor.execute(_BOXES, values).fetchall()

        return self._of_items(values, work)
