-- A delivery that its subscriber's fallback took over is cancelled, and the one that was made instead
-- names it in `stands_in_for`. `in_doubt` is 1 where the first receiver may have the event already.
ALTER TABLE delivery ADD COLUMN stands_in_for INTEGER;
ALTER TABLE delivery ADD COLUMN in_doubt INTEGER NOT NULL DEFAULT 0;
CREATE INDEX delivery_stand_in ON delivery (stands_in_for) WHERE stands_in_for IS NOT NULL;
