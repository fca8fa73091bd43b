-- The store, version 8: a run stays on the version of its plugin that it was accepted on.

-- The digest of component and manifest. Runs of before have that of the component alone.
ALTER TABLE run_spec RENAME COLUMN component TO plugin_digest;

-- The first eight characters of it, of a living run: its ending clears them. Whether a version
-- is still needed is asked of these few, and never of the runs that have ended.
ALTER TABLE run ADD COLUMN live_on TEXT;
UPDATE run SET live_on = (SELECT substr(s.plugin_digest, 1, 8) FROM run_spec s WHERE s.n = run.n)
WHERE state < 5;
CREATE INDEX run_live_on ON run (live_on) WHERE live_on IS NOT NULL;

-- The plugins of the host that has the store, or had it last.
CREATE TABLE plugin (
    id      TEXT PRIMARY KEY,
    -- As its manifest says it.
    version TEXT NOT NULL,
    digest  TEXT NOT NULL,
    -- Since when it has this version.
    since   INTEGER NOT NULL
) WITHOUT ROWID;
