-- The store, version 1.
--
-- Ids and claim tokens are BLOBs of 16 bytes, instants are milliseconds since
-- 1970, purses and sizes are the 64 bits of an unsigned number. Runs and deliveries
-- are numbered in the order of their insertion, and other tables refer to them
-- by number: ids are random, so a tree in their order touches a page for each row.

-- What changes in a run's life. Updates happen here and only here, so that a
-- step of a run writes some hundred bytes and not its input.
CREATE TABLE run (
    n                 INTEGER PRIMARY KEY,
    id                BLOB NOT NULL UNIQUE,
    -- 0 queued, 1 running, 2 waiting in memory, 3 waiting, 4 closing, 5 ended
    state             INTEGER NOT NULL,
    token             BLOB,
    outcome           TEXT,
    ended_at          INTEGER,
    generation        INTEGER NOT NULL,
    attempt           INTEGER NOT NULL,
    crashes           INTEGER NOT NULL,
    cpu_us            INTEGER NOT NULL,
    spawns            INTEGER NOT NULL,
    artifact_bytes    INTEGER NOT NULL,
    active_children   INTEGER NOT NULL,
    attached_children INTEGER NOT NULL,
    since             INTEGER NOT NULL,
    progress          INTEGER,
    progress_note     TEXT,
    -- These two are of a living run: its ending clears them, and with them
    -- their index entries. No other update touches those.
    deadline          INTEGER,
    attached_to       BLOB
);
CREATE INDEX run_queued ON run (since, id) WHERE state = 0;
CREATE INDEX run_active ON run (state) WHERE state BETWEEN 1 AND 4;
CREATE INDEX run_deadline ON run (deadline) WHERE deadline IS NOT NULL;
CREATE INDEX run_attached ON run (attached_to) WHERE attached_to IS NOT NULL;

-- What does not change: written once, with the run.
CREATE TABLE run_spec (
    n              INTEGER PRIMARY KEY REFERENCES run (n),
    parent         BLOB,
    lifetime       INTEGER NOT NULL,
    conversation   BLOB NOT NULL,
    origin_channel TEXT NOT NULL,
    origin_address TEXT NOT NULL,
    plugin         TEXT NOT NULL,
    agent          TEXT NOT NULL,
    component      TEXT NOT NULL,
    name           TEXT NOT NULL,
    lane           TEXT NOT NULL,
    priority       INTEGER NOT NULL,
    depth          INTEGER NOT NULL,
    input          TEXT NOT NULL,
    -- JSON; an empty list is NULL.
    artifacts      TEXT,
    grants         TEXT NOT NULL,
    destinations   TEXT,
    -- What the purse held at first; what is left of it is in `run`.
    given_cpu_us   INTEGER NOT NULL,
    given_spawns   INTEGER NOT NULL,
    given_artifact_bytes INTEGER NOT NULL,
    created        INTEGER NOT NULL,
    dedupe_key     TEXT,
    spawner        TEXT NOT NULL,
    seed           BLOB NOT NULL
);
CREATE INDEX run_parent ON run_spec (parent) WHERE parent IS NOT NULL;
CREATE INDEX run_conversation ON run_spec (conversation);
CREATE UNIQUE INDEX run_dedupe ON run_spec (conversation, spawner, dedupe_key) WHERE dedupe_key IS NOT NULL;

CREATE TABLE journal (
    run        INTEGER NOT NULL REFERENCES run (n),
    generation INTEGER NOT NULL,
    path       BLOB NOT NULL,
    import     TEXT NOT NULL,
    args       BLOB NOT NULL,
    result     TEXT NOT NULL,
    at         INTEGER NOT NULL,
    PRIMARY KEY (run, generation, path)
) WITHOUT ROWID;

CREATE TABLE wait (
    run    INTEGER PRIMARY KEY REFERENCES run (n),
    path   BLOB NOT NULL,
    import TEXT NOT NULL,
    args   BLOB NOT NULL,
    what   TEXT NOT NULL,
    due    INTEGER
);
CREATE INDEX wait_due ON wait (due) WHERE due IS NOT NULL;

-- Who waits for a run.
CREATE TABLE wait_target (
    target INTEGER NOT NULL,
    run    INTEGER NOT NULL,
    PRIMARY KEY (target, run)
) WITHOUT ROWID;

CREATE TABLE message (
    n    INTEGER PRIMARY KEY,
    run  INTEGER NOT NULL REFERENCES run (n),
    body TEXT NOT NULL
);
CREATE INDEX message_run ON message (run);

CREATE TABLE delivery (
    n            INTEGER PRIMARY KEY,
    id           BLOB NOT NULL UNIQUE,
    run          INTEGER NOT NULL REFERENCES run (n),
    conversation BLOB NOT NULL,
    channel      TEXT NOT NULL,
    address      TEXT NOT NULL,
    body         TEXT NOT NULL,
    created      INTEGER NOT NULL,
    -- 0 pending, 1 sending, 2 delivered, 3 dead, 4 dismissed
    state        INTEGER NOT NULL,
    attempts     INTEGER NOT NULL,
    next_at      INTEGER NOT NULL,
    note         TEXT NOT NULL
);
CREATE INDEX delivery_run ON delivery (run);
CREATE INDEX delivery_due ON delivery (next_at) WHERE state = 0;
CREATE INDEX delivery_open ON delivery (state) WHERE state <> 2;

CREATE TABLE delivery_attempt (
    delivery       INTEGER NOT NULL REFERENCES delivery (n),
    number         INTEGER NOT NULL,
    at             INTEGER NOT NULL,
    -- 0 delivered, 1 permanent, 2 retry
    kind           INTEGER NOT NULL,
    note           TEXT NOT NULL,
    retry_after_ms INTEGER,
    ambiguous      INTEGER NOT NULL,
    PRIMARY KEY (delivery, number)
) WITHOUT ROWID;

CREATE TABLE conversation (
    id                     BLOB PRIMARY KEY,
    channel                TEXT NOT NULL,
    address                TEXT NOT NULL,
    cpu_us                 INTEGER NOT NULL,
    spawns                 INTEGER NOT NULL,
    artifact_bytes         INTEGER NOT NULL,
    ceiling_cpu_us         INTEGER NOT NULL,
    ceiling_spawns         INTEGER NOT NULL,
    ceiling_artifact_bytes INTEGER NOT NULL,
    created                INTEGER NOT NULL,
    UNIQUE (channel, address)
) WITHOUT ROWID;

-- Events from outside that were seen, so that none makes two runs.
CREATE TABLE inbox (
    source TEXT NOT NULL,
    event  TEXT NOT NULL,
    run    INTEGER NOT NULL REFERENCES run (n),
    PRIMARY KEY (source, event)
) WITHOUT ROWID;

CREATE TABLE kv (
    bucket TEXT NOT NULL,
    key    TEXT NOT NULL,
    value  BLOB NOT NULL,
    PRIMARY KEY (bucket, key)
) WITHOUT ROWID;

-- Artifacts that a run wrote or gave back. The content is a file.
CREATE TABLE artifact (
    run        INTEGER NOT NULL REFERENCES run (n),
    id         TEXT NOT NULL,
    name       TEXT NOT NULL,
    media_type TEXT NOT NULL,
    size       INTEGER NOT NULL,
    PRIMARY KEY (run, id)
) WITHOUT ROWID;

-- What the command line asks of a running host. Numbers are never used again.
CREATE TABLE intent (
    number  INTEGER PRIMARY KEY AUTOINCREMENT,
    body    TEXT NOT NULL,
    created INTEGER NOT NULL
);
