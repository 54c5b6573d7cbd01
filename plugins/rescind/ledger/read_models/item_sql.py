"""SQL of the rows about the items of one run, and about the people that they belong to."""

from rescind.ledger.population.grant_rows import KEY_SELECT
from rescind.ledger.read_models.run_sql import GONE
from rescind.ledger.runs.records import NAMED_PEOPLE, PARTS_OF_PEOPLE
from rescind.model import KNOWN_ACCESS

MOST_GROUPS = 500
PROVEN = f"(CASE l.operation WHEN 'restore' THEN i.state = 'restored' ELSE coalesce(v.verdict IN {GONE}, false) END)"
LEFT_OUT = "(i.state = 'held' AND i.reason LIKE 'kept by %%')"
"""Items that an approver left out, see :func:`rescind.run_state.states.was_left_out`."""

# The grants of a restore's items are in the snapshot of the run that it restores. Its number is a value of the
# statement, not only a column of the plan: so PostgreSQL knows how many rows there are, and joins them by hash.
ITEMS = """
FROM rescind.plan_item i
JOIN rescind.plan l ON l.run_no = i.run_no AND l.state <> 'superseded'
JOIN rescind.grant_row g ON g.run_no = l.source_no AND g.run_no = %(source)s AND g.grant_id = i.grant_id
LEFT JOIN rescind.verdict_latest v ON v.run_no = i.run_no AND v.grant_id = i.grant_id
"""

SOURCE = "SELECT source_no FROM rescind.plan WHERE run_no = %(run)s AND state <> 'superseded'"

# The columns of GrantLine; needs the join below.
# The roster's name is in the decisions on grants that go; the platform's own name is in the grant or its principal.
NAME = "coalesce(nullif(d.facts ->> 'person.name', ''), nullif(g.principal_name, ''), p.name, '')"
GRANT = f"{KEY_SELECT}, g.resource_name, {NAME} AS principal_name"
PERSON = """
coalesce(nullif(d.facts ->> 'person.id', ''),
         g.system || '/' || g.account || '/' || g.principal_type || '/' || g.principal_id)
"""
NAMED = """
LEFT JOIN rescind.principal p ON p.run_no = g.run_no AND p.scope_no = g.scope_no
     AND p.principal_type = g.principal_type AND p.principal_id = g.principal_id
LEFT JOIN rescind.decision d ON d.run_no = g.run_no AND d.grant_id = g.grant_id
"""

OF_THE_READER = """
i.run_no = %(run)s AND EXISTS (SELECT FROM rescind.run r WHERE r.number = %(run)s AND r.dag_id = ANY(%(dags)s))
"""

MATCHING = f"""
WHERE {OF_THE_READER}
  AND (%(system)s = '' OR g.system = %(system)s)
  AND (%(state)s = '' OR i.state = %(state)s)
  AND (%(verdict)s = '' OR v.verdict = %(verdict)s OR (%(verdict)s = 'none' AND v.verdict IS NULL)
       OR (%(verdict)s = 'open' AND NOT {PROVEN}))
"""

ONE_PERSON = f"  AND {PERSON} = %(person)s\n"
ONE_DEPARTMENT = "  AND coalesce(d.facts ->> 'person.department', '') = %(department)s\n"

# Of each person one item tells what the roster says: the facts of all items take most of the time of the query.
PEOPLE = f"""
SELECT one.person, coalesce({NAME}, '') AS name, coalesce(d.facts ->> 'person.id', '') AS roster_id,
       g.principal_type, g.principal_id, coalesce(d.facts ->> 'person.department', '') AS department,
       coalesce(nullif(d.facts ->> 'person.status', 'unknown'), '') AS status,
       coalesce(replace(left(nullif(d.facts ->> 'person.terminated_at', 'unknown'), 16), 'T', ' '), '') AS gone_from,
       coalesce(d.facts ->> 'matched_by', '') AS matched,
       one.systems, one.items, one.held, one.left_out, one.proven, one.unproven, one.effective, one.remaining
FROM (
    SELECT ({PERSON}) COLLATE "C" AS person, array_agg(DISTINCT g.system ORDER BY g.system) AS systems,
           (array_agg(i.grant_id ORDER BY g.principal_name = '', g.principal_id COLLATE "C"))[1] AS grant_id,
           count(*) AS items, count(*) FILTER (WHERE i.state = 'held') AS held,
           count(*) FILTER (WHERE {LEFT_OUT}) AS left_out, count(*) FILTER (WHERE {PROVEN}) AS proven,
           count(*) FILTER (WHERE v.verdict = 'record_gone') AS unproven,
           count(*) FILTER (WHERE v.verdict = 'still_effective') AS effective,
           count(*) FILTER (WHERE NOT {PROVEN} AND v.verdict IS DISTINCT FROM 'record_gone') AS remaining
    {ITEMS} LEFT JOIN rescind.decision d ON d.run_no = g.run_no AND d.grant_id = g.grant_id
    WHERE {OF_THE_READER} {{person}} GROUP BY 1
) one JOIN rescind.grant_row g ON g.run_no = %(source)s AND g.grant_id = one.grant_id
{NAMED}
"""
FIND_PERSON = """
WHERE %(text)s = '' OR strpos(
    normalize(lower(concat_ws(E'\n', name, person, principal_id, department)), NFKC),
    normalize(lower(%(text)s), NFKC)) > 0
"""
"""Names are found in every normal form of Unicode: a keyboard, a platform and a roster may use different ones."""

# Only a search needs the names and rules of all items.
SEARCH = """
  AND strpos(normalize(lower(concat_ws(E'\n', d.facts ->> 'person.name', d.facts ->> 'person.id',
       d.facts ->> 'person.department', g.principal_name, p.name, g.principal_id, g.resource_name, g.resource_id,
       g.entitlement, g.native_id, d.rule)), NFKC), normalize(lower(%(text)s), NFKC)) > 0
"""

# The last sealed run of the same DAG and kind that listed at least the same scopes completely. At most 1,000 runs back.
# A part of named people holds other people in each run, so nothing is to be compared.
BEFORE = f"""
SELECT b.number FROM rescind.run r JOIN rescind.run b
    ON b.number < r.number AND b.number >= r.number - 1000 AND b.dag_id = r.dag_id
   AND b.kind NOT IN ('restore', 'single')
   AND coalesce(b.params ->> 'kind', 'policy') = coalesce(r.params ->> 'kind', 'policy')
   AND b.snapshot_digest <> '' AND b.state <> 'abandoned'
WHERE r.number = %(run)s AND r.dag_id = ANY(%(dags)s) AND r.kind NOT IN ('restore', 'single')
  AND NOT EXISTS (SELECT FROM rescind.scope s WHERE s.run_no = r.number AND (s.part IN {PARTS_OF_PEOPLE} OR NOT EXISTS (
      SELECT FROM rescind.scope o WHERE o.run_no = b.number AND o.state = 'complete'
      AND (o.system, o.account, o.part) = (s.system, s.account, s.part))))
ORDER BY b.number DESC LIMIT 1
"""
_OLD = "SELECT FROM rescind.grant_row o WHERE o.run_no = %(before)s AND o.grant_id = i.grant_id"
_SAME = """
SELECT FROM rescind.grant_row o JOIN rescind.decision x ON x.run_no = %(before)s AND x.grant_id = o.grant_id
WHERE o.run_no = %(before)s AND o.grant_id = i.grant_id AND o.expires_raw = g.expires_raw
  AND x.choice = d.choice AND x.rule = d.rule
"""
SINCE = {
    "new": f"  AND NOT EXISTS ({_OLD})",
    "changed": f"  AND EXISTS ({_OLD}) AND NOT EXISTS ({_SAME})",
    "unchanged": f"  AND EXISTS ({_SAME})",
}
COMPARED = f"""
SELECT %(before)s::int AS number, count(*) FILTER (WHERE o.grant_id IS NULL) AS new,
       count(*) FILTER (WHERE o.grant_id IS NOT NULL AND same IS NOT TRUE) AS changed,
       count(*) FILTER (WHERE same) AS unchanged
{ITEMS} LEFT JOIN rescind.decision d ON d.run_no = g.run_no AND d.grant_id = g.grant_id
LEFT JOIN rescind.grant_row o ON o.run_no = %(before)s AND o.grant_id = i.grant_id
LEFT JOIN rescind.decision x ON x.run_no = %(before)s AND x.grant_id = i.grant_id
CROSS JOIN LATERAL (SELECT o.expires_raw = g.expires_raw AND x.choice = d.choice AND x.rule = d.rule AS same) s
WHERE {OF_THE_READER}
"""
ORDERS = {
    "": "g.system, g.account, {name}, g.principal_id, g.resource_id, i.grant_id",
    "resource": "g.system, g.account, g.resource_name, g.resource_id, {name}, g.principal_id, i.grant_id",
    "right": "g.entitlement, g.system, g.account, {name}, g.principal_id, g.resource_id, i.grant_id",
}
"""Orders of items by the choice of the reader."""
GROUPS = {
    "person": (f"({PERSON})", "{name}"),
    "resource": (
        "concat_ws('/', g.system, g.account, g.resource_type, g.resource_id)",
        "g.system, g.resource_name, g.resource_id",
    ),
    "system": ("concat_ws('/', g.system, g.account)", "g.system, g.account"),
}
"""Of each kind of group, what makes the key of an item, and the order of the groups."""

# The order needs the names of all items; everything else is read for the rows of the page only.
_CHOSEN = f"""
WITH chosen AS MATERIALIZED (
    SELECT i.grant_id, {NAME} AS shown_name, {{matching}} AS matching {ITEMS} {NAMED} {MATCHING} {{search}}
    ORDER BY {{inner}}
    LIMIT %(limit)s OFFSET %(offset)s
), headed AS (SELECT chosen.*, ''::text AS group_key, '[]'::jsonb AS group_parts FROM chosen)"""

# One pass over all items, also for what the heads of the groups of this page say.
_GROUPED = f"""
WITH every AS MATERIALIZED (
    SELECT g.system, g.account, g.resource_type, g.resource_id, g.resource_name, g.principal_type, g.principal_id,
           g.entitlement, i.grant_id, i.state, {PROVEN} AS proven, {NAME} AS shown_name,
           {{key}} COLLATE "C" AS group_key, coalesce(d.facts ->> 'person.status', '') AS status,
           coalesce(d.facts ->> 'matched_by', '') AS matched, g.last_used_days
    {ITEMS} {NAMED} {MATCHING} {{search}}
), chosen AS MATERIALIZED (
    SELECT grant_id, shown_name, group_key, {{matching}} AS matching
    FROM every g ORDER BY {{inner}} LIMIT %(limit)s OFFSET %(offset)s
), heads AS (
    SELECT group_key, jsonb_agg(jsonb_build_array(
               entitlement, principal_type, status, matched, last_used_days, items, proven, held)) AS group_parts
    FROM (
        SELECT group_key, entitlement, principal_type, status, matched, last_used_days, count(*) AS items,
               count(*) FILTER (WHERE proven) AS proven, count(*) FILTER (WHERE state = 'held') AS held
        FROM every WHERE group_key IN (SELECT group_key FROM chosen) GROUP BY 1, 2, 3, 4, 5, 6
    ) part GROUP BY 1
), headed AS (SELECT * FROM chosen JOIN heads USING (group_key))"""

_ROWS = f"""
SELECT {GRANT}, i.grant_id, i.state, i.reason, coalesce(d.rule, '') AS rule, coalesce(d.reason, '') AS why,
       coalesce(v.verdict, '') AS verdict, coalesce(v.path, '') AS path, v.observed_at, i.call_id,
       coalesce(d.facts ->> 'person.id', '') AS person, coalesce(d.facts ->> 'person.department', '') AS department,
       coalesce(a.outcome, '') AS outcome, coalesce(a.code, '') AS code, coalesce(a.request_id, '') AS request_id,
       a.sent_at, g.last_used_days, g.last_used_on, g.last_use, headed.group_key, headed.group_parts,
       headed.matching
FROM headed JOIN rescind.plan_item i ON i.run_no = %(run)s AND i.grant_id = headed.grant_id
JOIN rescind.grant_row g ON g.run_no = %(source)s AND g.grant_id = i.grant_id
LEFT JOIN LATERAL (
    SELECT verdict, path, observed_at FROM rescind.verdict v
    WHERE v.run_no = i.run_no AND v.grant_id = i.grant_id ORDER BY verdict_no DESC LIMIT 1
) v ON true
{NAMED}
LEFT JOIN LATERAL (
    SELECT outcome, code, request_id, sent_at FROM rescind.attempt a
    WHERE a.run_no = i.run_no AND a.call_id = i.call_id ORDER BY n DESC LIMIT 1
) a ON true
ORDER BY {{outer}}
"""


def items_page(sort: str, by: str, further: str, *, counted: bool, backwards: bool) -> str:
    """Return the statement of a page of items.

    :param sort: a key of :data:`ORDERS`; another text counts as none.
    :param by: a key of :data:`GROUPS`; another text counts as none.
    :param further: more conditions.
    :param counted: whether each row says how many items match; this reads all of them, once.
    :param backwards: whether the offset counts from the end. The rows come in the same order.
    """
    order, key, statement = ORDERS.get(sort, ORDERS[""]), "", _CHOSEN
    if by in GROUPS:
        key, first = GROUPS[by]
        order, statement = f"{first}, {{key}}, {order}".replace("i.grant_id", "g.grant_id"), _GROUPED
    inner, outer = (order.format(name=f"{of}shown_name", key=f"{of}group_key") for of in ("", "headed."))
    if backwards:
        inner = ", ".join(f"{column} DESC" for column in inner.split(", "))
    matching = "count(*) OVER ()" if counted else "0"
    return (statement + _ROWS).format(search=further, inner=inner, outer=outer, key=key, matching=matching)


# Restored items were accepted before.
SYSTEMS = f"""
WITH scopes AS (
    SELECT s.system, s.account, bool_and(s.state = 'complete') AS complete, sum(s.counted)::bigint AS discovered,
           bool_or(s.part = '{NAMED_PEOPLE}') AS named, bool_or(s.part = '{KNOWN_ACCESS}') AS known
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
    {ITEMS} WHERE {OF_THE_READER} GROUP BY 1, 2
)
SELECT system, account, coalesce(complete, false) AS complete, coalesce(named, false) AS named,
       coalesce(known, false) AS known,
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

# The regrants of a run, each with its latest observation.
RETURNS = f"""
WITH seen AS (
    SELECT s.grant_id, min(s.seen_at) AS first_seen, max(s.sighting_no) AS latest,
           count(DISTINCT (c.dag_id, c.airflow_run_id)) AS times
    FROM rescind.sighting s JOIN rescind.watch_check c USING (check_no)
    JOIN rescind.run r ON r.number = s.run_no AND r.dag_id = ANY(%(dags)s)
    WHERE s.run_no = %(run)s GROUP BY s.grant_id
)
SELECT {GRANT}, seen.first_seen, s.seen_at AS last_seen, seen.times, s.entitlement AS seen_entitlement,
       s.native_id AS seen_native_id, s.created_raw AS seen_created, s.expires_raw AS seen_expires,
       s.origin AS seen_origin
FROM seen JOIN rescind.sighting s ON s.sighting_no = seen.latest
JOIN rescind.grant_row g ON g.run_no = s.run_no AND g.grant_id = s.grant_id
{NAMED}
ORDER BY s.seen_at DESC, g.system, g.account, principal_name, g.principal_id, g.resource_id LIMIT %(limit)s
"""
