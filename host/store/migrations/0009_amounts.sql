-- The store, version 9: what else a purse holds.
--
-- A JSON list of the amounts after guest CPU, spawns and artifact bytes, in the order of the
-- core's table; zeros at its end are left out, and no amount at all is NULL. Most runs hold
-- host calls and nothing else.
ALTER TABLE run ADD COLUMN amounts TEXT;
ALTER TABLE run_spec ADD COLUMN given_amounts TEXT;
ALTER TABLE conversation ADD COLUMN amounts TEXT;
ALTER TABLE conversation ADD COLUMN ceiling_amounts TEXT;

-- Host calls were not counted before: what is there gets the default of a root run, and a
-- conversation enough for ten thousand of them.
UPDATE run SET amounts = '[1000000000]' WHERE state < 5;
UPDATE run_spec SET given_amounts = '[1000000000]';
UPDATE conversation SET amounts = '[10000000000000]', ceiling_amounts = '[10000000000000]';
