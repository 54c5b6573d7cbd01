-- Some auth managers know a user by a number or a UUID and a name; the requester of a run is known by name only. The name of
-- the approver is part of what is signed; it is empty where it is the same as responded_by.
ALTER TABLE rescind.approval ADD COLUMN responded_by_name text NOT NULL DEFAULT '';

CREATE OR REPLACE FUNCTION rescind.approval_guard() RETURNS trigger LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    IF (OLD.run_no, OLD.digest, OLD.nonce, OLD.requested_by, OLD.requested_at, OLD.valid_until)
        IS DISTINCT FROM (NEW.run_no, NEW.digest, NEW.nonce, NEW.requested_by, NEW.requested_at, NEW.valid_until)
       OR (OLD.answer IS NOT NULL
           AND (OLD.answer, OLD.responded_by, OLD.responded_by_name, OLD.responded_at, OLD.automatic, OLD.method,
                OLD.signing_key, OLD.signature)
               IS DISTINCT FROM
               (NEW.answer, NEW.responded_by, NEW.responded_by_name, NEW.responded_at, NEW.automatic, NEW.method,
                NEW.signing_key, NEW.signature))
       OR (OLD.airflow_record <> '' AND OLD.airflow_record IS DISTINCT FROM NEW.airflow_record)
       OR (OLD.used_at IS NOT NULL AND (OLD.used_at, OLD.used_by_batch) IS DISTINCT FROM (NEW.used_at, NEW.used_by_batch))
       OR (NEW.used_at IS NOT NULL AND NEW.answer IS DISTINCT FROM 'approve')
       OR ((NEW.answer IS NULL OR NEW.used_at IS NULL) AND NEW.used_by_batch IS NOT NULL) THEN
        RAISE EXCEPTION 'an approval is answered once and never changed' USING ERRCODE = 'integrity_constraint_violation';
    END IF;
    RETURN NEW;
END $$;

-- What the page tells the tasks about Airflow: only the API server knows which auth manager is in use.
CREATE TABLE rescind.deployment (
    name text PRIMARY KEY,
    value text NOT NULL,
    noted_at timestamptz NOT NULL DEFAULT clock_timestamp()
);
