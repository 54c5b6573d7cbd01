-- A run about people may read first what the last snapshot shows of them. The run over everybody that completes it names it.
ALTER TABLE rescind.run ADD COLUMN follows integer REFERENCES rescind.run (number) CHECK (follows < number);
CREATE UNIQUE INDEX run_followed ON rescind.run (follows) WHERE follows IS NOT NULL;
CREATE TRIGGER run_keeps_what_it_follows BEFORE UPDATE OF follows ON rescind.run
    FOR EACH ROW EXECUTE FUNCTION rescind.refuse_change();
