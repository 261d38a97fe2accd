//! Signing in while the browser holds another user's credentials.

use doorward::testing::Site;
use doorward_core::Mode;
use doorward_core::role::RoleName;
use serde_json::Value;

use super::*;
use crate::support::{Target, encode};

/// The name of the cookie that holds this mode's credential.
fn cookie_of(mode: &str) -> &'static str {
    if mode == "session" { SESSION } else { TOKEN }
}

#[tokio::test]
async fn k07_a_planted_cookie_is_nobodys_credential_after_the_sign_in() {
    let target = Target::new().await;
    for mode in ["cookie", "session"] {
        let name = cookie_of(mode);
        for planted in [encode([9; 32]), "x".into(), target.admin.session_id().await] {
            let visitor = target.site.visitor();
            visitor.hold_cookie(name, &planted);
            sign_in(&visitor, "grace", mode).await.is_ok();
            assert_ne!(visitor.cookie(name).unwrap(), planted);
            assert_eq!(name_of(&visitor).await, "grace");
            target.refuses_header("token_invalid", "cookie", format!("{name}={planted}").as_bytes()).await;
        }
    }
    target.admin.get("/admin/users").await.is_ok();
}

#[tokio::test]
async fn k07_a_session_that_was_planted_ends_with_the_sign_in() {
    let target = Target::new().await;
    target.site.user("eve", doorward_core::role::RoleName::USER).await;
    for theirs in ["cookie", "session"] {
        for mine in ["cookie", "session", "bearer"] {
            for registers in [false, true] {
                let attacker = target.site.visitor();
                sign_in(&attacker, "eve", theirs).await.is_ok();
                let planted = attacker.cookie(cookie_of(theirs)).unwrap();
                let victim = target.site.visitor();
                victim.hold_cookie(cookie_of(theirs), &planted);
                let name = if registers {
                    let name = format!("new-{theirs}-{mine}");
                    let body = json!({ "name": name, "email": format!("{name}@example.org"), "password": PASSWORD, "mode": mine });
                    victim.post("/register", body).await.has_status(201);
                    name
                } else {
                    sign_in(&victim, "grace", mine).await.is_ok();
                    "grace".into()
                };
                assert_eq!(name_of(&victim).await, name);
                assert_ne!(
                    victim.cookie(cookie_of(theirs)).as_ref(),
                    Some(&planted),
                    "{theirs} {mine} {registers}"
                );
                attacker.copy().get("/profile").await.has_status(401).is_refused("session_ended");
                if theirs == "cookie" {
                    attacker.refresh().await.has_status(401).is_refused("session_ended");
                }
            }
        }
    }
}

#[tokio::test]
async fn k07_each_sign_in_is_a_new_session_and_the_one_before_it_is_over() {
    let target = Target::new().await;
    for mode in ["cookie", "session"] {
        let visitor = target.site.visitor();
        let mut seen = std::collections::BTreeSet::new();
        let mut thieves = Vec::new();
        for _ in 0..4 {
            sign_in(&visitor, "grace", mode).await.is_ok();
            assert!(seen.insert(visitor.session_id().await));
            assert!(seen.insert(visitor.cookie(cookie_of(mode)).unwrap()));
            thieves.push(visitor.copy());
        }
        let last = thieves.pop().unwrap();
        for thief in thieves {
            thief.get("/profile").await.has_status(401).is_refused("session_ended");
        }
        last.get("/profile").await.is_ok();
    }
    // A change of the password is a change of what the others may do: they end, and this one goes on.
    let (here, there) = (
        target.site.logged_in_by("lin", Mode::Session).await,
        target.site.logged_in_by("lin", Mode::Session).await,
    );
    let body = json!({ "current_password": PASSWORD, "new_password": "another promise of a door" });
    here.post("/profile/password", body).await.is_ok();
    there.get("/profile").await.has_status(401).is_refused("session_ended");
    here.get("/profile").await.is_ok();
}

#[tokio::test]
async fn k08_signing_in_as_another_ends_the_session_before_and_mixes_nothing() {
    let target = Target::new().await;
    for before in ["cookie", "session"] {
        for after in ["cookie", "session", "bearer"] {
            let elsewhere = target.site.logged_in("ada").await;
            let visitor = target.site.visitor();
            sign_in(&visitor, "ada", before).await.is_ok();
            let was = visitor.copy();
            sign_in(&visitor, "grace", after).await.is_ok();

            for path in ["/profile", "/dashboard"] {
                assert_eq!(visitor.get(path).await.is_ok()["user"]["name"], "grace", "{before} {after}");
            }
            visitor.get("/admin/users").await.has_status(403).is_refused("forbidden");
            let sessions = visitor.get("/sessions").await.is_ok();
            let current: Vec<_> = sessions["sessions"]
                .as_array()
                .unwrap()
                .iter()
                .filter(|session| session["current"] == true)
                .collect();
            assert_eq!((current.len(), &current[0]["mode"]), (1, &Value::from(after)));
            if after != "bearer" {
                visitor.refresh().await;
                assert_eq!(name_of(&visitor).await, "grace");
            }
            was.get("/profile").await.has_status(401).is_refused("session_ended");
            // The first user's other devices are not affected by this browser.
            elsewhere.get("/admin/users").await.is_ok();
        }
    }
}

#[tokio::test]
async fn k08_a_sign_in_that_fails_ends_nothing() {
    let target = Target::new().await;
    for mode in [Mode::Cookie, Mode::Session] {
        let visitor = target.site.logged_in_by("ada", mode).await;
        let body =
            json!({ "email": "grace@example.org", "password": "no promise at all", "mode": "session" });
        let answer = visitor.post("/login", body).await;
        answer.has_status(401).is_refused("invalid_credentials");
        assert!(answer.set_cookies().is_empty());
        assert_eq!(name_of(&visitor).await, "ada");
    }
}

#[tokio::test]
async fn c08_a_browser_with_two_sign_ins_gets_out_by_the_pages_and_keeps_one() {
    let site = Site::new().await;
    for name in ["lin", "eve"] {
        site.user(name, RoleName::USER).await;
    }
    let sign_in = [("email", "lin@example.org"), ("password", PASSWORD)];
    let new = [("name", "new"), ("email", "new@example.org"), ("password", PASSWORD)];
    for (path, fields, signed_in) in
        [("/login", &sign_in[..], Some("lin")), ("/register", &new, Some("new")), ("/logout", &[], None)]
    {
        let mixed = site.logged_in_by("lin", Mode::Cookie).await;
        let other = site.logged_in_by("eve", Mode::Session).await;
        let before = mixed.copy();
        mixed.hold_cookie(SESSION, &other.cookie(SESSION).unwrap());

        let page = mixed.page("/dashboard").await;
        assert!(page.has_status(401).text().contains("Sign out of both"));
        assert!(mixed.page(path).await.has_status(200).text().contains(&format!("action=\"{path}\"")));
        mixed.form(path, fields).await.has_status(303);

        for over in [&before, &other] {
            over.get("/profile").await.is_refused("session_ended");
        }
        let held: Vec<_> =
            [TOKEN, SESSION, REFRESH].into_iter().filter_map(|name| mixed.cookie(name)).collect();
        assert_eq!(held.len(), usize::from(signed_in.is_some()), "{path}");
        if let Some(name) = signed_in {
            assert_eq!(name_of(&mixed).await, name);
        }
    }
}

#[tokio::test]
async fn k11_no_cookie_is_set_on_a_connection_that_others_can_read() {
    let here = ("public_url", "https://id.example.org");
    let tls = [("tls.cert", "cert.pem"), ("tls.key", "key.pem")];
    for (listen, proxies, peer, more, refused) in [
        // Straight to the listener, past the proxy that speaks https.
        ("0.0.0.0:8080", "10.0.0.0/8", "192.0.2.1", &[][..], true),
        ("0.0.0.0:8080", "", "192.0.2.1", &[], true),
        ("0.0.0.0:8080", "", "192.0.2.1", &tls, false),
        ("0.0.0.0:8080", "10.0.0.0/8", "10.1.2.3", &[], false),
        ("[::]:8080", "10.0.0.0/8", "::ffff:10.1.2.3", &[], false),
        ("0.0.0.0:8080", "", "127.0.0.1", &[], false),
        ("127.0.0.1:8080", "", "127.0.0.1", &[], false),
    ] {
        let settings = [&[here, ("listen", listen), ("trusted_proxies", proxies)], more].concat();
        let site = Site::with(&settings).await;
        site.user("lin", RoleName::USER).await;
        let visitor = || site.visitor().from(peer.parse::<std::net::IpAddr>().unwrap());
        for mode in ["cookie", "session"] {
            let answer = sign_in(&visitor(), "lin", mode).await;
            if refused {
                answer.has_status(400).is_refused("https_required");
                assert!(answer.set_cookies().is_empty());
            } else {
                assert!(answer.has_status(200).set_cookies().iter().all(|line| line.contains("; Secure")));
            }
        }
        sign_in(&visitor(), "lin", "bearer").await.is_ok();
    }
}
