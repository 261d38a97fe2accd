-- Accounts, sessions, links, keys and the audit log.
--
-- Ids are 16 bytes, times are microseconds since the Unix epoch (UTC), both made by the program.
-- Written in PostgreSQL's words; for SQLite see migrate.rs.

CREATE TABLE users (
    id BYTEA PRIMARY KEY CHECK (length(id) = 16),
    name TEXT NOT NULL,
    name_folded TEXT NOT NULL,
    email TEXT NOT NULL UNIQUE,
    -- As it is searched: an international domain in its own letters.
    email_folded TEXT NOT NULL,
    email_vouched_by TEXT CHECK (email_vouched_by IN ('admin', 'invitation', 'command_line')),
    role TEXT NOT NULL,
    role_version BIGINT NOT NULL DEFAULT 0,
    password_hash TEXT,
    created_at BIGINT NOT NULL,
    updated_at BIGINT NOT NULL,
    disabled_at BIGINT
);
CREATE INDEX users_by_role ON users (role, id);

CREATE TABLE sessions (
    id BYTEA PRIMARY KEY CHECK (length(id) = 16),
    user_id BYTEA NOT NULL REFERENCES users (id) ON DELETE CASCADE,
    mode TEXT NOT NULL CHECK (mode IN ('bearer', 'cookie', 'session')),
    created_at BIGINT NOT NULL,
    last_seen_at BIGINT NOT NULL,
    expires_at BIGINT NOT NULL,
    absolute_expires_at BIGINT NOT NULL,
    ip TEXT,
    user_agent TEXT,
    secret_hash BYTEA UNIQUE,
    salt BYTEA,
    generation BIGINT NOT NULL DEFAULT 0,
    rotated_at BIGINT,
    replays BIGINT NOT NULL DEFAULT 0,
    confirmed_at BIGINT,
    ended_at BIGINT,
    end_reason TEXT
);
-- The live sessions of a user, the oldest first; also what the cascade from users looks up.
CREATE INDEX sessions_by_user ON sessions (user_id, ended_at, created_at);
CREATE INDEX sessions_by_end ON sessions (absolute_expires_at);

-- Credentials that were good once: for a minute after a session was renewed (is_over = 0), and of the sessions of deleted
-- users until their cookies are gone (is_over = 1). They open nothing; requests in flight learn what to do. No foreign key:
-- they outlive their session.
CREATE TABLE former_credentials (
    session_id BYTEA NOT NULL CHECK (length(session_id) = 16),
    secret_hash BYTEA UNIQUE,
    salt BYTEA NOT NULL,
    is_over BIGINT NOT NULL,
    expires_at BIGINT NOT NULL,
    PRIMARY KEY (session_id, salt)
);
CREATE INDEX former_credentials_by_expiry ON former_credentials (expires_at);

-- No foreign keys: a revocation outlives its session and its user. Positions rise in the order of commits, so that
-- whoever read up to one misses nothing, whatever the clocks say.
CREATE TABLE revocations (
    session_id BYTEA PRIMARY KEY CHECK (length(session_id) = 16),
    user_id BYTEA NOT NULL,
    reason TEXT NOT NULL,
    position BIGINT NOT NULL,
    created_at BIGINT NOT NULL,
    expires_at BIGINT NOT NULL
);
CREATE INDEX revocations_by_position ON revocations (position);
CREATE INDEX revocations_by_expiry ON revocations (expires_at);

CREATE TABLE role_changes (
    user_id BYTEA PRIMARY KEY CHECK (length(user_id) = 16),
    role TEXT NOT NULL,
    version BIGINT NOT NULL,
    position BIGINT NOT NULL,
    created_at BIGINT NOT NULL,
    expires_at BIGINT NOT NULL
);
CREATE INDEX role_changes_by_position ON role_changes (position);

-- The devices that an account knows, each by the hash of its secret for this account.
CREATE TABLE devices (
    hash BYTEA PRIMARY KEY,
    user_id BYTEA NOT NULL REFERENCES users (id) ON DELETE CASCADE,
    used_at BIGINT NOT NULL
);
CREATE INDEX devices_by_user ON devices (user_id, used_at);
CREATE INDEX devices_by_use ON devices (used_at);

-- Only the hash of a link's secret is here. A reset link is for user_id; the command line's links have no maker. The
-- maker's session has no foreign key: a link outlives its ordinary end.
CREATE TABLE one_time_links (
    hash BYTEA PRIMARY KEY,
    id BYTEA NOT NULL UNIQUE CHECK (length(id) = 16),
    purpose TEXT NOT NULL CHECK (purpose IN ('reset', 'invite')),
    user_id BYTEA REFERENCES users (id) ON DELETE CASCADE,
    email TEXT,
    role TEXT,
    maker_id BYTEA REFERENCES users (id) ON DELETE CASCADE,
    maker_session_id BYTEA,
    created_at BIGINT NOT NULL,
    expires_at BIGINT NOT NULL,
    used_at BIGINT,
    CHECK (purpose <> 'reset' OR user_id IS NOT NULL)
);
CREATE INDEX one_time_links_by_user ON one_time_links (user_id);
CREATE INDEX one_time_links_by_maker ON one_time_links (maker_id);
CREATE INDEX one_time_links_by_session ON one_time_links (maker_session_id);

-- Forms that were sent within the last minute, so that a repeat ends as the first did. No credential is here: the hash is
-- keyed by the root secret.
CREATE TABLE form_posts (
    hash BYTEA PRIMARY KEY CHECK (length(hash) = 32),
    owner TEXT NOT NULL,
    created_at BIGINT NOT NULL,
    expires_at BIGINT NOT NULL,
    done_at BIGINT,
    session_id BYTEA,
    -- The link or client that it made, whose secret was on its page and is nowhere else.
    made_id BYTEA,
    outcome TEXT
);
CREATE INDEX form_posts_by_owner ON form_posts (owner);
CREATE INDEX form_posts_by_expiry ON form_posts (expires_at);

-- Private keys are encrypted under the root secret, which is not in the database.
CREATE TABLE signing_keys (
    kid TEXT PRIMARY KEY,
    algorithm TEXT NOT NULL,
    private_key BYTEA NOT NULL,
    public_jwk TEXT NOT NULL,
    created_at BIGINT NOT NULL,
    activates_at BIGINT NOT NULL,
    retires_at BIGINT,
    removed_at BIGINT
);

-- No foreign keys: an entry outlives whom it names, until the deletion of a user removes what names them.
CREATE TABLE audit (
    id BYTEA PRIMARY KEY CHECK (length(id) = 16),
    created_at BIGINT NOT NULL,
    action TEXT NOT NULL,
    actor TEXT NOT NULL,
    user_id BYTEA,
    actor_id BYTEA,
    session_id BYTEA,
    ip TEXT,
    detail TEXT,
    occurrences BIGINT NOT NULL DEFAULT 1,
    fold_key BYTEA UNIQUE
);
CREATE INDEX audit_by_user ON audit (user_id, id);
CREATE INDEX audit_by_actor ON audit (actor_id, id);

-- Single numbers. admins_lock is the row that acts which could remove the last admin write first;
-- max_access_ttl is the largest access token lifetime ever in force, in seconds; revocation_position is the last one
-- that was given out, and the row that orders the acts that take one; trial_writes counts writes that only show whether
-- the database takes any.
CREATE TABLE facts (
    name TEXT PRIMARY KEY,
    value BIGINT NOT NULL
);
INSERT INTO facts (name, value) VALUES ('admins_lock', 0), ('max_access_ttl', 0), ('trial_writes', 0);

-- At most one row, in SQLite: room that is given to other rows when the disk is nearly full.
CREATE TABLE ballast (
    id BIGINT PRIMARY KEY,
    content BYTEA NOT NULL
);
