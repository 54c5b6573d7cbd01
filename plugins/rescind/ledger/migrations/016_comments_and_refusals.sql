-- The comment of an answer. The signature covers it, so that nobody can change the reason of an answer later.
ALTER TABLE rescind.approval ADD COLUMN comment text NOT NULL DEFAULT '';

CREATE OR REPLACE FUNCTION rescind.approval_guard() RETURNS trigger LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    IF (OLD.run_no, OLD.digest, OLD.nonce, OLD.requested_by, OLD.requested_at, OLD.valid_until)
        IS DISTINCT FROM (NEW.run_no, NEW.digest, NEW.nonce, NEW.requested_by, NEW.requested_at, NEW.valid_until)
       OR (OLD.answer IS NOT NULL
           AND (OLD.answer, OLD.responded_by, OLD.responded_by_name, OLD.responded_at, OLD.automatic, OLD.method, OLD.comment,
                OLD.signing_key, OLD.signature)
               IS DISTINCT FROM
               (NEW.answer, NEW.responded_by, NEW.responded_by_name, NEW.responded_at, NEW.automatic, NEW.method, NEW.comment,
                NEW.signing_key, NEW.signature))
       OR (NEW.answer IS NULL AND NEW.comment <> '')
       OR (OLD.airflow_record <> '' AND OLD.airflow_record IS DISTINCT FROM NEW.airflow_record)
       OR (OLD.used_at IS NOT NULL AND (OLD.used_at, OLD.used_by_batch) IS DISTINCT FROM (NEW.used_at, NEW.used_by_batch))
       OR (NEW.used_at IS NOT NULL AND NEW.answer IS DISTINCT FROM 'approve')
       OR ((NEW.answer IS NULL OR NEW.used_at IS NULL) AND NEW.used_by_batch IS NOT NULL) THEN
        RAISE EXCEPTION 'an approval is answered once and never changed' USING ERRCODE = 'integrity_constraint_violation';
    END IF;
    RETURN NEW;
END $$;

-- Runs that preflight refused have no row in rescind.run: this is what the page lists them from.
CREATE TABLE rescind.refusal (
    refusal_no bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    dag_id text NOT NULL,
    airflow_run_id text NOT NULL,
    requested_by text NOT NULL,
    reason text NOT NULL CHECK (length(reason) <= 500),
    dry_run boolean NOT NULL,
    said text NOT NULL CHECK (length(said) <= 2000),
    refused_at timestamptz NOT NULL DEFAULT clock_timestamp()
);
CREATE INDEX refusal_of_run ON rescind.refusal (dag_id, airflow_run_id);
CREATE TRIGGER refusal_is_kept BEFORE UPDATE OR DELETE ON rescind.refusal FOR EACH ROW EXECUTE FUNCTION rescind.refuse_change();
CREATE TRIGGER refusal_is_not_emptied BEFORE TRUNCATE ON rescind.refusal EXECUTE FUNCTION rescind.refuse_change();
