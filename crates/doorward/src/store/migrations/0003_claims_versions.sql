-- Tokens carry the version of their user's claims. Those from before carry none, which counts as 0: so they are stale only
-- if something of their user changed while they could be alive.
ALTER TABLE users RENAME COLUMN role_version TO claims_version;
UPDATE users SET claims_version = 0 WHERE id NOT IN (SELECT user_id FROM role_changes);

-- The least version of a user's tokens that is not stale. No foreign key: an entry outlives its user.
CREATE TABLE least_versions (
    user_id BYTEA PRIMARY KEY CHECK (length(user_id) = 16),
    version BIGINT NOT NULL,
    position BIGINT NOT NULL,
    created_at BIGINT NOT NULL,
    expires_at BIGINT NOT NULL
);
CREATE INDEX least_versions_by_position ON least_versions (position);
INSERT INTO least_versions (user_id, version, position, created_at, expires_at)
    SELECT user_id, version, position, created_at, expires_at FROM role_changes;
DROP TABLE role_changes;

-- The database's own time, in milliseconds since the Unix epoch.
CREATE VIEW store_time AS SELECT CAST(extract(epoch FROM clock_timestamp()) * 1000 AS BIGINT) AS millis;
