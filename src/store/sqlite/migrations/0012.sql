-- Who may use the HTTP API. Of a token only its digest is kept; `handle` is the digest's first eight
-- bytes, by which it is found. `used_ms` is when it was last used, to within some minutes.
CREATE TABLE token (
    id         INTEGER PRIMARY KEY AUTOINCREMENT,
    name       TEXT NOT NULL,
    handle     INTEGER NOT NULL,
    digest     BLOB NOT NULL UNIQUE,
    scopes     TEXT NOT NULL,
    created_ms INTEGER NOT NULL,
    expires_ms INTEGER,
    revoked_ms INTEGER,
    used_ms    INTEGER
) STRICT;
CREATE INDEX token_handle ON token (handle);
CREATE UNIQUE INDEX token_name ON token (name) WHERE revoked_ms IS NULL;

-- What was changed by the API: by whose token, what was done to what, and what came of it. No
-- number and no text of anybody stands here.
CREATE TABLE audit_entry (
    id      INTEGER PRIMARY KEY AUTOINCREMENT,
    at_ms   INTEGER NOT NULL,
    token   TEXT NOT NULL,
    action  TEXT NOT NULL,
    target  TEXT NOT NULL,
    outcome TEXT NOT NULL
) STRICT;
CREATE INDEX audit_entry_at ON audit_entry (at_ms);

-- By what a client names its wish to send, and the digest of what it wished: the same wish again
-- is answered from this row, and sends nothing.
ALTER TABLE message ADD COLUMN idempotency_key TEXT;
ALTER TABLE message ADD COLUMN request_sha256 BLOB;
CREATE UNIQUE INDEX message_idempotency ON message (idempotency_key) WHERE idempotency_key IS NOT NULL;

