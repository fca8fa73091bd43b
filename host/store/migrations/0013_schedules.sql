-- The store: runs that begin later, and schedules.

-- When a run that is delayed (state -1) becomes ready. Of one that was, it says nothing more.
ALTER TABLE run ADD COLUMN ready_at INTEGER;
CREATE INDEX run_delayed ON run (ready_at) WHERE state = -1;

-- The schedules of the host that has the store, or had it last.
CREATE TABLE schedule (
    name    TEXT PRIMARY KEY,
    -- Its expression and time zone: one that was changed is a new one.
    rule    TEXT NOT NULL,
    -- Every instant up to this one was decided: it made a run, or it was passed over.
    decided INTEGER NOT NULL,
    -- The last instant that made a run, and the run, which may be gone.
    fired   INTEGER,
    run     BLOB,
    -- How many instants were passed over, and why the last one was.
    passed  INTEGER NOT NULL,
    note    TEXT NOT NULL
) STRICT, WITHOUT ROWID;
