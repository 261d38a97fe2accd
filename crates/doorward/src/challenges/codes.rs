//! Codes that Doorward made and people type to answer a challenge. Those of an authenticator app are not among them: no
//! challenge has their MAC. A try is counted before the code is compared, by a statement of its
//! own. So even with many tries at once, no more are compared than the challenge allows (attack L04).

use aws_lc_rs::hmac;
use doorward_core::RootSecret;

use super::Presented;
use crate::store::{Store, StoreError, Tx, values};

/// How many tries a challenge allows in its whole life.
pub(crate) const TRIES: i64 = 5;

const COUNT: &str = "UPDATE challenges SET attempts = attempts + 1 WHERE hash = $1 AND purpose = $2 AND used_at IS NULL \
     AND expires_at > $3 AND code_mac IS NOT NULL AND attempts < $4 RETURNING code_mac";

/// The result of a try.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Tried {
    /// The code is right.
    Right,
    /// The code is wrong.
    Wrong,
    /// It was not compared: the challenge is unknown, used or expired, or its tries are used up.
    Refused,
}

/// The key of typed codes.
pub(crate) struct Codes(hmac::Key);

impl Codes {
    pub(crate) fn new(root: &RootSecret) -> Self {
        let key = root.derive(doorward_core::Purpose::TypedCodes);
        Self(hmac::Key::new(hmac::HMAC_SHA256, key.expose()))
    }

    /// What a challenge stores of its code.
    pub(crate) fn mac(&self, challenge: [u8; 32], code: &str) -> Vec<u8> {
        hmac::sign(&self.0, &[&challenge, code.as_bytes()].concat()).as_ref().to_vec()
    }

    /// Tries a code. The try is counted, whatever its result.
    ///
    /// # Errors
    /// The store's: then nothing was compared.
    pub(crate) async fn check(
        &self,
        store: &Store,
        presented: Presented,
        code: &str,
    ) -> Result<Tried, StoreError> {
        let Presented { hash, purpose, now } = presented;
        let count =
            async move |tx: &mut Tx| tx.find(COUNT, values![hash, purpose.as_str(), now, TRIES]).await;
        let Some(row) = store.transaction(count).await? else { return Ok(Tried::Refused) };
        let typed = [&hash, code.as_bytes()].concat();
        let is_right = hmac::verify(&self.0, &typed, &row.get::<Vec<u8>>("code_mac")?).is_ok();
        Ok(if is_right { Tried::Right } else { Tried::Wrong })
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use doorward_core::Secret;

    use super::*;
    use crate::challenges::{NewChallenge, Purpose, make};
    use crate::testing::Site;

    fn codes() -> Arc<Codes> {
        Arc::new(Codes::new(&RootSecret::new(&Secret::new([1; 32]))))
    }

    /// A challenge with this code.
    async fn waiting(site: &Site, code: &str) -> Presented {
        let new = NewChallenge::of(Purpose::SignIn, site.clock.now());
        let mac = codes().mac(new.secret.hash(), code);
        let new = new.with_code(mac);
        let presented =
            Presented { hash: new.secret.hash(), purpose: Purpose::SignIn, now: site.clock.now() };
        site.app.store.transaction(async move |tx: &mut Tx| make(tx, &new).await).await.unwrap();
        presented
    }

    #[tokio::test(flavor = "multi_thread", worker_threads = 4)]
    async fn l04_of_a_thousand_wrong_codes_at_once_no_more_are_compared_than_a_challenge_allows() {
        let site = Arc::new(Site::new().await);
        let presented = waiting(&site, "13579246").await;
        let tries = (0..1_000).map(|n| {
            let (site, codes) = (site.clone(), codes());
            tokio::spawn(async move {
                loop {
                    // A server that is too busy has compared nothing.
                    match codes.check(&site.app.store, presented, &format!("{n:08}")).await {
                        Err(error) if error.is_overloaded() => tokio::task::yield_now().await,
                        tried => return tried.unwrap(),
                    }
                }
            })
        });
        let tried = futures_util::future::join_all(tries.collect::<Vec<_>>()).await;
        let compared = tried.into_iter().filter(|tried| *tried.as_ref().unwrap() == Tried::Wrong).count();
        assert_eq!(compared, usize::try_from(TRIES).unwrap());
        let row = site.app.store.find("SELECT attempts FROM challenges", values![]).await.unwrap().unwrap();
        assert_eq!(row.get::<i64>("attempts").unwrap(), TRIES);
        // The right one comes too late.
        assert_eq!(codes().check(&site.app.store, presented, "13579246").await.unwrap(), Tried::Refused);
    }

    #[tokio::test]
    async fn a_code_answers_its_own_challenge_only_and_in_its_time() {
        let site = Site::new().await;
        let (one, other) = (waiting(&site, "13579246").await, waiting(&site, "24681357").await);
        let check = async |presented, code| codes().check(&site.app.store, presented, code).await.unwrap();
        assert_eq!(check(one, "24681357").await, Tried::Wrong);
        assert_eq!(check(one, "13579246").await, Tried::Right);
        assert_eq!(check(other, "24681357").await, Tried::Right);
        assert_eq!(check(Presented { purpose: Purpose::Reset, ..one }, "13579246").await, Tried::Refused);
        let late = Presented { now: one.now + Purpose::SignIn.ttl(), ..one };
        assert_eq!(check(late, "13579246").await, Tried::Refused);
    }
}
