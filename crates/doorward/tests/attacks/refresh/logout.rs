//! R04: a logout and a refresh at the same time. After the logout's 200 no token of the session works, whichever came
//! first: in this process, in another one, and after a restart.

use doorward::testing::{Answer, Site, Visitor};
use doorward_core::Mode;
use serde_json::{Value, json};

/// Lets others go first, so that each round has another order.
async fn steps_back(times: usize) {
    for _ in 0..times {
        tokio::task::yield_now().await;
    }
}

async fn logs_out(visitor: &Visitor, round: usize) -> Answer {
    let refresh = visitor.refresh_token();
    match round % 3 {
        // By the access token, by the refresh token, by both.
        0 => visitor.post("/logout", Value::Null).await,
        1 if refresh.is_some() => {
            let stranger = visitor.copy();
            stranger.hold(None, None);
            stranger.post("/logout", json!({ "refresh_token": refresh })).await
        }
        _ => visitor.post("/logout", json!({ "refresh_token": refresh })).await,
    }
}

/// No credential of this visitor works.
async fn is_out(visitor: &Visitor) {
    // Copies: a browser would lose its cookies at the first refusal.
    visitor.copy().get("/profile").await.is_refused("session_ended");
    visitor.copy().get("/dashboard").await.is_refused("session_ended");
    let again = visitor.copy();
    assert_eq!(again.refresh().await.status, 401);
    assert_eq!(again.get("/profile").await.status, 401);
}

/// One round: returns a visitor with the refreshed tokens, and whether there were any.
async fn round(visitor: Visitor, round: usize) -> (Visitor, bool) {
    let (leaving, refreshing) = (visitor.copy(), visitor.copy());
    let refresh = tokio::spawn(async move {
        steps_back(round % 11).await;
        let answer = refreshing.refresh().await;
        (answer, refreshing)
    });
    let logout = tokio::spawn(async move {
        steps_back(round / 11 % 11).await;
        let held = leaving.copy();
        assert_eq!(logs_out(&leaving, round).await.is_ok()["message"], "Logged out");
        is_out(&held).await;
    });
    logout.await.unwrap();
    let (answer, refreshed) = refresh.await.unwrap();
    if answer.status != 200 {
        answer.is_refused("session_ended");
        return (visitor, false);
    }
    is_out(&refreshed).await;
    (refreshed, true)
}

async fn thousand_interleavings(mode: Mode, rounds: usize) {
    const BROWSERS: usize = 10;
    let site = Site::new().await;
    let mut browsers = Vec::new();
    for browser in 0..BROWSERS {
        let name = format!("user{browser}");
        let first = site.logged_in_by(&name, mode).await;
        let stranger = site.visitor();
        browsers.push(tokio::spawn(async move {
            let login = json!({
                "email": format!("{name}@example.org"),
                "password": doorward::testing::PASSWORD,
                "mode": mode.as_str(),
            });
            let (mut gone, mut refreshed) = (vec![round(first, browser).await.0], 0);
            for n in 1..rounds / BROWSERS {
                let visitor = stranger.copy();
                visitor.post("/login", login.clone()).await.is_ok();
                let (visitor, won) = round(visitor, n * BROWSERS + browser).await;
                gone.push(visitor);
                refreshed += u32::from(won);
            }
            (gone, refreshed)
        }));
    }
    let (mut gone, mut refreshed) = (Vec::new(), 0);
    for browser in browsers {
        let (more, won) = browser.await.unwrap();
        gone.extend(more);
        refreshed += won;
    }
    assert!(refreshed > 0, "in no round was the refresh first: this tested nothing");
    assert!((refreshed as usize) < gone.len(), "in no round was the logout first: this tested nothing");
    let restarted = site.restarted().await;
    for visitor in &gone {
        visitor.at(&restarted).get("/profile").await.is_refused("session_ended");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn r04_a_logout_beats_a_refresh_in_flight_in_a_thousand_interleavings() {
    thousand_interleavings(Mode::Bearer, 700).await;
    thousand_interleavings(Mode::Cookie, 300).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn r04_a_first_look_at_a_session_secret_does_not_outlive_its_logout() {
    let site = Site::new().await;
    for round in 0..200 {
        // Nobody used it yet: the look-up fills memory while the logout ends the session.
        let ada = site.logged_in_by("ada", Mode::Session).await;
        let (looking, leaving) = (ada.copy(), ada.copy());
        let look = tokio::spawn(async move {
            steps_back(round % 7).await;
            looking.get("/profile").await.status
        });
        let logout = tokio::spawn(async move {
            steps_back(round / 7 % 7).await;
            leaving.post("/logout", Value::Null).await.is_ok();
        });
        logout.await.unwrap();
        ada.copy().get("/profile").await.is_refused("session_ended");
        look.await.unwrap();
        ada.copy().get("/profile").await.is_refused("session_ended");
    }
}
