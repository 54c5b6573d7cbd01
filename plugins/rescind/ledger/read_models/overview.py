"""What the home page shows over many runs: trend, open findings, and how long leavers kept their access.

Nothing here reads the items of all runs. Counts over time are sums of the figures that each run left when it was
closed; items are read of a few runs only, for what is open now.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import datetime
from statistics import median
from typing import Any, TypeVar

from psycopg.rows import DictRow, class_row

from rescind.ledger.read_models.item_sql import ITEMS, NAME, NAMED, PERSON, PROVEN
from rescind.ledger.read_models.owner_views import OwnerViews
from rescind.ledger.store.database import Connection
from rescind.ledger.store.digest import Digest
from rescind.model import KNOWN_ACCESS

T = TypeVar("T")

QUARTERS = 8
"""Calendar quarters of the trend, with the one that runs."""
MOST_RUNS = 50
"""Runs whose items are read for what is open now."""
CLOCK_DAYS = 90
CLOCK_ITEMS = 20_000
"""The times of leavers are those of runs of the last days, the newest ones with this many items together."""
_MOST_BUCKETS = 5_000


@dataclass(frozen=True, slots=True)
class BucketLine:
    """One system and account in one week or quarter in which a run about it ended. Counts are of grants.

    :param kind: ``week`` or ``quarter``.
    :param begins: its first moment, UTC.
    :param items: to be revoked by the runs that ended in it, with those held back; ``proven`` of them are proven gone.
    :param open: not proven gone at its end: those of the last review of the system, and of later runs about people.
    :param effective: those of ``open`` that are still reachable in another way.
    :param kept: grants that the last review decided to keep; 0 before the first one.
    """

    kind: str
    begins: datetime
    system: str
    account: str
    items: int
    proven: int
    open: int
    effective: int
    kept: int


@dataclass(frozen=True, slots=True)
class OpenCell:
    """Grants that are open now, by department (empty: not known) and system.

    :param number: the latest run that left some of them.
    """

    department: str
    system: str
    items: int
    number: int


@dataclass(frozen=True, slots=True)
class LeaverTimes:
    """How long people kept their access after the end of their employment, in seconds.

    :param people: people all of whose grants in their last run are proven gone.
    :param waiting: people of whom something is not proven gone.
    :param worst_run: number of the run that ended the access of ``worst_person``.
    :param last_runs: how many runs were read, the newest ones, where the days had more; None where all were.
    """

    people: int
    waiting: int
    median_s: float | None
    worst_s: float | None
    worst_person: str | None
    worst_name: str | None
    worst_run: int | None
    last_runs: int | None


# A review of a whole system starts a new era of it: it lists everything, so what earlier runs left open is in its
# findings or gone. Runs about single people add to it until the next review. A run that was abandoned after its
# approval left no figures: its items are counted. So are those of a run that never reported: it ends with its approval.
_STATES = f"""
WITH ended AS MATERIALIZED (
    SELECT r.number, r.state = 'abandoned' OR r.finished_at IS NULL AS left_alone, r.figures,
           coalesce(r.finished_at, a.valid_until) AS finished_at,
           coalesce(r.params ->> 'kind', 'policy') = 'policy' AS whole
    FROM rescind.run r
    LEFT JOIN rescind.plan p ON p.run_no = r.number AND p.state <> 'superseded'
    LEFT JOIN rescind.approval a ON a.run_no = p.run_no AND a.digest = p.digest AND a.answer = 'approve'
    WHERE r.dag_id = ANY(%(dags)s) AND NOT r.dry_run AND r.kind NOT IN ('restore', 'single')
      AND coalesce(r.finished_at, a.valid_until) >= date_trunc('quarter', now(), 'UTC')
          - interval '{3 * (QUARTERS - 1)} months'
      AND (r.state = 'succeeded' OR r.state IN ('failed', 'abandoned') AND a.run_no IS NOT NULL
           OR r.finished_at IS NULL AND a.valid_until <= now())
), line AS (
    SELECT e.number, e.finished_at, e.whole AND coalesce(f.complete, false) AS whole, f.system, f.account,
           coalesce(f.items, 0) + coalesce(f.held, 0) AS items,
           coalesce(f.verified_gone, 0) + coalesce(f.already_absent, 0) AS proven,
           coalesce(f.still_effective, 0) AS effective, coalesce(f.keep, 0) AS keep
    FROM ended e CROSS JOIN LATERAL (
        SELECT * FROM jsonb_to_recordset(e.figures -> 'systems') AS told(
            system text, account text, complete boolean, items int, held int, verified_gone int, already_absent int,
            still_effective int, keep int)
        UNION ALL
        SELECT g.system, g.account, false, count(*)::int, 0, (count(*) FILTER (WHERE {PROVEN}))::int, 0,
               (count(*) FILTER (WHERE v.verdict = 'still_effective'))::int, 0
        FROM rescind.plan_item i JOIN rescind.plan l ON l.run_no = i.run_no AND l.state <> 'superseded'
        JOIN rescind.grant_row g ON g.run_no = l.source_no AND g.grant_id = i.grant_id
        LEFT JOIN rescind.verdict_latest v ON v.run_no = i.run_no AND v.grant_id = i.grant_id
        WHERE i.run_no = e.number AND e.left_alone AND e.figures -> 'systems' = '[]' GROUP BY 1, 2
    ) f
    WHERE f.system IS NOT NULL AND f.account IS NOT NULL
), era AS (
    SELECT *, count(*) FILTER (WHERE whole) OVER (PARTITION BY system, account ORDER BY number) AS era FROM line
)"""

_BUCKETS = f"""{_STATES}, state AS (
    SELECT *, sum(greatest(items - proven, 0)) OVER era AS open, sum(effective) OVER era AS effective_now,
           sum(keep) FILTER (WHERE whole) OVER era AS kept
    FROM era WINDOW era AS (PARTITION BY system, account, era ORDER BY number)
)
SELECT b.kind, b.begins, system, account, sum(items) AS items, sum(proven) AS proven,
       (array_agg(open ORDER BY number DESC))[1] AS open,
       (array_agg(effective_now ORDER BY number DESC))[1] AS effective,
       coalesce((array_agg(kept ORDER BY number DESC))[1], 0) AS kept
FROM state CROSS JOIN LATERAL (VALUES ('quarter', date_trunc('quarter', finished_at, 'UTC')),
                                      ('week', date_trunc('week', finished_at, 'UTC'))) AS b(kind, begins)
GROUP BY 1, 2, 3, 4 ORDER BY 1, 2, 3, 4 LIMIT {_MOST_BUCKETS}
"""

# The runs of the last era of each system: those that can say what is open now. Of older ones among very many only the
# figures are read, where they left something open.
_LAST_RUNS = f"""{_STATES}
SELECT number, system, account, whole, read, open FROM (
    SELECT *, place <= {MOST_RUNS} OR whole AS read, greatest(items - proven, 0) AS open FROM (
        SELECT *, max(era) OVER (PARTITION BY system, account) AS last,
               dense_rank() OVER (ORDER BY number DESC) AS place
        FROM era
    ) one WHERE era = last
) two WHERE read OR open > 0 ORDER BY number DESC
"""

# One run at a time, and its number as a value: so PostgreSQL joins by hash, whatever it knows of these runs.
# Of a review of a whole system only what is open is read: nothing older can be about the same grants.
_OPEN_ITEMS = f"""
SELECT i.grant_id, g.system, g.account, {PROVEN} AS proven, coalesce(d.facts ->> 'person.department', '') AS department
{ITEMS} LEFT JOIN rescind.decision d ON d.run_no = i.run_no AND d.grant_id = i.grant_id AND NOT {PROVEN}
WHERE i.run_no = %(run)s AND (NOT %(open)s OR NOT {PROVEN})
"""

_CLOCK_RUNS = f"""
SELECT number, every FROM (
    SELECT r.number, sum(p.items) OVER (ORDER BY r.number DESC) - p.items AS before, count(*) OVER () AS every
    FROM rescind.run r JOIN rescind.plan p ON p.run_no = r.number AND p.state <> 'superseded' AND p.items > 0
    JOIN rescind.approval a ON a.run_no = p.run_no AND a.digest = p.digest AND a.answer = 'approve'
    WHERE r.dag_id = ANY(%(dags)s) AND r.finished_at >= now() - interval '{CLOCK_DAYS} days' AND NOT r.dry_run
      AND r.kind NOT IN ('restore', 'single')
) one WHERE before < {CLOCK_ITEMS} ORDER BY number DESC LIMIT %(most)s
"""

# Who has left, with the longest time of all their grants in one run. What is known of them is not all before the run
# over everybody has ended well, and that run lists nothing of what the first one could not prove gone.
_CLOCK = f"""
SELECT person, proven AND NOT EXISTS (
           SELECT FROM rescind.scope s WHERE s.run_no = %(run)s AND s.part = '{KNOWN_ACCESS}' AND NOT EXISTS (
               SELECT FROM rescind.run f WHERE f.follows = s.run_no AND f.finished_at IS NOT NULL
               AND f.summary #>> '{{outcome,tone}}' = 'good'))
           AND NOT EXISTS (SELECT FROM rescind.input o WHERE o.run_no = %(run)s AND o.name = 'occasion'
               AND coalesce((o.facts #>> '{{follows,open}}')::int, 0) > 0) AS proven,
       greatest(extract(epoch FROM gone_at - left_at), 0)::float AS seconds, one FROM (
    SELECT {PERSON} AS person, min((d.facts ->> 'person.terminated_at')::timestamptz) AS left_at,
           max(v.observed_at) AS gone_at, bool_and({PROVEN}) AS proven, (array_agg(i.grant_id))[1] AS one
    {ITEMS} JOIN rescind.decision d ON d.run_no = i.run_no AND d.grant_id = i.grant_id
    WHERE i.run_no = %(run)s AND d.facts ->> 'person.terminated_at' ~ '^[0-9]{{4}}-[0-9]{{2}}-[0-9]{{2}}T'
    GROUP BY 1
) each WHERE left_at <= now()
"""

_NAME = f"""
SELECT {NAME} AS name FROM rescind.grant_row g {NAMED} WHERE g.run_no = %(run)s AND g.grant_id = %(one)s
"""


class OverviewViews(OwnerViews):
    """Queries over many runs that the reader may see."""

    def buckets(self, dags: Collection[str]) -> list[BucketLine]:
        """Return what real runs did in each week and quarter, at most :data:`QUARTERS` quarters back."""
        return self._select(lambda connection: _rows(connection, BucketLine, _BUCKETS, {"dags": list(dags)}))

    def open_now(self, dags: Collection[str]) -> list[OpenCell]:
        """Return the grants that real runs were to revoke and that are not proven gone, as far as is known now.

        A later review of a system replaces what earlier runs left open there. What runs before the newest
        :data:`MOST_RUNS` left open since then counts as it was when they ended, without a department.
        """

        def work(connection: Connection) -> list[OpenCell]:
            last = connection.execute(_LAST_RUNS, {"dags": list(dags)}).fetchall()
            _by_hash(connection)
            scopes: dict[int, dict[tuple[str, str], bool]] = {}
            for row in last:
                if row["read"]:
                    scopes.setdefault(row["number"], {})[row["system"], row["account"]] = row["whole"]
            found = _cells(connection, scopes)
            for row in last:
                if not row["read"]:
                    count, latest = found.get(("", row["system"]), (0, 0))
                    found["", row["system"]] = (count + row["open"], max(latest, row["number"]))
            return [OpenCell(*cell, count, latest) for cell, (count, latest) in sorted(found.items())]

        return self._select(work)

    def leaver_times(self, dags: Collection[str], *, most: int = MOST_RUNS) -> LeaverTimes | None:
        """Return how long leavers kept their access, by real runs of the last days; None without such runs.

        :param most: most runs that are read, the newest ones.
        """

        def work(connection: Connection) -> LeaverTimes | None:
            rows = connection.execute(_CLOCK_RUNS, {"dags": list(dags), "most": most}).fetchall()
            runs = [row["number"] for row in rows]
            last = len(runs) if runs and rows[0]["every"] > len(runs) else None
            _by_hash(connection)
            # Of a person whom several runs met, the latest one counts.
            people: dict[str, tuple[int, DictRow]] = {}
            for number in runs:
                for row in connection.execute(_CLOCK, {"run": number, "source": number}).fetchall():
                    people.setdefault(row["person"], (number, row))
            done = [(row["seconds"], person) for person, (_, row) in people.items() if row["proven"]]
            if not done:
                return LeaverTimes(0, len(people), None, None, None, None, None, last) if runs else None
            worst_s, person = max(done)
            number, row = people[person]
            connection.execute("SET LOCAL enable_nestloop = on")
            named = connection.execute(_NAME, {"run": number, "one": Digest(row["one"])}).fetchone()
            times = median(seconds for seconds, _ in done)
            name = named["name"] if named else None
            return LeaverTimes(len(done), len(people) - len(done), times, worst_s, person, name, number, last)

        return self._select(work)


def _cells(
    connection: Connection, scopes: Mapping[int, Mapping[tuple[str, str], bool]]
) -> dict[tuple[str, str], tuple[int, int]]:
    """Return the open grants of runs by department and system, each with the latest run that left some of them.

    :param scopes: of each run, the newest first: the (system, account) that it can tell about, and whether it was a
        review of the whole of it.
    """
    met, found = set[str](), dict[tuple[str, str], tuple[int, int]]()
    for number, mine in scopes.items():
        values = {"run": number, "source": number, "open": all(mine.values())}
        for row in connection.execute(_OPEN_ITEMS, values).fetchall():
            if row["grant_id"] in met or (row["system"], row["account"]) not in mine:
                continue
            met.add(row["grant_id"])  # of a grant that several runs met, the latest one counts
            if not row["proven"]:
                cell = (row["department"], row["system"])
                count, latest = found.get(cell, (0, number))
                found[cell] = (count + 1, latest)
    return found


def _by_hash(connection: Connection) -> None:
    """Let PostgreSQL join whole runs by hash; without fresh statistics it would look the rows up one by one."""
    connection.execute("SET LOCAL enable_nestloop = off")
    connection.execute("SET LOCAL work_mem = '32MB'")


def _rows(connection: Connection, kind: type[T], query: str, values: dict[str, Any]) -> list[T]:
    with connection.cursor(row_factory=class_row(kind)) as cursor:
        return cursor.execute(query, values).fetchall()
