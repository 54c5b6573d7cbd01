-- Calls of the operators that work alone, in any DAG: the intent before each request, the outcome after it.
CREATE TABLE rescind.single_call (
    attempt_no bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    run_no integer NOT NULL REFERENCES rescind.run (number),
    task_id text NOT NULL,
    map_index integer NOT NULL,
    system text NOT NULL,
    account text NOT NULL,
    conn_id text NOT NULL,
    action text NOT NULL,
    api_version text NOT NULL,
    parameters jsonb NOT NULL,
    request_digest text NOT NULL,
    intent_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    outcome text CHECK (outcome IN ('accepted', 'refused', 'throttled', 'not_sent', 'unknown')),
    code text NOT NULL DEFAULT '',
    http_status integer,
    request_id text NOT NULL DEFAULT '',
    closed_at timestamptz,
    CHECK ((outcome IS NULL) = (closed_at IS NULL))
);
CREATE INDEX single_call_run ON rescind.single_call (run_no, attempt_no);

CREATE FUNCTION rescind.single_call_guard() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF OLD.outcome IS NOT NULL THEN
        RAISE EXCEPTION 'single call % has its outcome already', OLD.attempt_no
            USING ERRCODE = 'integrity_constraint_violation';
    END IF;
    IF (OLD.attempt_no, OLD.run_no, OLD.task_id, OLD.map_index, OLD.system, OLD.account, OLD.conn_id, OLD.action,
        OLD.api_version, OLD.parameters, OLD.request_digest, OLD.intent_at)
       IS DISTINCT FROM
       (NEW.attempt_no, NEW.run_no, NEW.task_id, NEW.map_index, NEW.system, NEW.account, NEW.conn_id, NEW.action,
        NEW.api_version, NEW.parameters, NEW.request_digest, NEW.intent_at) THEN
        RAISE EXCEPTION 'the intent of single call % may not be changed', OLD.attempt_no
            USING ERRCODE = 'integrity_constraint_violation';
    END IF;
    RETURN NEW;
END $$;
CREATE TRIGGER single_call_is_kept BEFORE UPDATE ON rescind.single_call
    FOR EACH ROW EXECUTE FUNCTION rescind.single_call_guard();
CREATE TRIGGER single_call_is_not_deleted BEFORE DELETE ON rescind.single_call
    FOR EACH ROW EXECUTE FUNCTION rescind.refuse_change();
CREATE TRIGGER single_calls_are_kept BEFORE TRUNCATE ON rescind.single_call EXECUTE FUNCTION rescind.refuse_change();
