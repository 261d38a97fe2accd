//! Every refusal is seen: its flow ends in it, and names the check that failed.

use std::collections::BTreeMap;
use std::convert::Infallible;
use std::fmt::Write as _;
use std::time::Duration;

use axum::body::{Body, Bytes};
use doorward_core::Mode;
use doorward_core::role::RoleName;
use futures_util::{future, stream};
use http::{Method, header};
use insta::assert_snapshot;
use serde_json::{Value, json};

use crate::error::Error;
use crate::flow::{Fact, Step, Verb, Verdict};
use crate::hooks::{Hooks, Veto};
use crate::testing::{Answer, PASSWORD, Site};

/// By its code, the last check that failed before a refusal.
#[derive(Default)]
struct Causes(BTreeMap<&'static str, &'static str>);

impl Causes {
    #[track_caller]
    fn see(&mut self, site: &Site, answer: &Answer) {
        let flow = site.app.flows.get(answer.header("x-request-id").unwrap()).unwrap();
        let code = flow.code.unwrap_or_else(|| panic!("{} {}", answer.status, answer.text()));
        assert!(answer.text().contains(code), "{code}: {}", answer.text());
        let (last, before) = flow.steps.split_last().unwrap();
        assert_eq!((last.verb, last.verdict), (Verb::Refuse, Verdict::Failed), "{code}");
        let is_cause = |step: &&Step| step.verdict == Verdict::Failed && step.verb != Verb::Commit;
        let cause = before.iter().rev().find(is_cause).unwrap_or_else(|| panic!("{code} has no cause"));
        let cause = match (cause.verb, &cause.facts[..]) {
            (Verb::CheckRule, [_, Fact::Text { text, .. }]) => text,
            (verb, _) => verb.failed_label(),
        };
        self.0.insert(code, cause);
    }
}

fn login(name: &str, mode: &str) -> Value {
    json!({ "email": format!("{name}@example.org"), "password": PASSWORD, "mode": mode })
}

fn wrong(name: &str) -> Value {
    json!({ "email": format!("{name}@example.org"), "password": "not the password" })
}

fn newcomer() -> Value {
    json!({ "name": "Mo", "email": "mo@example.org", "password": PASSWORD })
}

/// Refusals of a credential.
async fn of_credentials(causes: &mut Causes) {
    let site = Site::new().await;
    let (eve, ada) = (site.visitor(), site.logged_in("ada").await);
    causes.see(&site, &eve.get("/profile").await);
    eve.hold(Some("a.b.c"), None);
    causes.see(&site, &eve.get("/profile").await);
    causes.see(&site, &site.visitor().post("/refresh", json!({ "refresh_token": "dr1.x" })).await);

    let (phone, stolen) = (site.visitor(), ada.refresh_token());
    phone.post("/login", login("ada", "bearer")).await.has_status(200);
    for _ in 0..2 {
        ada.refresh().await.has_status(200);
        site.later(Duration::from_secs(60)).await;
    }
    causes.see(&site, &phone.copy().post("/refresh", json!({ "refresh_token": stolen })).await);
    causes.see(&site, &ada.get("/profile").await);
    let tablet = phone.copy();
    phone.post("/logout/all", Value::Null).await.has_status(200);
    causes.see(&site, &tablet.get("/profile").await);
    site.later(Duration::from_secs(16 * 60)).await;
    causes.see(&site, &tablet.get("/profile").await);

    let idle = site.visitor();
    idle.post("/login", login("ada", "bearer")).await.has_status(200);
    site.later(Duration::from_secs(30 * 86_400)).await;
    causes.see(&site, &idle.refresh().await);
    let [one, two] = ["ada", "ben"].map(|name| site.logged_in_by(name, Mode::Cookie));
    let refresh = |visitor: &crate::testing::Visitor| visitor.cookie("__Host-refresh_token").unwrap();
    let both = [refresh(&one.await), refresh(&two.await)].map(|it| format!("__Host-refresh_token={it}"));
    for cookies in [both.join("; "), vec!["__Host-refresh_token=x"; 65].join("; ")] {
        let request = eve.request(Method::POST, "/refresh").header(header::COOKIE, cookies);
        causes.see(&site, &site.visitor().send(request, "").await);
    }
    let request = eve.request(Method::POST, "/introspect").header(header::AUTHORIZATION, "Basic YTpi");
    let request = request.header(header::CONTENT_TYPE, "application/json");
    causes.see(&site, &site.visitor().send(request, json!({ "token": "x" }).to_string()).await);
}

/// Refusals of a sign-in or a registration.
async fn of_sign_ins(causes: &mut Causes) {
    let site = Site::new().await;
    let (ada, admin, eve) = (site.logged_in("ada").await, site.admin("root").await, site.visitor());
    causes.see(&site, &eve.post("/register", json!({ "name": "Mo" })).await);
    causes.see(
        &site,
        &eve.post("/register", json!({ "name": "Ada", "email": "ada@example.org", "password": PASSWORD }))
            .await,
    );
    causes.see(&site, &eve.post("/login", wrong("ada")).await);
    let path = format!("/admin/users/{}", ada.user_id().await);
    admin.patch(&path, json!({ "disabled": true })).await.has_status(200);
    causes.see(&site, &eve.post("/login", login("ada", "bearer")).await);
    let mut last = eve.post("/login", wrong("ben")).await;
    while last.code() == "invalid_credentials" {
        last = eve.post("/login", wrong("ben")).await;
    }
    causes.see(&site, &last);

    let lin = site.user("lin", RoleName::USER).await;
    let user = lin.parse::<uuid::Uuid>().unwrap().as_bytes().to_vec();
    let id: Vec<u8> = user.iter().rev().copied().collect();
    let insert = "INSERT INTO authenticators (id, user_id, kind, identifier, data, created_at) \
         VALUES ($1, $2, 'totp', $1, 'sealed', 0)";
    site.app.store.execute(insert, vec![id.into(), user.into()]).await.unwrap();
    causes.see(&site, &site.visitor().post("/login", login("lin", "bearer")).await);

    for registration in ["closed", "invite"] {
        let site = Site::with(&[("registration", registration)]).await;
        let invited = json!({ "name": "Mo", "email": "mo@example.org", "password": PASSWORD, "invite": "A".repeat(43) });
        causes.see(&site, &site.visitor().post("/register", invited).await);
    }
    let settings = [("public_url", "https://door.example"), ("listen", "0.0.0.0:0")];
    let site = Site::with(&settings).await;
    let answer = site
        .visitor()
        .post(
            "/register",
            json!({ "name": "Mo", "email": "mo@example.org", "password": PASSWORD, "mode": "cookie" }),
        )
        .await;
    causes.see(&site, &answer);
    let hooks = Hooks::new().before_register(|_| async { Err(Veto::refuse("Not today")) });
    let site = Site::with_hooks(&[], hooks).await;
    causes.see(&site, &site.visitor().post("/register", newcomer()).await);
}

/// Refusals of what a signed-in user does.
async fn of_acts(causes: &mut Causes) {
    let site = Site::new().await;
    let (ada, admin) = (site.logged_in("ada").await, site.admin("root").await);
    causes.see(&site, &ada.get("/admin/users").await);
    let address = json!({ "email": "new@example.org", "password": "not the password" });
    causes.see(&site, &ada.patch("/profile", address).await);
    causes.see(&site, &admin.delete("/profile", json!({ "password": PASSWORD })).await);
    let admin = admin.confirming(false);
    let path = format!("/admin/users/{}", ada.user_id().await);
    causes.see(&site, &admin.patch(&path, json!({ "role": "admin" })).await);

    let (own, other) =
        (site.logged_in_by("lin", Mode::Session).await, site.logged_in_by("mo", Mode::Session).await);
    let page = own.page("/dashboard").await.text();
    let page = page.replace("&#x2f;", "/");
    let form = page.split("<form method=\"post\" action=\"").find(|form| form.contains("name=\"account\""));
    let (path, form) = form.unwrap().split_once('"').unwrap();
    let form = form.split("</form>").next().unwrap();
    let hidden = form.split("<input type=\"hidden\" name=\"").skip(1);
    let mut fields: Vec<_> = hidden.map(|input| input.split_once("\" value=\"").unwrap()).collect();
    fields.iter_mut().for_each(|(_, value)| *value = value.split_once('"').unwrap().0);
    fields.push(("name", "Lin"));
    causes.see(&site, &other.form(path, &fields).await);
}

/// Refusals of a development server.
async fn of_development(causes: &mut Causes) {
    let site = Site::with(&[("dev", "true")]).await;
    let request = http::Request::get("/login").header(header::HOST, "rebound.example");
    causes.see(&site, &site.visitor().send(request, "").await);
}

/// Refusals that no rule about accounts makes.
async fn of_requests(causes: &mut Causes) {
    let site = Site::with(&[("http.body_timeout", "1ms")]).await;
    let eve = site.visitor();
    causes.see(&site, &eve.get("/nothing").await);
    causes.see(&site, &eve.delete("/login", Value::Null).await);
    let request = eve.request(Method::POST, "/login").header("sec-fetch-site", "cross-site");
    causes.see(&site, &eve.send(request, "").await);
    let json = || eve.request(Method::POST, "/login").header(header::CONTENT_TYPE, "application/json");
    causes.see(&site, &eve.send(json(), "{").await);
    causes.see(&site, &eve.send(json(), "a".repeat(70_000)).await);
    causes.see(&site, &eve.send(eve.request(Method::POST, "/login"), "{}").await);
    let nothing = Body::from_stream(stream::pending::<Result<Bytes, Infallible>>());
    causes.see(&site, &eve.send(json(), nothing).await);

    let busy = Site::with(&[("hashing.queue", "1")]).await;
    let visitors: Vec<_> = (0..40).map(|n| busy.visitor().from([198, 51, 100, n])).collect();
    let logins = visitors.iter().map(|visitor| visitor.post("/login", wrong("ada")));
    let answers = future::join_all(logins).await;
    causes.see(&busy, answers.iter().find(|answer| answer.code() == "overloaded").unwrap());
    // SQLite's, also when other sites are on PostgreSQL, whose disk is elsewhere.
    let full = Site::with(&[("database", ""), ("data.reserve", "9000000000000000000")]).await;
    causes.see(&full, &full.visitor().post("/register", newcomer()).await);
    site.app.store.close().await;
    causes.see(&site, &eve.post("/login", login("ada", "bearer")).await);
}

#[tokio::test]
async fn each_code_has_a_flow_that_ends_in_it() {
    let mut causes = Causes::default();
    Box::pin(of_credentials(&mut causes)).await;
    of_sign_ins(&mut causes).await;
    of_acts(&mut causes).await;
    of_requests(&mut causes).await;
    of_development(&mut causes).await;
    let mut table = String::new();
    for (code, cause) in &causes.0 {
        let _ = writeln!(table, "{code}: {cause}");
    }
    assert_snapshot!(table, @r"
    ambiguous_cookies: The cookies prove two different live sessions, so it is unclear which was meant.
    confirmation_required: Password is needed again
    cross_site_request: Sent by another site
    email_taken: Another account has this email address.
    forbidden: Role does not allow it
    https_required: A cookie would cross the network in the clear.
    invalid_client: The program is not a registered client, or its secret is wrong.
    invalid_credentials: Password is wrong
    invalid_input: Input is wrong
    last_admin: It would leave no user with the role admin.
    link_invalid: The link is unknown, used, or too old.
    malformed: The request cannot be read; the text says where.
    method_not_allowed: The URL doesn't support this method, but these, in the form of `Allow`.
    no_room: The disk is nearly full: acts that add to the database have to wait.
    not_found: There is nothing at this URL, or nothing that the caller may see.
    other_account: The form is on a page of one account, and the browser that sends it is signed in to another.
    overloaded: Too busy to hash
    refresh_invalid: Refresh token is not ours
    refresh_reused: Used before
    refused_by_application: The application refuses
    registration_closed: Registration is closed, or needs an invitation; the text says which.
    second_factor_required: A second factor is needed
    session_ended: In revocations
    session_expired: The session was not used for too long, or has reached the longest time that it may live.
    timeout: The client took too long to send its request.
    token_expired: Expired
    token_invalid: Not a token of ours
    token_missing: No usable credential
    token_stale: In revocations
    too_large: The body is larger than the limit, in bytes.
    too_many_attempts: Too many attempts
    too_many_cookies: There are more cookies of one name than the limit.
    unavailable: The store, or another part of the server, fails at the moment.
    unsupported_media_type: The body is of a type that is not supported; the text says which or why.
    user_disabled: The password was right, and the account is disabled.
    wrong_host: The request to a development server names another host than its own machine, or none.
    wrong_password: Password is wrong
    ");
    let missing: Vec<_> =
        Error::every().iter().map(Error::code).filter(|code| !causes.0.contains_key(code)).collect();
    // Only routes that leave no flow answer it.
    assert_eq!(missing, ["development_only"]);
}
