-- Why a record that waits is suspect, whatever the reason: it is kept with that mark.
ALTER TABLE waiting_record ADD COLUMN suspect TEXT;
UPDATE waiting_record SET suspect = 'may_hold_two' WHERE may_hold_two != 0;
ALTER TABLE waiting_record DROP COLUMN may_hold_two;

-- A delivery may be `held`: it waits for somebody to release it, at `released_ms`, from when its
-- time to be given up counts. A table's CHECK cannot be changed, so it is made anew; its attempts
-- are without their delivery meanwhile. Its numbers go on where they were.
PRAGMA defer_foreign_keys = ON;
CREATE TABLE former_delivery AS SELECT * FROM delivery;
CREATE TABLE former_sequence AS SELECT seq FROM sqlite_sequence WHERE name = 'delivery';
DROP TABLE delivery;
CREATE TABLE delivery (
    id          INTEGER PRIMARY KEY AUTOINCREMENT,
    subscriber  TEXT NOT NULL REFERENCES subscriber (name),
    event_seq   INTEGER NOT NULL REFERENCES event (seq),
    trigger     TEXT NOT NULL CHECK (trigger IN ('auto', 'retry', 'replay', 'test')),
    state       TEXT NOT NULL CHECK (state IN ('held', 'waiting', 'sending', 'delivered', 'failed', 'cancelled')),
    created_ms  INTEGER NOT NULL,
    due_ms      INTEGER NOT NULL,
    attempts    INTEGER NOT NULL DEFAULT 0,
    lease       INTEGER NOT NULL DEFAULT 0,
    released_ms INTEGER
) STRICT;
INSERT INTO delivery (id, subscriber, event_seq, trigger, state, created_ms, due_ms, attempts, lease)
    SELECT id, subscriber, event_seq, trigger, state, created_ms, due_ms, attempts, lease FROM former_delivery ORDER BY id;
DELETE FROM sqlite_sequence WHERE name = 'delivery';
INSERT INTO sqlite_sequence (name, seq) SELECT 'delivery', seq FROM former_sequence;
DROP TABLE former_delivery;
DROP TABLE former_sequence;
CREATE INDEX delivery_due ON delivery (subscriber, due_ms, id) WHERE state IN ('waiting', 'sending');
CREATE INDEX delivery_held ON delivery (subscriber, id) WHERE state = 'held';
CREATE INDEX delivery_event ON delivery (event_seq);
