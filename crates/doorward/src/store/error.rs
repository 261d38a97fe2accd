/// Why the store did not do what it was asked. Nothing of it is kept where an act failed.
///
/// An expected fork (an address that is taken, a generation that moved on) is a value and never one of these.
/// The texts are for the log: they name tables and columns, never a value, a password or an address.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum StoreError {
    /// The database can't be reached, or can't write just now. Worth a later try.
    #[error("the database is unavailable: {0}")]
    Unavailable(String),
    /// There is no room left on the disk of the database.
    #[error("the disk of the database is full: {0}")]
    Full(String),
    /// Too many acts are waiting already; this one was not begun.
    #[error("the database is overloaded: too many acts are waiting for it")]
    Overloaded,
    /// The act lost against others at the same time (SQLSTATE 40001, 40P01), or its connection was cut before it began,
    /// each time that it was tried.
    #[error("the act did not get through, though it was tried again and again: {0}")]
    Contended(String),
    /// A constraint of the schema refused the act.
    #[error("a constraint refused the act: {0}")]
    Conflict(String),
    /// Something makes no sense: a value that doesn't decode, a query that the engine can't read, a broken file.
    #[error("the database and this program don't fit together: {0}")]
    Corrupt(String),
    /// The database can't be used as it is, or the settings don't lead to one. The text says what to do.
    #[error("{0}")]
    Refused(String),
}

impl StoreError {
    /// Whether the same act may well succeed a little later.
    pub fn is_transient(&self) -> bool {
        matches!(self, Self::Unavailable(_) | Self::Full(_) | Self::Overloaded | Self::Contended(_))
    }

    /// Whether the act was turned away because too many were waiting.
    pub fn is_overloaded(&self) -> bool {
        matches!(self, Self::Overloaded)
    }

    /// Whether a constraint of the schema refused the act.
    pub fn is_conflict(&self) -> bool {
        matches!(self, Self::Conflict(_))
    }

    /// Its kind in one word, for the metrics.
    pub(super) fn reason(&self) -> &'static str {
        match self {
            Self::Unavailable(_) => "unavailable",
            Self::Full(_) => "full",
            Self::Overloaded => "overloaded",
            Self::Contended(_) => "contended",
            Self::Conflict(_) => "conflict",
            Self::Corrupt(_) => "corrupt",
            Self::Refused(_) => "refused",
        }
    }

    pub(super) fn closed() -> Self {
        Self::Unavailable("the store is closed".to_owned())
    }
}
