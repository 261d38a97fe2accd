mod refusals;

use std::sync::Arc;
use std::time::Duration;

use serde_json::json;

use super::*;
use crate::testing::{PASSWORD, Site};

/// What a flow says, an arrow each.
fn arrows(flow: &Flow) -> Vec<&'static str> {
    let label = |step: &Step| match step.verdict {
        Verdict::Failed => step.verb.failed_label(),
        _ => step.verb.label(),
    };
    flow.steps.iter().map(label).collect()
}

async fn watched() -> Site {
    Site::with(&[("dev", "true")]).await.unwatched()
}

/// The flow of the last request.
fn last(site: &Site) -> Arc<Flow> {
    site.app.flows.find(1, |_| true).pop().unwrap()
}

#[tokio::test]
async fn a_login_is_seen_step_by_step() {
    let site = watched().await;
    site.logged_in("ada").await;
    let flow = last(&site);
    assert_eq!(
        arrows(&flow),
        [
            "Login",
            "Sent by our own page",
            "Read the input",
            "Limit has room",
            "Limit has room",
            "Find the user",
            "Compare the password",
            "Guess given back",
            "Limit has room",
            "The proof is enough",
            "A session begins",
            "Commit",
            "Sign an access token",
            "Make a refresh token",
            "Answer",
        ]
    );
    assert_eq!((flow.route, flow.status, flow.code), ("/login", 200, None));
    assert!(flow.story.session.is_some() && flow.story.user.is_some());
    let compared = flow.steps.iter().find(|step| step.verb == Verb::ComparePassword).unwrap();
    assert!(matches!(&compared.facts[0], Fact::Hash { algorithm: "bcrypt", .. }), "{compared:?}");
}

#[tokio::test]
async fn a_protected_request_is_seen_in_every_mode_and_each_refusal_names_its_check() {
    let site = watched().await;
    let ada = site.logged_in("ada").await;
    ada.get("/profile").await.has_status(200);
    let verified = [
        "Protected request",
        "Pick the credential",
        "Read the token",
        "Find the key",
        "Verify signature",
        "Check issuer and audience",
        "Not expired",
        "Not in revocations",
    ];
    assert_eq!(arrows(&last(&site))[..8], verified);
    ada.get("/dashboard").await.has_status(200);
    assert_eq!(arrows(&last(&site))[2], "Verified before");
    site.later(Duration::from_secs(16 * 60)).await;
    ada.get("/profile").await.is_refused("token_expired");
    let flow = last(&site);
    assert_eq!(arrows(&flow)[1..], ["Pick the credential", "Expired", "Refused"]);
    assert_eq!(flow.code, Some("token_expired"));
}

#[tokio::test]
async fn a_request_that_memory_leaves_to_the_routes_is_seen_once() {
    let site = watched().await;
    let ada = site.logged_in("ada").await;
    site.app.users.read_all_again();
    ada.get("/dashboard").await.has_status(200);
    let flow = last(&site);
    let picked = arrows(&flow).iter().filter(|label| **label == "Pick the credential").count();
    assert_eq!(picked, 1, "{:?}", arrows(&flow));
}

#[tokio::test]
async fn a_stolen_refresh_token_is_seen_to_end_its_session() {
    let site = watched().await;
    let ada = site.logged_in("ada").await;
    let stolen = ada.refresh_token();
    for generation in 1..=2 {
        ada.refresh().await.has_status(200);
        assert_eq!(last(&site).story.generation, Some(generation));
        site.later(Duration::from_secs(60)).await;
    }
    let thief = site.visitor();
    thief.post("/refresh", json!({ "refresh_token": stolen })).await.is_refused("refresh_reused");
    let flow = last(&site);
    let told = arrows(&flow);
    assert!(told.contains(&"Used before") && told.contains(&"A session ends"), "{told:?}");
    assert!(told.contains(&"In force at once"), "{told:?}");
}

#[tokio::test]
async fn nothing_is_recorded_while_nobody_watches_and_only_refusals_if_those_are_wanted() {
    let site = Site::new().await.unwatched();
    site.logged_in("ada").await.get("/profile").await.has_status(200);
    site.visitor().get("/profile").await.has_status(401);
    assert!(site.app.flows.find(9, |_| true).is_empty());
    let reader = site.app.flows.read();
    site.visitor().get("/profile").await.has_status(401);
    assert_eq!(site.app.flows.find(9, |_| true).len(), 1);
    drop(reader);
    site.visitor().get("/profile").await.has_status(401);
    assert_eq!(site.app.flows.find(9, |_| true).len(), 1);

    let site = Site::with(&[("flow.sample", "errors")]).await.unwatched();
    site.logged_in("ada").await.get("/profile").await.has_status(200);
    assert!(site.app.flows.find(9, |_| true).is_empty());
    let wrong = json!({ "email": "ada@example.org", "password": "another password" });
    site.visitor().post("/login", wrong).await.is_refused("invalid_credentials");
    site.visitor().get("/profile").await.is_refused("token_missing");
    let codes: Vec<_> = site.app.flows.find(9, |_| true).iter().map(|flow| flow.code).collect();
    assert_eq!(codes, [Some("token_missing"), Some("invalid_credentials")]);
    assert!(arrows(&last(&site)).contains(&"No usable credential"));
    // They are forgotten after a quarter of an hour.
    site.clock.advance(Duration::from_secs(16 * 60));
    site.app.flows.tick(site.app.now(), Duration::from_millis(250));
    assert!(site.app.flows.find(9, |_| true).is_empty());
}

#[tokio::test]
async fn beyond_its_budget_requests_are_answered_and_not_recorded() {
    let site = watched().await;
    let mut viewer = site.app.flows.watch().unwrap();
    for _ in 0..300 {
        site.visitor().get("/healthz").await.has_status(200);
    }
    site.app.flows.tick(site.app.now(), Duration::from_millis(250));
    assert_eq!(site.app.flows.find(999, |_| true).len(), 200);
    let mut dropped = 0;
    for _ in 0..201 {
        if let Some(Frame::Dropped(many)) = viewer.next().await {
            dropped = many;
        }
    }
    assert!(dropped >= 100, "{dropped}");
}

#[tokio::test]
async fn twenty_people_watch_at_most() {
    let site = watched().await;
    let mut viewers: Vec<_> = std::iter::from_fn(|| site.app.flows.watch()).take(99).collect();
    assert_eq!(viewers.len(), MOST_VIEWERS);
    viewers.pop();
    assert!(site.app.flows.watch().is_some());
}

#[tokio::test]
async fn no_secret_of_a_request_is_in_its_flow() {
    let site = watched().await;
    for mode in ["bearer", "cookie", "session"] {
        let visitor = site.visitor();
        let (email, name) = (format!("{mode}@example.org"), "Ada");
        let body = json!({ "name": name, "email": email, "password": PASSWORD, "mode": mode });
        let answer = visitor.post("/register", body).await;
        let flows: String = site
            .app
            .flows
            .find(99, |_| true)
            .iter()
            .map(|flow| serde_json::to_string(&**flow).unwrap())
            .collect();
        let cookies = answer.headers.get_all("set-cookie").iter().filter_map(|line| line.to_str().ok());
        let mut secrets: Vec<String> =
            cookies.filter_map(|line| Some(line.split(';').next()?.split_once('=')?.1.to_owned())).collect();
        for member in ["token", "refresh_token", "device"] {
            secrets.extend(answer.json()[member].as_str().map(str::to_owned));
        }
        secrets.extend([PASSWORD.to_owned(), email]);
        for secret in secrets.iter().filter(|secret| secret.len() > 8) {
            assert!(!flows.contains(secret.as_str()), "{secret} in {flows}");
            for part in secret.split('.').filter(|part| part.len() > 16) {
                assert!(!flows.contains(part), "{part} in {flows}");
            }
        }
    }
}

#[test]
fn each_verb_has_a_short_label_and_a_sentence() {
    for verb in Verb::ALL {
        for label in [verb.label(), verb.failed_label()] {
            assert!((1..=28).contains(&label.chars().count()), "{label}");
        }
        let sentence = verb.sentence();
        assert!(sentence.ends_with('.') && sentence.split(' ').count() <= 25, "{sentence}");
    }
}

#[test]
fn text_from_outside_is_clipped_and_cannot_hide() {
    assert_eq!(Seen::new("a\nb\u{202e}c\u{200b}\u{feff}").as_str(), "a\\u{a}b\\u{202e}c\\u{200b}\\u{feff}");
    let long = Seen::new(&"ä".repeat(1_000));
    assert!(long.as_str().len() <= 96 + '…'.len_utf8() && long.as_str().ends_with('…'));
}
