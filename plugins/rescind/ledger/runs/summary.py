"""The counts of a run, by permission system and account."""

from __future__ import annotations

from rescind.ledger.runs.records import SystemSummary
from rescind.ledger.store.repository import Repository
from rescind.model import NOT_ALLOWED

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
           count(*) FILTER (WHERE v.verdict = 'record_gone') AS record_gone,
           count(*) FILTER (WHERE v.verdict = 'already_absent') AS already_absent,
           count(*) FILTER (WHERE v.verdict = 'still_present') AS still_present,
           count(*) FILTER (WHERE v.verdict = 'still_effective') AS still_effective,
           count(*) FILTER (WHERE v.verdict = 'unverified') AS unverified,
           count(*) FILTER (WHERE v.verdict IS NULL) AS without_verdict,
           count(*) FILTER (WHERE v.verdict = 'still_present' AND (i.state = 'accepted' OR i.state = 'refused'
                            AND i.reason <> %(not_allowed)s)) AS needs_new_run
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
), accounts AS (
    SELECT system, account FROM scopes UNION SELECT system, account FROM items UNION SELECT system, account FROM calls
)
SELECT system, account, coalesce(discovered, 0), coalesce(complete, false), coalesce(keep, 0), coalesce(revoke, 0),
       coalesce(items, 0), coalesce(held, 0), coalesce(accepted, 0), coalesce(refused, 0), coalesce(unknown, 0),
       coalesce(stale, 0), coalesce(expired, 0), coalesce(restored, 0), coalesce(not_sent, 0), coalesce(calls, 0),
       coalesce(attempts, 0), coalesce(throttled, 0), coalesce(verified_gone, 0), coalesce(record_gone, 0),
       coalesce(already_absent, 0), coalesce(still_present, 0), coalesce(still_effective, 0),
       coalesce(unverified, 0), coalesce(without_verdict, 0),
       coalesce(needs_new_run, 0)
FROM accounts LEFT JOIN scopes USING (system, account) LEFT JOIN found USING (system, account)
LEFT JOIN items USING (system, account) LEFT JOIN calls USING (system, account)
LEFT JOIN attempts USING (system, account)
ORDER BY 1, 2
"""


class Summary(Repository):
    """Counts over the tables of a run."""

    def per_system(self, run_id: str) -> list[SystemSummary]:
        """Return the counts of each permission system and account. An item in the state sent counts as unknown."""
        return [SystemSummary(*row) for row in self._rows(run_id, _PER_SYSTEM, {"not_allowed": NOT_ALLOWED})]
