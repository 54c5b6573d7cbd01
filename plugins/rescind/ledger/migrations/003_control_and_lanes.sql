-- The kill switch and the pacing of requests.

CREATE TABLE rescind.kill_switch (
    switch_no bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    stopped boolean NOT NULL,
    changed_by text NOT NULL,
    changed_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    reason text NOT NULL
);
CREATE TRIGGER kill_switch_is_kept BEFORE UPDATE OR DELETE ON rescind.kill_switch
    FOR EACH ROW EXECUTE FUNCTION rescind.refuse_change();

-- One row for each stream of requests that a vendor counts together. Every reservation rewrites the row,
-- so it gets a page with room and is cleaned often.
CREATE TABLE rescind.lane (
    vendor text NOT NULL,
    account text NOT NULL,
    region text NOT NULL,
    action text NOT NULL,
    documented double precision NOT NULL CHECK (documented > 0),
    share double precision NOT NULL CHECK (share > 0 AND share <= 1),
    margin double precision NOT NULL,
    pace double precision NOT NULL CHECK (pace > 0),
    learned double precision,
    jitter_s double precision NOT NULL DEFAULT 0,
    next_at timestamptz NOT NULL DEFAULT 'epoch',
    narrowed_at timestamptz,
    calm_since timestamptz NOT NULL DEFAULT clock_timestamp(),
    stepped_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    streak integer NOT NULL DEFAULT 0,
    clean_steps integer NOT NULL DEFAULT 0,
    handed bigint NOT NULL DEFAULT 0,
    throttles bigint NOT NULL DEFAULT 0,
    segments jsonb NOT NULL DEFAULT '[]',
    updated_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    PRIMARY KEY (vendor, account, region, action)
) WITH (fillfactor = 20, autovacuum_vacuum_threshold = 200, autovacuum_vacuum_scale_factor = 0);

CREATE TABLE rescind.lane_worker (
    vendor text NOT NULL,
    account text NOT NULL,
    region text NOT NULL,
    action text NOT NULL,
    worker text NOT NULL,
    seen_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    PRIMARY KEY (vendor, account, region, action, worker)
) WITH (fillfactor = 50);
