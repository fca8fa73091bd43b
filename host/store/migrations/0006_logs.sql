-- The store, version 6: what the guests of a run have logged, the newest lines.

CREATE TABLE run_log (
    run        INTEGER NOT NULL REFERENCES run (n),
    -- Counted for each run, from 1.
    number     INTEGER NOT NULL,
    generation INTEGER NOT NULL,
    attempt    INTEGER NOT NULL,
    at         INTEGER NOT NULL,
    -- 0 trace, 1 debug, 2 info, 3 warn, 4 error
    level      INTEGER NOT NULL,
    -- Whose tool logged it; NULL: the run's own plugin.
    plugin     TEXT,
    -- Lines before it that came faster than they could be kept.
    dropped    INTEGER NOT NULL,
    line       TEXT NOT NULL,
    -- Bytes of this line and of all before it, also of those that are gone.
    total      INTEGER NOT NULL,
    PRIMARY KEY (run, number)
) WITHOUT ROWID;
