-- Poll plans that runs wait for: where each stands. What it is stands in the run's wait.
CREATE TABLE poll (
    id     BLOB PRIMARY KEY,
    run    INTEGER NOT NULL REFERENCES run (n),
    -- Which of the wait's sources.
    place  INTEGER NOT NULL,
    -- Scheme, host and port: polls are grouped by it.
    server TEXT NOT NULL,
    -- When the next poll is due.
    due    INTEGER NOT NULL,
    -- Polls that were begun.
    made   INTEGER NOT NULL,
    -- Whether its hook was called since.
    hinted INTEGER NOT NULL,
    -- For people: what was seen last.
    seen   TEXT,
    -- The rule that held last, and how many times in a row.
    rule   INTEGER,
    times  INTEGER
) WITHOUT ROWID;
CREATE INDEX poll_run ON poll (run);
CREATE INDEX poll_due ON poll (server, due, id);
