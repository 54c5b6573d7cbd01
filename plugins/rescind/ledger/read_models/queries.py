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
    ProgressLine,
    ReturnLine,
    RunFacts,
    RunLine,
    SingleCallLine,
    SystemLine,
    WatchLine,
)
from rescind.ledger.store.database import Connection
from rescind.ledger.store.repository import Repository

T = TypeVar("T")

MOST_ROWS = 200
_MOST_DAGS = 1_000
_MOST_GROUPS = 500
_STATEMENT_MS = 10_000
_GONE = "('verified_gone', 'already_absent')"
_PROVEN = f"(CASE l.operation WHEN 'restore' THEN i.state = 'restored' ELSE coalesce(v.verdict IN {_GONE}, false) END)"

_RUNS = f"""
SELECT r.number, r.run_id, r.dag_id, r.airflow_run_id, r.kind, r.requested_by, r.reason, r.ticket, r.dry_run, r.state,
       r.started_at, r.finished_at, coalesce(p.operation, 'revoke') AS operation, p.calls, p.items,
       CASE p.operation WHEN 'restore'
           THEN (SELECT count(*) FROM rescind.plan_item i WHERE i.run_no = r.number AND i.state = 'restored')
           ELSE (SELECT count(*) FROM rescind.verdict_latest v WHERE v.run_no = r.number AND v.verdict IN {_GONE})
       END AS proven,
       CASE WHEN jsonb_typeof(r.summary -> 'findings') = 'array' THEN jsonb_array_length(r.summary -> 'findings')
       END AS findings,
       a.answer, a.responded_by, a.automatic,
       (SELECT count(*) FROM rescind.scope s WHERE s.run_no = r.number) AS scopes,
       (SELECT count(*) FROM rescind.scope s WHERE s.run_no = r.number AND s.state = 'pending') AS scopes_pending,
       (SELECT count(*) FROM rescind.call c WHERE c.run_no = r.number AND r.finished_at IS NULL
           AND c.state IN ('pending', 'sent')) AS calls_open,
       a.requested_at AS asked_at, p.valid_until, k.number AS blocked_by, k.since AS blocked_since,
       (SELECT min(q.asked_at) FROM rescind.question q WHERE q.run_no = r.number AND q.method = '') AS owners_asked_at,
       (SELECT count(*) FROM rescind.question q WHERE q.run_no = r.number AND q.method = '') AS owners_open,
       (SELECT count(DISTINCT s.grant_id) FROM rescind.sighting s WHERE s.run_no = r.number) AS returned
FROM rescind.run r
LEFT JOIN rescind.plan p ON p.run_no = r.number AND p.state <> 'superseded'
LEFT JOIN rescind.approval a ON a.run_no = p.run_no AND a.digest = p.digest
LEFT JOIN LATERAL (
    SELECT l.run_no AS number, l.acquired_at AS since FROM rescind.batch b
    JOIN rescind.scope_lock l ON l.system = b.system AND l.account = b.account AND l.run_no <> r.number
    WHERE b.run_no = r.number AND r.finished_at IS NULL AND NOT r.dry_run AND p.state IN ('approved', 'executing')
        AND l.expires_at > clock_timestamp() AND p.valid_until > clock_timestamp()
    ORDER BY l.acquired_at LIMIT 1
) k ON true
WHERE r.dag_id = ANY(%(dags)s)
"""

_FACTS = """
SELECT ARRAY(SELECT left(line, 2000) FROM jsonb_array_elements_text(
           CASE WHEN jsonb_typeof(r.summary -> 'problems') = 'array' THEN r.summary -> 'problems' ELSE '[]' END
       ) AS line LIMIT 50) AS problems,
       coalesce(left(r.summary ->> 'next_step', 2000), '') AS next_step,
       coalesce(r.summary ->> 'report', r.summary -> 'evidence' ->> 'report', '') AS report,
       coalesce(r.summary ->> 'bundle', r.summary -> 'evidence' ->> 'bundle', '') AS bundle,
       coalesce(encode(p.digest, 'hex'), '') AS plan, p.lower_bound, a.responded_at,
       r.policy_version, r.code_version, coalesce(encode(i.sha256, 'hex'), '') AS settings,
       coalesce(i.source, '') AS settings_source, i.facts ->> 'compared_with' AS settings_compared_with,
       ARRAY(SELECT left(line, 200) FROM jsonb_array_elements_text(CASE
           WHEN jsonb_typeof(i.facts #> '{record,hidden}') = 'array' THEN i.facts #> '{record,hidden}' ELSE '[]' END
       ) AS line LIMIT 50) AS settings_hidden,
       ARRAY(SELECT left(line ->> 0, 200) FROM jsonb_array_elements(CASE
           WHEN jsonb_typeof(i.facts -> 'changes') = 'array' THEN i.facts -> 'changes' ELSE '[]' END
       ) AS line LIMIT 50) AS settings_changed,
       ARRAY(SELECT left(line, 300) FROM jsonb_array_elements_text(CASE
           WHEN jsonb_typeof(o.facts -> 'remarks') = 'array' THEN o.facts -> 'remarks' ELSE '[]' END
       ) AS line LIMIT 50) AS roster_remarks
FROM rescind.run r
LEFT JOIN rescind.plan p ON p.run_no = r.number AND p.state <> 'superseded'
LEFT JOIN rescind.approval a ON a.run_no = p.run_no AND a.digest = p.digest
LEFT JOIN rescind.input i ON i.run_no = r.number AND i.name = 'settings'
LEFT JOIN rescind.input o ON o.run_no = r.number AND o.name = 'roster'
WHERE r.number = %(run)s AND r.dag_id = ANY(%(dags)s)
"""

# The grants of a restore's items are in the snapshot of the run that it restores.
_ITEMS = """
FROM rescind.plan_item i
JOIN rescind.plan l ON l.run_no = i.run_no AND l.state <> 'superseded'
JOIN rescind.grant_row g ON g.run_no = l.source_no AND g.grant_id = i.grant_id
LEFT JOIN rescind.verdict_latest v ON v.run_no = i.run_no AND v.grant_id = i.grant_id
"""

# The columns of GrantLine; needs the join below.
_GRANT = f"{KEY_SELECT}, g.resource_name, coalesce(nullif(g.principal_name, ''), p.name, '') AS principal_name"
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
       OR (%(verdict)s = 'open' AND NOT {_PROVEN}))
"""

# Only a search needs the names and rules of all items.
_SEARCH = """
  AND strpos(lower(concat_ws(E'\\n', coalesce(nullif(g.principal_name, ''), p.name), g.principal_id,
       g.resource_name, g.resource_id, g.entitlement, g.native_id, d.rule)), lower(%(text)s)) > 0
"""

_PAGE = f"""
WITH page AS (
    SELECT {_GRANT}, i.grant_id, i.state, i.reason, coalesce(d.rule, '') AS rule, coalesce(d.reason, '') AS why,
           coalesce(v.verdict, '') AS verdict, coalesce(v.path, '') AS path, v.observed_at, i.call_id
    {_ITEMS} {_NAMED} {_MATCHING} {{search}}
    ORDER BY g.system, g.account, principal_name, g.principal_id, g.resource_id, i.grant_id
    LIMIT %(limit)s OFFSET %(offset)s
)
SELECT page.*, coalesce(a.outcome, '') AS outcome, coalesce(a.code, '') AS code,
       coalesce(a.request_id, '') AS request_id, a.sent_at
FROM page LEFT JOIN LATERAL (
    SELECT outcome, code, request_id, sent_at FROM rescind.attempt a
    WHERE a.run_no = %(run)s AND a.call_id = page.call_id ORDER BY n DESC LIMIT 1
) a ON true
ORDER BY page.system, page.account, page.principal_name, page.principal_id, page.resource_id, page.grant_id
"""

# Restored items were accepted before.
_SYSTEMS = f"""
WITH scopes AS (
    SELECT s.system, s.account, bool_and(s.state = 'complete') AS complete, sum(s.counted)::bigint AS discovered
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
           count(*) FILTER (WHERE {_PROVEN}) AS proven,
           count(*) FILTER (WHERE v.verdict = 'record_gone') AS record_gone,
           count(*) FILTER (WHERE v.verdict = 'still_present') AS still_present,
           count(*) FILTER (WHERE v.verdict = 'still_effective') AS still_effective,
           count(*) FILTER (WHERE v.verdict = 'unverified') AS unverified
    {_ITEMS} WHERE {_OF_THE_READER} GROUP BY 1, 2
)
SELECT system, account, coalesce(complete, false) AS complete, coalesce(discovered, 0) AS discovered,
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
FROM scopes FULL JOIN items USING (system, account) ORDER BY 1, 2 LIMIT {_MOST_GROUPS}
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
ORDER BY min(started_at), stage, system, account LIMIT {_MOST_GROUPS}
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
LEFT JOIN rescind.principal p ON p.run_no = g.run_no AND p.scope_no = g.scope_no
     AND p.principal_type = g.principal_type AND p.principal_id = g.principal_id
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


class Views(Repository):
    """Queries for pages. ``dags`` are the DAG ids whose runs the reader may see."""

    def dag_ids(self) -> list[str]:
        """Return the ids of the DAGs with runs or watch checks in this ledger."""
        query = (
            "SELECT dag_id FROM rescind.run UNION SELECT dag_id FROM rescind.watch_check"
            f" ORDER BY dag_id LIMIT {_MOST_DAGS}"
        )
        return [row["dag_id"] for row in self._select(lambda connection: connection.execute(query).fetchall())]

    def runs(self, dags: Collection[str], *, before: int | None = None, limit: int = 25) -> list[RunLine]:
        """Return the runs, newest first.

        :param before: only runs with a lower number.
        """
        query = f"{_RUNS} AND (%(before)s::bigint IS NULL OR r.number < %(before)s) ORDER BY r.number DESC LIMIT %(n)s"
        values = {"dags": list(dags), "before": before, "n": min(limit, MOST_ROWS)}
        return self._select(lambda connection: _all(connection, RunLine, query, values))

    def run(self, number: int, dags: Collection[str]) -> tuple[RunLine, RunFacts] | None:
        """Return one run, or None when it does not exist or the reader may not see it."""
        values = {"dags": list(dags), "run": number}

        def work(connection: Connection) -> tuple[RunLine, RunFacts] | None:
            lines = _all(connection, RunLine, f"{_RUNS} AND r.number = %(run)s", values)
            return (lines[0], _all(connection, RunFacts, _FACTS, values)[0]) if lines else None

        return self._select(work)

    def systems(self, number: int, dags: Collection[str]) -> list[SystemLine]:
        """Return one line for each permission system and account of a run."""
        values = {"dags": list(dags), "run": number}
        return self._select(lambda connection: _all(connection, SystemLine, _SYSTEMS, values))

    def progress(self, number: int, dags: Collection[str]) -> list[ProgressLine]:
        """Return the last recorded progress of each stage of a run, by permission system and account."""
        values = {"dags": list(dags), "run": number}
        return self._select(lambda connection: _all(connection, ProgressLine, _PROGRESS, values))

    def items(
        self, number: int, dags: Collection[str], wanted: ItemFilter, *, offset: int = 0, limit: int = 50
    ) -> ItemPage:
        """Return a page of a run's items in a fixed order, and the number of matching items."""
        values = {
            "run": number,
            "dags": list(dags),
            "system": wanted.system,
            "state": wanted.state,
            "verdict": wanted.verdict,
            "text": wanted.text,
            "limit": min(limit, MOST_ROWS),
            "offset": offset,
        }

        def work(connection: Connection) -> ItemPage:
            every = f"{_ITEMS} {_NAMED} {_MATCHING} {_SEARCH}" if wanted.text else f"{_ITEMS} {_MATCHING}"
            counted = connection.execute(f"SELECT count(*) AS n {every}", values).fetchone()
            page = _PAGE.format(search=_SEARCH if wanted.text else "")
            return ItemPage(counted["n"] if counted else 0, _all(connection, ItemLine, page, values))

        return self._select(work)

    def item_counts(self, number: int, dags: Collection[str]) -> list[ItemCount]:
        """Return the item counts for the filters of a run."""
        query = f"""
            SELECT g.system, i.state, coalesce(v.verdict, '') AS verdict, count(*) AS items,
                   count(*) FILTER (WHERE {_PROVEN}) AS proven
            {_ITEMS} WHERE {_OF_THE_READER} GROUP BY 1, 2, 3 ORDER BY 1, 2, 3 LIMIT {_MOST_GROUPS}
        """
        values = {"dags": list(dags), "run": number}
        return self._select(lambda connection: _all(connection, ItemCount, query, values))

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

    def _select(self, work: Callable[[Connection], T]) -> T:
        def guarded(connection: Connection) -> T:
            connection.execute(f"SET LOCAL statement_timeout = {_STATEMENT_MS}")
            return work(connection)

        return self._db.read(guarded, snapshot=True)


def _all(connection: Connection, kind: type[T], query: str, values: dict[str, Any]) -> list[T]:
    with connection.cursor(row_factory=class_row(kind)) as cursor:
        return cursor.execute(query, values).fetchall()
