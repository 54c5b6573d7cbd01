-- What a population certificate rests on: who answers for a principal, and one row for each listing that was read.

ALTER TABLE rescind.principal ADD COLUMN owner text NOT NULL DEFAULT '';

CREATE TABLE rescind.listing (
    run_no integer NOT NULL,
    scope_no integer NOT NULL,
    action text NOT NULL,
    parameters_digest text NOT NULL,
    pages integer NOT NULL,
    declared bigint,
    counted bigint NOT NULL,
    duplicates bigint NOT NULL,
    passes integer NOT NULL,
    null_as_empty boolean NOT NULL,
    page_digests text[] NOT NULL,
    request_ids text[] NOT NULL,
    started_at timestamptz NOT NULL,
    finished_at timestamptz NOT NULL
);
CREATE INDEX listing_scope ON rescind.listing (run_no, scope_no);
CREATE INDEX scope_place ON rescind.scope (system, account, part, run_no DESC);
