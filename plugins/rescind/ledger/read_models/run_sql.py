"""SQL of the rows about whole runs."""

GONE = "('verified_gone', 'already_absent')"

RUNS = f"""
SELECT r.number, r.run_id, r.dag_id, r.airflow_run_id, r.kind, r.requested_by, r.reason, r.ticket, r.dry_run, r.state,
       r.started_at, r.finished_at, coalesce(p.operation, 'revoke') AS operation, p.calls, p.items,
       CASE p.operation WHEN 'restore' THEN t.restored ELSE o.gone END AS proven, t.held,
       CASE p.operation WHEN 'restore' THEN 0 ELSE o.unproven END AS unproven,
       CASE p.operation WHEN 'restore' THEN 0 ELSE o.effective END AS effective,
       CASE WHEN jsonb_typeof(r.summary -> 'kept_back') = 'number' AND (r.summary ->> 'kept_back') ~ '^[0-9]{{1,9}}$'
           THEN (r.summary ->> 'kept_back')::int ELSE 0 END AS kept,
       ARRAY(SELECT left(who, 100) FROM (SELECT coalesce(one ->> 'name', one #>> '{{}}') FROM jsonb_array_elements(CASE
           WHEN jsonb_typeof(i.facts #> '{{record,settings,approvers}}') = 'array'
           THEN i.facts #> '{{record,settings,approvers}}' ELSE '[]' END) AS one) AS named(who)
           WHERE lower(who) <> lower(r.requested_by) LIMIT 20) AS approvers,
       CASE WHEN jsonb_typeof(r.summary -> 'findings') = 'array' THEN jsonb_array_length(r.summary -> 'findings')
       END AS findings,
       a.answer, a.responded_by, a.responded_by_name, a.automatic,
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
LEFT JOIN rescind.input i ON i.run_no = r.number AND i.name = 'settings'
LEFT JOIN LATERAL (
    SELECT count(*) FILTER (WHERE v.verdict IN {GONE}) AS gone,
           count(*) FILTER (WHERE v.verdict = 'record_gone') AS unproven,
           count(*) FILTER (WHERE v.verdict = 'still_effective') AS effective
    FROM rescind.verdict_latest v WHERE v.run_no = r.number
) o ON true
LEFT JOIN LATERAL (
    SELECT count(*) FILTER (WHERE i.state = 'held') AS held, count(*) FILTER (WHERE i.state = 'restored') AS restored
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
       coalesce(a.comment, '') AS comment, r.policy_version, r.code_version,
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
       jsonb_build_object('events', oc.facts -> 'events', 'employment', oc.facts -> 'employment') AS occasion,
       (SELECT max(v.observed_at) FROM rescind.verdict_latest v WHERE v.run_no = r.number) AS verified_at,
       NOT EXISTS (SELECT FROM rescind.scope s WHERE s.run_no = r.number AND s.state <> 'complete') AS listed
FROM rescind.run r
LEFT JOIN rescind.plan p ON p.run_no = r.number AND p.state <> 'superseded'
LEFT JOIN rescind.approval a ON a.run_no = p.run_no AND a.digest = p.digest
LEFT JOIN rescind.input i ON i.run_no = r.number AND i.name = 'settings'
LEFT JOIN rescind.input o ON o.run_no = r.number AND o.name = 'roster'
LEFT JOIN rescind.input oc ON oc.run_no = r.number AND oc.name = 'occasion'
WHERE r.number = %(run)s AND r.dag_id = ANY(%(dags)s)
"""
