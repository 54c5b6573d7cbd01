-- Runs, the scopes that they listed, and what was found there.
--
-- Grants, decisions and items name their run by its number, not its text id: four bytes in tables of
-- millions of rows. Ids that are SHA-256 digests are stored as their 32 bytes.
-- The large tables carry no foreign keys: a million single checks cost more than the rows themselves,
-- and the one writer of each table compares the whole set with one anti-join instead.

CREATE FUNCTION rescind.refuse_change() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION '% on %.% is refused: the record is append only', TG_OP, TG_TABLE_SCHEMA, TG_TABLE_NAME
        USING ERRCODE = 'integrity_constraint_violation';
END $$;

-- A counter row, not a sequence: a sequence leaves a gap when a transaction rolls back.
CREATE TABLE rescind.run_counter (
    only_row boolean PRIMARY KEY DEFAULT true CHECK (only_row),
    last integer NOT NULL
);
INSERT INTO rescind.run_counter (last) VALUES (0);

CREATE TABLE rescind.run (
    number integer PRIMARY KEY,
    run_id text NOT NULL UNIQUE,
    dag_id text NOT NULL,
    airflow_run_id text NOT NULL,
    kind text NOT NULL CHECK (kind IN ('scheduled', 'manual', 'restore')),
    requested_by text NOT NULL,
    reason text NOT NULL DEFAULT '',
    ticket text NOT NULL DEFAULT '',
    params jsonb NOT NULL DEFAULT '{}',
    dry_run boolean NOT NULL,
    policy_version text NOT NULL DEFAULT '',
    code_version text NOT NULL DEFAULT '',
    state text NOT NULL DEFAULT 'created',
    started_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    finished_at timestamptz,
    summary jsonb NOT NULL DEFAULT '{}',
    snapshot_digest text NOT NULL DEFAULT '',
    UNIQUE (dag_id, airflow_run_id)
);
CREATE TRIGGER run_is_kept BEFORE DELETE ON rescind.run FOR EACH ROW EXECUTE FUNCTION rescind.refuse_change();
CREATE TRIGGER runs_are_kept BEFORE TRUNCATE ON rescind.run EXECUTE FUNCTION rescind.refuse_change();

CREATE TABLE rescind.scope (
    run_no integer NOT NULL REFERENCES rescind.run (number),
    scope_no integer NOT NULL,
    scope_id text NOT NULL,
    system text NOT NULL,
    account text NOT NULL,
    part text NOT NULL DEFAULT '',
    conn_id text NOT NULL DEFAULT '',
    state text NOT NULL DEFAULT 'pending' CHECK (state IN ('pending', 'complete', 'incomplete')),
    identity text NOT NULL DEFAULT '',
    query jsonb NOT NULL DEFAULT '{}',
    pages integer NOT NULL DEFAULT 0,
    declared bigint,
    counted bigint NOT NULL DEFAULT 0,
    duplicates bigint NOT NULL DEFAULT 0,
    dangling bigint NOT NULL DEFAULT 0,
    page_digests text[] NOT NULL DEFAULT '{}',
    missing text NOT NULL DEFAULT '',
    error text NOT NULL DEFAULT '',
    notes jsonb NOT NULL DEFAULT '{}',
    started_at timestamptz,
    ended_at timestamptz,
    PRIMARY KEY (run_no, scope_no),
    UNIQUE (run_no, scope_id)
);

CREATE TABLE rescind.grant_row (
    run_no integer NOT NULL,
    grant_id bytea NOT NULL CHECK (octet_length(grant_id) = 32),
    scope_no integer NOT NULL,
    system text NOT NULL,
    account text NOT NULL,
    resource_type text NOT NULL,
    resource_id text NOT NULL,
    principal_type text NOT NULL,
    principal_id text NOT NULL,
    entitlement text NOT NULL,
    native_id text NOT NULL,
    cell_container text NOT NULL,
    cell_row text NOT NULL,
    cell_kind text NOT NULL,
    cell_column text[] NOT NULL,
    revocable boolean NOT NULL,
    why_not text NOT NULL,
    inherited_from text NOT NULL,
    expires_at timestamptz,
    expires_raw text NOT NULL,
    created_raw text NOT NULL,
    origin text NOT NULL,
    principal_name text NOT NULL,
    resource_name text NOT NULL,
    attributes jsonb,
    PRIMARY KEY (run_no, grant_id)
);
CREATE INDEX grant_row_scope ON rescind.grant_row (run_no, scope_no);
-- Hashes, because the ids are long: eight bytes find the candidates, the query compares the fields.
CREATE INDEX grant_row_cell ON rescind.grant_row (
    run_no,
    hash_array_extended(cell_column, hashtextextended(cell_kind, hashtextextended(cell_row, hashtextextended(cell_container, 0))))
);
CREATE INDEX grant_row_principal ON rescind.grant_row (
    run_no, hashtextextended(principal_id, hashtextextended(principal_type, 0))
);

CREATE TABLE rescind.principal (
    run_no integer NOT NULL,
    scope_no integer NOT NULL,
    system text NOT NULL,
    account text NOT NULL,
    principal_type text NOT NULL,
    principal_id text NOT NULL,
    name text NOT NULL,
    kind text NOT NULL,
    status text NOT NULL,
    last_used_at timestamptz,
    other_ids jsonb,
    PRIMARY KEY (run_no, scope_no, principal_type, principal_id)
);

CREATE TABLE rescind.membership (
    run_no integer NOT NULL,
    scope_no integer NOT NULL,
    system text NOT NULL,
    account text NOT NULL,
    member_type text NOT NULL,
    member_id text NOT NULL,
    container_type text NOT NULL,
    container_id text NOT NULL,
    PRIMARY KEY (run_no, scope_no, member_type, member_id, container_type, container_id)
);

CREATE TABLE rescind.decision (
    run_no integer NOT NULL,
    grant_id bytea NOT NULL CHECK (octet_length(grant_id) = 32),
    choice text NOT NULL CHECK (choice IN ('keep', 'revoke')),
    rule text NOT NULL,
    reason text NOT NULL,
    severity text NOT NULL,
    controls text[] NOT NULL,
    facts jsonb,
    PRIMARY KEY (run_no, grant_id)
);
