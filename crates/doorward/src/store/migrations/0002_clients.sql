-- Registered clients: programs that may ask about tokens, end their sessions and follow the revocations.
--
-- Only the hash of a secret is here. The fact clients_version rises with each change.

CREATE TABLE clients (
    id BYTEA PRIMARY KEY CHECK (length(id) = 16),
    name TEXT NOT NULL,
    secret_hash BYTEA NOT NULL,
    created_at BIGINT NOT NULL
);
