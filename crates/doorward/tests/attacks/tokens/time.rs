//! The end of a token, and a clock that jumps.

use std::time::Duration;

use doorward_core::Mode;
use serde_json::Value;

use super::*;

const HOUR: Duration = Duration::from_secs(3_600);
const DAY: Duration = Duration::from_secs(86_400);

#[tokio::test]
async fn j24_the_end_is_exact_and_has_no_leeway() {
    let (target, forger) = known_secret().await;
    let until = |exp: i64| {
        let payload = forger.payload("exp", Some(&exp.to_string()));
        forger.with_payload(payload.replace(&format!("\"iat\":{NOW}"), &format!("\"iat\":{}", NOW - 600)))
    };
    for exp in [NOW - 30, NOW - 1, NOW] {
        target.refuses_as("token_expired", until(exp)).await;
    }
    for exp in ["1800000000.5", "1800000001.5", "1.8000009e9"] {
        target.refuses(forger.with_claim("exp", Some(exp))).await;
    }
    let last = format!("Bearer {}", until(NOW + 1));
    target.ask("GET", "/profile", "authorization", last.as_bytes()).await.is_ok();
    target.site.clock.advance(Duration::from_micros(999_999));
    target.ask("GET", "/profile", "authorization", last.as_bytes()).await.is_ok();
    target.site.clock.advance(Duration::from_micros(1));
    target.refuses_as("token_expired", until(NOW + 1)).await;
    target.stands().await;
}

#[tokio::test]
async fn j24_a_token_that_was_remembered_ends_to_the_second_too() {
    // ES256 tokens are verified once and then remembered.
    let target = Target::new().await;
    target.user.get("/profile").await.is_ok();
    target.site.clock.advance(Duration::from_secs(900) - Duration::from_micros(1));
    target.user.get("/profile").await.is_ok();
    target.site.clock.advance(Duration::from_micros(1));
    target.refuses_as("token_expired", target.user.token().unwrap()).await;
    target.refuses_as("token_expired", target.admin.token().unwrap()).await;
}

#[tokio::test]
async fn j43_a_clock_that_is_corrected_by_a_second_logs_nobody_out() {
    for settings in [&[("JWT_SECRET", SECRET)][..], &[]] {
        let target = Target::with(settings).await;
        let in_session_mode = target.site.logged_in_by("lin", Mode::Session).await;
        let before = crate::support::state(&target.site).await;
        for back in [1, 1, 28] {
            target.site.clock.turn_back(Duration::from_secs(back));
            target.site.app.follow().await.unwrap();
            target.site.app.sweep().await.unwrap();
            target.admin.get("/admin/users").await.is_ok();
            target.user.get("/profile").await.is_ok();
            in_session_mode.get("/profile").await.is_ok();
        }
        assert_eq!(crate::support::state(&target.site).await, before);
        target.user.refresh().await.is_ok();
    }
}

#[tokio::test]
async fn j43_a_clock_that_jumps_costs_no_5xx_and_no_session() {
    for settings in [&[("JWT_SECRET", SECRET)][..], &[]] {
        let target = Target::with(settings).await;
        let in_session_mode = target.site.logged_in_by("lin", Mode::Session).await;
        for (forward, back) in [(HOUR, HOUR), (DAY, DAY), (HOUR, DAY)] {
            for ahead in [true, false] {
                if ahead {
                    target.site.clock.advance(forward);
                } else {
                    target.site.clock.turn_back(back);
                }
                target.site.app.follow().await.unwrap();
                target.site.app.sweep().await.unwrap();
                // The access token may have expired by now. The session isn't.
                let status = target.user.get("/profile").await.status.as_u16();
                assert!([200, 401].contains(&status), "{status}");
                target.user.refresh().await.is_ok();
                target.user.get("/profile").await.is_ok();
                in_session_mode.get("/profile").await.is_ok();
            }
        }
    }
}

#[tokio::test]
async fn j43_what_has_ended_stays_ended_when_the_clock_jumps() {
    let target = Target::new().await;
    let in_session_mode = target.site.logged_in_by("lin", Mode::Session).await;
    let thieves = [target.user.copy(), target.admin.copy(), in_session_mode.copy()];
    for visitor in [&target.user, &target.admin, &in_session_mode] {
        visitor.post("/logout", Value::Null).await.is_ok();
    }
    for forward in [Duration::from_secs(60), HOUR, DAY] {
        target.site.later(forward).await;
        target.site.clock.turn_back(forward + Duration::from_secs(1));
        for node in [&target.site, &target.site.restarted().await] {
            let [user, admin, session] = thieves.each_ref().map(|thief| thief.at(node));
            assert_eq!(user.refresh().await.status, 401);
            assert_eq!(admin.get("/admin/users").await.status, 401);
            assert_eq!(
                admin
                    .delete("/profile", serde_json::json!({ "password": doorward::testing::PASSWORD }))
                    .await
                    .status,
                401
            );
            assert_eq!(session.get("/profile").await.status, 401);
        }
    }
}

#[tokio::test]
async fn j43_a_clock_that_was_far_ahead_for_a_while_revives_nothing_and_loses_nothing() {
    let minute = Duration::from_secs(60);
    for jump in [HOUR, DAY, 400 * DAY] {
        let target = Target::new().await;
        let (thief, lin) = (target.user.copy(), target.site.logged_in("lin").await);
        target.user.post("/logout", Value::Null).await.is_ok();
        target.site.clock.turn_ahead(jump);
        for _ in 0..10 {
            target.site.later(minute).await;
            assert_eq!(thief.get("/profile").await.status, 401);
        }
        target.site.clock.turn_back(jump);
        target.site.later(Duration::ZERO).await;
        for node in [&target.site, &target.site.restarted().await] {
            thief.at(node).get("/profile").await.is_refused("session_ended");
        }
        lin.get("/profile").await.is_ok();
        lin.refresh().await.is_ok();
        // Once the thief's token has expired nobody needs the entry, and the memory is free again.
        assert!(!target.site.app.revocations.set.is_empty());
        for _ in 0..60 {
            target.site.later(minute).await;
        }
        assert!(target.site.app.revocations.set.is_empty());
    }
}

#[tokio::test]
async fn j43_the_years_after_2038_are_years() {
    let target = Target::new().await;
    for years in [12_u32, 60, 200] {
        target.site.later(years * 366 * DAY).await;
        assert_eq!(target.user.get("/profile").await.status, 401);
        assert_eq!(target.user.refresh().await.status, 401);
        for mode in [Mode::Bearer, Mode::Cookie, Mode::Session] {
            let visitor = target.site.logged_in_by("lin", mode).await;
            visitor.get("/profile").await.is_ok();
            if mode != Mode::Session {
                visitor.refresh().await.is_ok();
                visitor.get("/profile").await.is_ok();
            }
        }
    }
}
