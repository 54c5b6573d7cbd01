"""SQL of the rows about whole runs: lists, facts, progress, refusals, watches, single calls."""

from rescind.ledger.read_models.run_rows import STALE_S
from rescind.model import KNOWN_ACCESS

GONE = "('verified_gone', 'already_absent')"

RUNS = f"""
SELECT r.number, r.run_id, r.dag_id, r.airflow_run_id, r.kind, r.requested_by, r.reason, r.ticket, r.dry_run, r.state,
       r.started_at, r.finished_at, coalesce(p.operation, 'revoke') AS operation, p.calls, p.items,
       CASE p.operation WHEN 'restore' THEN t.restored ELSE o.gone END AS proven, t.held, t.left_out,
       EXISTS (SELECT FROM rescind.narrowing n WHERE n.run_no = r.number) AS narrowed,
       CASE p.operation WHEN 'restore' THEN 0 ELSE o.unproven END AS unproven,
       CASE p.operation WHEN 'restore' THEN 0 ELSE o.effective END AS effective,
       coalesce((r.figures ->> 'kept_back')::int, 0) AS kept,
       ARRAY(SELECT left(who, 100) FROM (SELECT coalesce(one ->> 'name', one #>> '{{}}') FROM jsonb_array_elements(CASE
           WHEN jsonb_typeof(i.facts #> '{{record,settings,approvers}}') = 'array'
           THEN i.facts #> '{{record,settings,approvers}}' ELSE '[]' END) AS one) AS named(who)
           WHERE lower(who) <> lower(r.requested_by) LIMIT 20) AS approvers,
       (r.figures ->> 'findings')::int AS findings,
       a.answer, a.responded_by, a.responded_by_name, a.automatic,
       (SELECT count(*) FROM rescind.scope s WHERE s.run_no = r.number) AS scopes,
       (SELECT count(*) FROM rescind.scope s WHERE s.run_no = r.number AND s.state = 'pending') AS scopes_pending,
       (SELECT count(*) FROM rescind.call c WHERE c.run_no = r.number AND r.finished_at IS NULL
           AND c.state IN ('pending', 'sent')) AS calls_open,
       a.requested_at AS asked_at, p.valid_until, k.number AS blocked_by, k.since AS blocked_since,
       (SELECT min(q.asked_at) FROM rescind.question q WHERE q.run_no = r.number AND q.method = '') AS owners_asked_at,
       (SELECT count(*) FROM rescind.question q WHERE q.run_no = r.number AND q.method = '') AS owners_open,
       (SELECT count(DISTINCT s.grant_id) FROM rescind.sighting s WHERE s.run_no = r.number) AS returned,
       EXISTS (SELECT FROM rescind.scope s WHERE s.run_no = r.number AND s.part = '{KNOWN_ACCESS}') AS known,
       r.follows, w.number AS proof_number, coalesce(w.tone, '') AS proof_tone
FROM rescind.run r
LEFT JOIN LATERAL (
    SELECT f.number,
           CASE WHEN f.finished_at IS NOT NULL THEN coalesce(f.summary #>> '{{outcome,tone}}', 'bad') END AS tone
    FROM rescind.run f WHERE f.follows = r.number ORDER BY f.number DESC LIMIT 1
) w ON true
LEFT JOIN rescind.plan p ON p.run_no = r.number AND p.state <> 'superseded'
LEFT JOIN rescind.approval a ON a.run_no = p.run_no AND a.digest = p.digest
LEFT JOIN rescind.input i ON i.run_no = r.number AND i.name = 'settings'
LEFT JOIN LATERAL (
    SELECT count(*) FILTER (WHERE v.verdict IN {GONE}) AS gone,
           count(*) FILTER (WHERE v.verdict = 'record_gone') AS unproven,
           count(*) FILTER (WHERE v.verdict = 'still_effective') AS effective
    FROM rescind.verdict_latest v WHERE v.run_no = r.number
) o ON true
LEFT JOIN LATERAL (
    SELECT count(*) FILTER (WHERE i.state = 'held' AND i.reason LIKE 'kept by %%') AS left_out,
           count(*) FILTER (WHERE i.state = 'held') AS held, count(*) FILTER (WHERE i.state = 'restored') AS restored
    FROM rescind.plan_item i WHERE i.run_no = r.number
) t ON true
LEFT JOIN LATERAL (
    SELECT l.run_no AS number, l.acquired_at AS since FROM rescind.batch b
    JOIN rescind.scope_lock l ON l.system = b.system AND l.account = b.account AND l.run_no <> r.number
    WHERE b.run_no = r.number AND r.finished_at IS NULL AND NOT r.dry_run AND p.state IN ('approved', 'executing')
        AND l.expires_at > clock_timestamp() AND p.valid_until > clock_timestamp()
    ORDER BY l.acquired_at LIMIT 1
) k ON true
WHERE r.dag_id = ANY(%(dags)s)
"""

FACTS = """
SELECT ARRAY(SELECT left(line, 2000) FROM jsonb_array_elements_text(
           CASE WHEN jsonb_typeof(r.summary -> 'problems') = 'array' THEN r.summary -> 'problems' ELSE '[]' END
       ) AS line LIMIT 50) AS problems,
       coalesce(left(r.summary ->> 'next_step', 2000), '') AS next_step,
       coalesce(r.summary ->> 'report', r.summary -> 'evidence' ->> 'report', '') AS report,
       coalesce(r.summary ->> 'bundle', r.summary -> 'evidence' ->> 'bundle', '') AS bundle,
       coalesce(encode(p.digest, 'hex'), '') AS plan, p.lower_bound, a.responded_at,
       coalesce(a.comment, '') AS comment, coalesce(n.comment, '') AS left_out_comment, n.responded_at AS left_out_at,
       CASE WHEN n.responded_by_name = '' THEN n.responded_by ELSE n.responded_by_name END AS left_out_by,
       r.policy_version, r.code_version,
       coalesce(encode(i.sha256, 'hex'), '') AS settings,
       coalesce(i.source, '') AS settings_source, i.facts ->> 'compared_with' AS settings_compared_with,
       ARRAY(SELECT left(line, 200) FROM jsonb_array_elements_text(CASE
           WHEN jsonb_typeof(i.facts #> '{record,hidden}') = 'array' THEN i.facts #> '{record,hidden}' ELSE '[]' END
       ) AS line LIMIT 50) AS settings_hidden,
       ARRAY(SELECT left(line ->> 0, 200) FROM jsonb_array_elements(CASE
           WHEN jsonb_typeof(i.facts -> 'changes') = 'array' THEN i.facts -> 'changes' ELSE '[]' END
       ) AS line LIMIT 50) AS settings_changed,
       ARRAY(SELECT left(line, 300) FROM jsonb_array_elements_text(CASE
           WHEN jsonb_typeof(o.facts -> 'remarks') = 'array' THEN o.facts -> 'remarks' ELSE '[]' END
       ) AS line LIMIT 50) AS roster_remarks,
       r.params ->> 'kind' = 'targets' AND jsonb_typeof(r.params -> 'principals') = 'array'
           AND r.params -> 'principals' <> '[]' AS about_people,
       jsonb_build_object('events', oc.facts -> 'events', 'employment', oc.facts -> 'employment', 'follows',
                          oc.facts -> 'follows') AS occasion,
       coalesce((SELECT max(v.observed_at) FROM rescind.verdict_latest v WHERE v.run_no = r.number), CASE WHEN r.follows
           IS NOT NULL THEN (SELECT max(s.ended_at) FROM rescind.scope s WHERE s.run_no = r.number) END) AS verified_at,
       NOT EXISTS (SELECT FROM rescind.scope s WHERE s.run_no = r.number AND s.state <> 'complete') AS listed
FROM rescind.run r
LEFT JOIN rescind.plan p ON p.run_no = r.number AND p.state <> 'superseded'
LEFT JOIN rescind.approval a ON a.run_no = p.run_no AND a.digest = p.digest
LEFT JOIN rescind.input i ON i.run_no = r.number AND i.name = 'settings'
LEFT JOIN rescind.narrowing n ON n.run_no = r.number
LEFT JOIN rescind.input o ON o.run_no = r.number AND o.name = 'roster'
LEFT JOIN rescind.input oc ON oc.run_no = r.number AND oc.name = 'occasion'
WHERE r.number = %(run)s AND r.dag_id = ANY(%(dags)s)
"""

# A batch without recorded progress counts too: its calls are still to be sent.
PROGRESS = f"""
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
ORDER BY min(started_at), stage, system, account LIMIT 500
"""

SINGLE_CALLS = """
SELECT c.task_id, c.map_index, c.system, c.account, c.conn_id, c.action, c.parameters::text AS parameters, c.outcome,
       c.code, c.request_id, c.intent_at
FROM rescind.single_call c JOIN rescind.run r ON r.number = c.run_no AND r.dag_id = ANY(%(dags)s)
WHERE c.run_no = %(run)s ORDER BY c.attempt_no DESC LIMIT %(limit)s
"""

# Of two checks in one watching run the later one is used.
WATCH = """
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
REFUSED = """
SELECT * FROM (
    SELECT DISTINCT ON (f.dag_id, f.airflow_run_id) f.dag_id, f.airflow_run_id, f.requested_by, f.reason, f.dry_run,
           f.said, f.kind, f.refused_at
    FROM rescind.refusal f WHERE f.dag_id = ANY(%(dags)s) AND NOT EXISTS (
        SELECT 1 FROM rescind.run r WHERE r.dag_id = f.dag_id AND r.airflow_run_id = f.airflow_run_id)
    ORDER BY f.dag_id, f.airflow_run_id, f.refusal_no DESC
) one ORDER BY refused_at DESC LIMIT %(limit)s
"""
