//! P10: in a burst of sign-ins each waits its turn or gets 503, and other requests are not affected.

use std::sync::Arc;

use doorward::testing::{PASSWORD, Site};
use serde_json::json;
use tokio::sync::Barrier;

use crate::reading::{bcrypt, store_hash};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn p10_a_storm_of_sign_ins_is_bounded_and_slows_nobody_else() {
    const STORM: usize = 1_000;
    let site = Arc::new(Site::with(&[("hashing.queue", "16"), ("hashing.timeout", "60s")]).await);
    let ada = site.logged_in("ada").await;
    // A slow hash, so that the queue fills.
    store_hash(&site, &site.user("ben", doorward_core::role::RoleName::USER).await, &bcrypt(PASSWORD, 12))
        .await;
    let start = Arc::new(Barrier::new(STORM + 1));
    let storm: Vec<_> = (0..STORM)
        .map(|n| {
            let from = [198, 51, u8::try_from(n / 250).unwrap(), u8::try_from(n % 250).unwrap()];
            let (visitor, start) = (site.visitor().from(from), start.clone());
            tokio::spawn(async move {
                start.wait().await;
                visitor.post("/login", json!({ "email": "ben@example.org", "password": PASSWORD })).await
            })
        })
        .collect();
    start.wait().await;
    // Sixteen wait for hashes that take a second or two in all: this is answered before them.
    ada.get("/profile").await.is_ok();
    assert!(storm.iter().any(|login| !login.is_finished()), "the storm was over before anybody looked");
    let (mut done, mut refused) = (0, 0);
    for login in storm {
        let answer = login.await.unwrap();
        match answer.status.as_u16() {
            200 => done += 1,
            _ => {
                assert_eq!(answer.is_refused("overloaded")["status"], 503);
                assert_eq!(answer.header("retry-after"), Some("2"));
                refused += 1;
            }
        }
    }
    assert!(done >= 16 && refused > STORM / 2, "{done} done, {refused} refused");
    // A refused attempt was no guess, and the pool works as before.
    super::signs_in(&site, "ben", PASSWORD).await.is_ok();
}
