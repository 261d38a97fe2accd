//! Changing the root secret. Both are known to every server for a while; then the new one is put in force, and the
//! private keys are sealed under it; and once all that the former one signed has expired, that one is dropped.

use doorward_core::Timestamp;

use crate::acts::{Act, Acts, Change, Done};
use crate::audit::{Action, By, Entry};
use crate::roots::Roots;
use crate::store::{Store, StoreError, values};

const KEYS: &str = "SELECT kid, private_key FROM signing_keys ORDER BY kid";
const SEAL: &str = "UPDATE signing_keys SET private_key = $2 WHERE kid = $1";
/// The fingerprint of the secret that was in force before.
const FORMER: &str = "root_former";
const CHANGED_AT: &str = "root_changed_at";

/// How far the change of the root secret is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stage {
    /// This process knows one secret.
    One,
    /// It knows a second one, which no server has been started with.
    Unannounced,
    /// The second one can be put in force.
    Ready,
    /// The second one is in force, since this time.
    Changed(Timestamp),
}

/// How far the change is, as this process knows the secrets.
///
/// # Errors
/// The store's.
pub(crate) async fn stage(store: &Store, roots: &Roots) -> Result<Stage, StoreError> {
    let Some(other) = roots.other() else { return Ok(Stage::One) };
    Ok(if store.find_fact(FORMER).await? == Some(other.fingerprint()) {
        Stage::Changed(Timestamp::from_micros(store.fact(CHANGED_AT).await?))
    } else if Roots::is_announced(store, other).await? {
        Stage::Ready
    } else {
        Stage::Unannounced
    })
}

/// Puts the other secret in force, and seals the private keys under it, in one transaction.
///
/// # Errors
/// The store's; or this process knows one secret only, or another process was faster.
pub(crate) async fn change(
    acts: &Acts,
    store: &Store,
    roots: &Roots,
    now: Timestamp,
) -> Result<(), StoreError> {
    let other = roots.other().ok_or_else(|| StoreError::Refused("there is one root secret only".into()))?;
    let (before, after) = (roots.current().fingerprint(), other.fingerprint());
    let refused = |error| StoreError::Refused(format!("a signing key: {error}"));
    let mut sealed = Vec::new();
    for row in store.list(KEYS, values![]).await? {
        let kid: String = row.get("kid")?;
        let private = roots.open(&kid, &row.get::<Vec<u8>>("private_key")?).map_err(refused)?;
        let private = other.seal(crate::random::bytes(), &kid, &private).map_err(refused)?;
        sealed.push((kid, private));
    }
    let change = async move |change: &mut Change<'_>| {
        if !Roots::replace(change, before, after).await? {
            return Err(StoreError::Refused("the root secret was changed just now".into()));
        }
        // A key that was made meanwhile is sealed under the former one.
        let kids = change.list(KEYS, values![]).await?;
        let kids = kids.iter().map(|row| row.get("kid")).collect::<Result<Vec<String>, _>>()?;
        if !kids.iter().eq(sealed.iter().map(|(kid, _)| kid)) {
            return Err(StoreError::Refused(
                "a signing key was made or removed just now: run it again".into(),
            ));
        }
        for (kid, private) in &sealed {
            change.execute(SEAL, values![kid, private.clone()]).await?;
        }
        change.set_fact(FORMER, before)?;
        change.set_fact(CHANGED_AT, now.as_micros())?;
        Ok(Done::new((), Entry::of(Action::SecretRotated)))
    };
    acts.commit(Act::new(By::CommandLine, now), change).await?;
    roots.follow(store).await
}
