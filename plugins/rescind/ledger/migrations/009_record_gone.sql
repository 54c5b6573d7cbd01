-- A record that is gone without proof that the access is gone has a verdict of its own.
ALTER TABLE rescind.verdict DROP CONSTRAINT verdict_verdict_check;
ALTER TABLE rescind.verdict ADD CONSTRAINT verdict_verdict_check CHECK (
    verdict IN ('verified_gone', 'record_gone', 'already_absent', 'still_present', 'still_effective', 'unverified')
);
