-- Canary batches, and how far each task is.

-- A canary is sent and verified before the other batches of its plan may be sent.
ALTER TABLE rescind.batch ADD COLUMN canary boolean NOT NULL DEFAULT false;

-- A hint for people, rewritten every few seconds while a task works: never proof of anything. `total` is 0
-- where nobody can know it, as with listings whose pages lead to further listings.
CREATE TABLE rescind.progress (
    run_no integer NOT NULL REFERENCES rescind.run (number),
    stage text NOT NULL,
    lane text NOT NULL,
    label text NOT NULL DEFAULT '',
    done bigint NOT NULL CHECK (done >= 0),
    total bigint NOT NULL CHECK (total >= 0),
    per_second double precision NOT NULL CHECK (per_second >= 0),
    started_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    updated_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    PRIMARY KEY (run_no, stage, lane)
) WITH (fillfactor = 50);
