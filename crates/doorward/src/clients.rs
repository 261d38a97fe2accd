//! Registered clients: programs that may ask about tokens, end their sessions and follow the revocations.
//!
//! All of them are in memory, by the hash of their secret: no request, good or bad, queries the store. Another
//! process's changes arrive with the table of revocations.

use std::collections::HashMap;
use std::sync::Arc;

use arc_swap::ArcSwap;
use aws_lc_rs::constant_time;
use doorward_core::message::Message;
use doorward_core::name::DisplayName;
use doorward_core::role::permission;
use doorward_core::{ClientId, OpaqueSecret, Timestamp, UserId};
use tokio::sync::Mutex;
use zeroize::Zeroizing;

use crate::actors::{Actor, Asking};
use crate::acts::{Base, Change, Done};
use crate::audit::{Action, Entry};
use crate::error::{Error, Result};
use crate::posts;
use crate::store::{Statement, StoreError, values};
use crate::throttle::{Kind, Throttle};
use crate::users::rfc3339;
use crate::wire::shape::shown;

/// How many there may be, since all are in memory.
const MOST: i64 = 1_000;

shown! {
    /// A registered client.
    pub struct ClientView as "Client" {
        /// Its public id: pages go by it.
        pub client_id: ClientId,
        /// What the operator called it.
        pub name: String,
        /// When it was registered.
        pub created_at: String,
    }
}

/// A client that is about to be registered.
#[derive(Debug)]
pub struct PreparedClient {
    /// Its public id.
    pub id: ClientId,
    name: String,
    secret: OpaqueSecret,
    now: Timestamp,
    /// The form that registers it.
    form: Option<posts::Hash>,
}

impl PreparedClient {
    /// Its secret, which nobody can show again.
    pub fn secret(&self) -> Zeroizing<String> {
        self.secret.to_text()
    }
}

/// Registered clients.
pub struct Clients {
    base: Base,
    throttle: Arc<Throttle>,
    known: ArcSwap<ClientHashes>,
    /// One read at a time, so that the latest one wins.
    reading: Mutex<()>,
}

#[derive(Default)]
struct ClientHashes {
    version: i64,
    hashes: HashMap<ClientId, [u8; 32]>,
}

/// Rises with each change.
pub(crate) const VERSION: &str = "clients_version";
const COUNT: &str = "SELECT CAST(count(*) AS BIGINT) AS count FROM clients";
const INSERT: &str = "INSERT INTO clients (id, name, secret_hash, created_at) VALUES ($1, $2, $3, $4)";
const FIND: &str = "SELECT id FROM clients WHERE id = $1";
const DELETE: &str = "DELETE FROM clients WHERE id = $1 RETURNING name";
const HASHES: &str = "SELECT id, secret_hash FROM clients";
const LIST: &str = "SELECT id, name, created_at FROM clients WHERE id > $1 ORDER BY id LIMIT $2";

impl Clients {
    /// Loads all of them.
    ///
    /// # Errors
    /// The store's.
    pub(crate) async fn load(base: Base, throttle: Arc<Throttle>) -> Result<Self, StoreError> {
        let clients = Self { base, throttle, known: ArcSwap::default(), reading: Mutex::new(()) };
        clients.follow().await?;
        Ok(clients)
    }

    /// Whether this is the secret of this client.
    pub(crate) fn knows(&self, client: ClientId, secret: &OpaqueSecret) -> bool {
        let hash = self.known.load().hashes.get(&client).copied();
        hash.is_some_and(|own| constant_time::verify_slices_are_equal(&own, &secret.hash()).is_ok())
    }

    /// Whether this client exists.
    pub(crate) fn has(&self, client: ClientId) -> bool {
        self.known.load().hashes.contains_key(&client)
    }

    /// Registers a client, and returns its id and its secret, which is shown once.
    ///
    /// # Errors
    /// There are too many; [`Error::ConfirmationRequired`], [`Error::Forbidden`]; the store's.
    pub async fn create(&self, name: &DisplayName, actor: &Actor) -> Result<(ClientId, Zeroizing<String>)> {
        let new = self.prepare(name);
        let (id, secret) = (new.id, new.secret());
        self.register(new, actor).await?;
        Ok((id, secret))
    }

    /// A client that doesn't exist before [`Clients::register`], so that its secret can be shown first.
    pub fn prepare(&self, name: &DisplayName) -> PreparedClient {
        let (now, secret) = (self.base.clock.now(), OpaqueSecret::new(crate::random::bytes()));
        let id = ClientId::new(now, crate::random::bytes());
        PreparedClient { id, name: name.to_string(), secret, now, form: posts::current() }
    }

    /// Registers a client, in place of the one that the same form registered when it was sent before.
    ///
    /// # Errors
    /// There are too many; [`Error::ConfirmationRequired`], [`Error::Forbidden`]; the store's.
    pub async fn register(
        &self,
        PreparedClient { id, name, secret, now, form }: PreparedClient,
        actor: &Actor,
    ) -> Result<()> {
        let (hash, asking) = (secret.hash(), self.asking(actor));
        asking.standing_unlocked(&self.base.store).await?.is_confirmed()?;
        if let Some(user) = asking.actor.user() {
            self.throttle.act(Kind::Change, user, now)?;
        }
        let act = asking.act();
        let change = async move |change: &mut Change<'_>| -> Result<Done<Option<ClientId>>> {
            asking.hold(change, None)?;
            change.raise_fact(VERSION)?;
            asking.look(&mut **change, Vec::new()).await?.standing.is_confirmed()?;
            let mut entries = Vec::new();
            let former = posts::made(change, form, id).await?;
            if let Some(former) = former
                && change.find(DELETE, values![former]).await?.is_some()
            {
                entries.push(Entry::of(Action::ClientDeleted).detail(former.to_string()));
            }
            let count = change.find(COUNT, values![]).await?.map_or(Ok(0), |row| row.get::<i64>("count"))?;
            if count >= MOST {
                return Err(Error::field("name", Message::new("clients-full").with("most", MOST as u64)));
            }
            change.queue(INSERT, values![id, &name, hash, now])?;
            entries.push(Entry::of(Action::ClientCreated).detail(id.to_string()));
            Ok(Done::with_entries(former, entries))
        };
        let former = self.base.acts.commit(act, change).await?;
        self.take_over(|hashes| {
            former.map(|former| hashes.remove(&former));
            hashes.insert(id, hash);
        })
        .await;
        Ok(())
    }

    /// Deletes a client, which stops working at once. `false` if it doesn't exist.
    ///
    /// # Errors
    /// [`Error::Forbidden`]; the store's.
    pub async fn delete(&self, client: ClientId, actor: &Actor) -> Result<bool> {
        let asking = self.asking(actor);
        let find = Statement { sql: FIND, values: values![client] };
        let found = asking.look(&self.base.store, vec![find]).await?.rows.next();
        if found.is_none_or(|rows| rows.is_empty()) {
            self.take_over(|hashes| _ = hashes.remove(&client)).await;
            return Ok(false);
        }
        let act = asking.act();
        let change = async move |change: &mut Change<'_>| -> Result<Done<bool>> {
            asking.hold(change, None)?;
            let deleted = change.ask(DELETE, values![client])?;
            asking.look(&mut **change, Vec::new()).await?;
            if change.answer(deleted).await?.into_first().is_none() {
                return Ok(Done::without_entry(false));
            }
            change.raise_fact(VERSION)?;
            Ok(Done::new(true, Entry::of(Action::ClientDeleted).detail(client.to_string())))
        };
        let deleted = self.base.acts.commit(act, change).await?;
        self.take_over(|hashes| _ = hashes.remove(&client)).await;
        Ok(deleted)
    }

    /// An act by this actor, now.
    fn asking(&self, actor: &Actor) -> Asking {
        let (actor, roles, at) = (actor.clone(), self.base.roles.clone(), self.base.clock.now());
        Asking { actor, roles, permission: permission::CLIENTS_WRITE, at }
    }

    /// Puts a committed change in force here. It doesn't query the store, so it can't fail after the commit; the next
    /// round of following reads all clients again.
    async fn take_over(&self, change: impl FnOnce(&mut HashMap<ClientId, [u8; 32]>)) {
        let _one = self.reading.lock().await;
        let known = self.known.load();
        let mut hashes = known.hashes.clone();
        change(&mut hashes);
        self.known.store(ClientHashes { version: known.version, hashes }.into());
    }

    /// All of them, the oldest first.
    ///
    /// # Errors
    /// The store's.
    pub async fn list(&self) -> Result<Vec<ClientView>> {
        self.page(None, u32::try_from(MOST).unwrap_or(u32::MAX), None).await
    }

    /// Some of them, the oldest first, as a scan of the user who asks.
    ///
    /// # Errors
    /// The store's.
    pub async fn page(
        &self,
        after: Option<ClientId>,
        limit: u32,
        asked_by: Option<UserId>,
    ) -> Result<Vec<ClientView>> {
        let after = after.unwrap_or(ClientId::from_bytes([0; 16]));
        let rows = self.base.store.scan(asked_by, LIST, values![after, limit]).await?;
        let shown = rows.iter().map(|row| {
            let created_at: Timestamp = row.get("created_at")?;
            Ok(ClientView {
                client_id: row.get("id")?,
                name: row.get("name")?,
                created_at: rfc3339(created_at),
            })
        });
        Ok(shown.collect::<Result<_, StoreError>>()?)
    }

    /// Reads them again if another process has changed them.
    ///
    /// # Errors
    /// The store's; the next call tries again.
    pub(crate) async fn follow(&self) -> Result<(), StoreError> {
        self.follow_to(self.base.store.fact(VERSION).await?).await
    }

    /// Applies changes of other processes.
    ///
    /// # Errors
    /// The store's; what is known stays.
    pub(crate) async fn follow_to(&self, version: i64) -> Result<(), StoreError> {
        let _one = self.reading.lock().await;
        if version != self.known.load().version {
            let rows = self.base.store.follow(HASHES, values![]).await?;
            let hashes = rows.iter().map(|row| Ok((row.get("id")?, row.get("secret_hash")?)));
            let hashes = hashes.collect::<Result<_, StoreError>>()?;
            self.known.store(ClientHashes { version, hashes }.into());
        }
        Ok(())
    }
}
