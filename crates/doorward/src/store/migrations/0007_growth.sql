-- What keeps large tables quick: when the sweep looks at a session, indexes of what it deletes, of live sessions, and of
-- what admins search.

-- The end of the sweeping node's lease, in milliseconds of the store's clock.
INSERT INTO facts (name, value) VALUES ('sweep_lease', 0);

-- Sessions from before are looked at by the next sweep.
ALTER TABLE sessions ADD COLUMN sweep_at BIGINT NOT NULL DEFAULT 0;
CREATE INDEX sessions_by_sweep ON sessions (sweep_at ASC, id ASC);
CREATE INDEX sessions_by_ended ON sessions (ended_at ASC) WHERE ended_at IS NOT NULL;
CREATE INDEX sessions_live ON sessions (id ASC) WHERE ended_at IS NULL;
DROP INDEX sessions_by_end;

CREATE INDEX users_by_name ON users (name_folded ASC, id ASC);
CREATE INDEX emails_by_folded ON emails (folded ASC, user_id ASC) WHERE is_primary = 1;
