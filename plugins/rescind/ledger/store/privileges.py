"""The rights of the runtime role: what the tasks need, and nothing that could rewrite a record.

The owner of the schema migrates it and grants these rights. The tasks connect as a role that owns nothing: it cannot
disable triggers, empty tables or change the schema. Deletions of large tables are functions that check first, see the
migration ``013_runtime_role.sql``.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from psycopg import sql

from rescind.errors import ConfigurationError
from rescind.ledger.store.session import Connection

GRANT_HINT = "run `rescind ledger migrate --runtime-role NAME` as the owner of the schema"
OWNS = "runtime role owns the schema"
"""What the evidence says about a connection that could disable triggers and rewrite records."""
SEPARATE = "runtime role without ownership"

_APPEND = ("SELECT", "INSERT")
_ALL = ("SELECT", "INSERT", "UPDATE", "DELETE")
RIGHTS: Mapping[str, tuple[str, ...]] = {
    "rescind.migration": ("SELECT",),
    "rescind.run_counter": ("SELECT", "UPDATE (last)"),
    "rescind.run": (
        "SELECT",
        "INSERT (number, run_id, dag_id, airflow_run_id, kind, requested_by, reason, ticket, params, dry_run,"
        " policy_version, code_version, server, follows)",
        "UPDATE (state, finished_at, summary, snapshot_digest)",
    ),
    "rescind.input": ("SELECT", "INSERT (run_no, name, source, sha256, content, facts)"),
    "rescind.scope": (
        "SELECT",
        "INSERT (run_no, scope_no, scope_id, system, account, part, conn_id)",
        "UPDATE (state, identity, query, pages, declared, counted, duplicates, dangling, page_digests, missing, error,"
        " notes, started_at, ended_at)",
    ),
    "rescind.grant_row": _APPEND,
    "rescind.principal": _APPEND,
    "rescind.membership": _APPEND,
    "rescind.listing": _APPEND,
    "rescind.decision": (*_APPEND, "UPDATE (choice, facts)"),
    "rescind.question": (
        "SELECT",
        "INSERT (run_no, digest, ordinal, reviewer, no_answer, delegates)",
        "UPDATE (method, responded_by, responded_at, comment, due_at)",
    ),
    "rescind.question_item": ("SELECT", "INSERT (run_no, grant_id, question, ordinal, shown)", "UPDATE (answer)"),
    "rescind.handover": ("SELECT", "INSERT (run_no, question, handed_by, handed_to, comment, handed_at)"),
    "rescind.plan": (*_APPEND, "UPDATE"),
    "rescind.plan_effect": _APPEND,
    "rescind.plan_item": ("SELECT", "INSERT", "UPDATE (call_id, state, reason, updated_at)"),
    "rescind.batch": ("SELECT", "INSERT", "UPDATE (calls, items, state, lease_owner, lease_epoch, lease_until)"),
    "rescind.call": ("SELECT", "INSERT", "UPDATE (state, reason, updated_at)"),
    "rescind.scope_lock": _ALL,
    "rescind.approval": (
        "SELECT",
        "INSERT (run_no, digest, nonce, requested_by, valid_until)",
        "UPDATE (answer, responded_by, responded_by_name, responded_at, automatic, method, comment, signing_key,"
        " signature, airflow_record, used_at, used_by_batch)",
    ),
    "rescind.narrowing": (
        "SELECT",
        "INSERT (run_no, digest, left_out, grants, grants_digest, responded_by, responded_by_name, responded_at,"
        " comment, signing_key, signature)",
    ),
    "rescind.selection": ("SELECT", "INSERT (run_no, digest, user_id, user_name, grant_ids, comment)"),
    "rescind.attempt": (
        "SELECT",
        "INSERT (run_no, call_id, n, batch_id, lease_epoch, owner, plan_digest, request_digest, action, api_version)",
        "UPDATE (sent_at, answered_at, outcome, code, http_status, request_id, detail, closed_at)",
    ),
    "rescind.single_call": (
        "SELECT",
        "INSERT (run_no, task_id, map_index, system, account, conn_id, action, api_version, parameters,"
        " request_digest)",
        "UPDATE (outcome, code, http_status, request_id, closed_at)",
    ),
    "rescind.verdict": ("SELECT", "INSERT (run_no, grant_id, verdict, method, observed_at, path, detail)"),
    "rescind.verdict_latest": ("SELECT",),
    "rescind.kept_check": ("SELECT", "INSERT (run_no, system, account, compared, lost, complete, observed_at, detail)"),
    "rescind.kill_switch": ("SELECT", "INSERT (stopped, changed_by, reason)"),
    "rescind.seal": ("SELECT", "INSERT (seal_no, run_no, root, link)"),
    "rescind.watch_check": _APPEND,
    "rescind.sighting": _APPEND,
    "rescind.notice": ("SELECT", "INSERT (event, channel)"),
    "rescind.refusal": ("SELECT", "INSERT (dag_id, airflow_run_id, requested_by, reason, dry_run, said, kind)"),
    "rescind.deployment": ("SELECT", "INSERT", "UPDATE"),
    "rescind.progress": ("SELECT", "INSERT", "UPDATE"),
    "rescind.lane": ("SELECT", "INSERT", "UPDATE"),
    "rescind.lane_worker": _ALL,
}
"""Rights by table or view of the schema. Triggers restrict ``UPDATE`` further."""

PAGE_RIGHTS: Mapping[str, tuple[str, ...]] = {table: ("SELECT",) for table in RIGHTS} | {
    table: RIGHTS[table] for table in ("rescind.selection", "rescind.deployment")
}
"""Rights of a role for the page alone: it reads, adds selections, and notes which auth manager Airflow has."""

FUNCTIONS = (
    "is_open(integer)",
    "discard_plan(integer)",
    "clear_scope(integer, integer)",
    "clear_decisions(integer)",
    "analyze(text)",
    "figures_of(jsonb)",
)
# Tables whose rows a runtime role never deletes.
_RECORDS = [name for name, rights in RIGHTS.items() if "DELETE" not in rights and name != "rescind.verdict_latest"]

# Only a runtime role may insert calls: that is how a later migration knows the roles.
_ROLES = """
SELECT DISTINCT r.rolname FROM pg_class c CROSS JOIN aclexplode(c.relacl) a JOIN pg_roles r ON r.oid = a.grantee
WHERE c.oid = 'rescind.call'::regclass AND a.privilege_type = 'INSERT' AND a.grantee <> c.relowner
"""
# Only a role for the page may insert selections and no calls.
_PAGE_ROLES = """
SELECT DISTINCT r.rolname FROM pg_class c CROSS JOIN aclexplode(c.relacl) a JOIN pg_roles r ON r.oid = a.grantee
WHERE c.oid = 'rescind.migration'::regclass AND a.privilege_type = 'SELECT' AND a.grantee <> c.relowner
  AND has_any_column_privilege(r.oid, 'rescind.selection', 'INSERT')
  AND NOT has_table_privilege(r.oid, 'rescind.call', 'INSERT')
"""
_OWNS = """
SELECT pg_has_role(c.relowner, 'MEMBER') AS owns FROM pg_class c WHERE c.oid = 'rescind.migration'::regclass
"""
_LACKS = """
SELECT t.name, t.kind FROM unnest(%(names)s::text[], %(kinds)s::text[]) AS t(name, kind)
WHERE to_regclass(t.name) IS NOT NULL
  AND NOT CASE WHEN t.kind = 'DELETE' THEN has_table_privilege(t.name, t.kind)
               ELSE has_any_column_privilege(t.name, t.kind) END
"""
_EXCESS = """
SELECT s.rolsuper OR EXISTS (SELECT 1 FROM pg_class c WHERE c.relnamespace = 'rescind'::regnamespace
                             AND pg_has_role(session_user, c.relowner, 'MEMBER'))
       OR pg_has_role(session_user, (SELECT nspowner FROM pg_namespace WHERE nspname = 'rescind'), 'MEMBER') AS owns,
       (SELECT string_agg(DISTINCT p, ', ' ORDER BY p) FROM unnest(%(records)s::text[]) AS t(name),
               unnest('{DELETE,TRUNCATE,TRIGGER}'::text[]) AS p
        WHERE has_table_privilege(session_user, t.name, p)) AS tables,
       has_schema_privilege(session_user, 'rescind', 'CREATE') AS creates
FROM pg_roles s WHERE s.rolname = session_user
"""


def owns(connection: Connection) -> bool:
    """Return whether this connection owns the schema, and so may migrate it and grant rights."""
    return bool((connection.execute(_OWNS).fetchone() or {}).get("owns"))


def grant(connection: Connection, role: str | None, page_role: str | None = None) -> list[str]:
    """Grant the rights to a runtime role and a role for the page, and again to those that have them.

    :param role: a role that exists, or None for only those that have the rights already.
    :param page_role: likewise, for the page alone.
    :returns: the names of the runtime roles.
    :raises ConfigurationError: when a role does not exist or owns the schema, or one role is to be both.
    """
    if role is not None and role == page_role:
        raise ConfigurationError(f"role {role!r} is to be the runtime role and the role of the page. Use two roles")
    pages = {str(row["rolname"]) for row in connection.execute(_PAGE_ROLES).fetchall()}
    roles = {str(row["rolname"]) for row in connection.execute(_ROLES).fetchall()}
    for name, known, other in ((role, roles, pages), (page_role, pages, roles)):
        if name is not None:
            _refuse_owner(connection, name)
            known.add(name)
            other.discard(name)
    with connection.transaction():
        for name in sorted(roles):
            _grant_to(connection, name, RIGHTS, FUNCTIONS)
        for name in sorted(pages):
            _grant_to(connection, name, PAGE_RIGHTS, ())
    return sorted(roles)


def refuse_missing(connection: Connection, label: str) -> None:
    """Check that the connection has the rights of a runtime role.

    :raises ConfigurationError: when one is missing.
    """
    pairs = [(table, right.partition(" ")[0]) for table, rights in RIGHTS.items() for right in rights]
    lacks = connection.execute(
        _LACKS, {"names": [name for name, _ in pairs], "kinds": [kind for _, kind in pairs]}
    ).fetchall()
    if lacks:
        some = ", ".join(f"{row['kind']} on {row['name']}" for row in lacks[:3])
        raise ConfigurationError(
            f"ledger {label}: the database user lacks {len(lacks)} rights ({some} ...). To grant them, {GRANT_HINT}"
        )


def standing(connection: Connection) -> str:
    """Return for the evidence what the connection could do to records beyond a runtime role, or :data:`SEPARATE`."""
    row = connection.execute(_EXCESS, {"records": _RECORDS}).fetchone()
    if row is None or row["owns"]:
        return OWNS
    found = [str(row["tables"]) + " on records"] if row["tables"] else []
    found += ["CREATE in the schema"] if row["creates"] else []
    return f"runtime role may {' and '.join(found)}" if found else SEPARATE


def _refuse_owner(connection: Connection, role: str) -> None:
    row = connection.execute(
        "SELECT rolsuper OR pg_has_role(oid, (SELECT relowner FROM pg_class WHERE oid = 'rescind.migration'::regclass),"
        " 'MEMBER') AS owns FROM pg_roles WHERE rolname = %s",
        (role,),
    ).fetchone()
    if row is None:
        raise ConfigurationError(
            f"runtime role {role!r} does not exist on the server. Create it first: CREATE ROLE ... LOGIN PASSWORD ..."
        )
    if row["owns"]:
        raise ConfigurationError(
            f"runtime role {role!r} owns the schema, is a member of its owner, or is a superuser. Use a role of its own"
            " without such rights"
        )


def _grant_to(
    connection: Connection, role: str, rights_of: Mapping[str, tuple[str, ...]], functions: Sequence[str]
) -> None:
    to = sql.Identifier(role)
    for kind in ("TABLES", "SEQUENCES", "FUNCTIONS"):  # what an older version granted
        connection.execute(sql.SQL("REVOKE ALL ON ALL {} IN SCHEMA rescind FROM {}").format(sql.SQL(kind), to))
    connection.execute(sql.SQL("REVOKE ALL ON SCHEMA rescind FROM {}").format(to))
    connection.execute(sql.SQL("GRANT USAGE ON SCHEMA rescind TO {}").format(to))
    _grant_on_database(connection, role)
    for table, rights in rights_of.items():
        connection.execute(
            sql.SQL("GRANT {} ON {} TO {}").format(sql.SQL(", ".join(rights)), sql.Identifier(*table.split(".")), to)
        )
    for function in functions:
        connection.execute(sql.SQL("GRANT EXECUTE ON FUNCTION {} TO {}").format(sql.SQL(f"rescind.{function}"), to))


def _grant_on_database(connection: Connection, role: str) -> None:
    """Grant what everybody has by default, where it was taken away: temporary tables hold rows of bulk writes."""
    row = connection.execute(
        "SELECT current_database() AS name, has_database_privilege(%(role)s, current_database(), 'CONNECT')"
        " AND has_database_privilege(%(role)s, current_database(), 'TEMPORARY') AS has",
        {"role": role},
    ).fetchone()
    if row is not None and not row["has"]:
        names = (sql.Identifier(row["name"]), sql.Identifier(role))
        connection.execute(sql.SQL("GRANT CONNECT, TEMPORARY ON DATABASE {} TO {}").format(*names))
