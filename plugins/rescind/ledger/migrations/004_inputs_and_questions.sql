-- What a run decided from, the questions to the owners of resources, and how an approval came about.

-- Roster, policy, exceptions and protections exactly as the run began with them: every later task reads these bytes.
CREATE TABLE rescind.input (
    run_no integer NOT NULL REFERENCES rescind.run (number),
    name text NOT NULL,
    source text NOT NULL,
    sha256 bytea NOT NULL,
    content bytea NOT NULL CHECK (octet_length(content) <= 67108864),
    facts jsonb NOT NULL DEFAULT '{}',
    recorded_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    PRIMARY KEY (run_no, name),
    CHECK (sha256 = sha256(content))
);
CREATE TRIGGER input_is_kept BEFORE UPDATE ON rescind.input FOR EACH ROW EXECUTE FUNCTION rescind.refuse_change();

-- One question is what one person is asked at once; its digest is made over the person and everything shown.
CREATE TABLE rescind.question (
    run_no integer NOT NULL REFERENCES rescind.run (number),
    digest bytea NOT NULL CHECK (octet_length(digest) = 32),
    ordinal integer NOT NULL,
    reviewer text NOT NULL CHECK (reviewer <> ''),
    no_answer text NOT NULL CHECK (no_answer IN ('keep', 'revoke')),
    asked_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    method text NOT NULL DEFAULT '' CHECK (method IN ('', 'answer', 'no_answer')),
    responded_by text NOT NULL DEFAULT '',
    responded_at timestamptz,
    PRIMARY KEY (run_no, digest),
    CHECK ((method = '') = (responded_at IS NULL)),
    CHECK ((method = 'answer') = (responded_by <> ''))
);
CREATE TABLE rescind.question_item (
    run_no integer NOT NULL,
    grant_id bytea NOT NULL CHECK (octet_length(grant_id) = 32),
    question bytea NOT NULL,
    ordinal integer NOT NULL,
    shown text NOT NULL,
    answer text CHECK (answer IN ('keep', 'revoke')),
    PRIMARY KEY (run_no, grant_id),
    FOREIGN KEY (run_no, question) REFERENCES rescind.question (run_no, digest)
);
CREATE INDEX question_item_place ON rescind.question_item (run_no, question, ordinal);

CREATE FUNCTION rescind.question_guard() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF OLD.method <> '' OR (OLD.run_no, OLD.digest, OLD.ordinal, OLD.reviewer, OLD.no_answer, OLD.asked_at)
        IS DISTINCT FROM (NEW.run_no, NEW.digest, NEW.ordinal, NEW.reviewer, NEW.no_answer, NEW.asked_at) THEN
        RAISE EXCEPTION 'a question is answered once and never changed' USING ERRCODE = 'integrity_constraint_violation';
    END IF;
    RETURN NEW;
END $$;
CREATE TRIGGER question_is_kept BEFORE UPDATE ON rescind.question
    FOR EACH ROW EXECUTE FUNCTION rescind.question_guard();

CREATE FUNCTION rescind.question_item_guard() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF OLD.answer IS NOT NULL OR (OLD.run_no, OLD.grant_id, OLD.question, OLD.ordinal, OLD.shown)
        IS DISTINCT FROM (NEW.run_no, NEW.grant_id, NEW.question, NEW.ordinal, NEW.shown) THEN
        RAISE EXCEPTION 'an item is answered once and never changed' USING ERRCODE = 'integrity_constraint_violation';
    END IF;
    RETURN NEW;
END $$;
CREATE TRIGGER question_item_is_kept BEFORE UPDATE ON rescind.question_item
    FOR EACH ROW EXECUTE FUNCTION rescind.question_item_guard();

-- What an automatic approval was measured against; empty for a person's answer.
ALTER TABLE rescind.approval ADD COLUMN method text NOT NULL DEFAULT '';
ALTER TABLE rescind.approval ADD CHECK (method = '' OR automatic);

CREATE OR REPLACE FUNCTION rescind.approval_guard() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF (OLD.run_no, OLD.digest, OLD.nonce, OLD.requested_by, OLD.requested_at, OLD.valid_until)
        IS DISTINCT FROM (NEW.run_no, NEW.digest, NEW.nonce, NEW.requested_by, NEW.requested_at, NEW.valid_until)
       OR (OLD.answer IS NOT NULL
           AND (OLD.answer, OLD.responded_by, OLD.responded_at, OLD.automatic, OLD.method)
               IS DISTINCT FROM (NEW.answer, NEW.responded_by, NEW.responded_at, NEW.automatic, NEW.method))
       OR (OLD.used_at IS NOT NULL AND OLD.used_at IS DISTINCT FROM NEW.used_at) THEN
        RAISE EXCEPTION 'an approval is answered once and never changed' USING ERRCODE = 'integrity_constraint_violation';
    END IF;
    RETURN NEW;
END $$;
