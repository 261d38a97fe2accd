-- Each process that ends sessions or changes claims has a lane of its own. Its acts have positions that rise in the order of
-- their commits, within the lane. So a process that is slow, or stands still, holds up nobody else's acts.

CREATE TABLE lanes (
    -- A random number, so that no lane ever has the number of another, whatever the database has lost.
    id BIGINT PRIMARY KEY,
    position BIGINT NOT NULL,
    -- Which process it is, for people.
    owner TEXT NOT NULL,
    -- When the owner wrote last, by the database's clock. Servers on PostgreSQL write each second.
    seen_at BIGINT NOT NULL
);

-- The database's own state: its time in microseconds since the Unix epoch, and whether it refuses writes ('on' or 'off').
CREATE VIEW store_state AS SELECT CAST(extract(epoch FROM clock_timestamp()) * 1000000 AS BIGINT) AS micros,
    current_setting('transaction_read_only') AS read_only;

-- What was revoked before there were lanes is on lane 0.
ALTER TABLE revocations ADD COLUMN lane BIGINT NOT NULL DEFAULT 0;
DROP INDEX revocations_by_position;
CREATE INDEX revocations_by_lane ON revocations (lane ASC, position ASC);
ALTER TABLE least_versions ADD COLUMN lane BIGINT NOT NULL DEFAULT 0;
-- If the act also ended the user's sessions: those that began until then, except one that was kept.
ALTER TABLE least_versions ADD COLUMN ended_until BIGINT;
ALTER TABLE least_versions ADD COLUMN kept BYTEA;
DROP INDEX least_versions_by_position;
CREATE INDEX least_versions_by_lane ON least_versions (lane ASC, position ASC);
INSERT INTO lanes (id, position, owner, seen_at)
    SELECT 0, value, 'before lanes', micros FROM facts, store_state WHERE name = 'revocation_position';
DELETE FROM facts WHERE name = 'revocation_position';
