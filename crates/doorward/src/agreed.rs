//! What the nodes of one database agree on, in the table `agreed`.
//!
//! The issuer of tokens is that of the first server. A server with another one is refused, unless a command has made its
//! issuer that of all nodes: they follow, and go on to accept the former one. The roles are those of the server that
//! started last, which all follow. Limits and lifetimes are each node's own: if they differ, the log says so.

use std::collections::{BTreeMap, BTreeSet};

use doorward_core::Timestamp;
use doorward_core::role::{Permission, RoleName};

use crate::acts::{Act, Acts, Change, Done};
use crate::audit::{Action, By, Entry};
use crate::settings::Settings;
use crate::store::{Store, StoreError, Tx, values};

const PROPOSE: &str = "INSERT INTO agreed (name, value) VALUES ($1, $2) ON CONFLICT (name) DO NOTHING";
const SET: &str = "INSERT INTO agreed (name, value) VALUES ($1, $2) \
     ON CONFLICT (name) DO UPDATE SET value = excluded.value WHERE agreed.value <> excluded.value";
const ALL: &str = "SELECT name, value FROM agreed";
const FORMER: &str = "INSERT INTO agreed (name, value) SELECT 'former_issuer', value FROM agreed \
     WHERE name = 'issuer' AND value <> $1 ON CONFLICT (name) DO UPDATE SET value = excluded.value";
/// Rises with each change.
pub(crate) const VERSION: &str = "agreed_version";

/// What each node has for itself, and the settings that it comes from.
const OWN: [(&str, Text); 2] = [("limits", limits), ("lifetimes", lifetimes)];

type Text = fn(&Settings) -> String;

/// What the nodes of a database have agreed on.
#[derive(Debug, Clone, Default)]
pub(crate) struct Agreed {
    pub(crate) version: i64,
    all: BTreeMap<String, String>,
}

impl Agreed {
    /// What a server with these settings agrees on with the others. Roles, limits and lifetimes are noted as its own.
    ///
    /// # Errors
    /// [`StoreError::Refused`] if its issuer is another; the store's.
    pub(crate) async fn of_server(store: &Store, settings: &Settings) -> Result<Self, StoreError> {
        let before = Self::read(store).await?;
        let issuer = settings.issuer();
        if let Some(theirs) = before.issuer().filter(|theirs| *theirs != issuer) {
            return Err(StoreError::Refused(format!(
                "the servers of this database issue tokens as {theirs}, and this one would as {issuer}: correct \
                 public_url, or have all of them change with `doorward config adopt`"
            )));
        }
        before.tell(settings);
        let own: Vec<_> = OWN.iter().map(|(name, text)| (*name, text(settings))).collect();
        let roles = serde_json::to_string(&settings.roles.granted()).unwrap_or_default();
        let note = async move |tx: &mut Tx| {
            let mut changed = tx.execute(PROPOSE, values!["issuer", &issuer]).await?;
            for (name, text) in own.iter().chain([&("roles", roles.clone())]) {
                changed += tx.execute(SET, values![*name, text]).await?;
            }
            if changed > 0 { tx.raise_fact(VERSION) } else { Ok(()) }
        };
        store.transaction(note).await?;
        let agreed = Self::read(store).await?;
        // Another server may have been faster.
        match agreed.issuer() == Some(settings.issuer().as_str()) {
            true => Ok(agreed),
            false => Box::pin(Self::of_server(store, settings)).await,
        }
    }

    /// What the servers of this database have agreed on.
    ///
    /// # Errors
    /// The store's.
    pub(crate) async fn read(store: &Store) -> Result<Self, StoreError> {
        let version = store.follow_fact(VERSION).await?;
        let rows = store.follow(ALL, values![]).await?;
        let all = rows.iter().map(|row| Ok((row.get("name")?, row.get("value")?)));
        Ok(Self { version, all: all.collect::<Result<_, StoreError>>()? })
    }

    /// The issuer of tokens.
    pub(crate) fn issuer(&self) -> Option<&str> {
        self.all.get("issuer").map(String::as_str)
    }

    /// The one before, whose tokens are accepted too.
    pub(crate) fn former_issuer(&self) -> Option<&str> {
        self.all.get("former_issuer").map(String::as_str).filter(|former| Some(*former) != self.issuer())
    }

    /// Puts the roles in force that the server has which started last.
    ///
    /// # Errors
    /// If they can't be read.
    pub(crate) fn apply_roles(&self, settings: &Settings) -> Result<(), StoreError> {
        let Some(text) = self.all.get("roles") else { return Ok(()) };
        let roles: BTreeMap<RoleName, BTreeSet<Permission>> = serde_json::from_str(text)
            .map_err(|error| StoreError::Corrupt(format!("the agreed roles: {error}")))?;
        if roles != settings.roles.granted() {
            tracing::info!("the roles are those of another server's settings from now on");
            settings.roles.replace(roles);
        }
        Ok(())
    }

    /// What another server has differently, each as a sentence.
    pub(crate) fn differences(&self, settings: &Settings) -> Vec<String> {
        let different = OWN.iter().filter_map(|(name, text)| {
            let (ours, theirs) = (text(settings), self.all.get(*name)?);
            (ours != *theirs)
                .then(|| format!("{name} differ among servers: here {ours}; on another {theirs}"))
        });
        different.collect()
    }

    /// Writes the differences into the log.
    pub(crate) fn tell(&self, settings: &Settings) {
        for difference in self.differences(settings) {
            tracing::warn!("{difference}");
        }
    }
}

/// Makes this issuer that of all servers. They accept tokens of the former one, too.
///
/// # Errors
/// The store's.
pub(crate) async fn adopt_issuer(acts: &Acts, issuer: String, now: Timestamp) -> Result<(), StoreError> {
    let change = async move |change: &mut Change<'_>| {
        change.execute(FORMER, values![&issuer]).await?;
        change.execute(SET, values!["issuer", &issuer]).await?;
        change.raise_fact(VERSION)?;
        Ok(Done::new((), Entry::of(Action::IssuerAdopted).detail(issuer.clone())))
    };
    acts.commit(Act::new(By::CommandLine, now), change).await
}

fn limits(settings: &Settings) -> String {
    let Settings { throttle_account, throttle_network, throttle_device, throttle_registrations, .. } =
        settings;
    format!(
        "throttle.enabled {}, account {throttle_account}, network {throttle_network}, device {throttle_device}, \
         registrations {throttle_registrations}",
        settings.throttle
    )
}

fn lifetimes(settings: &Settings) -> String {
    let Settings { access_ttl, refresh_ttl, idle_ttl, absolute_ttl, admin_absolute_ttl, .. } = settings;
    format!(
        "access.ttl {access_ttl:?}, refresh.ttl {refresh_ttl:?}, session.idle_ttl {idle_ttl:?}, \
         session.absolute_ttl {absolute_ttl:?}, for admins {admin_absolute_ttl:?}"
    )
}
