-- `in_line` is 1 where a delivery must be looked at before another of its person goes out: it is
-- under way, has failed, or was put off. Most deliveries go out without any of their person before
-- them, and only those in line are indexed by person. What is ready is due by the time at which it
-- was written, so that it is claimed in that order.
ALTER TABLE delivery ADD COLUMN in_line INTEGER NOT NULL DEFAULT 0;
UPDATE delivery SET in_line = 1 WHERE state IN ('waiting', 'sending') AND mobile IS NOT NULL;
DROP INDEX delivery_mobile;
CREATE INDEX delivery_line ON delivery (subscriber, mobile, lane, state, replied_at, id)
    WHERE in_line = 1;
