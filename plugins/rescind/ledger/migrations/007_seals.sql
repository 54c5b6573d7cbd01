-- The seal of each evidence bundle. Numbered without gaps, each linked to the one before: a bundle that was
-- taken away, put in between or made anew shows. Append only.

CREATE TABLE rescind.seal (
    seal_no integer PRIMARY KEY CHECK (seal_no >= 1),
    run_no integer NOT NULL REFERENCES rescind.run (number),
    root bytea NOT NULL CHECK (octet_length(root) = 32),
    link bytea NOT NULL CHECK (octet_length(link) = 32),
    sealed_at timestamptz NOT NULL DEFAULT clock_timestamp()
);
CREATE INDEX seal_run ON rescind.seal (run_no, seal_no DESC);
CREATE TRIGGER seal_is_kept BEFORE UPDATE OR DELETE ON rescind.seal
    FOR EACH ROW EXECUTE FUNCTION rescind.refuse_change();
CREATE TRIGGER seals_are_kept BEFORE TRUNCATE ON rescind.seal EXECUTE FUNCTION rescind.refuse_change();
