-- What was verified gone and seen again later, and what a watching run could look at. Append only.

CREATE TABLE rescind.watch_check (
    check_no bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    dag_id text NOT NULL,
    airflow_run_id text NOT NULL,
    system text NOT NULL,
    account text NOT NULL,
    watched integer NOT NULL CHECK (watched >= 0),
    still_gone integer NOT NULL CHECK (still_gone >= 0),
    returned integer NOT NULL CHECK (returned >= 0),
    not_checked integer NOT NULL CHECK (not_checked >= 0),
    list_calls integer NOT NULL,
    problem text NOT NULL,
    checked_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    CHECK (watched = still_gone + returned + not_checked)
);
CREATE INDEX watch_check_run ON rescind.watch_check (dag_id, airflow_run_id, check_no);
CREATE TRIGGER watch_check_is_kept BEFORE UPDATE OR DELETE ON rescind.watch_check
    FOR EACH ROW EXECUTE FUNCTION rescind.refuse_change();

-- `run_no` is the run that had proven the grant gone; `first` says that no other
-- watching run had seen it before.
CREATE TABLE rescind.sighting (
    sighting_no bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    check_no bigint NOT NULL REFERENCES rescind.watch_check (check_no),
    run_no integer NOT NULL REFERENCES rescind.run (number),
    grant_id bytea NOT NULL CHECK (octet_length(grant_id) = 32),
    seen_at timestamptz NOT NULL,
    first boolean NOT NULL,
    native_id text NOT NULL,
    entitlement text NOT NULL,
    expires_raw text NOT NULL,
    created_raw text NOT NULL,
    origin text NOT NULL,
    detail jsonb NOT NULL DEFAULT '{}'
);
CREATE INDEX sighting_grant ON rescind.sighting (run_no, grant_id, sighting_no);
CREATE INDEX sighting_check ON rescind.sighting (check_no);
CREATE TRIGGER sighting_is_kept BEFORE UPDATE OR DELETE ON rescind.sighting
    FOR EACH ROW EXECUTE FUNCTION rescind.refuse_change();
CREATE TRIGGER sightings_are_kept BEFORE TRUNCATE ON rescind.sighting EXECUTE FUNCTION rescind.refuse_change();
