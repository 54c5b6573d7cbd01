-- Plans, approvals, calls, attempts and verdicts.

CREATE TABLE rescind.plan (
    run_no integer NOT NULL REFERENCES rescind.run (number),
    digest bytea NOT NULL CHECK (octet_length(digest) = 32),
    source_no integer NOT NULL REFERENCES rescind.run (number),
    operation text NOT NULL DEFAULT 'revoke' CHECK (operation IN ('revoke', 'restore')),
    state text NOT NULL DEFAULT 'frozen' CHECK (state IN ('frozen', 'approved', 'executing', 'done', 'superseded')),
    created_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    valid_until timestamptz NOT NULL,
    guards jsonb NOT NULL DEFAULT '{}',
    caps jsonb NOT NULL DEFAULT '{}',
    lower_bound integer NOT NULL DEFAULT 0,
    calls integer NOT NULL DEFAULT 0,
    items integer NOT NULL DEFAULT 0,
    code_version text NOT NULL,
    policy_version text NOT NULL DEFAULT '',
    PRIMARY KEY (run_no, digest)
);
CREATE UNIQUE INDEX plan_one_live ON rescind.plan (run_no) WHERE state <> 'superseded';

-- The effects that the digest is made over, in pieces: a million of them are more than one value should hold.
CREATE TABLE rescind.plan_effect (
    run_no integer NOT NULL,
    digest bytea NOT NULL,
    ordinal integer NOT NULL,
    chunk bytea NOT NULL,
    PRIMARY KEY (run_no, digest, ordinal),
    FOREIGN KEY (run_no, digest) REFERENCES rescind.plan (run_no, digest)
);

CREATE TABLE rescind.scope_lock (
    system text NOT NULL,
    account text NOT NULL,
    run_no integer NOT NULL REFERENCES rescind.run (number),
    acquired_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    expires_at timestamptz NOT NULL,
    PRIMARY KEY (system, account)
);

CREATE TABLE rescind.batch (
    run_no integer NOT NULL REFERENCES rescind.run (number),
    batch_id bytea NOT NULL CHECK (octet_length(batch_id) = 32),
    ordinal integer NOT NULL,
    system text NOT NULL,
    account text NOT NULL,
    conn_id text NOT NULL,
    label text NOT NULL DEFAULT '',
    calls integer NOT NULL,
    items integer NOT NULL DEFAULT 0,
    state text NOT NULL DEFAULT 'open' CHECK (state IN ('open', 'claimed', 'done')),
    lease_owner text NOT NULL DEFAULT '',
    lease_epoch integer NOT NULL DEFAULT 0,
    lease_until timestamptz,
    PRIMARY KEY (run_no, batch_id)
);

CREATE TABLE rescind.call (
    run_no integer NOT NULL,
    call_id bytea NOT NULL CHECK (octet_length(call_id) = 32),
    batch_id bytea NOT NULL,
    system text NOT NULL,
    account text NOT NULL,
    conn_id text NOT NULL,
    ordinal integer NOT NULL,
    container text NOT NULL,
    rows text[] NOT NULL,
    columns jsonb NOT NULL,
    inverse jsonb,
    state text NOT NULL DEFAULT 'pending'
        CHECK (state IN ('pending', 'sent', 'accepted', 'refused', 'unknown', 'stale', 'skipped')),
    reason text NOT NULL DEFAULT '',
    updated_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    PRIMARY KEY (run_no, call_id)
) WITH (fillfactor = 70);
CREATE INDEX call_batch ON rescind.call (run_no, batch_id, ordinal);

-- A state is changed up to three times: room in the page keeps the new version beside the old one (HOT),
-- so the indexes are not written again.
CREATE TABLE rescind.plan_item (
    run_no integer NOT NULL,
    grant_id bytea NOT NULL CHECK (octet_length(grant_id) = 32),
    call_id bytea CHECK (octet_length(call_id) = 32),
    state text NOT NULL CHECK (state IN ('planned', 'approved', 'sent', 'accepted', 'refused', 'unknown',
                                         'held', 'stale', 'expired', 'restored')),
    reason text NOT NULL DEFAULT '',
    updated_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    PRIMARY KEY (run_no, grant_id)
) WITH (fillfactor = 50);
CREATE INDEX plan_item_call ON rescind.plan_item (run_no, call_id);

CREATE TABLE rescind.approval (
    run_no integer NOT NULL,
    digest bytea NOT NULL,
    nonce text NOT NULL UNIQUE,
    requested_by text NOT NULL,
    requested_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    valid_until timestamptz NOT NULL,
    answer text CHECK (answer IN ('approve', 'reject')),
    responded_by text NOT NULL DEFAULT '',
    responded_at timestamptz,
    automatic boolean NOT NULL DEFAULT false,
    used_at timestamptz,
    used_by_batch bytea,
    PRIMARY KEY (run_no, digest),
    FOREIGN KEY (run_no, digest) REFERENCES rescind.plan (run_no, digest),
    CHECK ((answer IS NULL) = (responded_at IS NULL))
);

-- An answer is given once. The belt below holds even for somebody with SQL access and good intentions.
CREATE FUNCTION rescind.approval_guard() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF (OLD.run_no, OLD.digest, OLD.nonce, OLD.requested_by, OLD.requested_at, OLD.valid_until)
        IS DISTINCT FROM (NEW.run_no, NEW.digest, NEW.nonce, NEW.requested_by, NEW.requested_at, NEW.valid_until)
       OR (OLD.answer IS NOT NULL
           AND (OLD.answer, OLD.responded_by, OLD.responded_at, OLD.automatic)
               IS DISTINCT FROM (NEW.answer, NEW.responded_by, NEW.responded_at, NEW.automatic))
       OR (OLD.used_at IS NOT NULL AND OLD.used_at IS DISTINCT FROM NEW.used_at) THEN
        RAISE EXCEPTION 'an approval is answered once and never changed' USING ERRCODE = 'integrity_constraint_violation';
    END IF;
    RETURN NEW;
END $$;
CREATE TRIGGER approval_is_kept BEFORE UPDATE ON rescind.approval FOR EACH ROW EXECUTE FUNCTION rescind.approval_guard();
CREATE TRIGGER approval_is_not_deleted BEFORE DELETE ON rescind.approval FOR EACH ROW EXECUTE FUNCTION rescind.refuse_change();

CREATE TABLE rescind.attempt (
    attempt_id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    run_no integer NOT NULL REFERENCES rescind.run (number),
    call_id bytea NOT NULL,
    n integer NOT NULL CHECK (n >= 1),
    batch_id bytea NOT NULL,
    lease_epoch integer NOT NULL,
    owner text NOT NULL,
    plan_digest bytea NOT NULL,
    request_digest text NOT NULL,
    action text NOT NULL,
    api_version text NOT NULL,
    intent_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    sent_at timestamptz,
    answered_at timestamptz,
    outcome text CHECK (outcome IN ('accepted', 'refused', 'throttled', 'not_sent', 'unknown')),
    code text NOT NULL DEFAULT '',
    http_status integer,
    request_id text NOT NULL DEFAULT '',
    detail jsonb NOT NULL DEFAULT '{}',
    closed_at timestamptz,
    UNIQUE (run_no, call_id, n),
    CHECK ((outcome IS NULL) = (closed_at IS NULL))
);
CREATE INDEX attempt_open ON rescind.attempt (run_no) WHERE outcome IS NULL;
CREATE INDEX attempt_recent ON rescind.attempt (run_no, closed_at);

CREATE FUNCTION rescind.attempt_guard() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF OLD.outcome IS NOT NULL THEN
        RAISE EXCEPTION 'attempt % has its outcome already', OLD.attempt_id USING ERRCODE = 'integrity_constraint_violation';
    END IF;
    IF (OLD.attempt_id, OLD.run_no, OLD.call_id, OLD.n, OLD.batch_id, OLD.lease_epoch, OLD.owner, OLD.plan_digest,
        OLD.request_digest, OLD.action, OLD.api_version, OLD.intent_at)
       IS DISTINCT FROM
       (NEW.attempt_id, NEW.run_no, NEW.call_id, NEW.n, NEW.batch_id, NEW.lease_epoch, NEW.owner, NEW.plan_digest,
        NEW.request_digest, NEW.action, NEW.api_version, NEW.intent_at) THEN
        RAISE EXCEPTION 'the intent of attempt % may not be changed', OLD.attempt_id
            USING ERRCODE = 'integrity_constraint_violation';
    END IF;
    RETURN NEW;
END $$;
CREATE TRIGGER attempt_is_kept BEFORE UPDATE ON rescind.attempt FOR EACH ROW EXECUTE FUNCTION rescind.attempt_guard();
CREATE TRIGGER attempt_is_not_deleted BEFORE DELETE ON rescind.attempt FOR EACH ROW EXECUTE FUNCTION rescind.refuse_change();
CREATE TRIGGER attempts_are_kept BEFORE TRUNCATE ON rescind.attempt EXECUTE FUNCTION rescind.refuse_change();

CREATE TABLE rescind.verdict (
    verdict_no bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    run_no integer NOT NULL,
    grant_id bytea NOT NULL CHECK (octet_length(grant_id) = 32),
    verdict text NOT NULL CHECK (verdict IN ('verified_gone', 'already_absent', 'still_present', 'still_effective',
                                             'unverified')),
    method text NOT NULL,
    observed_at timestamptz NOT NULL,
    recorded_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    path text NOT NULL DEFAULT '',
    detail jsonb
);
CREATE INDEX verdict_item ON rescind.verdict (run_no, grant_id, verdict_no DESC);
CREATE TRIGGER verdict_is_kept BEFORE UPDATE OR DELETE ON rescind.verdict
    FOR EACH ROW EXECUTE FUNCTION rescind.refuse_change();

CREATE VIEW rescind.verdict_latest AS
    SELECT DISTINCT ON (run_no, grant_id) *
    FROM rescind.verdict
    ORDER BY run_no, grant_id, verdict_no DESC;

CREATE TABLE rescind.kept_check (
    kept_no bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    run_no integer NOT NULL REFERENCES rescind.run (number),
    system text NOT NULL,
    account text NOT NULL,
    compared bigint NOT NULL,
    lost jsonb NOT NULL DEFAULT '[]',
    complete boolean NOT NULL,
    observed_at timestamptz NOT NULL,
    recorded_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    detail jsonb NOT NULL DEFAULT '{}'
);
CREATE INDEX kept_check_run ON rescind.kept_check (run_no, system, account, kept_no);
