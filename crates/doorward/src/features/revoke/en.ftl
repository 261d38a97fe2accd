action-token_revoked = Token revoked
