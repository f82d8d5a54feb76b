-- When something was cut out of a read's body, because a person was erased: it is no longer what the
-- gateway answered, and is not parsed again. Its digest stays that of the answer.
ALTER TABLE read ADD COLUMN redacted_ms INTEGER;
