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
-- What the deletion of a user looks up: the index of primary addresses does not have all.
CREATE INDEX emails_by_user ON emails (user_id ASC);
CREATE INDEX emails_by_folded ON emails (folded ASC, user_id ASC) WHERE is_primary = 1;

-- Failures that share an entry have a table of their own: a unique column cannot span partitions of the log.
CREATE TABLE audit_folds (
    fold_key BYTEA PRIMARY KEY,
    id BYTEA NOT NULL CHECK (length(id) = 16),
    created_at BIGINT NOT NULL,
    action TEXT NOT NULL,
    actor TEXT NOT NULL,
    user_id BYTEA,
    actor_id BYTEA,
    session_id BYTEA,
    ip TEXT,
    detail TEXT,
    occurrences BIGINT NOT NULL DEFAULT 1
);
INSERT INTO audit_folds (fold_key, id, created_at, action, actor, user_id, actor_id, session_id, ip, detail, occurrences)
    SELECT fold_key, id, created_at, action, actor, user_id, actor_id, session_id, ip, detail, occurrences FROM audit
    WHERE fold_key IS NOT NULL;
CREATE INDEX audit_folds_by_id ON audit_folds (id ASC);
CREATE INDEX audit_folds_by_user ON audit_folds (user_id ASC, id ASC) WHERE user_id IS NOT NULL;
CREATE INDEX audit_folds_by_actor ON audit_folds (actor_id ASC, id ASC) WHERE actor_id IS NOT NULL;

CREATE TABLE new_audit (
    id BYTEA PRIMARY KEY CHECK (length(id) = 16),
    created_at BIGINT NOT NULL,
    action TEXT NOT NULL,
    actor TEXT NOT NULL,
    user_id BYTEA,
    actor_id BYTEA,
    session_id BYTEA,
    ip TEXT,
    detail TEXT
);
INSERT INTO new_audit (id, created_at, action, actor, user_id, actor_id, session_id, ip, detail)
    SELECT id, created_at, action, actor, user_id, actor_id, session_id, ip, detail FROM audit WHERE fold_key IS NULL;
DROP TABLE audit;
ALTER TABLE new_audit RENAME TO audit;
CREATE INDEX audit_by_user ON audit (user_id ASC, id ASC) WHERE user_id IS NOT NULL;
CREATE INDEX audit_by_actor ON audit (actor_id ASC, id ASC) WHERE actor_id IS NOT NULL;

-- All entries, as admins see them.
CREATE VIEW audit_log AS
    SELECT id, created_at, action, actor, CAST(1 AS BIGINT) AS occurrences, user_id, actor_id, session_id, ip, detail
    FROM audit
    UNION ALL SELECT id, created_at, action, actor, occurrences, user_id, actor_id, session_id, ip, detail FROM audit_folds;
