-- What finds deliveries as somebody looks for them by hand: a subscriber's, in the order in which
-- they were made; those that somebody may want to try again; one person's, by way of the events.
CREATE INDEX delivery_made ON delivery (subscriber, created_ms);
CREATE INDEX delivery_ended ON delivery (state, subscriber, created_ms) WHERE state IN ('failed', 'cancelled');
CREATE INDEX event_mobile ON event (mobile) WHERE mobile IS NOT NULL;

-- A subscriber that was removed keeps its row for as long as deliveries refer to it. One that is
-- being renamed hands its deliveries on to the name that stands here, some at a time.
ALTER TABLE subscriber ADD COLUMN removed_ms INTEGER;
ALTER TABLE subscriber ADD COLUMN renamed_to TEXT;
