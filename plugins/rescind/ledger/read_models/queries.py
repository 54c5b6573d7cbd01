"""Read-only queries for the web pages, limited in rows and time.

Every method runs in one read-only transaction. Runs are identified by their number and the DAG ids that the reader may
see, so that no caller can omit the permission check.
"""

from __future__ import annotations

from collections.abc import Callable, Collection
from typing import Any, TypeVar

from psycopg.rows import class_row

from rescind.ledger.population.grant_rows import KEY_SELECT
from rescind.ledger.read_models.rows import (
    STALE_S,
    ItemCount,
    ItemFilter,
    ItemLine,
    ItemPage,
    PeoplePage,
    PersonLine,
    ProgressLine,
    RefusedLine,
    ReturnLine,
    RunFacts,
    RunLine,
    SingleCallLine,
    SystemLine,
    WatchLine,
)
from rescind.ledger.read_models.run_sql import FACTS, GONE, RUNS
from rescind.ledger.store.database import Connection
from rescind.ledger.store.repository import Repository

T = TypeVar("T")

MOST_REFUSED = 10
MOST_ROWS = 200
_MOST_DAGS = 1_000
MOST_GROUPS = 500
_STATEMENT_MS = 10_000
PROVEN = f"(CASE l.operation WHEN 'restore' THEN i.state = 'restored' ELSE coalesce(v.verdict IN {GONE}, false) END)"

# The grants of a restore's items are in the snapshot of the run that it restores. Its number is a value of the
# statement, not only a column of the plan: so PostgreSQL knows how many rows there are, and joins them by hash.
_ITEMS = """
FROM rescind.plan_item i
JOIN rescind.plan l ON l.run_no = i.run_no AND l.state <> 'superseded'
JOIN rescind.grant_row g ON g.run_no = l.source_no AND g.run_no = %(source)s AND g.grant_id = i.grant_id
LEFT JOIN rescind.verdict_latest v ON v.run_no = i.run_no AND v.grant_id = i.grant_id
"""

_SOURCE = "SELECT source_no FROM rescind.plan WHERE run_no = %(run)s AND state <> 'superseded'"

# The columns of GrantLine; needs the join below.
# The roster's name is in the decisions on grants that go; the platform's own name is in the grant or its principal.
_NAME = "coalesce(nullif(d.facts ->> 'person.name', ''), nullif(g.principal_name, ''), p.name, '')"
_GRANT = f"{KEY_SELECT}, g.resource_name, {_NAME} AS principal_name"
_PERSON = """
coalesce(nullif(d.facts ->> 'person.id', ''),
         g.system || '/' || g.account || '/' || g.principal_type || '/' || g.principal_id)
"""
_NAMED = """
LEFT JOIN rescind.principal p ON p.run_no = g.run_no AND p.scope_no = g.scope_no
     AND p.principal_type = g.principal_type AND p.principal_id = g.principal_id
LEFT JOIN rescind.decision d ON d.run_no = g.run_no AND d.grant_id = g.grant_id
"""

_OF_THE_READER = """
i.run_no = %(run)s AND EXISTS (SELECT FROM rescind.run r WHERE r.number = %(run)s AND r.dag_id = ANY(%(dags)s))
"""

_MATCHING = f"""
WHERE {_OF_THE_READER}
  AND (%(system)s = '' OR g.system = %(system)s)
  AND (%(state)s = '' OR i.state = %(state)s)
  AND (%(verdict)s = '' OR v.verdict = %(verdict)s OR (%(verdict)s = 'none' AND v.verdict IS NULL)
       OR (%(verdict)s = 'open' AND NOT {PROVEN}))
"""

_ONE_PERSON = f"  AND {_PERSON} = %(person)s\n"

# Of each person one item tells what the roster says: the facts of all items take most of the time of the query.
_PEOPLE = f"""
SELECT one.person, coalesce({_NAME}, '') AS name, coalesce(d.facts ->> 'person.id', '') AS roster_id,
       g.principal_type, g.principal_id, coalesce(d.facts ->> 'person.department', '') AS department,
       coalesce(nullif(d.facts ->> 'person.status', 'unknown'), '') AS status,
       coalesce(replace(left(nullif(d.facts ->> 'person.terminated_at', 'unknown'), 16), 'T', ' '), '') AS gone_from,
       coalesce(d.facts ->> 'matched_by', '') AS matched,
       one.systems, one.items, one.held, one.proven, one.unproven, one.effective, one.remaining
FROM (
    SELECT ({_PERSON}) COLLATE "C" AS person, array_agg(DISTINCT g.system ORDER BY g.system) AS systems,
           (array_agg(i.grant_id ORDER BY g.principal_name = '', g.principal_id COLLATE "C"))[1] AS grant_id,
           count(*) AS items, count(*) FILTER (WHERE i.state = 'held') AS held,
           count(*) FILTER (WHERE {PROVEN}) AS proven,
           count(*) FILTER (WHERE v.verdict = 'record_gone') AS unproven,
           count(*) FILTER (WHERE v.verdict = 'still_effective') AS effective,
           count(*) FILTER (WHERE NOT {PROVEN} AND v.verdict IS DISTINCT FROM 'record_gone') AS remaining
    {_ITEMS} LEFT JOIN rescind.decision d ON d.run_no = g.run_no AND d.grant_id = g.grant_id
    WHERE {_OF_THE_READER} {{person}} GROUP BY 1
) one JOIN rescind.grant_row g ON g.run_no = %(source)s AND g.grant_id = one.grant_id
{_NAMED}
"""
_FIND_PERSON = """
WHERE %(text)s = '' OR strpos(lower(concat_ws(E'\n', name, person, principal_id, department)), lower(%(text)s)) > 0
"""

# Only a search needs the names and rules of all items.
_SEARCH = """
  AND strpos(lower(concat_ws(E'\n', d.facts ->> 'person.name', d.facts ->> 'person.id', d.facts ->> 'person.department',
       g.principal_name, p.name, g.principal_id, g.resource_name, g.resource_id, g.entitlement, g.native_id, d.rule)),
       lower(%(text)s)) > 0
"""

# The order needs the names of all items; everything else is read for the rows of the page only.
_PAGE = f"""
WITH chosen AS MATERIALIZED (
    SELECT i.grant_id, {_NAME} AS shown_name {_ITEMS} {_NAMED} {_MATCHING} {{search}}
    ORDER BY g.system, g.account, shown_name, g.principal_id, g.resource_id, i.grant_id
    LIMIT %(limit)s OFFSET %(offset)s
)
SELECT {_GRANT}, i.grant_id, i.state, i.reason, coalesce(d.rule, '') AS rule, coalesce(d.reason, '') AS why,
       coalesce(v.verdict, '') AS verdict, coalesce(v.path, '') AS path, v.observed_at, i.call_id,
       coalesce(d.facts ->> 'person.id', '') AS person, coalesce(d.facts ->> 'person.department', '') AS department,
       coalesce(a.outcome, '') AS outcome, coalesce(a.code, '') AS code, coalesce(a.request_id, '') AS request_id,
       a.sent_at
FROM chosen JOIN rescind.plan_item i ON i.run_no = %(run)s AND i.grant_id = chosen.grant_id
JOIN rescind.grant_row g ON g.run_no = %(source)s AND g.grant_id = i.grant_id
LEFT JOIN LATERAL (
    SELECT verdict, path, observed_at FROM rescind.verdict v
    WHERE v.run_no = i.run_no AND v.grant_id = i.grant_id ORDER BY verdict_no DESC LIMIT 1
) v ON true
{_NAMED}
LEFT JOIN LATERAL (
    SELECT outcome, code, request_id, sent_at FROM rescind.attempt a
    WHERE a.run_no = i.run_no AND a.call_id = i.call_id ORDER BY n DESC LIMIT 1
) a ON true
ORDER BY g.system, g.account, chosen.shown_name, g.principal_id, g.resource_id, i.grant_id
"""

# Restored items were accepted before.
_SYSTEMS = f"""
WITH scopes AS (
    SELECT s.system, s.account, bool_and(s.state = 'complete') AS complete, sum(s.counted)::bigint AS discovered,
           bool_or(s.part = 'named people only') AS named
    FROM rescind.scope s JOIN rescind.run r ON r.number = s.run_no AND r.dag_id = ANY(%(dags)s)
    WHERE run_no = %(run)s GROUP BY 1, 2
), items AS (
    SELECT g.system, g.account, count(*) AS items,
           count(*) FILTER (WHERE i.state = 'held') AS held,
           count(*) FILTER (WHERE i.state IN ('accepted', 'restored')) AS accepted,
           count(*) FILTER (WHERE i.state = 'refused') AS refused,
           count(*) FILTER (WHERE i.state IN ('unknown', 'sent')) AS unknown,
           count(*) FILTER (WHERE i.state IN ('stale', 'expired')) AS stale,
           count(*) FILTER (WHERE i.state IN ('planned', 'approved')) AS not_sent,
           count(*) FILTER (WHERE {PROVEN}) AS proven,
           count(*) FILTER (WHERE v.verdict = 'record_gone') AS record_gone,
           count(*) FILTER (WHERE v.verdict = 'still_present') AS still_present,
           count(*) FILTER (WHERE v.verdict = 'still_effective') AS still_effective,
           count(*) FILTER (WHERE v.verdict = 'unverified') AS unverified
    {_ITEMS} WHERE {_OF_THE_READER} GROUP BY 1, 2
)
SELECT system, account, coalesce(complete, false) AS complete, coalesce(named, false) AS named,
       coalesce(discovered, 0) AS discovered,
       {
    ", ".join(
        f"coalesce({name}, 0) AS {name}"
        for name in (
            "items",
            "held",
            "accepted",
            "refused",
            "unknown",
            "stale",
            "not_sent",
            "proven",
            "record_gone",
            "still_present",
            "still_effective",
            "unverified",
        )
    )
}
FROM scopes FULL JOIN items USING (system, account) ORDER BY 1, 2 LIMIT {MOST_GROUPS}
"""

# A batch without recorded progress counts too: its calls are still to be sent.
_PROGRESS = f"""
WITH noted AS (
    SELECT p.*, b.batch_id, coalesce(b.system, s.system) AS system, coalesce(b.account, s.account) AS account,
           greatest(extract(epoch FROM clock_timestamp() - p.updated_at), 0)::float AS age_s
    FROM rescind.progress p JOIN rescind.run r ON r.number = p.run_no AND r.dag_id = ANY(%(dags)s)
    LEFT JOIN rescind.scope s ON s.run_no = p.run_no AND s.scope_id = p.lane
    LEFT JOIN rescind.batch b ON b.run_no = p.run_no AND encode(b.batch_id, 'hex') = p.lane
    WHERE p.run_no = %(run)s
), units AS (
    SELECT stage, system, account, label, done, total, per_second, age_s, started_at,
           total = 0 OR done < total AS going
    FROM noted
    UNION ALL
    SELECT p.operation, b.system, b.account, b.label,
           (SELECT count(*) FROM rescind.call c WHERE c.run_no = b.run_no AND c.batch_id = b.batch_id
               AND c.state NOT IN ('pending', 'sent')), b.calls, 0, 0, NULL, false
    FROM rescind.batch b JOIN rescind.run r ON r.number = b.run_no AND NOT r.dry_run AND r.dag_id = ANY(%(dags)s)
    JOIN rescind.plan p ON p.run_no = b.run_no AND p.state <> 'superseded'
    WHERE b.run_no = %(run)s AND NOT EXISTS (
        SELECT FROM noted n WHERE n.batch_id = b.batch_id AND n.stage = p.operation)
)
SELECT stage, coalesce(system, '') AS system, coalesce(account, '') AS account, min(label) AS label,
       sum(done)::bigint AS done, CASE WHEN bool_or(total = 0) THEN 0 ELSE sum(total) END::bigint AS total,
       coalesce(sum(per_second) FILTER (WHERE going AND age_s <= {STALE_S}), 0) AS per_second,
       coalesce(min(age_s) FILTER (WHERE going), 0) AS age_s
FROM units GROUP BY stage, system, account, CASE WHEN system IS NULL THEN label END
ORDER BY min(started_at), stage, system, account LIMIT {MOST_GROUPS}
"""


# The regrants of a run, each with its latest observation.
_RETURNS = f"""
WITH seen AS (
    SELECT s.grant_id, min(s.seen_at) AS first_seen, max(s.sighting_no) AS latest,
           count(DISTINCT (c.dag_id, c.airflow_run_id)) AS times
    FROM rescind.sighting s JOIN rescind.watch_check c USING (check_no)
    JOIN rescind.run r ON r.number = s.run_no AND r.dag_id = ANY(%(dags)s)
    WHERE s.run_no = %(run)s GROUP BY s.grant_id
)
SELECT {_GRANT}, seen.first_seen, s.seen_at AS last_seen, seen.times, s.entitlement AS seen_entitlement,
       s.native_id AS seen_native_id, s.created_raw AS seen_created, s.expires_raw AS seen_expires,
       s.origin AS seen_origin
FROM seen JOIN rescind.sighting s ON s.sighting_no = seen.latest
JOIN rescind.grant_row g ON g.run_no = s.run_no AND g.grant_id = s.grant_id
{_NAMED}
ORDER BY s.seen_at DESC, g.system, g.account, principal_name, g.principal_id, g.resource_id LIMIT %(limit)s
"""

_SINGLE_CALLS = """
SELECT c.task_id, c.map_index, c.system, c.account, c.conn_id, c.action, c.parameters::text AS parameters, c.outcome,
       c.code, c.request_id, c.intent_at
FROM rescind.single_call c JOIN rescind.run r ON r.number = c.run_no AND r.dag_id = ANY(%(dags)s)
WHERE c.run_no = %(run)s ORDER BY c.attempt_no DESC LIMIT %(limit)s
"""

# Of two checks in one watching run the later one is used.
_WATCH = """
WITH newest AS (
    SELECT dag_id, airflow_run_id FROM rescind.watch_check WHERE dag_id = ANY(%(dags)s) ORDER BY check_no DESC LIMIT 1
), checks AS (
    SELECT DISTINCT ON (system, account) c.* FROM rescind.watch_check c JOIN newest USING (dag_id, airflow_run_id)
    ORDER BY system, account, check_no DESC
)
SELECT min(dag_id) AS dag_id, max(checked_at) AS checked_at, sum(watched) AS watched, sum(still_gone) AS still_gone,
       sum(returned) AS returned, sum(not_checked) AS not_checked
FROM checks HAVING count(*) > 0
"""

# A run that was cleared and began after all is not among them.
_REFUSED = """
SELECT * FROM (
    SELECT DISTINCT ON (f.dag_id, f.airflow_run_id) f.dag_id, f.airflow_run_id, f.requested_by, f.reason, f.dry_run,
           f.said, f.kind, f.refused_at
    FROM rescind.refusal f WHERE f.dag_id = ANY(%(dags)s) AND NOT EXISTS (
        SELECT 1 FROM rescind.run r WHERE r.dag_id = f.dag_id AND r.airflow_run_id = f.airflow_run_id)
    ORDER BY f.dag_id, f.airflow_run_id, f.refusal_no DESC
) one ORDER BY refused_at DESC LIMIT %(limit)s
"""


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
            AND p.valid_until > clock_timestamp() ORDER BY p.valid_until, r.number LIMIT {MOST_ROWS}"""
        return self._select(lambda connection: _all(connection, RunLine, query, {"dags": list(dags)}))

    def refused(self, dags: Collection[str]) -> list[RefusedLine]:
        """Return the runs that were refused before they began, newest first, each with its last refusal."""
        values = {"dags": list(dags), "limit": MOST_REFUSED}
        return self._select(lambda connection: _all(connection, RefusedLine, _REFUSED, values))

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
        return self._of_items(values, lambda connection: _all(connection, SystemLine, _SYSTEMS, values))

    def progress(self, number: int, dags: Collection[str]) -> list[ProgressLine]:
        """Return the last recorded progress of each stage of a run, by permission system and account."""
        values = {"dags": list(dags), "run": number}
        return self._select(lambda connection: _all(connection, ProgressLine, _PROGRESS, values))

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
            "text": wanted.text,
            "limit": min(limit, most),
            "offset": offset,
        }

        def work(connection: Connection) -> ItemPage:
            further = f"{_SEARCH if wanted.text else ''}{_ONE_PERSON if wanted.person else ''}"
            every = f"{_ITEMS} {_NAMED} {_MATCHING} {further}" if further else f"{_ITEMS} {_MATCHING}"
            count = total
            if count is None:
                counted = connection.execute(f"SELECT count(*) AS n {every}", values).fetchone()
                count = counted["n"] if counted else 0
            rows = _all(connection, ItemLine, _PAGE.format(search=further), values) if offset < count else []
            return ItemPage(count, rows)

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
            mine = _PEOPLE.format(person=_ONE_PERSON if person else "")
            query = f"SELECT *, count(*) OVER () AS people FROM ({mine}) one {_FIND_PERSON} ORDER BY {order}"
            rows = _all(connection, PersonLine, query, values)
            return PeoplePage(rows[0].people if rows else 0, rows)

        return self._of_items(values, work)

    def item_counts(self, number: int, dags: Collection[str]) -> list[ItemCount]:
        """Return the item counts for the filters of a run."""
        query = f"""
            SELECT g.system, i.state, coalesce(v.verdict, '') AS verdict, count(*) AS items,
                   count(*) FILTER (WHERE {PROVEN}) AS proven
            {_ITEMS} WHERE {_OF_THE_READER} GROUP BY 1, 2, 3 ORDER BY 1, 2, 3 LIMIT {MOST_GROUPS}
        """
        values = {"dags": list(dags), "run": number}
        return self._of_items(values, lambda connection: _all(connection, ItemCount, query, values))

    def returns(self, number: int, dags: Collection[str]) -> list[ReturnLine]:
        """Return the regrants of a run, latest first; at most :data:`MOST_ROWS`."""
        values = {"dags": list(dags), "run": number, "limit": MOST_ROWS}
        return self._select(lambda connection: _all(connection, ReturnLine, _RETURNS, values))

    def single_calls(self, number: int, dags: Collection[str]) -> list[SingleCallLine]:
        """Return the calls of a run of single calls, latest first; at most :data:`MOST_ROWS`."""
        values = {"dags": list(dags), "run": number, "limit": MOST_ROWS}
        return self._select(lambda connection: _all(connection, SingleCallLine, _SINGLE_CALLS, values))

    def watch(self, dags: Collection[str]) -> WatchLine | None:
        """Return the latest watching run of the DAGs that the reader may see, or None."""
        found = self._select(lambda connection: _all(connection, WatchLine, _WATCH, {"dags": list(dags)}))
        return found[0] if found else None

    def _of_items(self, values: dict[str, Any], work: Callable[[Connection], T]) -> T:
        """Do the work with the number of the run whose snapshot holds the grants of the items among the values."""

        def sourced(connection: Connection) -> T:
            row = connection.execute(_SOURCE, values).fetchone()
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
