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

-- One row for each stream of requests that a vendor counts together. Reserving rewrites the row, so it has
-- a page of its own with room for new versions beside the old one, and is cleaned often.
-- `pace` is what a reservation needs; how it comes about is in `control` (see lane_model.py).
CREATE TABLE rescind.lane (
    vendor text NOT NULL,
    account text NOT NULL,
    region text NOT NULL,
    action text NOT NULL,
    documented double precision NOT NULL CHECK (documented > 0),
    share double precision NOT NULL CHECK (share > 0 AND share <= 1),
    pace double precision NOT NULL CHECK (pace > 0),
    next_at timestamptz NOT NULL DEFAULT 'epoch',
    handed bigint NOT NULL DEFAULT 0,
    throttles bigint NOT NULL DEFAULT 0,
    jitter_s double precision NOT NULL DEFAULT 0,
    control jsonb NOT NULL DEFAULT '{}',
    adjusted_at timestamptz NOT NULL DEFAULT 'epoch',
    updated_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    PRIMARY KEY (vendor, account, region, action)
) WITH (fillfactor = 20, autovacuum_vacuum_threshold = 500, autovacuum_vacuum_scale_factor = 0);

CREATE TABLE rescind.lane_worker (
    vendor text NOT NULL,
    account text NOT NULL,
    region text NOT NULL,
    action text NOT NULL,
    worker text NOT NULL,
    seen_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    PRIMARY KEY (vendor, account, region, action, worker)
) WITH (fillfactor = 50);
