-- What an approver left out of a plan. It approves nothing: the narrower plan is put to an approver in a second question.
-- Signed like an approval, with a key that is not in the ledger. At most one for each run, written once.
CREATE TABLE rescind.narrowing (
    run_no integer PRIMARY KEY,
    digest bytea NOT NULL,
    left_out jsonb NOT NULL CHECK (jsonb_typeof(left_out) = 'array'),
    grants integer NOT NULL CHECK (grants > 0),
    grants_digest text NOT NULL CHECK (grants_digest ~ '^[0-9a-f]{64}$'),
    responded_by text NOT NULL CHECK (responded_by <> ''),
    responded_by_name text NOT NULL,
    responded_at timestamptz NOT NULL,
    comment text NOT NULL CHECK (comment <> ''),
    signing_key text NOT NULL,
    signature text NOT NULL,
    recorded_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    FOREIGN KEY (run_no, digest) REFERENCES rescind.approval (run_no, digest)
);
CREATE TRIGGER narrowing_is_kept BEFORE UPDATE OR DELETE ON rescind.narrowing
    FOR EACH ROW EXECUTE FUNCTION rescind.refuse_change();
CREATE TRIGGER narrowing_is_not_emptied BEFORE TRUNCATE ON rescind.narrowing EXECUTE FUNCTION rescind.refuse_change();
