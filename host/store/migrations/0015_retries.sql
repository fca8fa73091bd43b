-- The store: runs that begin again by themselves, and generations that are over.

-- When a run begins again by itself, as JSON.
ALTER TABLE run_spec ADD COLUMN retry TEXT;
-- How many generations that began.
ALTER TABLE run ADD COLUMN retried INTEGER NOT NULL DEFAULT 0;
-- Since when the time-out counts, where that is not when the generation began.
ALTER TABLE run ADD COLUMN timed_from INTEGER;

-- What was a generation's own, beside its journal.
CREATE TABLE generation (
    run    INTEGER NOT NULL REFERENCES run (n),
    number INTEGER NOT NULL,
    -- Its times, how it came to its end, its seed, its version, its purse: JSON.
    past   TEXT NOT NULL,
    PRIMARY KEY (run, number)
) STRICT, WITHOUT ROWID;
