-- The store, version 11: waits that are due are decided in the turn of their plugins.

-- The plugin of the run that waits.
ALTER TABLE wait ADD COLUMN plugin TEXT NOT NULL DEFAULT '';
UPDATE wait SET plugin = (SELECT plugin FROM run_spec s WHERE s.n = wait.run);
DROP INDEX wait_due;
CREATE INDEX wait_due ON wait (plugin, due) WHERE due IS NOT NULL;
