-- An attempt has no number of its own: it is its delivery's, by its number there and, because what a
-- sender that had lost its lease tells late may have a number again, by when it began. So a delivery's
-- attempts stand together, in their order, and no further index has to find them.
ALTER TABLE attempt RENAME TO former_attempt;
CREATE TABLE attempt (
    delivery_id   INTEGER NOT NULL REFERENCES delivery (id),
    number        INTEGER NOT NULL,
    started_ms    INTEGER NOT NULL,
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
    PRIMARY KEY (delivery_id, number, started_ms)
) STRICT, WITHOUT ROWID;
INSERT INTO attempt SELECT delivery_id, number, started_ms, duration_ms, address, http_status, answer, next, resolve_us,
        connect_us, tls_us, first_byte_us, trouble
    FROM former_attempt WHERE true ORDER BY delivery_id, number, started_ms ON CONFLICT DO NOTHING;
DROP TABLE former_attempt;
CREATE INDEX attempt_started ON attempt (started_ms);
