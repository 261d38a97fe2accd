/// Why a guard can't be made, and what to do.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum BuildError {
    /// Nothing to verify tokens with.
    #[error("there is nothing to verify tokens with: give the server's URL, its secret or its JWK set")]
    NoKeys,
    /// A secret and a JWK set: an attacker would choose which of them a token is checked with (attack J41).
    #[error("a shared secret and public keys don't go together: give the one that the server signs with")]
    Mixed,
    /// The secret is one that an attacker would try.
    #[error("the shared secret {0}: give the server's JWT_SECRET, at least 32 random bytes")]
    Secret(String),
    /// The JWK set can't be used.
    #[error("the JWK set can't be used: {0}")]
    Keys(String),
    /// The name of a role is invalid.
    #[error(
        "{0:?} is no role: a role's name begins with a lower-case letter and has 1 to 31 of a-z, 0-9, _ and -"
    )]
    Role(String),
    /// The server's address can't be used.
    #[error("the server's address {0:?} can't be used: {1}")]
    #[cfg(feature = "remote")]
    Address(String, &'static str),
    /// The certificate of an authority can't be read.
    #[error("the certificates of authorities can't be read: {0}")]
    #[cfg(feature = "remote")]
    Certificates(String),
    /// Revocations would go unnoticed.
    #[error(
        "the guard would not hear of logouts: give client(id, secret) from `doorward client create` or feed_secret(…), or \
         say without_revocations()"
    )]
    #[cfg(feature = "remote")]
    NoFeed,
    /// A credential for a server, but no server.
    #[error("there is no server to present the credential to: give server(url)")]
    #[cfg(feature = "remote")]
    NoServer,
    /// The server doesn't answer as it should.
    #[error("{url}: {problem}")]
    #[cfg(feature = "remote")]
    Server {
        /// The request.
        url: String,
        /// What went wrong.
        problem: String,
    },
}
