-- A question to an owner: until when an answer counts, the comment of the answer, and to whom it may be handed over.
ALTER TABLE rescind.question
    ADD COLUMN delegates jsonb NOT NULL DEFAULT '{}' CHECK (jsonb_typeof(delegates) = 'object'),
    ADD COLUMN due_at timestamptz,
    ADD COLUMN comment text NOT NULL DEFAULT '' CHECK (length(comment) <= 20000),
    ADD CHECK (comment = '' OR method = 'answer') NOT VALID,
    ADD CHECK (method <> 'answer' OR due_at IS NULL OR responded_at <= due_at) NOT VALID;

-- Who handed a question over to whom. Once for each question: the colleague cannot hand it over again or back.
CREATE TABLE rescind.handover (
    run_no integer NOT NULL,
    question bytea NOT NULL,
    handed_by text NOT NULL CHECK (handed_by <> ''),
    handed_to text NOT NULL CHECK (handed_to <> ''),
    comment text NOT NULL CHECK (length(comment) <= 20000),
    handed_at timestamptz NOT NULL,
    PRIMARY KEY (run_no, question),
    CHECK (handed_by <> handed_to),
    FOREIGN KEY (run_no, question) REFERENCES rescind.question (run_no, digest)
);
CREATE TRIGGER handover_is_kept BEFORE UPDATE OR DELETE ON rescind.handover
    FOR EACH ROW EXECUTE FUNCTION rescind.refuse_change();
CREATE TRIGGER handover_is_not_emptied BEFORE TRUNCATE ON rescind.handover EXECUTE FUNCTION rescind.refuse_change();

CREATE FUNCTION rescind.handover_fits() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
    asked rescind.question;
BEGIN
    SELECT * INTO asked FROM rescind.question q WHERE q.run_no = NEW.run_no AND q.digest = NEW.question FOR UPDATE;
    NEW.handed_at := least(greatest(NEW.handed_at, asked.asked_at), clock_timestamp());
    IF NOT FOUND OR asked.method <> '' OR asked.reviewer <> NEW.handed_by OR asked.due_at IS NULL
       OR asked.due_at <= clock_timestamp() OR NOT jsonb_exists(asked.delegates, NEW.handed_to) THEN
        RAISE EXCEPTION 'an open question is handed over by its reviewer to a listed colleague, before it is due'
            USING ERRCODE = 'integrity_constraint_violation';
    END IF;
    RETURN NEW;
END $$;
CREATE TRIGGER handover_fits BEFORE INSERT ON rescind.handover FOR EACH ROW EXECUTE FUNCTION rescind.handover_fits();

-- As before, and: the due date is set once, while the question is open; only the person who is asked now can answer.
CREATE OR REPLACE FUNCTION rescind.question_guard() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF OLD.method <> ''
       OR (OLD.run_no, OLD.digest, OLD.ordinal, OLD.reviewer, OLD.no_answer, OLD.asked_at, OLD.delegates)
        IS DISTINCT FROM
          (NEW.run_no, NEW.digest, NEW.ordinal, NEW.reviewer, NEW.no_answer, NEW.asked_at, NEW.delegates)
       OR (OLD.due_at IS NOT NULL AND OLD.due_at IS DISTINCT FROM NEW.due_at) THEN
        RAISE EXCEPTION 'a question is answered once and never changed' USING ERRCODE = 'integrity_constraint_violation';
    END IF;
    IF NEW.method = 'answer' AND NEW.responded_by <> coalesce(
        (SELECT h.handed_to FROM rescind.handover h WHERE h.run_no = NEW.run_no AND h.question = NEW.digest),
        NEW.reviewer) THEN
        RAISE EXCEPTION 'a question is answered by the person who is asked' USING ERRCODE = 'integrity_constraint_violation';
    END IF;
    RETURN NEW;
END $$;
