-- The store, version 4: deliveries are tried for a time, destinations can be held.

-- From when the time counts in which a delivery is tried.
ALTER TABLE delivery ADD COLUMN since INTEGER NOT NULL DEFAULT 0;
UPDATE delivery SET since = created;
-- What is open for a destination, in the order in which it was owed.
CREATE INDEX delivery_to ON delivery (channel, address) WHERE state < 2;

-- Destinations that nothing is sent to for now.
CREATE TABLE destination_hold (
    channel TEXT NOT NULL,
    address TEXT NOT NULL,
    -- NULL: until an operator lifts it.
    until   INTEGER,
    note    TEXT NOT NULL,
    PRIMARY KEY (channel, address)
) WITHOUT ROWID;
