use super::*;
use crate::store::values;
use crate::testing::Site;

const NOW: Timestamp = Timestamp::from_secs(1_800_000_000);

/// The limits of a new site, which remember this many accounts.
async fn site(memory: &str) -> Site {
    Site::with(&[("throttle.memory", memory)]).await
}

async fn guesses(site: &Site, email: &str, network: &str, at: Timestamp) -> bool {
    let (email, network) = (Email::parse(email).unwrap(), network.parse().unwrap());
    site.app.throttle.guess(&email, network, None, at).await.is_ok()
}

async fn passed(site: &Site, emails: impl Iterator<Item = String>) -> usize {
    let mut passed = 0;
    for email in emails {
        passed += usize::from(guesses(site, &email, "192.0.2.1", NOW).await);
    }
    passed
}

#[tokio::test]
async fn an_account_has_ten_guesses_from_one_network_and_is_not_locked_elsewhere() {
    let site = site("10000").await;
    assert_eq!(passed(&site, std::iter::repeat_n("ada@example.org".to_owned(), 10)).await, 10);
    assert!(!guesses(&site, "ADA@example.org ", "192.0.2.1", NOW).await);
    assert!(guesses(&site, "ada@example.org", "192.0.2.2", NOW).await);
    assert!(guesses(&site, "ben@example.org", "192.0.2.1", NOW).await);
}

#[tokio::test]
async fn a_network_has_a_hundred_guesses_over_all_accounts_and_refused_ones_cost_nothing() {
    let site = site("10000").await;
    assert_eq!(passed(&site, (0..500).map(|n| format!("u{n}@example.org"))).await, 100);
    assert!(guesses(&site, "ada@example.org", "192.0.2.1", NOW + Duration::from_secs(9)).await);
}

#[tokio::test]
async fn guesses_that_an_account_refuses_cost_its_network_nothing() {
    let site = site("10000").await;
    assert_eq!(passed(&site, std::iter::repeat_n("ada@example.org".to_owned(), 300)).await, 10);
    assert_eq!(passed(&site, (0..300).map(|n| format!("u{n}@example.org"))).await, 90);
}

#[tokio::test]
async fn l07_a_flood_of_keys_stays_within_the_memory() {
    let site = site("1000").await;
    let counting = site.app.throttle.counting.as_ref().unwrap();
    for n in 0..100_000_u32 {
        let key = counting.buckets.of_account(&[b"account", &n.to_be_bytes()]);
        let _ = site.app.throttle.take_from_memory([(INVITATION, key, "account")], NOW);
    }
    assert!(counting.buckets.accounts() <= 1_100);
}

/// The rows of the store, once memory has written its own.
async fn rows(site: &Site) -> i64 {
    site.app.throttle.write(NOW).await.unwrap();
    let row = site.app.store.find("SELECT CAST(count(*) AS BIGINT) AS number FROM buckets", values![]);
    row.await.unwrap().unwrap().get("number").unwrap()
}

#[tokio::test]
async fn l07_a_network_without_guesses_left_writes_no_row_for_an_account() {
    let site = site("10000").await;
    passed(&site, (0..100).map(|n| format!("u{n}@example.org"))).await;
    let before = rows(&site).await;
    assert_eq!(before, 101);
    // Another server refuses too, also while it has never seen the network.
    let elsewhere = site.restarted().await;
    for server in [&site, &elsewhere] {
        assert_eq!(passed(server, (100..200).map(|n| format!("u{n}@example.org"))).await, 0);
        assert_eq!(rows(server).await, before);
    }
}

#[tokio::test]
async fn a_full_table_takes_no_further_rows_and_memory_counts_on() {
    let site = site("10000").await;
    site.app.throttle.counting.as_ref().unwrap().shared.is_full(NOW);
    assert_eq!(passed(&site, std::iter::repeat_n("ada@example.org".to_owned(), 20)).await, 10);
    assert_eq!(rows(&site).await, 0);
    // It is counted again later.
    let later = NOW + Duration::from_secs(60);
    assert!(guesses(&site, "ada@example.org", "192.0.2.1", later).await);
    site.app.throttle.write(later).await.unwrap();
    assert_eq!(rows(&site).await, 2);
}

#[tokio::test]
async fn buckets_that_are_full_again_are_swept_and_others_stay() {
    let site = site("10000").await;
    passed(&site, ["ada@example.org".to_owned()].into_iter()).await;
    passed(&site, std::iter::repeat_n("ben@example.org".to_owned(), 5)).await;
    assert_eq!(rows(&site).await, 3);
    site.later(Duration::from_secs(60)).await;
    assert_eq!(rows(&site).await, 1);
}

#[tokio::test]
async fn a_bucket_from_a_clock_that_was_ahead_keeps_nobody_out_for_longer_than_a_full_one() {
    let site = site("10000").await;
    let ahead = NOW + Duration::from_secs(86_400);
    assert!(guesses(&site, "ada@example.org", "192.0.2.1", ahead).await);
    site.app.throttle.write(ahead).await.unwrap();
    let elsewhere = site.restarted().await;
    assert!(!guesses(&elsewhere, "ada@example.org", "192.0.2.1", NOW).await);
    let (network, account) = (Duration::from_secs(9), Duration::from_secs(30));
    assert!(!guesses(&elsewhere, "ada@example.org", "192.0.2.1", NOW + network).await);
    assert!(guesses(&elsewhere, "ada@example.org", "192.0.2.1", NOW + network + account).await);
}
