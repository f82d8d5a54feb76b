-- What was sent by the gateway, so that a reply can name what it answers and no message goes out
-- twice: its text, the calls in which it goes out, and to whom. A call's row is there before the
-- call. `send_at` is the second, in Unix time, at which the gateway is to send it. `reply_id` is of
-- the reply that a receiver answered with this text: at most one message for each.
CREATE TABLE message (
    seq        INTEGER PRIMARY KEY AUTOINCREMENT,
    id         TEXT NOT NULL UNIQUE,
    account    TEXT NOT NULL REFERENCES account (name),
    text       TEXT NOT NULL,
    charset    TEXT NOT NULL,
    mid        TEXT,
    send_at    INTEGER,
    created_ms INTEGER NOT NULL,
    reply_id   TEXT UNIQUE,
    subscriber TEXT
) STRICT;
CREATE INDEX message_created ON message (created_ms);
CREATE TABLE message_call (
    message    INTEGER NOT NULL REFERENCES message (seq),
    number     INTEGER NOT NULL,
    state      TEXT NOT NULL
        CHECK (state IN ('waiting', 'sending', 'accepted', 'refused', 'unclear', 'unsent', 'withheld')),
    status     INTEGER,
    detail     TEXT,
    started_ms INTEGER,
    ended_ms   INTEGER,
    PRIMARY KEY (message, number)
) STRICT, WITHOUT ROWID;
CREATE INDEX message_call_open ON message_call (state, message) WHERE state IN ('waiting', 'sending');
CREATE TABLE recipient (
    message INTEGER NOT NULL REFERENCES message (seq),
    mobile  TEXT NOT NULL,
    call    INTEGER NOT NULL,
    PRIMARY KEY (message, mobile)
) STRICT, WITHOUT ROWID;
CREATE INDEX recipient_mobile ON recipient (mobile, message);

-- The message that a reply answers.
ALTER TABLE reply ADD COLUMN in_reply_to TEXT;

-- The account's figure when it was last asked for, and whether it was told that it is low.
ALTER TABLE account ADD COLUMN balance INTEGER;
ALTER TABLE account ADD COLUMN balance_ms INTEGER;
ALTER TABLE account ADD COLUMN balance_looked_ms INTEGER;
ALTER TABLE account ADD COLUMN balance_low_told INTEGER NOT NULL DEFAULT 0;
