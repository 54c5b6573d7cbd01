-- What started a run that was refused, in the words of rescind.run.kind. Empty for refusals before this migration.
ALTER TABLE rescind.refusal ADD COLUMN kind text NOT NULL DEFAULT '' CHECK (
    kind IN ('', 'scheduled', 'manual', 'triggered', 'restore')
);
