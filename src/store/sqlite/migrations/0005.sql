-- Whose an event is and when it was written, where it is of a reply: one person's deliveries go out
-- in that order. `masked_body` is what subscribers get that are not to see whole numbers.
ALTER TABLE event ADD COLUMN mobile TEXT;
ALTER TABLE event ADD COLUMN replied_at INTEGER;
ALTER TABLE event ADD COLUMN masked_body TEXT;
UPDATE event SET (mobile, replied_at) = (SELECT mobile, replied_at FROM reply WHERE reply.id = event.id)
    WHERE type = 'reply.received';

-- `lane` 0 is for what is new, 1 for replays. `failing_since_ms` is when the first attempt failed.
-- `masked` tells which of the event's bodies it brings.
ALTER TABLE delivery ADD COLUMN mobile TEXT;
ALTER TABLE delivery ADD COLUMN replied_at INTEGER;
ALTER TABLE delivery ADD COLUMN lane INTEGER NOT NULL DEFAULT 0;
ALTER TABLE delivery ADD COLUMN failing_since_ms INTEGER;
ALTER TABLE delivery ADD COLUMN masked INTEGER NOT NULL DEFAULT 0;
UPDATE delivery SET (mobile, replied_at) = (SELECT mobile, replied_at FROM event WHERE seq = event_seq);
UPDATE delivery SET lane = 1 WHERE trigger = 'replay';
DROP INDEX delivery_due;
CREATE INDEX delivery_due ON delivery (subscriber, lane, due_ms, id) WHERE state IN ('waiting', 'sending');
CREATE INDEX delivery_mobile ON delivery (subscriber, mobile, lane, state, replied_at, id)
    WHERE state IN ('waiting', 'sending') AND mobile IS NOT NULL;

-- How the subscriber does: since when it takes nothing and why, from when its deliveries' time
-- counts, since when all attempts fail and whether that was told, failures in a row, until when it
-- is left alone, how many may be under way, and until when its rate limit is used up.
ALTER TABLE subscriber ADD COLUMN disabled_ms INTEGER;
ALTER TABLE subscriber ADD COLUMN disabled_why TEXT
    CHECK (disabled_why IN ('by_hand', 'gone', 'asked', 'failing'));
ALTER TABLE subscriber ADD COLUMN resumed_ms INTEGER NOT NULL DEFAULT 0;
ALTER TABLE subscriber ADD COLUMN failing_since_ms INTEGER;
ALTER TABLE subscriber ADD COLUMN failing_told INTEGER NOT NULL DEFAULT 0;
ALTER TABLE subscriber ADD COLUMN pace TEXT;

-- What went wrong and what comes next are kept as facts, told in whichever language is wanted; what
-- was told before stays as it was told.
ALTER TABLE attempt ADD COLUMN resolve_us INTEGER;
ALTER TABLE attempt ADD COLUMN connect_us INTEGER;
ALTER TABLE attempt ADD COLUMN tls_us INTEGER;
ALTER TABLE attempt ADD COLUMN first_byte_us INTEGER;
ALTER TABLE attempt ADD COLUMN trouble TEXT;
UPDATE attempt SET trouble = json_object('kind', 'told', 'words', error) WHERE error IS NOT NULL;
UPDATE attempt SET next = json_object('then', 'told', 'words', next);
ALTER TABLE attempt DROP COLUMN error;
