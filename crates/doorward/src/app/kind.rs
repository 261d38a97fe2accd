//! The kind of server that uses a database: a development server, or any other. A database stays with its first kind.
//!
//! A development server is open to every program on its machine, so its accounts, sessions and keys are no base for
//! production; and what production has stored is not to be opened like that. Commands use the databases of both.

use super::App;
use crate::keys::Algorithms;
use crate::settings::SettingsError;
use crate::store::{Store, StoreError, Tx, values};

/// Only commands have used it.
const UNDECIDED: i64 = 0;
const DEVELOPMENT: i64 = 1;
const PRODUCTION: i64 = 2;

/// Undecided, but a database that was used before the kind was noted is production's.
const BEGIN: &str = "INSERT INTO facts (name, value) \
     SELECT 'server_kind', CASE WHEN EXISTS (SELECT 1 FROM users) OR EXISTS (SELECT 1 FROM audit) \
     THEN 2 ELSE 0 END WHERE 1 = 1 ON CONFLICT (name) DO NOTHING";
const CLAIM: &str = "UPDATE facts SET value = $1 WHERE name = 'server_kind' AND value = 0";
const KIND: &str = "server_kind";

/// Notes the kind of a server at its first start on this database, and returns why it refuses the other kind later.
/// `Algorithms` tells a server from a command.
pub(super) async fn refusal(
    store: &Store,
    algorithms: Algorithms,
    is_dev: bool,
) -> Result<Option<SettingsError>, StoreError> {
    let own = match algorithms {
        Algorithms::AsStored => None,
        Algorithms::AsSet => Some(kind(is_dev)),
    };
    let noted = store.fact(KIND).await?;
    let kind = if noted == UNDECIDED { note(store, own).await? } else { noted };
    Ok(own.filter(|own| *own != kind).map(refused))
}

/// Notes this kind, unless another server was faster.
async fn note(store: &Store, own: Option<i64>) -> Result<i64, StoreError> {
    let work = async move |tx: &mut Tx| -> Result<i64, StoreError> {
        tx.execute(BEGIN, values![]).await?;
        if let Some(own) = own {
            tx.execute(CLAIM, values![own]).await?;
        }
        tx.fact(KIND).await
    };
    store.transaction(work).await
}

impl App {
    /// Why a server with these settings would refuse the database, if the other kind of server has used it.
    ///
    /// # Errors
    /// If the database can't be read.
    pub async fn refusal_of_kind(&self) -> Result<Option<SettingsError>, StoreError> {
        let (own, stored) = (kind(self.settings.dev), self.store.fact(KIND).await?);
        Ok((stored != UNDECIDED && stored != own).then(|| refused(own)))
    }
}

fn kind(is_dev: bool) -> i64 {
    if is_dev { DEVELOPMENT } else { PRODUCTION }
}

fn refused(own: i64) -> SettingsError {
    let (problem, hint) = if own == DEVELOPMENT {
        (
            "a production server has used this database, and --dev would open it to every program on this machine",
            "name a database of its own for --dev, such as --data ./doorward-dev, or leave --dev out",
        )
    } else {
        (
            "a development server (--dev) has used this database, which was open to every program on this machine",
            "start with --dev, or name a new database, such as --data ./doorward-production: its accounts and secret are new",
        )
    };
    SettingsError::new(problem, hint)
}
