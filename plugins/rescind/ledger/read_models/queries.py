"""Read-only queries for the web pages, limited in rows and time.

Every method runs in one read-only transaction. Runs are identified by their number and the DAG ids that the reader may
see, so that no caller can omit the permission check.
"""

from __future__ import annotations

from collections.abc import Callable, Collection
from typing import Any, TypeVar

from psycopg.rows import class_row

from rescind.ledger.read_models.item_rows import (
    NO_DEPARTMENT,
    ItemCount,
    ItemFilter,
    ItemLine,
    ItemPage,
    PeoplePage,
    PersonLine,
    ReturnLine,
    SinceLine,
)
from rescind.ledger.read_models.item_sql import (
    BEFORE,
    COMPARED,
    FIND_PERSON,
    ITEMS,
    MATCHING,
    MOST_GROUPS,
    NAMED,
    OF_THE_READER,
    ONE_DEPARTMENT,
    ONE_PERSON,
    PEOPLE,
    PROVEN,
    RETURNS,
    SEARCH,
    SINCE,
    SOURCE,
    SYSTEMS,
    items_page,
)  # fmt: skip
from rescind.ledger.read_models.run_rows import (
    ProgressLine,
    RefusedLine,
    RunFacts,
    RunLine,
    SingleCallLine,
    SystemLine,
    WatchLine,
)
from rescind.ledger.read_models.run_sql import FACTS, PROGRESS, REFUSED, RUNS, SINGLE_CALLS, WATCH
from rescind.ledger.store.database import Connection
from rescind.ledger.store.repository import Repository

T = TypeVar("T")

MOST_REFUSED = 10
MOST_ROWS = 200
_MOST_DAGS = 1_000
_STATEMENT_MS = 10_000


class Views(Repository):
    """Queries for pages. ``dags`` are the DAG ids whose runs the reader may see."""

    def dag_ids(self) -> list[str]:
        """Return the ids of the DAGs with runs or watch checks in this ledger."""
        query = (
            "SELECT dag_id FROM rescind.run UNION SELECT dag_id FROM rescind.watch_check"
            " UNION SELECT dag_id FROM rescind.refusal"
            f" ORDER BY dag_id LIMIT {_MOST_DAGS}"
        )
        return [row["dag_id"] for row in self._select(lambda connection: connection.execute(query).fetchall())]

    def runs(self, dags: Collection[str], *, before: int | None = None, limit: int = 25) -> list[RunLine]:
        """Return the runs, newest first.

        :param before: only runs with a lower number.
        """
        query = f"{RUNS} AND (%(before)s::bigint IS NULL OR r.number < %(before)s) ORDER BY r.number DESC LIMIT %(n)s"
        values = {"dags": list(dags), "before": before, "n": min(limit, MOST_ROWS)}
        return self._select(lambda connection: _all(connection, RunLine, query, values))

    def waiting(self, dags: Collection[str]) -> list[RunLine]:
        """Return the runs whose plan waits for an approver, those that expire first at the top."""
        query = f"""{RUNS} AND r.finished_at IS NULL AND a.requested_at IS NOT NULL AND a.answer IS NULL
            AND NOT EXISTS (SELECT FROM rescind.narrowing n WHERE n.run_no = p.run_no AND n.digest = p.digest)
            AND p.valid_until > clock_timestamp() ORDER BY p.valid_until, r.number LIMIT {MOST_ROWS}"""
        return self._select(lambda connection: _all(connection, RunLine, query, {"dags": list(dags)}))

    def refused(self, dags: Collection[str]) -> list[RefusedLine]:
        """Return the runs that were refused before they began, newest first, each with its last refusal."""
        values = {"dags": list(dags), "limit": MOST_REFUSED}
        return self._select(lambda connection: _all(connection, RefusedLine, REFUSED, values))

    def run(self, number: int, dags: Collection[str]) -> tuple[RunLine, RunFacts] | None:
        """Return one run, or None when it does not exist or the reader may not see it."""
        values = {"dags": list(dags), "run": number}

        def work(connection: Connection) -> tuple[RunLine, RunFacts] | None:
            lines = _all(connection, RunLine, f"{RUNS} AND r.number = %(run)s", values)
            return (lines[0], _all(connection, RunFacts, FACTS, values)[0]) if lines else None

        return self._select(work)

    def systems(self, number: int, dags: Collection[str]) -> list[SystemLine]:
        """Return one line for each permission system and account of a run."""
        values = {"dags": list(dags), "run": number}
        return self._of_items(values, lambda connection: _all(connection, SystemLine, SYSTEMS, values))

    def progress(self, number: int, dags: Collection[str]) -> list[ProgressLine]:
        """Return the last recorded progress of each stage of a run, by permission system and account."""
        values = {"dags": list(dags), "run": number}
        return self._select(lambda connection: _all(connection, ProgressLine, PROGRESS, values))

    def items(
        self,
        number: int,
        dags: Collection[str],
        wanted: ItemFilter,
        *,
        offset: int = 0,
        limit: int = 50,
        most: int = MOST_ROWS,
        total: int | None = None,
    ) -> ItemPage:
        """Return a page of a run's items in a fixed order, and the number of matching items.

        :param limit: rows of the page; at most ``most``.
        :param total: the number of matching items, where the caller knows it.
        """
        values = {
            "run": number,
            "dags": list(dags),
            "system": wanted.system,
            "state": wanted.state,
            "verdict": wanted.verdict,
            "person": wanted.person,
            "department": "" if wanted.department == NO_DEPARTMENT else wanted.department,
            "text": wanted.text,
            "limit": min(limit, most),
            "offset": offset,
        }

        def work(connection: Connection) -> ItemPage:
            since = SINCE.get(wanted.since, "")
            if since:
                values["before"] = _before(connection, values)
                since = since if values["before"] else " AND false"  # nothing is known of it
            further = "".join((
                SEARCH if wanted.text else "", ONE_PERSON if wanted.person else "",
                ONE_DEPARTMENT if wanted.department else "", since,
            ))  # fmt: skip
            return _page(connection, wanted, values, further, total)

        return self._of_items(values, work)

    def since(self, number: int, dags: Collection[str]) -> SinceLine | None:
        """Return how the items of a run compare with the run before it; None without one that can be compared."""
        values: dict[str, Any] = {"run": number, "dags": list(dags)}

        def work(connection: Connection) -> SinceLine | None:
            values["before"] = _before(connection, values)
            return _all(connection, SinceLine, COMPARED, values)[0] if values["before"] else None

        return self._of_items(values, work)

    def people(
        self,
        number: int,
        dags: Collection[str],
        *,
        text: str = "",
        person: str = "",
        offset: int = 0,
        limit: int = 50,
    ) -> PeoplePage:
        """Return a page of the people of a run's items, those with most remaining items first, and their number.

        A page beyond the last one is empty, and its number is 0.

        :param text: part of a name, an id or a department; case does not matter.
        :param person: only this one, by :attr:`PersonLine.person`.
        """
        values = {
            "run": number, "dags": list(dags), "text": text, "person": person, "limit": min(limit, MOST_ROWS),
            "offset": offset,
        }  # fmt: skip

        def work(connection: Connection) -> PeoplePage:
            order = "remaining DESC, unproven DESC, items DESC, name, person LIMIT %(limit)s OFFSET %(offset)s"
            # One pass gives the page and the number of all people.
            mine = PEOPLE.format(person=ONE_PERSON if person else "")
            query = f"SELECT *, count(*) OVER () AS people FROM ({mine}) one {FIND_PERSON} ORDER BY {order}"
            rows = _all(connection, PersonLine, query, values)
            return PeoplePage(rows[0].people if rows else 0, rows)

        return self._of_items(values, work)

    def item_counts(self, number: int, dags: Collection[str]) -> list[ItemCount]:
        """Return the item counts for the filters of a run."""
        query = f"""
            SELECT g.system, i.state, coalesce(v.verdict, '') AS verdict, count(*) AS items,
                   count(*) FILTER (WHERE {PROVEN}) AS proven
            {ITEMS} WHERE {OF_THE_READER} GROUP BY 1, 2, 3 ORDER BY 1, 2, 3 LIMIT {MOST_GROUPS}
        """
        values = {"dags": list(dags), "run": number}
        return self._of_items(values, lambda connection: _all(connection, ItemCount, query, values))

    def returns(self, number: int, dags: Collection[str]) -> list[ReturnLine]:
        """Return the regrants of a run, latest first; at most :data:`MOST_ROWS`."""
        values = {"dags": list(dags), "run": number, "limit": MOST_ROWS}
        return self._select(lambda connection: _all(connection, ReturnLine, RETURNS, values))

    def single_calls(self, number: int, dags: Collection[str]) -> list[SingleCallLine]:
        """Return the calls of a run of single calls, latest first; at most :data:`MOST_ROWS`."""
        values = {"dags": list(dags), "run": number, "limit": MOST_ROWS}
        return self._select(lambda connection: _all(connection, SingleCallLine, SINGLE_CALLS, values))

    def watch(self, dags: Collection[str]) -> WatchLine | None:
        """Return the latest watching run of the DAGs that the reader may see, or None."""
        found = self._select(lambda connection: _all(connection, WatchLine, WATCH, {"dags": list(dags)}))
        return found[0] if found else None

    def _of_items(self, values: dict[str, Any], work: Callable[[Connection], T]) -> T:
        """Do the work with the number of the run whose snapshot holds the grants of the items among the values."""

        def sourced(connection: Connection) -> T:
            row = connection.execute(SOURCE, values).fetchone()
            values["source"] = row["source_no"] if row else values["run"]
            # Every query reads the whole run. Without fresh statistics PostgreSQL would look the rows up one by one.
            connection.execute("SET LOCAL enable_nestloop = off")
            connection.execute("SET LOCAL work_mem = '32MB'")
            return work(connection)

        return self._select(sourced)

    def _select(self, work: Callable[[Connection], T]) -> T:
        def guarded(connection: Connection) -> T:
            connection.execute(f"SET LOCAL statement_timeout = {_STATEMENT_MS}")
            return work(connection)

        return self._db.read(guarded, snapshot=True)


def _all(connection: Connection, kind: type[T], query: str, values: dict[str, Any]) -> list[T]:
    with connection.cursor(row_factory=class_row(kind)) as cursor:
        return cursor.execute(query, values).fetchall()


def _before(connection: Connection, values: dict[str, Any]) -> int | None:
    row = connection.execute(BEFORE, values).fetchone()
    return row["number"] if row else None


def _page(
    connection: Connection, wanted: ItemFilter, values: dict[str, Any], further: str, total: int | None
) -> ItemPage:
    """Read a page of items; with its first pass over them also their number, where nobody knows it."""
    if total is None:
        query = items_page(wanted.sort, wanted.by, further, counted=True, backwards=False)
        rows = _all(connection, ItemLine, query, values)
        if rows or not values["offset"]:
            return ItemPage(rows[0].matching if rows else 0, rows)
        # Behind the last page.
        every = f"SELECT count(*) AS n {ITEMS} {NAMED} {MATCHING} {further}"
        counted = connection.execute(every, values).fetchone()
        return ItemPage(counted["n"] if counted else 0, [])
    size = min(values["limit"], total - values["offset"])
    if size < 1:
        return ItemPage(total, [])
    # A page near the end is read from there: the fewer rows before it, the less there is to sort.
    after = total - values["offset"] - size
    backwards = after < values["offset"]
    query = items_page(wanted.sort, wanted.by, further, counted=False, backwards=backwards)
    place = {"limit": size, "offset": after if backwards else values["offset"]}
    return ItemPage(total, _all(connection, ItemLine, query, {**values, **place}))
