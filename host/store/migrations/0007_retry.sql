-- The store, version 7: a run that did not succeed can begin again.

-- When the generation began: its time-out counts from there.
ALTER TABLE run ADD COLUMN begun INTEGER NOT NULL DEFAULT 0;
UPDATE run SET begun = (SELECT created FROM run_spec s WHERE s.n = run.n);
