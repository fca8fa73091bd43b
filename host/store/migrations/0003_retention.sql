-- The store, version 3: what is old can be found and removed.

-- Runs that have ended, in the order of their endings.
CREATE INDEX run_ended ON run (ended_at, id) WHERE state = 5;
-- A run is removed with the events that made it.
CREATE INDEX inbox_run ON inbox (run);
-- Whether any run still refers to a file.
CREATE INDEX artifact_id ON artifact (id);

-- From now on `artifact` has each file that a run refers to: what it wrote, was
-- handed with its task, gave back, or told people about. Files without a row here go.
INSERT OR IGNORE INTO artifact (run, id, name, media_type, size)
SELECT s.n, value ->> 'id', value ->> 'name', value ->> 'media_type', value ->> 'size'
FROM run_spec s, json_each(s.artifacts) WHERE s.artifacts IS NOT NULL;
INSERT OR IGNORE INTO artifact (run, id, name, media_type, size)
SELECT d.run, value ->> 'id', value ->> 'name', value ->> 'media_type', value ->> 'size'
FROM delivery d, json_each(d.body, '$.data.artifacts');
