-- When something was cut out of a read's body, because a person was erased: it is no longer what the
-- gateway answered, and is not parsed again. Its digest stays that of the answer.
ALTER TABLE read ADD COLUMN redacted_ms INTEGER;

-- Texts of erased people: a later answer that holds them is redacted as soon as it is taken in.
ALTER TABLE tally ADD COLUMN erased INTEGER NOT NULL DEFAULT 0;
CREATE INDEX tally_erased ON tally (identity) WHERE erased = 1;
