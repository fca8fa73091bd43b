-- The store: runs that go on as new.

-- How many generations of a run did, since it was accepted or an operator began it again.
ALTER TABLE run ADD COLUMN continued INTEGER NOT NULL DEFAULT 0;
