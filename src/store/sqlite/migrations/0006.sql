-- A replay: kept replies delivered again, piece by piece, by whoever has its lease. It looks at the
-- replies of its hours up to `newest_seq` in the order of the index reply_time; the `cursor_` columns
-- name the last one that was looked at, and are moved with the deliveries that this made. `lease`
-- counts who took it up; `new_since` is the first read whose replies are new.
CREATE TABLE replay_job (
    id                INTEGER PRIMARY KEY AUTOINCREMENT,
    state             TEXT NOT NULL CHECK (state IN ('running', 'done', 'cancelled')),
    first_hour        INTEGER NOT NULL,
    last_hour         INTEGER NOT NULL,
    account           TEXT,
    selection         TEXT NOT NULL CHECK (selection IN ('all', 'missing', 'failed')),
    as_new            INTEGER NOT NULL,
    new_since         INTEGER,
    newest_seq        INTEGER NOT NULL,
    replies           INTEGER NOT NULL,
    looked_at         INTEGER NOT NULL DEFAULT 0,
    created_ms        INTEGER NOT NULL,
    ended_ms          INTEGER,
    cursor_replied_at INTEGER NOT NULL,
    cursor_account    TEXT NOT NULL DEFAULT '',
    cursor_seq        INTEGER NOT NULL DEFAULT 0,
    lease             INTEGER NOT NULL DEFAULT 1,
    lease_end_ms      INTEGER NOT NULL
) STRICT;
CREATE INDEX replay_job_running ON replay_job (id) WHERE state = 'running';

-- To whom a replay goes, and how many deliveries it has made so far.
CREATE TABLE replay_job_subscriber (
    job        INTEGER NOT NULL REFERENCES replay_job (id) ON DELETE CASCADE,
    subscriber TEXT NOT NULL REFERENCES subscriber (name) ON UPDATE CASCADE ON DELETE CASCADE,
    made       INTEGER NOT NULL DEFAULT 0,
    PRIMARY KEY (job, subscriber)
) STRICT, WITHOUT ROWID;
CREATE INDEX replay_job_of_subscriber ON replay_job_subscriber (subscriber);

-- The id of the reply that an event tells again as a new one.
ALTER TABLE event ADD COLUMN replay_of TEXT;
CREATE INDEX event_replay_of ON event (replay_of) WHERE replay_of IS NOT NULL;
