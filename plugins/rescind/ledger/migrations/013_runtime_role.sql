-- What no connection may do to a record, and what a role without ownership needs functions for. The rights themselves are
-- granted by `rescind ledger migrate --runtime-role NAME`, see store/privileges.py. The owner of the schema can disable
-- triggers: only a runtime role without ownership is bound by them.

-- System identifier and timeline of the server that the run began on. Another one at a send: a standby was promoted or a
-- backup restored in between, and recent records may be missing.
ALTER TABLE rescind.run ADD COLUMN server text NOT NULL DEFAULT '';
-- The transaction that a run began in, and the one that froze a plan: inputs and rows of a plan are written in it only. Both
-- number and time are compared, because a number may come again in a database that was restored elsewhere.
ALTER TABLE rescind.run ADD COLUMN begun_by xid8 NOT NULL DEFAULT pg_current_xact_id();
ALTER TABLE rescind.plan ADD COLUMN frozen_by xid8 NOT NULL DEFAULT pg_current_xact_id();
ALTER TABLE rescind.plan ADD COLUMN frozen_at timestamptz NOT NULL DEFAULT clock_timestamp();

CREATE FUNCTION rescind.refuse_transition() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION '% on %.% is refused: %', TG_OP, TG_TABLE_SCHEMA, TG_TABLE_NAME, TG_ARGV[0]
        USING ERRCODE = 'integrity_constraint_violation';
END $$;

DO $$
DECLARE name text;
BEGIN
    FOREACH name IN ARRAY '{approval,batch,call,decision,grant_row,input,kept_check,kill_switch,listing,membership,plan,
        plan_effect,plan_item,principal,question,question_item,scope,verdict,watch_check}'::text[] LOOP
        EXECUTE format('CREATE TRIGGER %I BEFORE TRUNCATE ON rescind.%I EXECUTE FUNCTION rescind.refuse_change()',
                       name || '_is_not_emptied', name);
    END LOOP;
    FOREACH name IN ARRAY '{input,plan,plan_effect,question,question_item,scope}'::text[] LOOP
        EXECUTE format('CREATE TRIGGER %I BEFORE DELETE ON rescind.%I FOR EACH ROW EXECUTE FUNCTION rescind.refuse_change()',
                       name || '_is_not_deleted', name);
    END LOOP;
    FOREACH name IN ARRAY '{grant_row,kept_check,listing,membership,plan_effect,principal}'::text[] LOOP
        EXECUTE format('CREATE TRIGGER %I BEFORE UPDATE ON rescind.%I FOR EACH ROW EXECUTE FUNCTION rescind.refuse_change()',
                       name || '_is_kept', name);
    END LOOP;
END $$;
CREATE TRIGGER kept_check_is_not_deleted BEFORE DELETE ON rescind.kept_check
    FOR EACH ROW EXECUTE FUNCTION rescind.refuse_change();

-- Records begin in their first state.

CREATE TRIGGER approval_begins BEFORE INSERT ON rescind.approval FOR EACH ROW
    WHEN (NEW.answer IS NOT NULL OR NEW.used_at IS NOT NULL OR NEW.signature <> '' OR NEW.airflow_record <> '')
    EXECUTE FUNCTION rescind.refuse_transition('a request for approval has no answer yet');
CREATE TRIGGER attempt_begins BEFORE INSERT ON rescind.attempt FOR EACH ROW
    WHEN (NEW.outcome IS NOT NULL)
    EXECUTE FUNCTION rescind.refuse_transition('an intent has no outcome yet');
CREATE TRIGGER single_call_begins BEFORE INSERT ON rescind.single_call FOR EACH ROW
    WHEN (NEW.outcome IS NOT NULL)
    EXECUTE FUNCTION rescind.refuse_transition('an intent has no outcome yet');
CREATE TRIGGER question_begins BEFORE INSERT ON rescind.question FOR EACH ROW
    WHEN (NEW.method <> '')
    EXECUTE FUNCTION rescind.refuse_transition('a question has no answer yet');
CREATE TRIGGER question_item_begins BEFORE INSERT ON rescind.question_item FOR EACH ROW
    WHEN (NEW.answer IS NOT NULL)
    EXECUTE FUNCTION rescind.refuse_transition('a question has no answer yet');
CREATE FUNCTION rescind.plan_begins() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF NEW.state <> 'frozen' THEN
        RAISE EXCEPTION 'a plan begins frozen' USING ERRCODE = 'integrity_constraint_violation';
    END IF;
    NEW.frozen_at := clock_timestamp();
    NEW.frozen_by := pg_current_xact_id();
    RETURN NEW;
END $$;
CREATE TRIGGER plan_begins BEFORE INSERT ON rescind.plan FOR EACH ROW EXECUTE FUNCTION rescind.plan_begins();

CREATE FUNCTION rescind.seal_follows() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF NEW.seal_no <> (SELECT coalesce(max(seal_no), 0) + 1 FROM rescind.seal) THEN
        RAISE EXCEPTION 'entry % does not follow the last entry of the evidence chain', NEW.seal_no
            USING ERRCODE = 'integrity_constraint_violation';
    END IF;
    RETURN NEW;
END $$;
CREATE TRIGGER seal_follows BEFORE INSERT ON rescind.seal FOR EACH ROW EXECUTE FUNCTION rescind.seal_follows();

CREATE OR REPLACE FUNCTION rescind.approval_guard() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF (OLD.run_no, OLD.digest, OLD.nonce, OLD.requested_by, OLD.requested_at, OLD.valid_until)
        IS DISTINCT FROM (NEW.run_no, NEW.digest, NEW.nonce, NEW.requested_by, NEW.requested_at, NEW.valid_until)
       OR (OLD.answer IS NOT NULL
           AND (OLD.answer, OLD.responded_by, OLD.responded_at, OLD.automatic, OLD.method, OLD.signing_key, OLD.signature)
               IS DISTINCT FROM
               (NEW.answer, NEW.responded_by, NEW.responded_at, NEW.automatic, NEW.method, NEW.signing_key, NEW.signature))
       OR (OLD.airflow_record <> '' AND OLD.airflow_record IS DISTINCT FROM NEW.airflow_record)
       OR (OLD.used_at IS NOT NULL AND (OLD.used_at, OLD.used_by_batch) IS DISTINCT FROM (NEW.used_at, NEW.used_by_batch))
       OR (NEW.used_at IS NOT NULL AND NEW.answer IS DISTINCT FROM 'approve')
       OR ((NEW.answer IS NULL OR NEW.used_at IS NULL) AND NEW.used_by_batch IS NOT NULL) THEN
        RAISE EXCEPTION 'an approval is answered once and never changed' USING ERRCODE = 'integrity_constraint_violation';
    END IF;
    RETURN NEW;
END $$;

-- States: only the steps of the package (ledger/plans/transitions.py). Functions, because PostgreSQL reads a WHEN clause
-- again in every statement, and a call is one row of a statement of its own. The one short clause is for the approval of a
-- large plan. What keeps its content has a trigger that an update of states alone does not call.

CREATE FUNCTION rescind.plan_item_steps() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF OLD.state = NEW.state OR (OLD.state || '>' || NEW.state) = ANY ('{planned>approved,planned>held,planned>stale,
planned>expired,approved>sent,approved>held,approved>stale,approved>expired,approved>restored,sent>accepted,sent>refused,
sent>unknown,sent>approved,accepted>approved,accepted>restored,refused>approved,refused>stale,refused>restored,
unknown>approved,unknown>accepted,unknown>stale,unknown>restored}'::text[]) THEN
        RETURN NEW;
    END IF;
    RAISE EXCEPTION 'an item moves by the steps of a run only (% to %)', OLD.state, NEW.state
        USING ERRCODE = 'integrity_constraint_violation';
END $$;
CREATE TRIGGER plan_item_moves BEFORE UPDATE OF state ON rescind.plan_item FOR EACH ROW
    WHEN (OLD.state <> 'planned' OR NEW.state <> 'approved')
    EXECUTE FUNCTION rescind.plan_item_steps();
CREATE TRIGGER plan_item_is_kept BEFORE UPDATE OF run_no, grant_id, call_id ON rescind.plan_item FOR EACH ROW
    WHEN ((OLD.run_no, OLD.grant_id) IS DISTINCT FROM (NEW.run_no, NEW.grant_id)
          OR OLD.call_id IS DISTINCT FROM NEW.call_id AND NOT (OLD.state IN ('approved', 'refused') AND NEW.state = 'approved'))
    EXECUTE FUNCTION rescind.refuse_transition('an item keeps its grant, and its call except in a split');

CREATE FUNCTION rescind.call_steps() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF OLD.state = NEW.state OR (OLD.state || '>' || NEW.state) = ANY ('{pending>sent,pending>stale,pending>skipped,
sent>accepted,sent>refused,sent>unknown,sent>pending,refused>pending,refused>stale,refused>skipped,unknown>pending,
unknown>stale,unknown>skipped,accepted>pending}'::text[]) THEN
        RETURN NEW;
    END IF;
    RAISE EXCEPTION 'a call moves by the steps of a run only (% to %)', OLD.state, NEW.state
        USING ERRCODE = 'integrity_constraint_violation';
END $$;
CREATE TRIGGER call_moves BEFORE UPDATE OF state ON rescind.call FOR EACH ROW EXECUTE FUNCTION rescind.call_steps();
CREATE TRIGGER call_is_kept
    BEFORE UPDATE OF run_no, call_id, batch_id, system, account, conn_id, ordinal, container, rows, columns, inverse
    ON rescind.call FOR EACH ROW
    WHEN ((OLD.run_no, OLD.call_id, OLD.batch_id, OLD.system, OLD.account, OLD.conn_id, OLD.ordinal, OLD.container, OLD.rows,
           OLD.columns, OLD.inverse)
          IS DISTINCT FROM
          (NEW.run_no, NEW.call_id, NEW.batch_id, NEW.system, NEW.account, NEW.conn_id, NEW.ordinal, NEW.container, NEW.rows,
           NEW.columns, NEW.inverse))
    EXECUTE FUNCTION rescind.refuse_transition('a call keeps its content');
CREATE TRIGGER batch_is_kept
    BEFORE UPDATE OF run_no, batch_id, ordinal, system, account, conn_id, label, canary, lease_epoch
    ON rescind.batch FOR EACH ROW
    WHEN (NEW.lease_epoch < OLD.lease_epoch OR (OLD.run_no, OLD.batch_id, OLD.ordinal, OLD.system, OLD.account, OLD.conn_id,
          OLD.label, OLD.canary) IS DISTINCT FROM (NEW.run_no, NEW.batch_id, NEW.ordinal, NEW.system, NEW.account,
          NEW.conn_id, NEW.label, NEW.canary))
    EXECUTE FUNCTION rescind.refuse_transition('a batch keeps its content, and its lease never goes back');

CREATE FUNCTION rescind.plan_guard() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
    step text := OLD.state || '>' || NEW.state;
    same boolean := (OLD.source_no, OLD.operation, OLD.valid_until, OLD.guards, OLD.caps, OLD.lower_bound, OLD.code_version,
                     OLD.policy_version, OLD.frozen_at, OLD.frozen_by)
        IS NOT DISTINCT FROM (NEW.source_no, NEW.operation, NEW.valid_until, NEW.guards, NEW.caps, NEW.lower_bound,
                              NEW.code_version, NEW.policy_version, NEW.frozen_at, NEW.frozen_by);
    counted boolean := (OLD.calls, OLD.items) IS DISTINCT FROM (NEW.calls, NEW.items);
BEGIN
    IF (OLD.run_no, OLD.digest, OLD.created_at) IS DISTINCT FROM (NEW.run_no, NEW.digest, NEW.created_at) THEN
        NULL;
    ELSIF step = 'superseded>frozen' THEN
        NEW.frozen_at := clock_timestamp();
        NEW.frozen_by := pg_current_xact_id();
        RETURN NEW;
    ELSIF step = 'frozen>frozen' AND same AND OLD.frozen_by = pg_current_xact_id()
            AND OLD.frozen_at >= transaction_timestamp() THEN
        RETURN NEW;
    ELSIF same AND NOT counted AND (
            step IN ('approved>executing', 'executing>done')
            OR NEW.state = 'superseded' AND NOT EXISTS (SELECT 1 FROM rescind.attempt t WHERE t.run_no = OLD.run_no)
            OR step = 'frozen>approved' AND EXISTS (
                SELECT 1 FROM rescind.approval a WHERE a.run_no = OLD.run_no AND a.digest = OLD.digest AND a.answer = 'approve')
        ) THEN
        RETURN NEW;
    END IF;
    RAISE EXCEPTION 'a frozen plan does not change, and is approved by its approval only (%)', step
        USING ERRCODE = 'integrity_constraint_violation';
END $$;
CREATE TRIGGER plan_is_kept BEFORE UPDATE ON rescind.plan FOR EACH ROW EXECUTE FUNCTION rescind.plan_guard();

-- Rows of a plan are written by the transaction that freezes it; calls also when a claimed batch splits one of its calls.
CREATE FUNCTION rescind.plan_rows_guard() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF EXISTS (
        SELECT 1 FROM (SELECT DISTINCT run_no FROM written) w WHERE NOT EXISTS (
            SELECT 1 FROM rescind.plan p WHERE p.run_no = w.run_no AND p.state = 'frozen'
            AND p.frozen_by = pg_current_xact_id() AND p.frozen_at >= transaction_timestamp())
    ) THEN
        RAISE EXCEPTION 'rows of %.% are written with their plan only', TG_TABLE_SCHEMA, TG_TABLE_NAME
            USING ERRCODE = 'integrity_constraint_violation';
    END IF;
    RETURN NULL;
END $$;
CREATE TRIGGER plan_effect_with_plan AFTER INSERT ON rescind.plan_effect REFERENCING NEW TABLE AS written
    FOR EACH STATEMENT EXECUTE FUNCTION rescind.plan_rows_guard();
CREATE TRIGGER plan_item_with_plan AFTER INSERT ON rescind.plan_item REFERENCING NEW TABLE AS written
    FOR EACH STATEMENT EXECUTE FUNCTION rescind.plan_rows_guard();
CREATE TRIGGER batch_with_plan AFTER INSERT ON rescind.batch REFERENCING NEW TABLE AS written
    FOR EACH STATEMENT EXECUTE FUNCTION rescind.plan_rows_guard();

CREATE FUNCTION rescind.call_rows_guard() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF EXISTS (
        SELECT 1 FROM written c WHERE c.state <> 'pending' OR NOT EXISTS (
            SELECT 1 FROM rescind.batch b JOIN rescind.plan p ON p.run_no = b.run_no AND p.state <> 'superseded'
            WHERE b.run_no = c.run_no AND b.batch_id = c.batch_id
            AND (b.system, b.account, b.conn_id) = (c.system, c.account, c.conn_id)
            AND (p.frozen_by = pg_current_xact_id() AND p.frozen_at >= transaction_timestamp() OR b.state = 'claimed'))
    ) THEN
        RAISE EXCEPTION 'calls are written with their plan, or inside their claimed batch'
            USING ERRCODE = 'integrity_constraint_violation';
    END IF;
    RETURN NULL;
END $$;
CREATE TRIGGER call_with_plan AFTER INSERT ON rescind.call REFERENCING NEW TABLE AS written
    FOR EACH STATEMENT EXECUTE FUNCTION rescind.call_rows_guard();

-- Snapshot and decisions: written before anything is sent, and not under a live plan.

CREATE FUNCTION rescind.is_open(the_run integer) RETURNS boolean LANGUAGE sql STABLE AS $$
    SELECT NOT EXISTS (SELECT 1 FROM rescind.plan p WHERE p.run_no = the_run AND p.state <> 'superseded')
       AND NOT EXISTS (SELECT 1 FROM rescind.attempt a WHERE a.run_no = the_run)
$$;

CREATE FUNCTION rescind.snapshot_rows_guard() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF EXISTS (
        SELECT 1 FROM (SELECT DISTINCT run_no, scope_no FROM written) w WHERE NOT EXISTS (
            SELECT 1 FROM rescind.scope s WHERE s.run_no = w.run_no AND s.scope_no = w.scope_no AND s.state = 'pending')
        OR NOT rescind.is_open(w.run_no)
    ) THEN
        RAISE EXCEPTION 'rows of %.% are written before their scope is certified', TG_TABLE_SCHEMA, TG_TABLE_NAME
            USING ERRCODE = 'integrity_constraint_violation';
    END IF;
    RETURN NULL;
END $$;
CREATE TRIGGER grant_row_with_scope AFTER INSERT ON rescind.grant_row REFERENCING NEW TABLE AS written
    FOR EACH STATEMENT EXECUTE FUNCTION rescind.snapshot_rows_guard();
CREATE TRIGGER principal_with_scope AFTER INSERT ON rescind.principal REFERENCING NEW TABLE AS written
    FOR EACH STATEMENT EXECUTE FUNCTION rescind.snapshot_rows_guard();
CREATE TRIGGER membership_with_scope AFTER INSERT ON rescind.membership REFERENCING NEW TABLE AS written
    FOR EACH STATEMENT EXECUTE FUNCTION rescind.snapshot_rows_guard();
CREATE TRIGGER listing_with_scope AFTER INSERT ON rescind.listing REFERENCING NEW TABLE AS written
    FOR EACH STATEMENT EXECUTE FUNCTION rescind.snapshot_rows_guard();

CREATE FUNCTION rescind.decision_rows_guard() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF EXISTS (SELECT 1 FROM (SELECT DISTINCT run_no FROM written) w WHERE NOT rescind.is_open(w.run_no)) THEN
        RAISE EXCEPTION 'decisions are written before their plan' USING ERRCODE = 'integrity_constraint_violation';
    END IF;
    RETURN NULL;
END $$;
CREATE TRIGGER decision_before_plan AFTER INSERT ON rescind.decision REFERENCING NEW TABLE AS written
    FOR EACH STATEMENT EXECUTE FUNCTION rescind.decision_rows_guard();

-- A decision changes only to the answer that an owner gave.
CREATE FUNCTION rescind.decision_guard() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF (OLD.run_no, OLD.grant_id, OLD.rule, OLD.reason, OLD.severity, OLD.controls)
        IS DISTINCT FROM (NEW.run_no, NEW.grant_id, NEW.rule, NEW.reason, NEW.severity, NEW.controls)
       OR NOT EXISTS (SELECT 1 FROM rescind.question_item i WHERE i.run_no = OLD.run_no AND i.grant_id = OLD.grant_id
                      AND i.answer = NEW.choice)
       OR NOT rescind.is_open(OLD.run_no) THEN
        RAISE EXCEPTION 'a decision changes by the answer of an owner only, before its plan'
            USING ERRCODE = 'integrity_constraint_violation';
    END IF;
    RETURN NEW;
END $$;
CREATE TRIGGER decision_is_kept BEFORE UPDATE ON rescind.decision FOR EACH ROW EXECUTE FUNCTION rescind.decision_guard();

CREATE FUNCTION rescind.scope_guard() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF (OLD.run_no, OLD.scope_no, OLD.scope_id, OLD.system, OLD.account, OLD.part, OLD.conn_id)
        IS DISTINCT FROM (NEW.run_no, NEW.scope_no, NEW.scope_id, NEW.system, NEW.account, NEW.part, NEW.conn_id)
       OR ((to_jsonb(OLD) #- '{notes,stays_reachable}') IS DISTINCT FROM (to_jsonb(NEW) #- '{notes,stays_reachable}')
           AND NOT rescind.is_open(OLD.run_no)) THEN
        RAISE EXCEPTION 'the certificate of a scope does not change after its plan' USING ERRCODE = 'integrity_constraint_violation';
    END IF;
    RETURN NEW;
END $$;
CREATE TRIGGER scope_is_kept BEFORE UPDATE ON rescind.scope FOR EACH ROW EXECUTE FUNCTION rescind.scope_guard();

CREATE FUNCTION rescind.run_guard() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF (OLD.number, OLD.run_id, OLD.dag_id, OLD.airflow_run_id, OLD.kind, OLD.requested_by, OLD.reason, OLD.ticket, OLD.params,
        OLD.dry_run, OLD.policy_version, OLD.code_version, OLD.started_at, OLD.server, OLD.begun_by)
       IS DISTINCT FROM
       (NEW.number, NEW.run_id, NEW.dag_id, NEW.airflow_run_id, NEW.kind, NEW.requested_by, NEW.reason, NEW.ticket, NEW.params,
        NEW.dry_run, NEW.policy_version, NEW.code_version, NEW.started_at, NEW.server, NEW.begun_by)
       OR (OLD.state = 'abandoned' AND NEW.state <> 'abandoned')
       -- A run of single calls goes on with the next call.
       OR (OLD.finished_at IS NOT NULL AND OLD.kind <> 'single' AND (NEW.finished_at IS NULL OR NEW.finished_at < OLD.finished_at))
       OR NEW.finished_at > clock_timestamp()
       OR (OLD.snapshot_digest IS DISTINCT FROM NEW.snapshot_digest AND NOT rescind.is_open(OLD.number)) THEN
        RAISE EXCEPTION 'a run keeps what it began with, and its snapshot after its plan'
            USING ERRCODE = 'integrity_constraint_violation';
    END IF;
    RETURN NEW;
END $$;
CREATE TRIGGER run_keeps_its_beginning BEFORE UPDATE ON rescind.run FOR EACH ROW EXECUTE FUNCTION rescind.run_guard();

CREATE FUNCTION rescind.input_with_run() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF NOT EXISTS (SELECT 1 FROM rescind.run r WHERE r.number = NEW.run_no AND r.begun_by = pg_current_xact_id()
                   AND r.started_at >= transaction_timestamp()) THEN
        RAISE EXCEPTION 'inputs are written with their run only' USING ERRCODE = 'integrity_constraint_violation';
    END IF;
    RETURN NEW;
END $$;
CREATE TRIGGER input_with_run BEFORE INSERT ON rescind.input FOR EACH ROW EXECUTE FUNCTION rescind.input_with_run();

CREATE FUNCTION rescind.single_call_with_run() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF NOT EXISTS (SELECT 1 FROM rescind.run r WHERE r.number = NEW.run_no AND r.kind = 'single' AND r.state <> 'abandoned') THEN
        RAISE EXCEPTION 'single calls are recorded in runs of single calls only' USING ERRCODE = 'integrity_constraint_violation';
    END IF;
    RETURN NEW;
END $$;
CREATE TRIGGER single_call_with_run BEFORE INSERT ON rescind.single_call
    FOR EACH ROW EXECUTE FUNCTION rescind.single_call_with_run();

-- Deletions: a runtime role has no right to delete these rows; it asks for them, and the check is made here.

CREATE FUNCTION rescind.discard_plan(the_run integer) RETURNS bigint LANGUAGE plpgsql SECURITY DEFINER AS $$
DECLARE attempts bigint;
BEGIN
    PERFORM 1 FROM rescind.plan WHERE run_no = the_run AND state <> 'superseded' FOR NO KEY UPDATE;
    IF NOT FOUND THEN
        RETURN 0;
    END IF;
    -- Attempts share their batch: this waits for those that are being recorded, so that the count is final.
    PERFORM 1 FROM rescind.batch WHERE run_no = the_run ORDER BY batch_id FOR UPDATE;
    SELECT count(*) INTO attempts FROM rescind.attempt WHERE run_no = the_run;
    IF attempts = 0 THEN
        UPDATE rescind.plan SET state = 'superseded' WHERE run_no = the_run AND state <> 'superseded';
        DELETE FROM rescind.batch WHERE run_no = the_run;
        DELETE FROM rescind.call WHERE run_no = the_run;
        DELETE FROM rescind.plan_item WHERE run_no = the_run;
        DELETE FROM rescind.scope_lock WHERE run_no = the_run;
    END IF;
    RETURN attempts;
END $$;
COMMENT ON FUNCTION rescind.discard_plan IS
    'Supersedes the live plan of a run and deletes its rows. Returns the number of recorded attempts; above 0 nothing changed.';

CREATE FUNCTION rescind.clear_scope(the_run integer, the_scope integer) RETURNS void LANGUAGE plpgsql SECURITY DEFINER AS $$
BEGIN
    IF NOT rescind.is_open(the_run) THEN
        RAISE EXCEPTION 'a scope is cleared before its plan only' USING ERRCODE = 'integrity_constraint_violation';
    END IF;
    DELETE FROM rescind.grant_row WHERE run_no = the_run AND scope_no = the_scope;
    DELETE FROM rescind.principal WHERE run_no = the_run AND scope_no = the_scope;
    DELETE FROM rescind.membership WHERE run_no = the_run AND scope_no = the_scope;
    DELETE FROM rescind.listing WHERE run_no = the_run AND scope_no = the_scope;
    UPDATE rescind.scope SET state = 'pending', identity = '', query = '{}', pages = 0, declared = NULL, counted = 0,
        duplicates = 0, dangling = 0, page_digests = '{}', missing = '', error = '', notes = '{}', started_at = NULL,
        ended_at = NULL WHERE run_no = the_run AND scope_no = the_scope;
END $$;

CREATE FUNCTION rescind.clear_decisions(the_run integer) RETURNS void LANGUAGE plpgsql SECURITY DEFINER AS $$
BEGIN
    IF NOT rescind.is_open(the_run) THEN
        RAISE EXCEPTION 'decisions are cleared before their plan only' USING ERRCODE = 'integrity_constraint_violation';
    END IF;
    DELETE FROM rescind.decision WHERE run_no = the_run;
END $$;

-- ANALYZE needs ownership.
CREATE FUNCTION rescind.analyze(the_table text) RETURNS void LANGUAGE plpgsql SECURITY DEFINER AS $$
BEGIN
    IF the_table NOT IN ('grant_row', 'decision', 'plan_item', 'verdict') THEN
        RAISE EXCEPTION 'table % is not analyzed here', the_table USING ERRCODE = 'invalid_parameter_value';
    END IF;
    EXECUTE format('ANALYZE rescind.%I', the_table);
END $$;

REVOKE EXECUTE ON ALL FUNCTIONS IN SCHEMA rescind FROM PUBLIC;

-- A session may set any search path, and before PostgreSQL 15 everybody may create functions and operators in schema public.
DO $$
DECLARE name regprocedure;
BEGIN
    FOR name IN SELECT oid FROM pg_proc WHERE pronamespace = 'rescind'::regnamespace LOOP
        EXECUTE format('ALTER FUNCTION %s SET search_path = pg_catalog, pg_temp', name);
    END LOOP;
END $$;
