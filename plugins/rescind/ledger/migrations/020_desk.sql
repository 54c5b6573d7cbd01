-- What the page shows over many runs, computed when a run is closed: summaries hold every open finding and are long.
-- Only small whole numbers, flags and the names of system and account are kept, whatever a summary holds.
CREATE FUNCTION rescind.figures_of(summary jsonb) RETURNS jsonb LANGUAGE sql IMMUTABLE PARALLEL SAFE
    SET search_path = pg_catalog, pg_temp AS $$
    SELECT jsonb_build_object(
        'answer', CASE WHEN summary -> 'answer' IN ('"approve"', '"reject"') THEN summary -> 'answer' END,
        'kept_back', CASE WHEN jsonb_typeof(summary -> 'kept_back') = 'number'
            AND (summary ->> 'kept_back') ~ '^[0-9]{1,9}$' THEN summary -> 'kept_back' ELSE '0' END,
        'findings', CASE WHEN jsonb_typeof(summary -> 'findings') = 'array'
            THEN jsonb_array_length(summary -> 'findings') END,
        'systems', coalesce((
            SELECT jsonb_agg((
                SELECT jsonb_object_agg(key, value) FROM jsonb_each(one)
                WHERE CASE jsonb_typeof(value) WHEN 'number' THEN value::text ~ '^[0-9]{1,9}$' AND key NOT IN ('system', 'account')
                      WHEN 'string' THEN key IN ('system', 'account') WHEN 'boolean' THEN key = 'complete' ELSE false END))
            FROM jsonb_array_elements(CASE jsonb_typeof(summary -> 'systems') WHEN 'array' THEN summary -> 'systems'
                                      ELSE '[]' END) AS one WHERE jsonb_typeof(one) = 'object'), '[]'))
$$;
REVOKE EXECUTE ON FUNCTION rescind.figures_of FROM PUBLIC;

ALTER TABLE rescind.run ADD COLUMN figures jsonb GENERATED ALWAYS AS (rescind.figures_of(summary)) STORED;
CREATE INDEX run_finished ON rescind.run (finished_at);
CREATE INDEX question_open ON rescind.question (run_no) WHERE method = '';
