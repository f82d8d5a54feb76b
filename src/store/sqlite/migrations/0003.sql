-- What finds that which was kept long enough, and what deleting it looks up: each row that others
-- refer to is looked for in them.
CREATE INDEX read_kept_body ON read (ended_ms)
    WHERE state = 'ingested' AND body IS NOT NULL AND body_sha256 IS NOT NULL;
CREATE INDEX read_started ON read (started_ms);
CREATE INDEX attempt_started ON attempt (started_ms);
CREATE INDEX reply_kept ON reply (kept_ms);
CREATE INDEX reply_read ON reply (read_id);
CREATE INDEX fault_read ON fault (read_id);
CREATE INDEX event_of_no_reply ON event (seq) WHERE type != 'reply.received';
CREATE INDEX hour_owed_by ON hour (owed_by);

-- When the store was last looked over for what was kept long enough: once an hour at most, by
-- whichever process.
CREATE TABLE purge_look (
    only    INTEGER PRIMARY KEY CHECK (only = 1),
    last_ms INTEGER NOT NULL
) STRICT;
