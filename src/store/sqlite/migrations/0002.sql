-- Why an hour is owed, and what was seen of it. `gap` is the read whose doubt or pause opened the
-- gap of which the hour is part; none where nothing points to a loss. `verified_ms` is when the
-- read began that verified it; `held` and `known` are the copies that its last proven read held
-- and that were known then.
ALTER TABLE hour ADD COLUMN cause TEXT NOT NULL DEFAULT 'doubt'
    CHECK (cause IN ('doubt', 'pause', 'repeat', 'routine', 'reconcile'));
ALTER TABLE hour ADD COLUMN gap INTEGER;
ALTER TABLE hour ADD COLUMN verified_ms INTEGER;
ALTER TABLE hour ADD COLUMN held INTEGER;
ALTER TABLE hour ADD COLUMN known INTEGER;
CREATE INDEX hour_gap ON hour (account, gap) WHERE gap IS NOT NULL;
CREATE INDEX read_hour ON read (account, hour) WHERE hour IS NOT NULL;

-- The code with which the gateway refused the account; while it is there no call is made but a
-- probe. The last hour that was looked at for reconciling. When a second reader was last told of.
ALTER TABLE account ADD COLUMN refused_status INTEGER;
ALTER TABLE account ADD COLUMN reconciled_hour INTEGER;
ALTER TABLE account ADD COLUMN second_reader_ms INTEGER;

-- Replies that a read by hour brought and that an earlier proven plain read should have.
ALTER TABLE read ADD COLUMN missed INTEGER NOT NULL DEFAULT 0;
CREATE INDEX read_missed ON read (account) WHERE missed > 0;
