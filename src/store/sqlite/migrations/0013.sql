-- What a worker has in hand of a subscriber's deliveries, a JSON list of their numbers, and until
-- when they are its alone. So taking and giving back many changes one row and none of theirs: a
-- delivery in hand is `waiting` in its own row. A lease's number is never another's: an outcome
-- counts only while the lease stands under which it was tried.
CREATE TABLE lease (
    id         INTEGER PRIMARY KEY AUTOINCREMENT,
    subscriber TEXT NOT NULL,
    end_ms     INTEGER NOT NULL,
    deliveries TEXT NOT NULL
) STRICT;
CREATE VIEW in_hand AS
    SELECT value AS delivery_id, lease.id AS lease_id, subscriber, end_ms
    FROM lease CROSS JOIN json_each(deliveries);

-- What was being sent, by a process that is no more, is due when its claim ends.
UPDATE delivery SET state = 'waiting' WHERE state IN ('waiting', 'sending') AND state = 'sending';
DROP INDEX delivery_due;
CREATE INDEX delivery_due ON delivery (subscriber, lane, due_ms, id) WHERE state = 'waiting';
ALTER TABLE delivery DROP COLUMN lease;
