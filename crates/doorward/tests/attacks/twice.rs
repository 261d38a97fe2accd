//! X23: the same form twice: by a double click, a reload, on a shared computer, with other fields, at another node.

use std::time::Duration;

use doorward::internals::accounts::Actor;
use doorward::internals::admin_users;
use doorward::internals::store::Value as Stored;
use doorward::testing::{Answer, PASSWORD, Site, Visitor};
use doorward_core::Mode;
use doorward_core::role::RoleName;
use http::Method;

const COOKIE: &str = "__Host-doorward-form";
const NEW: &str = "another door, another promise";
const REGISTER: [(&str, &str); 3] = [("name", "Ada"), ("email", "ada@example.org"), ("password", PASSWORD)];
const LOGIN: [(&str, &str); 2] = [("email", "ada@example.org"), ("password", PASSWORD)];

/// A visitor who opened this page, and the key of the form on it that is sent to this path.
async fn opened(visitor: &Visitor, page: &str, action: &str) -> String {
    let page = visitor.page(page).await;
    let text = page.has_status(200).text().replace("&#x2f;", "/");
    let (_, form) = text.split_once(&format!("action=\"{action}\"")).unwrap();
    let (_, key) = form.split_once("name=\"form_key\" value=\"").unwrap();
    assert!(visitor.cookie(COOKIE).is_some(), "{:?}", page.headers);
    key[..32].to_owned()
}

async fn send(visitor: &Visitor, path: &str, key: &str, fields: &[(&str, &str)]) -> Answer {
    visitor.form(path, &[&[("form_key", key)], fields].concat()).await
}

async fn count(site: &Site, sql: &'static str) -> i64 {
    site.app.store.find(sql, Vec::<Stored>::new()).await.unwrap().unwrap().only().unwrap()
}

async fn live_sessions(site: &Site) -> i64 {
    count(site, "SELECT COUNT(*) FROM sessions WHERE ended_at IS NULL").await
}

async fn remembered(site: &Site) -> i64 {
    count(site, "SELECT COUNT(*) FROM form_posts").await
}

#[tokio::test]
async fn x23_a_repeated_sign_in_or_registration_ends_as_the_first_and_leaves_one_session() {
    for mode in ["session", "cookie"] {
        let site = Site::with(&[("mode_form", mode)]).await;
        for (path, fields) in [("/register", &REGISTER[..]), ("/login", &LOGIN)] {
            let browser = site.visitor();
            let key = opened(&browser, path, path).await;
            // A browser drops the answer to its first click.
            let clicks = [browser.copy(), browser.copy(), browser.copy()];
            for click in &clicks {
                send(click, path, &key, fields).await.goes_to("/dashboard");
            }
            for dropped in &clicks[..2] {
                dropped.get("/profile").await.is_refused("session_ended");
            }
            assert_eq!(clicks[2].get("/profile").await.is_ok()["user"]["name"], "Ada", "{mode} {path}");
            assert_eq!(count(&site, "SELECT COUNT(*) FROM users").await, 1);
            clicks[2].post("/logout", serde_json::Value::Null).await.is_ok();
            assert_eq!(live_sessions(&site).await, 0);
        }
    }
}

#[tokio::test]
async fn x23_a_repeat_that_brings_the_first_ones_cookie_leaves_its_session() {
    for mode in ["session", "cookie"] {
        let site = Site::with(&[("mode_form", mode)]).await;
        let browser = site.visitor();
        let key = opened(&browser, "/register", "/register").await;
        send(&browser, "/register", &key, &REGISTER).await.goes_to("/dashboard");
        // The answer to this one is thrown away.
        send(&browser.copy(), "/register", &key, &REGISTER).await.goes_to("/dashboard");
        assert_eq!(browser.get("/profile").await.is_ok()["user"]["name"], "Ada", "{mode}");
        assert_eq!(live_sessions(&site).await, 1);
    }
}

#[tokio::test]
async fn x23_clicks_at_the_same_time_and_at_two_nodes_run_once() {
    let site = Site::new().await;
    let other = site.restarted().await;
    let browser = site.visitor();
    let key = opened(&browser, "/register", "/register").await;
    let clicks: Vec<_> = (0..6).map(|n| browser.copy().at(if n % 2 == 0 { &site } else { &other })).collect();
    let answers = clicks.iter().map(|click| send(click, "/register", &key, &REGISTER));
    for answer in futures_util::future::join_all(answers).await {
        answer.goes_to("/dashboard");
    }
    assert_eq!(count(&site, "SELECT COUNT(*) FROM users").await, 1);
    assert_eq!(live_sessions(&site).await, 1);
    assert_eq!(count(&site, "SELECT COUNT(*) FROM audit WHERE action = 'register'").await, 1);
}

#[tokio::test]
async fn x23_a_password_is_set_by_one_of_two_clicks_and_both_say_so() {
    let site = Site::new().await;
    let ada = site.user("ada", RoleName::USER).await;
    let made = admin_users::reset_link(&site.app, ada.parse().unwrap(), Actor::CommandLine).await.unwrap();
    let (_, token) = made.0.rsplit_once('=').unwrap();
    let browser = site.visitor();
    let page = format!("/password/reset?token={token}");
    let key = opened(&browser, &page, "/password/reset").await;
    let set = async |visitor: &Visitor, key: &str, new: &str| {
        send(visitor, "/password/reset", key, &[("token", token), ("new_password", new)]).await
    };
    for click in [browser.copy(), browser.copy()] {
        set(&click, &key, NEW).await.goes_to("/login?done=password-reset");
    }
    assert_eq!(count(&site, "SELECT COUNT(*) FROM audit WHERE action = 'password_reset'").await, 1);
    // With other fields, another key or another cookie it is another form, and the link is used.
    let other = "00000000000000000000000000000000";
    let stranger = browser.copy();
    stranger.hold_cookie(COOKIE, other);
    for answer in [
        set(&browser, &key, "a third door and promise").await,
        set(&browser, other, NEW).await,
        set(&stranger, &key, NEW).await,
        set(&site.visitor(), &key, NEW).await,
    ] {
        assert!(answer.has_status(400).text().contains("This link is unknown, used or too old"));
    }
}

#[tokio::test]
async fn x23_what_is_not_the_same_form_is_answered_as_it_comes() {
    let site = Site::new().await;
    let browser = site.visitor();
    let key = opened(&browser, "/register", "/register").await;
    let other = opened(&browser, "/register", "/register").await;
    assert_ne!(key, other);
    let first = browser.copy();
    send(&first, "/register", &key, &REGISTER).await.goes_to("/dashboard");
    let elsewhere = browser.copy();
    elsewhere.hold_cookie(COOKIE, &other);
    let renamed = [("name", "Eve"), REGISTER[1], REGISTER[2]];
    let twice = [&[("form_key", key.as_str())], &REGISTER[..]].concat();
    for answer in [
        send(&browser, "/register", &other, &REGISTER).await,
        send(&browser, "/register", &key, &renamed).await,
        send(&elsewhere, "/register", &key, &REGISTER).await,
        send(&site.visitor(), "/register", &key, &REGISTER).await,
        send(&browser, "/register", "", &REGISTER).await,
        browser.form("/register", &REGISTER).await,
        browser.form("/register?x", &twice).await,
    ] {
        assert_eq!(answer.status, 409, "{}", answer.text());
    }
    assert_eq!(first.get("/profile").await.is_ok()["user"]["name"], "Ada");
}

#[tokio::test]
async fn x23_after_a_logout_a_use_or_a_minute_a_repeat_is_an_ordinary_request() {
    let site = Site::new().await;
    let begin = async |email: &'static str| {
        let browser = site.visitor();
        let key = opened(&browser, "/register", "/register").await;
        let before = browser.copy();
        let fields = [REGISTER[0], ("email", email), REGISTER[2]];
        send(&browser, "/register", &key, &fields).await.goes_to("/dashboard");
        (browser, before, key, fields)
    };
    // Signed out, which clears the cookie of forms too.
    let (browser, before, key, fields) = begin("out@example.org").await;
    browser.form("/logout", &[]).await.goes_to("/login?done=signed-out");
    assert_eq!(browser.cookie(COOKIE), None);
    for visitor in [&browser, &before] {
        send(visitor, "/register", &key, &fields).await.has_status(409);
    }
    // Used.
    let (browser, before, key, fields) = begin("used@example.org").await;
    browser.page("/dashboard").await.has_status(200);
    send(&before, "/register", &key, &fields).await.has_status(409);
    browser.page("/dashboard").await.has_status(200);
    // A minute later.
    let (browser, before, key, fields) = begin("late@example.org").await;
    site.later(Duration::from_secs(61)).await;
    assert_eq!(remembered(&site).await, 0);
    send(&before, "/register", &key, &fields).await.has_status(409);
    browser.page("/dashboard").await.has_status(200);
}

#[tokio::test]
async fn x23_a_refusal_repeats_as_itself_and_counts_once() {
    let site = Site::new().await;
    site.user("ada", RoleName::USER).await;
    let browser = site.visitor();
    let key = opened(&browser, "/login", "/login").await;
    let wrong = [LOGIN[0], ("password", "a wrong promise")];
    for _ in 0..20 {
        let answer = send(&browser, "/login", &key, &wrong).await;
        let page = answer.has_status(401).text();
        assert!(page.contains("Invalid email or password") && page.contains("value=\"ada@example.org\""));
        assert!(!page.contains(&key), "the form has a new key");
    }
    for _ in 0..8 {
        browser.form("/login", &wrong).await.has_status(401);
    }
    browser.form("/login", &LOGIN).await.goes_to("/dashboard");
    // A request that came too early is repeated.
    let busy = site.visitor().from([192, 0, 2, 9]);
    let key = opened(&busy, "/login", "/login").await;
    for _ in 0..9 {
        busy.form("/login", &wrong).await;
    }
    send(&busy, "/login", &key, &wrong).await.has_status(401);
    send(&busy, "/login", &key, &LOGIN).await.has_status(429);
    site.clock.advance(Duration::from_secs(31));
    send(&busy, "/login", &key, &LOGIN).await.goes_to("/dashboard");
}

#[tokio::test]
async fn x23_forms_of_those_who_are_signed_in_run_once_also_when_they_sign_out() {
    let site = Site::new().await;
    let ada = site.logged_in_by("ada", Mode::Session).await;
    let key = opened(&ada, "/dashboard", "/profile/password").await;
    let fields = [("current_password", "a wrong promise"), ("new_password", NEW)];
    for _ in 0..12 {
        let page = send(&ada, "/profile/password", &key, &fields).await;
        assert!(page.has_status(403).text().contains("The current password is wrong"));
    }
    let email = [("email", "ada@example.com"), ("password", PASSWORD)];
    for _ in 0..2 {
        send(&ada, "/profile", &key, &email).await.goes_to("/dashboard?done=email-changed");
    }
    assert_eq!(count(&site, "SELECT COUNT(*) FROM audit WHERE action = 'profile_changed'").await, 1);
    for (path, fields, end) in [
        ("/logout/all", &[][..], "/login?done=signed-out-everywhere"),
        ("/logout", &[], "/login?done=signed-out"),
        ("/profile/delete", &[("password", PASSWORD)], "/login?done=account-deleted"),
    ] {
        let grace = site.logged_in_by("grace", Mode::Session).await;
        let key = opened(&grace, "/dashboard", path).await;
        for click in [grace.copy(), grace.copy()] {
            send(&click, path, &key, fields).await.goes_to(end);
            assert_eq!(click.cookie("__Host-sessionId"), None, "{path}");
        }
    }
}

#[tokio::test]
async fn x23_a_form_whose_process_died_after_its_act_is_not_run_again() {
    let site = Site::new().await;
    let browser = site.visitor();
    let key = opened(&browser, "/register", "/register").await;
    send(&browser.copy(), "/register", &key, &REGISTER).await.goes_to("/dashboard");
    let lose = site.app.store.execute("UPDATE form_posts SET outcome = NULL", Vec::<Stored>::new());
    assert_eq!(lose.await.unwrap(), 1);
    site.clock.advance(Duration::from_secs(6));
    send(&browser, "/register", &key, &REGISTER).await.goes_to("/dashboard");
    assert_eq!(browser.get("/profile").await.is_ok()["user"]["name"], "Ada");
    assert_eq!(live_sessions(&site).await, 1);
}

#[tokio::test]
async fn x23_what_is_remembered_is_bounded_and_of_no_use_to_a_thief() {
    let site = Site::with(&[("throttle.enabled", "false")]).await;
    site.user("ada", RoleName::USER).await;
    let browser = site.visitor();
    opened(&browser, "/login", "/login").await;
    for n in 0..310 {
        let key = format!("{n:032x}");
        send(&browser, "/login", &key, &[LOGIN[0], ("password", "")]).await.has_status(422);
    }
    assert_eq!(remembered(&site).await, 300);
    // Another network has its own places, and a visitor without a place still gets in.
    let elsewhere = browser.copy().from([192, 0, 2, 2]);
    let key = opened(&elsewhere, "/login", "/login").await;
    send(&elsewhere, "/login", &key, &LOGIN).await.goes_to("/dashboard");
    assert_eq!(remembered(&site).await, 301);
    let key = opened(&browser, "/login", "/login").await;
    send(&browser, "/login", &key, &LOGIN).await.goes_to("/dashboard");
    let stolen = site.stolen_database().await;
    let secret = elsewhere.cookie("__Host-sessionId").unwrap();
    for text in [PASSWORD, &secret, &key, &elsewhere.cookie(COOKIE).unwrap()] {
        assert!(!stolen.contains(text));
    }
    assert!(stolen.contains("/dashboard") && stolen.contains("invalid_input"), "{stolen}");
}

#[tokio::test]
async fn x23_a_repeat_never_ends_in_a_page_with_the_first_ones_secret() {
    let site = Site::new().await;
    let root = {
        site.user("root", RoleName::ADMIN).await;
        site.logged_in_by("root", Mode::Session).await
    };
    let grace = site.user("grace", RoleName::USER).await;
    let path = format!("/admin/users/{grace}");
    let key = opened(&root, &path, &format!("{path}/reset-link")).await;
    let mut links = Vec::new();
    for _ in 0..2 {
        let fields = [("current_password", PASSWORD)];
        let page = send(&root, &format!("{path}/reset-link"), &key, &fields).await;
        let text = page.has_status(200).text().replace("&#x2f;", "/");
        let (_, link) = text.split_once("/password/reset?token=").unwrap();
        links.push(link.split('"').next().unwrap().to_owned());
    }
    let works = async |token: &str| {
        let request = site.visitor().request(Method::GET, &format!("/password/reset?token={token}"));
        site.visitor().send(request.header("accept", "text/html"), "").await.status == 200
    };
    assert!(!works(&links[0]).await && works(&links[1]).await);
    assert!(!site.stolen_database().await.contains(&links[1]));
}

/// The content of the field with this id on a page.
fn shown(page: &Answer, id: &str) -> String {
    let text = page.text().replace("&#x2f;", "/");
    let (_, rest) = text.split_once(&format!("<input id=\"{id}\"")).unwrap();
    rest.split_once("value=\"").unwrap().1.split('"').next().unwrap().to_owned()
}

#[tokio::test]
async fn x23_a_repeat_of_a_form_that_shows_a_secret_leaves_one_and_shows_it() {
    let site = Site::new().await;
    let other = site.restarted().await;
    site.user("root", RoleName::ADMIN).await;
    let root = site.logged_in_by("root", Mode::Session).await;
    let path = "/admin/invitations";
    let key = opened(&root, path, path).await;
    let fields = [("email", "ada@example.org"), ("role", "user"), ("current_password", PASSWORD)];
    let invite = async |visitor: Visitor, key: &str| {
        let page = send(&visitor, path, key, &fields).await;
        shown(page.has_status(201), "url").split_once("invite=").unwrap().1.to_owned()
    };
    // At the same time, at two nodes, and once more: as an impatient person clicks.
    let clicks = (0..4).map(|n| invite(root.copy().at(if n % 2 == 0 { &site } else { &other }), &key));
    let mut links = futures_util::future::join_all(clicks).await;
    links.push(invite(root.copy(), &key).await);
    let open = "SELECT COUNT(*) FROM challenges WHERE used_at IS NULL AND purpose = 'invite'";
    assert_eq!(count(&site, open).await, 1);
    let last = links.pop().unwrap();
    let register = async |invite: &str| {
        site.visitor().form("/register", &[&REGISTER[..], &[("invite", invite)]].concat()).await
    };
    for voided in links {
        assert_eq!(register(&voided).await.status, 400);
    }
    register(&last).await.goes_to("/dashboard");

    // A used one stays, and so does one of another form, or from more than a minute ago.
    let second = invite(root.copy(), &key).await;
    let key = opened(&root, path, path).await;
    let third = invite(root.copy(), &key).await;
    assert_ne!(second, third);
    site.clock.advance(Duration::from_secs(61));
    invite(root.copy(), &key).await;
    assert_eq!(count(&site, open).await, 3);
    assert_eq!(count(&site, "SELECT COUNT(*) FROM challenges").await, 4);
}

#[tokio::test]
async fn x23_two_clicks_make_one_client_whose_secret_is_shown() {
    let site = Site::new().await;
    site.user("root", RoleName::ADMIN).await;
    let root = site.logged_in_by("root", Mode::Session).await;
    let key = opened(&root, "/admin/clients", "/admin/clients").await;
    let fields = [("name", "the shop"), ("current_password", PASSWORD)];
    let mut made = Vec::new();
    for _ in 0..3 {
        let page = send(&root, "/admin/clients", &key, &fields).await;
        made.push(["client_id", "client_secret"].map(|id| shown(page.has_status(201), id)));
    }
    assert_eq!(count(&site, "SELECT COUNT(*) FROM clients").await, 1);
    let ask = async |[id, secret]: &[String; 2]| {
        let program = site.visitor();
        let request = program.request(Method::POST, "/introspect");
        let basic = base64::Engine::encode(&base64::prelude::BASE64_STANDARD, format!("{id}:{secret}"));
        let request = request.header("authorization", format!("Basic {basic}"));
        program
            .send(request.header("content-type", "application/x-www-form-urlencoded"), "token=x")
            .await
            .status
    };
    let answers = [ask(&made[0]).await, ask(&made[1]).await, ask(&made[2]).await];
    assert_eq!(answers, [401, 401, 200]);
    for (action, times) in [("client_created", 3), ("client_deleted", 2)] {
        let query = format!("SELECT COUNT(*) FROM audit WHERE action = '{action}'");
        let row = site.app.store.find(query.leak(), Vec::<Stored>::new()).await.unwrap().unwrap();
        assert_eq!(row.only::<i64>().unwrap(), times, "{action}");
    }
}

#[tokio::test]
async fn x23_two_clicks_on_a_new_password_leave_their_person_in_and_every_copy_out() {
    for mode in [Mode::Session, Mode::Cookie] {
        let site = Site::new().await;
        let ada = site.logged_in_by("ada", mode).await;
        let copy = ada.copy();
        let phone = site.logged_in_by("ada", Mode::Bearer).await;
        let key = opened(&ada, "/dashboard", "/profile/password").await;
        let fields = [("current_password", PASSWORD), ("new_password", NEW)];
        // A browser drops the answer to its first click, and sends the second with the cookies of before.
        let clicks = [ada.copy(), ada.copy(), ada.copy()];
        for click in &clicks {
            send(click, "/profile/password", &key, &fields).await.goes_to("/dashboard?done=password-changed");
        }
        clicks[2].page("/dashboard").await.has_status(200);
        if mode == Mode::Cookie {
            clicks[2].refresh().await.is_ok();
        }
        for out in [&copy, &clicks[0], &clicks[1]] {
            out.copy().get("/profile").await.is_refused("session_ended");
        }
        phone.ended_with_others().await;
        assert_eq!(live_sessions(&site).await, 1);
        assert_eq!(count(&site, "SELECT COUNT(*) FROM audit WHERE action = 'password_changed'").await, 1);
        site.visitor().form("/login", &[LOGIN[0], ("password", NEW)]).await.goes_to("/dashboard");
    }
}
