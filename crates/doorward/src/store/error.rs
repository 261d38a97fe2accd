/// Why a call of the store failed. If it fails, none of its changes is kept.
///
/// An expected outcome (an address that is taken, a generation that moved on) is a value and never one of these. The
/// texts are for the log: they name tables and columns, never a value, a password or an address.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum StoreError {
    /// The database can't be reached, or can't write just now. Try again later.
    #[error("the database is unavailable: {0}")]
    Unavailable(String),
    /// The disk of the database is full.
    #[error("the disk of the database is full: {0}")]
    Full(String),
    /// Too many calls are waiting already; this one was not begun.
    #[error("the database is overloaded: too many acts are waiting for it")]
    Overloaded,
    /// Every try lost against concurrent transactions (SQLSTATE 40001, 40P01), or lost its connection before it began.
    #[error("the act did not get through, though it was tried again and again: {0}")]
    Contended(String),
    /// A constraint of the schema refused the statement.
    #[error("a constraint refused the act: {0}")]
    Conflict(String),
    /// A row that the act must change is not there any more.
    #[error("a row that the act must change is gone")]
    Missed,
    /// Something is invalid: a value that doesn't decode, a query that the engine can't parse, a broken file.
    #[error("the database and this program don't fit together: {0}")]
    Corrupt(String),
    /// The database can't be used as it is, or the settings don't lead to one. The text says what to do.
    #[error("{0}")]
    Refused(String),
}

impl StoreError {
    /// Whether the same call may well succeed a little later.
    pub fn is_transient(&self) -> bool {
        matches!(
            self,
            Self::Unavailable(_) | Self::Full(_) | Self::Overloaded | Self::Contended(_) | Self::Missed
        )
    }

    /// Whether the call was refused because too many were waiting.
    pub fn is_overloaded(&self) -> bool {
        matches!(self, Self::Overloaded)
    }

    /// Whether a constraint of the schema refused the call.
    pub fn is_conflict(&self) -> bool {
        matches!(self, Self::Conflict(_))
    }

    /// What to do about it, for the log of a start and the command line; may be empty.
    pub fn hint(&self) -> &'static str {
        match self {
            Self::Full(_) => "make room on its disk",
            Self::Unavailable(_) => "see whether the database runs and may be used: `doorward doctor`",
            Self::Overloaded | Self::Contended(_) | Self::Missed => "try again",
            Self::Corrupt(_) => "`doorward doctor` looks closer",
            Self::Conflict(_) | Self::Refused(_) => "",
        }
    }

    /// Its kind in one word, for the metrics.
    pub(super) fn reason(&self) -> &'static str {
        match self {
            Self::Unavailable(_) => "unavailable",
            Self::Full(_) => "full",
            Self::Overloaded => "overloaded",
            Self::Contended(_) => "contended",
            Self::Conflict(_) => "conflict",
            Self::Missed => "missed",
            Self::Corrupt(_) => "corrupt",
            Self::Refused(_) => "refused",
        }
    }

    pub(super) fn closed() -> Self {
        Self::Unavailable("the store is closed".to_owned())
    }
}
