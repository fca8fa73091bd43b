-- The store, version 10: plugins that fail again and again.
--
-- How many runs of a plugin have failed in a row by a trap or a limit, why the last one did, and
-- until when no new one begins. There is no row of one that succeeded last.
CREATE TABLE plugin_pause (
    plugin TEXT PRIMARY KEY,
    failures INTEGER NOT NULL,
    until INTEGER,
    why TEXT NOT NULL
) STRICT, WITHOUT ROWID;
