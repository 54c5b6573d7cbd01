-- When the holder of a grant last used it, by the logs of the platform: frozen with the grant, before it is decided on.
-- No days: not known. No day: no use was seen in so many days.
ALTER TABLE rescind.grant_row
    ADD COLUMN last_used_days integer CHECK (last_used_days >= 0),
    ADD COLUMN last_used_on text NOT NULL DEFAULT '',
    ADD COLUMN last_use text NOT NULL DEFAULT '',
    ADD CHECK (last_used_on = '' OR last_used_days IS NOT NULL) NOT VALID,
    ADD CHECK (last_used_days IS NULL OR last_use <> '') NOT VALID;
