-- The store, version 5: how many bytes the keys and values of each bucket have, so that a
-- bucket has a bound.

CREATE TABLE kv_bucket (
    bucket TEXT PRIMARY KEY,
    bytes  INTEGER NOT NULL
) WITHOUT ROWID;

INSERT INTO kv_bucket (bucket, bytes)
SELECT bucket, sum(length(CAST(key AS BLOB)) + length(value)) FROM kv GROUP BY bucket;
