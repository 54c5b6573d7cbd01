-- What an approver ticked on the page: a wish, never an approval. It names the lines of one plan that are to stay. Only the
-- answer in Airflow turns it into a narrowing, which is signed. Rows are added, never changed; of each user and plan the
-- newest one counts.
CREATE TABLE rescind.selection (
    selection_no bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    run_no integer NOT NULL,
    digest bytea NOT NULL,
    user_id text NOT NULL CHECK (user_id <> '' AND length(user_id) <= 500),
    user_name text NOT NULL CHECK (length(user_name) <= 500),
    grant_ids bytea[] NOT NULL CHECK (array_ndims(grant_ids) IS NULL OR array_ndims(grant_ids) = 1),
    comment text NOT NULL CHECK (length(comment) <= 20000),
    chosen_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    CHECK (comment <> '' OR cardinality(grant_ids) = 0),
    FOREIGN KEY (run_no, digest) REFERENCES rescind.approval (run_no, digest)
);
CREATE INDEX selection_newest ON rescind.selection (run_no, digest, user_id, selection_no DESC);
CREATE INDEX selection_of_user ON rescind.selection (user_id, chosen_at);
CREATE TRIGGER selection_is_kept BEFORE UPDATE OR DELETE ON rescind.selection
    FOR EACH ROW EXECUTE FUNCTION rescind.refuse_change();
CREATE TRIGGER selection_is_not_emptied BEFORE TRUNCATE ON rescind.selection EXECUTE FUNCTION rescind.refuse_change();

-- The checks stand here, so that a role that may only insert is bound by them too. The plan is locked as for an answer.
CREATE FUNCTION rescind.selection_fits() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER
    SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    PERFORM pg_advisory_xact_lock(hashtextextended(NEW.user_id, 22));
    PERFORM 1 FROM rescind.plan p JOIN rescind.run r ON r.number = p.run_no
        WHERE p.run_no = NEW.run_no AND p.digest = NEW.digest AND p.state = 'frozen' AND p.operation = 'revoke'
          AND NOT r.dry_run AND r.finished_at IS NULL AND r.state <> 'abandoned'
        FOR UPDATE OF p;
    IF NOT FOUND THEN
        RAISE EXCEPTION 'the plan is not the one that waits for an answer' USING ERRCODE = 'RS001';
    END IF;
    PERFORM 1 FROM rescind.approval a WHERE a.run_no = NEW.run_no AND a.digest = NEW.digest AND a.answer IS NULL
        AND NOT EXISTS (SELECT FROM rescind.narrowing n WHERE n.run_no = NEW.run_no);
    IF NOT FOUND THEN
        RAISE EXCEPTION 'the question is answered' USING ERRCODE = 'RS002';
    END IF;
    NEW.chosen_at := clock_timestamp();
    PERFORM 1 FROM rescind.approval a WHERE a.run_no = NEW.run_no AND a.digest = NEW.digest
        AND a.valid_until > NEW.chosen_at;
    IF NOT FOUND THEN
        RAISE EXCEPTION 'the approval window has expired' USING ERRCODE = 'RS003';
    END IF;
    IF cardinality(NEW.grant_ids) > 5000 THEN
        RAISE EXCEPTION 'a selection has too many lines' USING ERRCODE = 'RS004';
    END IF;
    IF EXISTS (SELECT FROM unnest(NEW.grant_ids) AS one(id) WHERE NOT EXISTS (
            SELECT FROM rescind.plan_item i WHERE i.run_no = NEW.run_no AND i.grant_id = one.id
            AND i.call_id IS NOT NULL AND i.state = 'planned')) THEN
        RAISE EXCEPTION 'a line is not in the plan, or is held' USING ERRCODE = 'RS005';
    END IF;
    IF NEW.grant_ids <> ARRAY(SELECT DISTINCT one.id FROM unnest(NEW.grant_ids) AS one(id) ORDER BY one.id) THEN
        RAISE EXCEPTION 'the lines are not sorted, each once' USING ERRCODE = 'RS006';
    END IF;
    IF (SELECT count(*) FROM rescind.selection s WHERE s.user_id = NEW.user_id
        AND s.chosen_at > NEW.chosen_at - interval '1 minute') >= 10 THEN
        RAISE EXCEPTION 'too many selections in a minute' USING ERRCODE = 'RS007';
    END IF;
    RETURN NEW;
END $$;
REVOKE EXECUTE ON FUNCTION rescind.selection_fits FROM PUBLIC;
CREATE TRIGGER selection_fits BEFORE INSERT ON rescind.selection FOR EACH ROW EXECUTE FUNCTION rescind.selection_fits();
