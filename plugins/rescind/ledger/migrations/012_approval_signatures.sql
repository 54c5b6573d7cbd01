-- The answer to an approval is signed with a key that is not in the ledger: without it a row here approves nothing.
-- airflow_record says for people whether Airflow's own record has the same answer.
ALTER TABLE rescind.approval ADD COLUMN signing_key text NOT NULL DEFAULT '';
ALTER TABLE rescind.approval ADD COLUMN signature text NOT NULL DEFAULT '';
ALTER TABLE rescind.approval ADD COLUMN airflow_record text NOT NULL DEFAULT '';

CREATE OR REPLACE FUNCTION rescind.approval_guard() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF (OLD.run_no, OLD.digest, OLD.nonce, OLD.requested_by, OLD.requested_at, OLD.valid_until)
        IS DISTINCT FROM (NEW.run_no, NEW.digest, NEW.nonce, NEW.requested_by, NEW.requested_at, NEW.valid_until)
       OR (OLD.answer IS NOT NULL
           AND (OLD.answer, OLD.responded_by, OLD.responded_at, OLD.automatic, OLD.method, OLD.signing_key, OLD.signature)
               IS DISTINCT FROM
               (NEW.answer, NEW.responded_by, NEW.responded_at, NEW.automatic, NEW.method, NEW.signing_key, NEW.signature))
       OR (OLD.airflow_record <> '' AND OLD.airflow_record IS DISTINCT FROM NEW.airflow_record)
       OR (OLD.used_at IS NOT NULL AND OLD.used_at IS DISTINCT FROM NEW.used_at) THEN
        RAISE EXCEPTION 'an approval is answered once and never changed' USING ERRCODE = 'integrity_constraint_violation';
    END IF;
    RETURN NEW;
END $$;
