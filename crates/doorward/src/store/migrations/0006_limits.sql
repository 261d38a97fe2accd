-- How much of a limit is used up, for the servers that share it. The key is an HMAC of what is counted. A row whose time is
-- over says nothing. There is no index on that time: each guess changes it, and a change without an index is cheap.
CREATE TABLE buckets (
    key BIGINT PRIMARY KEY,
    -- When nothing of the limit will be used up any more.
    full_at BIGINT NOT NULL
);

-- Nodes look for users that others have changed. A sign-in writes a user's row without changing this time.
CREATE INDEX users_by_change ON users (updated_at ASC);

-- What the nodes agree on, or note of themselves: issuer, roles, limits, lifetimes.
CREATE TABLE agreed (
    name TEXT PRIMARY KEY,
    value TEXT NOT NULL
);

-- The oldest program that can use the database after a migration, by the last migration that the program has. None for the
-- migrations before this one.
ALTER TABLE migrations ADD COLUMN reads_from BIGINT;
