use doorward::OpenError;
use doorward::internals::Error;
use doorward::internals::settings::SettingsError;
use doorward::internals::store::StoreError;
use doorward::internals::transfer::TransferError;

/// Why a command failed, and what to do about it.
#[derive(Debug)]
pub(crate) struct Failure {
    pub(crate) problem: String,
    pub(crate) hint: String,
}

impl Failure {
    /// A problem and what to do; an empty hint is not shown.
    pub(crate) fn new(problem: impl Into<String>, hint: impl Into<String>) -> Self {
        Self { problem: problem.into(), hint: hint.into() }
    }
}

impl From<SettingsError> for Failure {
    fn from(error: SettingsError) -> Self {
        Self::new(error.problem, error.hint)
    }
}

impl From<OpenError> for Failure {
    fn from(error: OpenError) -> Self {
        Self::new(error.problem, error.hint)
    }
}

impl From<TransferError> for Failure {
    fn from(error: TransferError) -> Self {
        Self::new(error.problem, error.hint)
    }
}

impl From<StoreError> for Failure {
    fn from(error: StoreError) -> Self {
        Self::new(error.to_string(), error.hint())
    }
}

impl From<std::io::Error> for Failure {
    fn from(error: std::io::Error) -> Self {
        Self::new(error.to_string(), "")
    }
}

/// The server's answer, in the words of a command line.
impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        let fields =
            error.fields().iter().map(|at| format!("{} {}", at.field, at.message())).collect::<Vec<_>>();
        let hint = match error {
            Error::EmailTaken => "`doorward user show` with this address shows the account",
            Error::LastAdmin => "`doorward user role OTHER admin` makes somebody else one",
            Error::NoRoom => {
                "make room on the disk of the data folder: `doorward doctor` says how much is free"
            }
            Error::Unavailable(_) => "`doorward doctor` looks closer",
            _ => "",
        };
        let problem = match &error {
            Error::Unavailable(cause) => cause.to_string(),
            _ if fields.is_empty() => error.to_string(),
            _ => fields.join("; "),
        };
        Self::new(problem, hint)
    }
}
