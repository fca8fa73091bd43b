-- The store, version 2: what an operator asks for and sees.

-- Runs are listed by their plugin, newest first.
CREATE INDEX run_plugin ON run_spec (plugin);

-- What became of an intent, for the command that waits for it. The newest are kept.
CREATE TABLE intent_answer (
    number INTEGER PRIMARY KEY,
    body   TEXT NOT NULL
);

-- What an operator has set for a lane; NULL is as configured.
CREATE TABLE lane (
    name         TEXT PRIMARY KEY,
    paused       INTEGER NOT NULL,
    slots        INTEGER,
    queue_length INTEGER
) WITHOUT ROWID;
