-- The store: URLs that runs opened and that somebody calls once.
CREATE TABLE hook (
    id           BLOB PRIMARY KEY,
    run          INTEGER NOT NULL REFERENCES run (n),
    generation   INTEGER NOT NULL,
    -- The SHA-256 of the token in its URL; the token itself is in the run's journal only.
    token        BLOB NOT NULL UNIQUE,
    -- JSON: who may call it.
    verification TEXT NOT NULL,
    created      INTEGER NOT NULL,
    -- 0 open, 1 called, 2 told, 3 closed
    state        INTEGER NOT NULL,
    -- Of the call that came; the body goes when the run is told.
    key          TEXT,
    called_at    INTEGER,
    media_type   TEXT,
    verified     INTEGER,
    body         BLOB
) WITHOUT ROWID;
CREATE INDEX hook_run ON hook (run);
