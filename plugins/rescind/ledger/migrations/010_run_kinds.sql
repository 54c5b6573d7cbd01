-- A run that a backfill, another DAG or an asset started is neither scheduled nor manual. A single call outside of a
-- review is a run of its own. A run that no person started has an empty requester.
ALTER TABLE rescind.run DROP CONSTRAINT run_kind_check;
ALTER TABLE rescind.run ADD CONSTRAINT run_kind_check CHECK (
    kind IN ('scheduled', 'manual', 'triggered', 'restore', 'single')
);
