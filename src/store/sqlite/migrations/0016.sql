-- Attempts stand by when they began, so that each is put behind the last: by their deliveries, those of each
-- subscriber went to pages of their own, and every turn copied, split and wrote many. Their deliveries' index
-- is small. The reference is looked at when a transaction ends: else SQLite copies every page that a statement
-- changes, to undo it alone, and here an act that fails is undone as a whole.
ALTER TABLE attempt RENAME TO former_attempt;
DROP INDEX attempt_started;
CREATE TABLE attempt (
    started_ms    INTEGER NOT NULL,
    delivery_id   INTEGER NOT NULL REFERENCES delivery (id) DEFERRABLE INITIALLY DEFERRED,
    number        INTEGER NOT NULL,
    duration_ms   INTEGER NOT NULL,
    address       TEXT,
    http_status   INTEGER,
    answer        BLOB,
    next          TEXT NOT NULL,
    resolve_us    INTEGER,
    connect_us    INTEGER,
    tls_us        INTEGER,
    first_byte_us INTEGER,
    trouble       TEXT,
    PRIMARY KEY (started_ms, delivery_id, number)
) STRICT, WITHOUT ROWID;
INSERT INTO attempt SELECT started_ms, delivery_id, number, duration_ms, address, http_status, answer, next, resolve_us,
        connect_us, tls_us, first_byte_us, trouble
    FROM former_attempt ORDER BY started_ms, delivery_id, number;
DROP TABLE former_attempt;
CREATE INDEX attempt_delivery ON attempt (delivery_id, number);
