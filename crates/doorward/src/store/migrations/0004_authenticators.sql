-- An account has addresses, authenticators and challenges: a password is one authenticator among others, and every secret
-- that waits for an answer is a challenge. Sessions note when and how their user signed in. What may be in a column of names
-- is the program's to know, so that a later one can add a name.
--
-- Tables are made again, because SQLite can't drop a column that is unique.

CREATE TABLE new_users (
    id BYTEA PRIMARY KEY CHECK (length(id) = 16),
    name TEXT NOT NULL,
    name_folded TEXT NOT NULL,
    role TEXT NOT NULL,
    -- Tokens of a lower version are stale.
    claims_version BIGINT NOT NULL DEFAULT 0,
    -- Rises with each change of an authenticator: whoever proved themselves by an older one did so in vain.
    credentials_version BIGINT NOT NULL DEFAULT 0,
    created_at BIGINT NOT NULL,
    updated_at BIGINT NOT NULL,
    disabled_at BIGINT
);
INSERT INTO new_users (id, name, name_folded, role, claims_version, created_at, updated_at, disabled_at)
    SELECT id, name, name_folded, role, claims_version, created_at, updated_at, disabled_at FROM users;

-- The addresses of a user: proved ones, and the primary one in any case.
CREATE TABLE emails (
    address TEXT PRIMARY KEY,
    user_id BYTEA NOT NULL REFERENCES new_users (id) ON DELETE CASCADE,
    -- As it is searched: an international domain in its own letters.
    folded TEXT NOT NULL,
    is_primary BIGINT NOT NULL,
    verified_at BIGINT,
    -- How it was proved: by an admin, an invitation, the command line.
    verified_by TEXT
);
INSERT INTO emails (address, user_id, folded, is_primary, verified_at, verified_by)
    SELECT email, id, email_folded, 1, CASE WHEN email_vouched_by IS NULL THEN NULL ELSE updated_at END,
        email_vouched_by FROM users;
CREATE UNIQUE INDEX emails_primary ON emails (user_id) WHERE is_primary = 1;

-- How a user can prove who they are.
CREATE TABLE authenticators (
    id BYTEA PRIMARY KEY CHECK (length(id) = 16),
    user_id BYTEA NOT NULL REFERENCES new_users (id) ON DELETE CASCADE,
    kind TEXT NOT NULL,
    -- What it is found by within its kind. Of a password: the user's id, since there is one at most.
    identifier BYTEA NOT NULL,
    -- A password's hash.
    data TEXT NOT NULL,
    created_at BIGINT NOT NULL,
    -- Not noted of passwords: their sessions say it.
    last_used_at BIGINT,
    UNIQUE (kind, identifier)
);
INSERT INTO authenticators (id, user_id, kind, identifier, data, created_at)
    SELECT id, id, 'password', id, password_hash, created_at FROM users WHERE password_hash IS NOT NULL;
CREATE INDEX authenticators_by_user ON authenticators (user_id, kind);

-- What waits for an answer: a reset link, an invitation, a sign-in that still needs something. Only the hash of its secret
-- is here. The session of its maker has no foreign key: a challenge outlives the ordinary end of that session.
CREATE TABLE challenges (
    hash BYTEA PRIMARY KEY,
    id BYTEA NOT NULL UNIQUE CHECK (length(id) = 16),
    purpose TEXT NOT NULL,
    user_id BYTEA REFERENCES new_users (id) ON DELETE CASCADE,
    made_by BYTEA REFERENCES new_users (id) ON DELETE CASCADE,
    made_in BYTEA,
    -- HMAC of a code that is typed, under a key of the root secret.
    code_mac BYTEA,
    -- Hash of the cookie of the browser that asked.
    binding BYTEA,
    -- How many codes were tried: counted before a code is compared.
    attempts BIGINT NOT NULL DEFAULT 0,
    -- JSON of at most 4 KiB: what the second half needs.
    data TEXT,
    created_at BIGINT NOT NULL,
    expires_at BIGINT NOT NULL,
    used_at BIGINT
);
INSERT INTO challenges (hash, id, purpose, user_id, made_by, made_in, data, created_at, expires_at, used_at)
    SELECT hash, id, purpose, user_id, maker_id, maker_session_id,
        CASE WHEN role IS NULL THEN NULL
            WHEN email IS NULL THEN '{"role":"' || role || '"}'
            ELSE '{"email":"' || email || '","role":"' || role || '"}' END,
        created_at, expires_at, used_at FROM one_time_links;
CREATE INDEX challenges_by_user ON challenges (user_id);
CREATE INDEX challenges_by_maker ON challenges (made_by);
CREATE INDEX challenges_by_session ON challenges (made_in);
CREATE INDEX challenges_by_expiry ON challenges (expires_at);
DROP TABLE one_time_links;

CREATE TABLE new_sessions (
    id BYTEA PRIMARY KEY CHECK (length(id) = 16),
    user_id BYTEA NOT NULL REFERENCES new_users (id) ON DELETE CASCADE,
    mode TEXT NOT NULL,
    created_at BIGINT NOT NULL,
    authenticated_at BIGINT NOT NULL,
    -- Names of RFC 8176 with one space between them.
    amr TEXT NOT NULL,
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
INSERT INTO new_sessions (id, user_id, mode, created_at, authenticated_at, amr, last_seen_at, expires_at,
        absolute_expires_at, ip, user_agent, secret_hash, salt, generation, rotated_at, replays, confirmed_at, ended_at,
        end_reason)
    SELECT id, user_id, mode, created_at, created_at, 'pwd', last_seen_at, expires_at, absolute_expires_at, ip, user_agent,
        secret_hash, salt, generation, rotated_at, replays, confirmed_at, ended_at, end_reason FROM sessions;

CREATE TABLE new_devices (
    hash BYTEA PRIMARY KEY,
    user_id BYTEA NOT NULL REFERENCES new_users (id) ON DELETE CASCADE,
    used_at BIGINT NOT NULL
);
INSERT INTO new_devices (hash, user_id, used_at) SELECT hash, user_id, used_at FROM devices;

DROP TABLE sessions;
DROP TABLE devices;
DROP TABLE users;
ALTER TABLE new_users RENAME TO users;
ALTER TABLE new_sessions RENAME TO sessions;
ALTER TABLE new_devices RENAME TO devices;

CREATE INDEX users_by_role ON users (role, id);
-- The live sessions of a user, the oldest first; also what the cascade from users looks up.
CREATE INDEX sessions_by_user ON sessions (user_id, ended_at, created_at);
CREATE INDEX sessions_by_end ON sessions (absolute_expires_at);
CREATE INDEX devices_by_user ON devices (user_id, used_at);
CREATE INDEX devices_by_use ON devices (used_at);
