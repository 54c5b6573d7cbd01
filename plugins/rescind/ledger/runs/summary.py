"""Counts for people: how far a run is, and what came of it."""

from __future__ import annotations

from typing import Any

from rescind.errors import LedgerError
from rescind.ledger.runs.records import Progress, SystemSummary
from rescind.ledger.store.repository import Repository

_PER_SYSTEM = """
WITH live AS (SELECT source_no FROM rescind.plan WHERE run_no = %(run)s AND state <> 'superseded'),
scopes AS (
    SELECT system, account, bool_and(state = 'complete') AS complete FROM rescind.scope
    WHERE run_no = %(run)s GROUP BY 1, 2
), found AS (
    SELECT g.system, g.account, count(*) AS discovered, count(*) FILTER (WHERE d.choice = 'keep') AS keep,
           count(*) FILTER (WHERE d.choice = 'revoke') AS revoke
    FROM rescind.grant_row g LEFT JOIN rescind.decision d ON d.run_no = g.run_no AND d.grant_id = g.grant_id
    WHERE g.run_no = %(run)s GROUP BY 1, 2
), items AS (
    SELECT g.system, g.account, count(*) FILTER (WHERE i.state <> 'held') AS items,
           count(*) FILTER (WHERE i.state = 'held') AS held,
           count(*) FILTER (WHERE i.state = 'accepted') AS accepted,
           count(*) FILTER (WHERE i.state = 'refused') AS refused,
           count(*) FILTER (WHERE i.state IN ('unknown', 'sent')) AS unknown,
           count(*) FILTER (WHERE i.state = 'stale') AS stale,
           count(*) FILTER (WHERE i.state = 'expired') AS expired,
           count(*) FILTER (WHERE i.state = 'restored') AS restored,
           count(*) FILTER (WHERE i.state IN ('planned', 'approved')) AS not_sent,
           count(*) FILTER (WHERE v.verdict = 'verified_gone') AS verified_gone,
           count(*) FILTER (WHERE v.verdict = 'already_absent') AS already_absent,
           count(*) FILTER (WHERE v.verdict = 'still_present') AS still_present,
           count(*) FILTER (WHERE v.verdict = 'still_effective') AS still_effective,
           count(*) FILTER (WHERE v.verdict = 'unverified') AS unverified,
           count(*) FILTER (WHERE v.verdict IS NULL) AS without_verdict
    FROM rescind.plan_item i
    JOIN rescind.grant_row g ON g.run_no = (SELECT source_no FROM live) AND g.grant_id = i.grant_id
    LEFT JOIN rescind.verdict_latest v ON v.run_no = i.run_no AND v.grant_id = i.grant_id
    WHERE i.run_no = %(run)s GROUP BY 1, 2
), calls AS (
    SELECT system, account, count(*) AS calls FROM rescind.call WHERE run_no = %(run)s GROUP BY 1, 2
), attempts AS (
    SELECT c.system, c.account, count(*) AS attempts, count(*) FILTER (WHERE a.outcome = 'throttled') AS throttled
    FROM rescind.attempt a JOIN rescind.call c ON c.run_no = a.run_no AND c.call_id = a.call_id
    WHERE a.run_no = %(run)s GROUP BY 1, 2
), places AS (
    SELECT system, account FROM scopes UNION SELECT system, account FROM items UNION SELECT system, account FROM calls
)
SELECT system, account, coalesce(discovered, 0), coalesce(complete, false), coalesce(keep, 0), coalesce(revoke, 0),
       coalesce(items, 0), coalesce(held, 0), coalesce(accepted, 0), coalesce(refused, 0), coalesce(unknown, 0),
       coalesce(stale, 0), coalesce(expired, 0), coalesce(restored, 0), coalesce(not_sent, 0), coalesce(calls, 0),
       coalesce(attempts, 0), coalesce(throttled, 0), coalesce(verified_gone, 0), coalesce(already_absent, 0),
       coalesce(still_present, 0), coalesce(still_effective, 0), coalesce(unverified, 0), coalesce(without_verdict, 0)
FROM places LEFT JOIN scopes USING (system, account) LEFT JOIN found USING (system, account)
LEFT JOIN items USING (system, account) LEFT JOIN calls USING (system, account)
LEFT JOIN attempts USING (system, account)
ORDER BY 1, 2
"""

_PROGRESS = """
SELECT r.state,
       (SELECT count(*) FROM rescind.scope WHERE run_no = r.number) AS scopes,
       (SELECT count(*) FROM rescind.scope WHERE run_no = r.number AND state <> 'pending') AS scopes_done,
       (SELECT count(*) FROM rescind.plan_item WHERE run_no = r.number) AS items,
       (SELECT count(*) FROM rescind.plan_item WHERE run_no = r.number
           AND state NOT IN ('planned', 'approved', 'sent')) AS items_settled,
       (SELECT count(*) FROM rescind.call WHERE run_no = r.number) AS calls,
       (SELECT count(*) FROM rescind.call WHERE run_no = r.number
           AND state NOT IN ('pending', 'sent')) AS calls_settled,
       (SELECT count(*) FROM rescind.attempt WHERE run_no = r.number AND outcome IS NULL) AS in_flight,
       (SELECT count(*) FROM rescind.attempt WHERE run_no = r.number AND outcome = 'throttled') AS throttled,
       (SELECT count(*) FROM rescind.attempt WHERE run_no = r.number AND outcome <> 'throttled'
           AND closed_at > clock_timestamp() - interval '10 seconds') AS recent,
       (SELECT extract(epoch FROM clock_timestamp() - min(intent_at))::float FROM rescind.attempt
           WHERE run_no = r.number AND closed_at > clock_timestamp() - interval '10 seconds') AS recent_s
FROM rescind.run r WHERE r.number = %(run)s
"""


class Summary(Repository):
    """Counts over all tables of a run."""

    def per_system(self, run_id: str) -> list[SystemSummary]:
        """One line for each permission system and account. An item that is still marked sent counts as unknown."""
        return [SystemSummary(*row) for row in self._rows(run_id, _PER_SYSTEM, {})]

    def progress(self, run_id: str) -> Progress:
        """How far the run is, with the rate of the last ten seconds and the time that the rest would take.

        :raises LedgerError: when there is no such run.
        """
        rows = self._rows(run_id, _PROGRESS, {})
        if not rows:
            raise LedgerError(f"ledger: there is no run {run_id!r}")
        recent, recent_s = rows[0][9:]
        rate = recent / min(max(recent_s or 0.0, 1.0), 10.0) if recent else 0.0
        left = rows[0][5] - rows[0][6]
        counts: list[Any] = [*rows[0][:9], rate, left / rate if rate > 0 else None]
        return Progress(run_id, *counts)
