-- Times are milliseconds of the Unix epoch and end in _ms; hours are counted from 1970-01-01
-- 00:00 in Beijing; replied_at is seconds of the Unix epoch.

-- An account as `run` last configured it, and its slot: until when its gateway is not asked.
-- `login` is a digest of uid and password: another one ends the wait after a refusal. `box` is
-- one of gateway and uid: accounts of one box wait for each other.
CREATE TABLE account (
    name             TEXT PRIMARY KEY,
    id_key           BLOB NOT NULL,
    settings         TEXT NOT NULL,
    login            BLOB NOT NULL,
    box              BLOB NOT NULL,
    slot_boot        TEXT,
    slot_boot_ms     INTEGER,
    slot_unix_ms     INTEGER,
    slot_wait_ms     INTEGER,
    slot_read_id     INTEGER,
    refusals         INTEGER NOT NULL DEFAULT 0,
    refused_until_ms INTEGER
) STRICT;

-- A read of /rx: a row before it is a request, a body before it is parsed.
CREATE TABLE read (
    id               INTEGER PRIMARY KEY AUTOINCREMENT,
    account          TEXT NOT NULL REFERENCES account (name),
    hour             INTEGER,
    state            TEXT NOT NULL CHECK (state IN ('started', 'received', 'ingested', 'unanswered', 'abandoned')),
    charset          TEXT NOT NULL,
    started_ms       INTEGER NOT NULL,
    deadline_boot    TEXT NOT NULL,
    deadline_boot_ms INTEGER NOT NULL,
    ended_ms         INTEGER,
    ending           TEXT,
    http_status      INTEGER,
    error            TEXT,
    body             BLOB,
    body_sha256      BLOB,
    status           INTEGER,
    verdict          TEXT CHECK (verdict IN ('proven', 'doubtful', 'refused')),
    reason           TEXT,
    records          INTEGER,
    faults           INTEGER,
    replies_new      INTEGER
) STRICT;
CREATE INDEX read_account ON read (account);
CREATE INDEX read_open ON read (account) WHERE state IN ('started', 'received');
CREATE INDEX read_plain ON read (account, verdict) WHERE hour IS NULL;
CREATE INDEX read_body ON read (account, body_sha256) WHERE hour IS NULL AND body_sha256 IS NOT NULL;

-- A stretch of a body that is no record, with its bytes.
CREATE TABLE fault (
    id      INTEGER PRIMARY KEY,
    read_id INTEGER NOT NULL REFERENCES read (id),
    offset  INTEGER NOT NULL,
    kind    TEXT NOT NULL,
    bytes   BLOB NOT NULL
) STRICT;

-- An hour that is owed a read by `time`, or was given one. `owed_by` is the read that owed it
-- last; `tries` counts the reads of it since it became owed, `doubts` the doubtful ones among
-- them, `shorts` those that lacked a known reply.
CREATE TABLE hour (
    account       TEXT NOT NULL REFERENCES account (name),
    hour          INTEGER NOT NULL,
    state         TEXT NOT NULL CHECK (state IN ('owed', 'verified', 'given_up')),
    owed_by       INTEGER NOT NULL,
    not_before_ms INTEGER NOT NULL,
    tries         INTEGER NOT NULL DEFAULT 0,
    doubts        INTEGER NOT NULL DEFAULT 0,
    shorts        INTEGER NOT NULL DEFAULT 0,
    PRIMARY KEY (account, hour)
) STRICT, WITHOUT ROWID;
CREATE INDEX hour_owed ON hour (account, tries, hour) WHERE state = 'owed';

-- How often a text was seen. Outlives the reply: it is its tombstone then.
CREATE TABLE tally (
    identity BLOB PRIMARY KEY,
    account  TEXT NOT NULL,
    hour     INTEGER NOT NULL,
    plain    INTEGER NOT NULL,
    seen     INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
CREATE INDEX tally_hour ON tally (account, hour);

CREATE TABLE reply (
    seq         INTEGER PRIMARY KEY,
    id          TEXT NOT NULL UNIQUE,
    identity    BLOB NOT NULL,
    occurrence  INTEGER NOT NULL,
    account     TEXT NOT NULL,
    mobile      TEXT NOT NULL,
    replied_at  INTEGER NOT NULL,
    content     TEXT NOT NULL,
    content_raw BLOB,
    gateway     TEXT NOT NULL,
    suspect     TEXT,
    extension   TEXT,
    read_id     INTEGER NOT NULL REFERENCES read (id),
    kept_ms     INTEGER NOT NULL,
    UNIQUE (identity, occurrence)
) STRICT;
CREATE INDEX reply_time ON reply (replied_at, account);
CREATE INDEX reply_gateway ON reply (account, gateway);

-- The last record of a cut body whose gateway number may be cut too: it waits for its hour.
CREATE TABLE waiting_record (
    id           INTEGER PRIMARY KEY,
    read_id      INTEGER NOT NULL REFERENCES read (id),
    account      TEXT NOT NULL,
    copies       INTEGER NOT NULL,
    release_ms   INTEGER NOT NULL,
    mobile       TEXT NOT NULL,
    replied_at   INTEGER NOT NULL,
    content      BLOB NOT NULL,
    gateway      TEXT NOT NULL,
    may_hold_two INTEGER NOT NULL
) STRICT;

-- What subscribers are told: rendered once, sent as it is for ever.
CREATE TABLE event (
    seq        INTEGER PRIMARY KEY,
    id         TEXT NOT NULL UNIQUE,
    type       TEXT NOT NULL,
    body       TEXT NOT NULL
) STRICT;

-- A subscriber as `run` last configured it.
CREATE TABLE subscriber (
    name    TEXT PRIMARY KEY,
    route   TEXT NOT NULL,
    enabled INTEGER NOT NULL,
    absent  INTEGER NOT NULL DEFAULT 0
) STRICT;

-- One event to one subscriber. due_ms is when it goes out next; while it is being sent, when
-- its lease ends. `lease` counts the claims: only the last one's outcome is taken.
CREATE TABLE delivery (
    id         INTEGER PRIMARY KEY AUTOINCREMENT,
    subscriber TEXT NOT NULL REFERENCES subscriber (name),
    event_seq  INTEGER NOT NULL REFERENCES event (seq),
    trigger    TEXT NOT NULL CHECK (trigger IN ('auto', 'retry', 'replay', 'test')),
    state      TEXT NOT NULL CHECK (state IN ('waiting', 'sending', 'delivered', 'failed', 'cancelled')),
    created_ms INTEGER NOT NULL,
    due_ms     INTEGER NOT NULL,
    attempts   INTEGER NOT NULL DEFAULT 0,
    lease      INTEGER NOT NULL DEFAULT 0
) STRICT;
CREATE INDEX delivery_due ON delivery (subscriber, due_ms, id) WHERE state IN ('waiting', 'sending');
CREATE INDEX delivery_event ON delivery (event_seq);

CREATE TABLE attempt (
    id          INTEGER PRIMARY KEY,
    delivery_id INTEGER NOT NULL REFERENCES delivery (id),
    number      INTEGER NOT NULL,
    started_ms  INTEGER NOT NULL,
    duration_ms INTEGER NOT NULL,
    address     TEXT,
    http_status INTEGER,
    error       TEXT,
    answer      BLOB,
    next        TEXT NOT NULL
) STRICT;
CREATE INDEX attempt_delivery ON attempt (delivery_id);
