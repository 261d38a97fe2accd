//! The content of `Set-Cookie`.

use std::collections::BTreeSet;

use doorward::testing::Site;
use doorward_core::Mode;
use http::Method;
use serde_json::Value;

use super::*;

const DAY: u64 = 86_400;
/// The former name of the refresh token's cookie, before it was bound to the host.
const FORMER: &str = "__Secure-refresh_token";

/// A kind of server: its settings, and the names and attributes of its cookies.
struct Kind {
    settings: &'static [(&'static str, &'static str)],
    names: [&'static str; 4],
    /// Of the former name, which a sign-out clears and nothing sets.
    former_path: &'static str,
    attributes: &'static [&'static str],
}

const KINDS: [Kind; 5] = [
    Kind {
        settings: &[],
        names: [TOKEN, SESSION, REFRESH, FORMER],
        former_path: "/refresh",
        attributes: &["HttpOnly", "Secure", "SameSite=Strict"],
    },
    Kind {
        settings: &[("public_url", "https://id.example.org"), ("trusted_proxies", "192.0.2.0/24")],
        names: [TOKEN, SESSION, REFRESH, FORMER],
        former_path: "/refresh",
        attributes: &["HttpOnly", "Secure", "SameSite=Strict"],
    },
    Kind {
        settings: &[("cookie.same_site", "lax")],
        names: [TOKEN, SESSION, REFRESH, FORMER],
        former_path: "/refresh",
        attributes: &["HttpOnly", "Secure", "SameSite=Lax"],
    },
    Kind {
        settings: &[
            ("base_path", "/auth"),
            ("cookie.token", "t"),
            ("cookie.session", "s"),
            ("cookie.refresh", "r"),
        ],
        names: ["__Host-t", "__Host-s", "__Host-r", "__Secure-r"],
        former_path: "/auth/refresh",
        attributes: &["HttpOnly", "Secure", "SameSite=Strict"],
    },
    // Safari keeps no Secure cookie of http://localhost.
    Kind {
        settings: &[("dev", "true")],
        names: ["token", "sessionId", "refresh_token", "refresh_token"],
        former_path: "/refresh",
        attributes: &["HttpOnly", "SameSite=Strict"],
    },
];

impl Kind {
    /// Checks that the answer sets these cookies for this many seconds, clears those, and uses the same attributes for
    /// both.
    #[track_caller]
    fn check(&self, answer: &Answer, set: &[(usize, u64)], cleared: &[usize]) {
        let path = |at: usize| format!("Path={}", if at == 3 { self.former_path } else { "/" });
        let line = |at: usize, ends: &[&str]| -> (String, bool, BTreeSet<String>) {
            let mut attributes: BTreeSet<_> =
                self.attributes.iter().chain(ends).map(|&text| text.to_owned()).collect();
            attributes.insert(path(at));
            (self.names[at].to_owned(), ends.len() == 1, attributes)
        };
        let set = set.iter().map(|(at, secs)| line(*at, &[&format!("Max-Age={secs}")]));
        let cleared =
            cleared.iter().map(|at| line(*at, &["Max-Age=0", "Expires=Thu, 01 Jan 1970 00:00:00 GMT"]));
        let expected: BTreeSet<_> = set.chain(cleared).collect();
        let found = answer.set_cookies().into_iter().map(read);
        // The device's cookie is not a credential: no setting but `dev` changes it, and nothing clears it.
        let (devices, found): (Vec<_>, Vec<_>) = found.partition(|(name, ..)| name.ends_with("device"));
        for (_, has_value, mut attributes) in devices {
            attributes.insert("Secure".into());
            let all = ["HttpOnly", "Max-Age=34560000", "Path=/", "SameSite=Strict", "Secure"];
            assert!(has_value && attributes.iter().eq(all), "{attributes:?}");
        }
        assert_eq!(found.len(), expected.len(), "{:?}", answer.set_cookies());
        assert_eq!(found.into_iter().collect::<BTreeSet<_>>(), expected);
    }
}

/// Name, whether there is a value, and attributes.
fn read(line: &str) -> (String, bool, BTreeSet<String>) {
    let mut parts = line.split("; ");
    let (name, value) = parts.next().unwrap().split_once('=').unwrap();
    let attributes: Vec<_> = parts.map(str::to_owned).collect();
    let len = attributes.len();
    let attributes: BTreeSet<_> = attributes.into_iter().collect();
    assert_eq!(attributes.len(), len, "{line}");
    (name.to_owned(), !value.is_empty(), attributes)
}

#[tokio::test]
async fn k11_cookies_are_set_and_cleared_with_the_same_attributes() {
    for kind in KINDS {
        let base = kind.settings.iter().find(|(key, _)| *key == "base_path").map_or("", |(_, base)| *base);
        let site = Site::with(kind.settings).await;
        site.user("grace", doorward_core::role::RoleName::USER).await;
        let body = |mode: &str| json!({ "email": "grace@example.org", "password": PASSWORD, "mode": mode });
        let at = |path: &str| format!("{base}{path}");

        // Cookie mode: for as long as the refresh token lives.
        let visitor = site.visitor();
        kind.check(&visitor.post(&at("/login"), body("cookie")).await, &[(0, 30 * DAY), (2, 30 * DAY)], &[1]);
        let renewed = visitor.post(&at("/refresh"), Value::Null).await;
        kind.check(&renewed, &[(0, 30 * DAY), (2, 30 * DAY)], &[1]);
        kind.check(&visitor.post(&at("/logout"), Value::Null).await, &[], &[0, 1, 2, 3]);

        // Session mode: to the absolute end.
        let visitor = site.visitor();
        kind.check(&visitor.post(&at("/login"), body("session")).await, &[(1, 90 * DAY)], &[0, 2]);
        let elsewhere = visitor.copy();
        kind.check(&visitor.post(&at("/logout/all"), Value::Null).await, &[], &[0, 1, 2, 3]);
        let answer = elsewhere.get(&at("/profile")).await;
        answer.is_refused("session_ended");
        kind.check(&answer, &[], &[]);

        // As a form, and as a registration.
        let fields = [("name", "lin"), ("email", "lin@example.org"), ("password", PASSWORD)];
        let person = site.visitor();
        kind.check(&person.form(&at("/register"), &fields).await, &[(1, 90 * DAY)], &[0, 2]);
        kind.check(&person.form(&at("/login"), &fields[1..]).await, &[(1, 90 * DAY)], &[0, 2]);
        kind.check(&person.form(&at("/logout"), &[]).await, &[], &[0, 1, 2, 3]);

        // Bearer mode has none.
        let program = site.visitor();
        kind.check(&program.post(&at("/login"), body("bearer")).await, &[], &[]);
    }
}

#[tokio::test]
async fn k11_no_error_clears_a_cookie() {
    let kind = &KINDS[0];
    let site = Site::new().await;
    let visitor = site.logged_in_by("grace", Mode::Cookie).await;
    for (answer, code) in [
        (visitor.get("/nothing").await, "not_found"),
        (visitor.get("/admin/users").await, "forbidden"),
        (visitor.post("/profile", json!([])).await, "malformed"),
        (visitor.delete("/profile", json!({ "password": "wrong promise" })).await, "wrong_password"),
        (visitor.patch("/login", Value::Null).await, "method_not_allowed"),
    ] {
        answer.is_refused(code);
        kind.check(&answer, &[], &[]);
    }
    let request = visitor.request(Method::POST, "/logout").header("sec-fetch-site", "cross-site");
    let answer = visitor.send(request, "").await;
    answer.is_refused("cross_site_request");
    kind.check(&answer, &[], &[]);

    // An expired token is renewed with the cookies that are there, so they stay.
    site.clock.advance(std::time::Duration::from_secs(901));
    let answer = visitor.get("/profile").await;
    answer.is_refused("token_expired");
    kind.check(&answer, &[], &[]);

    // Signed out elsewhere: a new sign-in may be on its way to the same browser.
    visitor.refresh().await.is_ok();
    let elsewhere = visitor.copy();
    kind.check(&visitor.post("/logout", Value::Null).await, &[], &[0, 1, 2, 3]);
    for answer in [elsewhere.get("/profile").await, elsewhere.refresh().await] {
        answer.has_status(401).is_refused("session_ended");
        kind.check(&answer, &[], &[]);
    }
    for path in ["/dashboard", "/refresh?return_to=/dashboard"] {
        kind.check(&elsewhere.page(path).await, &[], &[]);
    }
}

#[tokio::test]
async fn k11_a_cookie_never_outlives_its_session() {
    let site = Site::new().await;
    site.admin("ada").await;
    for (mode, name) in [("cookie", TOKEN), ("session", SESSION)] {
        let visitor = site.visitor();
        let answer = sign_in(&visitor, "ada", mode).await;
        let set = answer.set_cookies().into_iter().map(read).find(|(cookie, ..)| cookie == name).unwrap();
        // A session of an admin lives for 12 hours.
        assert!(set.2.contains("Max-Age=43200"), "{set:?}");
    }
    let visitor = site.visitor();
    sign_in(&visitor, "ada", "cookie").await.is_ok();
    site.clock.advance(std::time::Duration::from_secs(11 * 3_600));
    let lines = visitor.refresh().await;
    let ends: Vec<_> = lines
        .set_cookies()
        .into_iter()
        .filter(|line| line.contains("Max-Age=3600"))
        .map(str::to_owned)
        .collect();
    assert_eq!(ends.len(), 2, "{:?}", lines.set_cookies());
}
