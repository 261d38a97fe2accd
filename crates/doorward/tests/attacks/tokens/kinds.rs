//! Credentials of one kind in the place of another, and of sessions that don't exist.

use doorward_core::Mode;
use serde_json::{Value, json};

use super::*;
use crate::support::is_unauthorized;

#[tokio::test]
async fn j31_only_an_access_token_passes_for_one() {
    let (target, forger) = known_secret().await;
    for typ in
        ["JWT", "jwt", "refresh", "rt+jwt", "id+jwt", "dpop+jwt", "logout+jwt", "at+jwts", "at+jwt ", ""]
    {
        target.refuses(forger.with_header(forger.header("typ", Some(&format!("\"{typ}\""))))).await;
    }
    for typ in ["null", "1", "[\"at+jwt\"]", "{}"] {
        target.refuses(forger.with_header(forger.header("typ", Some(typ)))).await;
    }
    let in_session_mode = target.site.logged_in_by("lin", Mode::Session).await;
    let secret = in_session_mode.cookie("__Host-sessionId").unwrap();
    let link = reset_secret(&target.admin, &in_session_mode.user_id().await).await;
    let (access, refresh) = (target.admin.token().unwrap(), target.admin.refresh_token().unwrap());
    let before = crate::support::state(&target.site).await;

    for other in [&secret, &link] {
        target.refuses(other).await;
    }
    // At the logout a refresh token proves its session only as such, never as an access token.
    target.refuses(&refresh).await;
    for other in [&access, &refresh, &link] {
        let cookie = format!("__Host-sessionId={other}");
        target.refuses_header("token_invalid", "cookie", cookie.as_bytes()).await;
    }
    for other in [&access, &secret, &link] {
        let visitor = target.site.visitor();
        visitor
            .post("/refresh", json!({ "refresh_token": other }))
            .await
            .has_status(401)
            .is_refused("refresh_invalid");
        visitor.hold_cookie("__Host-refresh_token", other);
        visitor.post("/refresh", Value::Null).await.has_status(401).is_refused("refresh_invalid");
    }
    for other in [&access, &refresh, &secret] {
        let body = json!({ "token": other, "new_password": "another promise of a door" });
        target.site.visitor().post("/password/reset", body).await.has_status(400).is_refused("link_invalid");
    }
    assert_eq!(crate::support::state(&target.site).await, before);
}

/// The secret of a new reset link.
async fn reset_secret(admin: &doorward::testing::Visitor, user: &str) -> String {
    let link = admin.post(&format!("/admin/users/{user}/reset-link"), Value::Null).await.is_ok();
    link["url"].as_str().unwrap().split_once("token=").unwrap().1.to_owned()
}

#[tokio::test]
async fn j32_a_one_time_link_works_once_at_many_nodes_at_once() {
    let target = Target::new().await;
    let user = target.user.user_id().await;
    let link = reset_secret(&target.admin, &user).await;
    let other_node = target.site.restarted().await;
    let attempts = (0..8).map(|at| {
        let node = if at % 2 == 0 { &target.site } else { &other_node };
        let (visitor, link) = (node.visitor(), link.clone());
        let new = format!("promise number {at} of a door");
        tokio::spawn(async move {
            let body = json!({ "token": link, "new_password": new });
            (visitor.post("/password/reset", body).await, new)
        })
    });
    let attempts: Vec<_> = attempts.collect();
    let mut won = Vec::new();
    for attempt in attempts {
        let (answer, new) = attempt.await.unwrap();
        if answer.status == 200 {
            won.push(new);
        } else {
            answer.has_status(400).is_refused("link_invalid");
        }
    }
    assert_eq!(won.len(), 1);
    let body = json!({ "email": "grace@example.org", "password": won[0] });
    target.site.visitor().post("/login", body).await.is_ok();
    for node in [&target.site, &other_node] {
        let body = json!({ "token": link, "new_password": "yet another door's promise" });
        node.visitor().post("/password/reset", body).await.has_status(400).is_refused("link_invalid");
        node.visitor().get(&format!("/password/reset?token={link}")).await.has_status(400);
    }
}

/// Routes that read session and user from the store, with bodies that would do harm.
fn sensitive(victim: &str) -> Vec<(&'static str, String, Value)> {
    use doorward::testing::PASSWORD;
    let user = format!("/admin/users/{victim}");
    vec![
        ("GET", "/admin/users".into(), Value::Null),
        (
            "POST",
            "/admin/users".into(),
            json!({ "name": "Eve", "email": "eve@example.org", "role": "admin" }),
        ),
        ("GET", user.clone(), Value::Null),
        ("PATCH", user.clone(), json!({ "disabled": true })),
        ("DELETE", user.clone(), Value::Null),
        ("POST", format!("{user}/reset-link"), Value::Null),
        ("GET", format!("{user}/sessions"), Value::Null),
        ("DELETE", format!("{user}/sessions"), Value::Null),
        ("GET", "/admin/sessions".into(), Value::Null),
        ("GET", "/admin/audit".into(), Value::Null),
        ("POST", "/admin/invitations".into(), json!({ "role": "admin" })),
        ("PATCH", "/profile".into(), json!({ "name": "Eve" })),
        (
            "POST",
            "/profile/password".into(),
            json!({ "current_password": PASSWORD, "new_password": "a promise of mine" }),
        ),
        ("DELETE", "/profile".into(), json!({ "password": PASSWORD })),
    ]
}

#[tokio::test]
async fn j33_a_signed_token_of_no_session_opens_nothing_sensitive() {
    let (target, forger) = known_secret().await;
    let users = Forger::after(&target.user.token().unwrap());
    let victim = target.user.user_id().await;
    let nobody = "\"01920000-0000-7000-8000-000000000000\"";
    let of_another = forger.payload("sid", Some(users.member("sid")));
    let as_another = forger.payload("sub", Some(users.member("sub")));
    let forged = [
        forger.with_claim("sid", Some(nobody)),
        forger.with_claim("sub", Some(nobody)),
        forger.with_payload(of_another),
        forger.with_payload(as_another),
    ];
    for token in forged {
        for (method, path, body) in sensitive(&victim) {
            let visitor = target.site.visitor();
            visitor.hold(Some(&token), None);
            let answer = visitor.json(method.parse().unwrap(), &path, body).await;
            is_unauthorized(&answer, "session_ended", &format!("{method} {path}"));
        }
    }
    // An unknown user is shown to nobody.
    let of_nobody = forger.with_claim("sub", Some(nobody));
    for path in ["/profile", "/dashboard"] {
        let answer = target.ask("GET", path, "authorization", format!("Bearer {of_nobody}").as_bytes()).await;
        is_unauthorized(&answer, "session_ended", path);
    }
    target.stands().await;
}

#[tokio::test]
async fn j33_a_token_of_an_ended_session_is_refused_on_every_route() {
    for settings in [&[("JWT_SECRET", SECRET)][..], &[]] {
        let target = Target::with(settings).await;
        let victim = target.user.user_id().await;
        let gone = target.site.logged_in("ada").await;
        let token = gone.token().unwrap();
        gone.get("/admin/users").await.is_ok();
        gone.post("/logout", Value::Null).await.is_ok();
        let before = crate::support::state(&target.site).await;
        for node in [&target.site, &target.site.restarted().await] {
            let visitor = gone.at(node);
            for (method, path, body) in sensitive(&victim) {
                let answer = visitor.json(method.parse().unwrap(), &path, body).await;
                is_unauthorized(&answer, "session_ended", &format!("{method} {path}"));
            }
        }
        target.refuses_as("session_ended", &token).await;
        assert_eq!(crate::support::state(&target.site).await, before);
    }
}

#[tokio::test]
async fn j33_an_unknown_session_secret_is_refused_on_every_route() {
    let target = Target::new().await;
    for secret in [encode([7; 32]), encode([0; 32]), encode(target.admin.session_id().await)] {
        let cookie = format!("__Host-sessionId={secret}");
        target.refuses_header("token_invalid", "cookie", cookie.as_bytes()).await;
    }
    target.stands().await;
}

#[tokio::test]
async fn j42_the_answer_does_not_tell_what_was_wrong() {
    let (target, forger) = known_secret().await;
    let expired = forger.payload("exp", Some("1799999999")).replace(forger.member("iat"), "1799999100");
    let of_nobody = forger.payload("sub", Some("\"01920000-0000-7000-8000-000000000000\""));
    let for_others = forger.payload("aud", Some("\"other\""));
    let mut answers = std::collections::BTreeSet::new();
    for token in [
        // Wrongly signed: a usual one, an expired one, one of an unknown user, one for others, one that is not JSON.
        maced("another", forger.own_header(), forger.own_payload()),
        maced("another", forger.own_header(), &expired),
        maced("another", forger.own_header(), &of_nobody),
        maced("another", forger.own_header(), &for_others),
        maced("another", forger.own_header(), "no JSON"),
        // Correctly signed, and for others, or both for others and expired.
        forger.with_payload(&for_others),
        forger.with_payload(expired.replace("\"doorward\"", "\"other\"")),
        forger.with_header(forger.header("kid", Some("\"other\""))),
        "no token".into(),
        String::new(),
    ] {
        target.refuses(&token).await;
        let answer =
            target.ask("GET", "/profile", "authorization", format!("Bearer {token}").as_bytes()).await;
        let mut names: Vec<_> = answer.headers.keys().map(ToString::to_string).collect();
        names.sort_unstable();
        answers.insert((answer.status.as_u16(), names, answer.body.len()));
    }
    assert_eq!(answers.len(), 1, "{answers:?}");
    // Only a good signature gets a more specific answer.
    target.refuses_as("token_expired", forger.with_payload(expired)).await;
    target.stands().await;
}
