use serde_json::Value;

use super::*;
use crate::flow::{Verb, Verdict};
use crate::testing::Site;

async fn played(name: &str, broken: Option<Break>) -> Played {
    let site = Site::new().await;
    play(site.app.contributions.inner.unwrap(), *site.app.hashing.policy(), script(name).unwrap(), broken)
        .await
        .unwrap()
}

/// The verdict of each scene: `-` if there is no request, else its status, or the code of its refusal.
fn verdicts(played: &Played, column: Column) -> Vec<String> {
    let of = |scene: &PlayedScene| match &scene.part(column).flow {
        None => "-".to_owned(),
        Some(flow) => flow.code.map_or(flow.status.to_string(), str::to_owned),
    };
    played.scenes.iter().map(of).collect()
}

async fn ends_as(name: &str, jwt: &[&str], session: &[&str]) -> Played {
    let played = played(name, None).await;
    assert_eq!(verdicts(&played, Column::Jwt), jwt, "{name} with JWT");
    assert_eq!(verdicts(&played, Column::Session), session, "{name} with a session id");
    played
}

fn verbs(part: &PlayedPart) -> Vec<Verb> {
    part.flow.as_ref().unwrap().steps.iter().map(|step| step.verb).collect()
}

/// The step that failed.
fn failed(part: &PlayedPart) -> Verb {
    let steps = &part.flow.as_ref().unwrap().steps;
    steps.iter().find(|step| step.verdict == Verdict::Failed).unwrap().verb
}

#[tokio::test]
async fn a_new_account_gets_a_credential_and_a_page() {
    let played = ends_as("register", &["201", "200"], &["201", "200"]).await;
    for part in [&played.scenes[0].jwt, &played.scenes[0].session] {
        assert!(verbs(part).contains(&Verb::HashPassword) && verbs(part).contains(&Verb::SetCookie));
    }
    assert!(verbs(&played.scenes[0].jwt).contains(&Verb::SignToken));
    assert!(verbs(&played.scenes[0].session).contains(&Verb::MakeSecret));
}

#[tokio::test]
async fn each_mode_gets_its_credential_and_a_wrong_password_none() {
    let refused = "invalid_credentials";
    let played = ends_as("login", &[refused, "200", "200", "200"], &[refused, "200", "-", "200"]).await;
    assert_eq!(failed(&played.scenes[0].jwt), Verb::ComparePassword);
    assert!(!verbs(&played.scenes[2].jwt).contains(&Verb::SetCookie), "a program gets no cookie");
}

#[tokio::test]
async fn a_protected_request_saves_the_look_up_with_a_token() {
    let played = ends_as("protected", &["token_missing", "200", "200"], &["token_missing", "-", "200"]).await;
    let cookie = &played.scenes[2];
    assert!(verbs(&cookie.jwt).contains(&Verb::VerifySignature));
    let (jwt, session) = (verbs(&cookie.jwt), verbs(&cookie.session));
    let looked_up = session.iter().position(|verb| *verb == Verb::ReadSession).unwrap();
    assert!(jwt.iter().all(|verb| verb.to() != crate::flow::Lane::Store), "{jwt:?}");
    assert!(cookie.aligned.contains(&Aligned { jwt: None, session: Some(looked_up) }), "a gap beside it");
    for Aligned { jwt: left, session: right } in &cookie.aligned {
        if let (Some(left), Some(right)) = (left, right) {
            assert_eq!(jwt[*left], session[*right]);
        }
    }
}

#[tokio::test]
async fn after_16_minutes_a_token_has_expired_and_a_session_has_not() {
    let played = ends_as("expiry", &["200", "token_expired"], &["200", "200"]).await;
    assert_eq!(failed(&played.scenes[1].jwt), Verb::CheckTimes);
}

#[tokio::test]
async fn a_refresh_token_gets_a_new_access_token() {
    let played = ends_as("refresh", &["200", "200"], &["-", "200"]).await;
    assert!(verbs(&played.scenes[0].jwt).contains(&Verb::UseRefreshToken));
}

#[tokio::test]
async fn a_stolen_refresh_token_that_is_used_twice_ends_the_session() {
    let jwt = ["200", "refresh_reused", "session_ended", "session_ended"];
    let played = ends_as("stolen-refresh-token", &jwt, &["200", "200", "200", "session_ended"]).await;
    assert_eq!(failed(&played.scenes[1].jwt), Verb::UseRefreshToken);
    assert!(verbs(&played.scenes[1].jwt).contains(&Verb::EndSession));
    assert_eq!(failed(&played.scenes[2].jwt), Verb::CheckRevocations, "at once, not at the expiry");
}

#[tokio::test]
async fn after_a_logout_a_copy_is_refused_at_once() {
    let played = ends_as("logout", &["200", "session_ended"], &["200", "session_ended"]).await;
    let copy = &played.scenes[1].jwt;
    assert_eq!(failed(copy), Verb::CheckRevocations);
    assert!(copy.plain_accepts, "signature and expiry alone would accept it");
}

#[tokio::test]
async fn a_logout_everywhere_counts_at_once_on_the_other_device() {
    let jwt = ["200", "200", "token_stale", "session_ended"];
    let played = ends_as("logout-everywhere", &jwt, &["200", "200", "session_ended", "-"]).await;
    assert!(played.scenes[2].jwt.plain_accepts);
}

#[tokio::test]
async fn a_role_without_the_permission_is_refused() {
    let played = ends_as("forbidden-role", &["forbidden"], &["forbidden"]).await;
    assert_eq!(failed(&played.scenes[0].jwt), Verb::CheckPermission);
}

#[tokio::test]
async fn a_forged_token_is_refused_at_its_signature_or_its_algorithm() {
    let invalid = ["token_invalid", "token_invalid"];
    let played = ends_as("forged-token", &invalid, &invalid).await;
    assert_eq!(failed(&played.scenes[0].jwt), Verb::VerifySignature);
    assert_eq!(failed(&played.scenes[1].jwt), Verb::FindKey);
    assert!(!played.scenes[0].jwt.plain_accepts);
}

#[tokio::test]
async fn an_old_credential_is_refused_in_both_columns() {
    let played = ends_as("expired-token", &["token_expired"], &["session_expired"]).await;
    assert_eq!(failed(&played.scenes[0].jwt), Verb::CheckTimes);
}

#[tokio::test]
async fn whatever_is_broken_shows_its_first_difference() {
    for (broken, jwt, session, differs) in [
        (Break::Character, ["200", "token_invalid"], ["200", "token_invalid"], Verb::VerifySignature),
        (Break::Wait, ["200", "token_expired"], ["200", "200"], Verb::CheckTimes),
        (Break::Twice, ["200", "refresh_reused"], ["-", "-"], Verb::UseRefreshToken),
        (Break::Phone, ["200", "token_stale"], ["200", "session_ended"], Verb::CheckRevocations),
    ] {
        let played = played("protected", Some(broken)).await;
        assert_eq!(verdicts(&played, Column::Jwt), jwt, "{broken:?}");
        assert_eq!(verdicts(&played, Column::Session), session, "{broken:?}");
        let after = &played.scenes[1].jwt;
        assert_eq!(verbs(after)[after.difference.unwrap()], differs, "{broken:?}");
        assert_eq!(played.scenes[0].jwt.difference, None);
        let same = session[0] == session[1];
        assert_eq!(played.scenes[1].session.difference.is_none(), same, "{broken:?}");
    }
}

#[tokio::test]
async fn two_plays_are_equal_and_hold_no_id_key_or_time_of_their_own() {
    let first = serde_json::to_string(&played("login", None).await).unwrap();
    let second = serde_json::to_string(&played("login", None).await).unwrap();
    assert_eq!(first, second);
    let value: Value = serde_json::from_str(&first).unwrap();
    assert_eq!(value["scenes"][1]["jwt"]["flow"]["id"], "login/browser/jwt");
    assert!(first.contains("\"key\":\"key-1\"") && first.contains("00000000-0000-0000-0000-000000000001"));
    for secret in ["correct horse", "incorrect horse", "ada@example.org"] {
        assert!(!first.contains(secret), "{secret}");
    }
}

#[tokio::test]
async fn a_play_neither_reads_nor_changes_the_server_that_offers_it() {
    let site = Site::with(&[("flow.sample", "100%")]).await;
    site.registered("ada").await;
    let (now, database) = (site.app.clock.now(), site.stolen_database().await);
    let keys = site.visitor().get("/.well-known/jwks.json").await.text();
    let flows = site.app.flows.find(100, |_| true).len();
    let (open, policy) = (site.app.contributions.inner.unwrap(), *site.app.hashing.policy());
    for script in SCRIPTS {
        play(open, policy, script, script.breaks.first().copied()).await.unwrap();
    }
    assert_eq!(site.app.flows.find(100, |_| true).len(), flows);
    assert_eq!(site.app.clock.now(), now);
    assert_eq!(site.stolen_database().await, database);
    assert_eq!(site.visitor().get("/.well-known/jwks.json").await.text(), keys);
    assert!(!std::path::Path::new("doorward-data").exists(), "its store is in memory");
}

#[tokio::test]
async fn a_play_waits_for_its_turn() {
    let site = Site::new().await;
    let (open, policy) = (site.app.contributions.inner.unwrap(), *site.app.hashing.policy());
    let turns = TURNS.acquire_many(PLAYS as u32).await.unwrap();
    let playing = tokio::spawn(play(open, policy, script("forbidden-role").unwrap(), None));
    for _ in 0..1_000 {
        tokio::task::yield_now().await;
    }
    assert!(!playing.is_finished());
    drop(turns);
    assert_eq!(playing.await.unwrap().unwrap().scenes.len(), 1);
}

#[tokio::test]
async fn the_server_of_a_play_offers_no_tour_itself() {
    let site = Site::new().await;
    let (open, policy) = (site.app.contributions.inner.unwrap(), *site.app.hashing.policy());
    let inner =
        open(crate::clock::Clock::manual(doorward_core::Timestamp::from_secs(1)), policy).await.unwrap();
    assert!(inner.app.contributions.inner.is_none());
}

#[test]
fn names_are_unique_and_sentences_short() {
    let names: std::collections::BTreeSet<_> = SCRIPTS.iter().map(|script| script.name).collect();
    assert_eq!(names.len(), SCRIPTS.len());
    let breaks = Break::ALL.iter().map(|broken| broken.scenes());
    for scene in SCRIPTS.iter().map(|script| script.scenes).chain(breaks).flatten() {
        for part in [scene.part(Column::Jwt), scene.part(Column::Session)] {
            let texts = [part.text, part.plain, part.ours, scene.meanwhile];
            for sentence in texts.iter().flat_map(|text| text.split(". ")) {
                assert!(sentence.split(' ').count() <= 25, "{sentence}");
            }
            assert!(!part.text.is_empty() && part.plain.is_empty() == part.ours.is_empty());
        }
    }
}
