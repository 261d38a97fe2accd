//! Sessions that another host of the domain planted for one path. Their cookie is sent to one page, and not to the
//! targets of its forms.

use std::time::Duration;

use doorward::testing::{Answer, Site, Visitor};
use doorward_core::Mode;
use doorward_core::role::RoleName;
use http::Method;
use http::header::COOKIE;

/// With cookies that another host of the domain can plant.
const SHARED: &[(&str, &str)] =
    &[("public_url", "https://accounts.example.com"), ("cookie.domain", "example.com")];
const PLANTED: &str = "__Secure-sessionId";

/// The page as a browser gets it if the planted cookie is sent to it alone.
async fn shown_by(site: &Site, planted: &Visitor, path: &str) -> Answer {
    let line = format!("{PLANTED}={}", planted.cookie(PLANTED).unwrap());
    let browser = site.visitor();
    let request = browser.request(Method::GET, path).header("accept", "text/html").header(COOKIE, line);
    browser.send(request, "").await
}

/// The hidden fields of the form on this page that is sent to this path.
fn hidden(page: &Answer, action: &str) -> Vec<(String, String)> {
    let text = page.text().replace("&#x2f;", "/");
    let (_, form) = text.split_once(&format!("action=\"{action}\"")).unwrap();
    let (form, _) = form.split_once("</form>").unwrap();
    let inputs = form.split("<input type=\"hidden\" name=\"").skip(1);
    let field = |input: &str| {
        let (name, rest) = input.split_once("\" value=\"").unwrap();
        (name.to_owned(), rest.split_once('"').unwrap().0.to_owned())
    };
    inputs.map(field).collect()
}

/// Clicks the button of this form in a browser that sends none of our cookies.
async fn click(site: &Site, page: &Answer, action: &str) -> Answer {
    let fields = hidden(page, action);
    let fields: Vec<_> = fields.iter().map(|(name, value)| (&**name, &**value)).collect();
    site.visitor().form(action, &fields).await
}

/// A site with an admin.
async fn site() -> Site {
    let site = Site::with(SHARED).await;
    site.user("eve", RoleName::ADMIN).await;
    site
}

/// The admin, signed in once more.
async fn admin(site: &Site) -> Visitor {
    site.logged_in_by("eve", Mode::Session).await
}

#[tokio::test]
async fn x03_the_sign_out_of_every_page_ends_the_session_that_it_shows_whatever_cookies_come_along() {
    let site = site().await;
    let id = admin(&site).await.user_id().await;
    let user = format!("/admin/users/{id}");
    let paths =
        ["/dashboard", "/admin/users", &user, "/admin/invitations", "/admin/sessions", "/admin/clients"];
    for path in paths.into_iter().chain(["/admin/audit"]) {
        let (planted, other) = (admin(&site).await, admin(&site).await);
        let page = shown_by(&site, &planted, path).await;
        page.has_status(200);
        // However long the page stays open.
        site.later(Duration::from_secs(2 * 3_600)).await;
        click(&site, &page, "/logout").await.goes_to("/login?done=signed-out");
        planted.get("/profile").await.is_refused("session_ended");
        other.get("/profile").await.is_ok();
        // The cookie can't be cleared. It disturbs nobody.
        shown_by(&site, &planted, path).await.has_status(303);
    }
}

#[tokio::test]
async fn x03_a_page_that_comes_back_with_an_error_signs_out_of_its_session_too() {
    let site = site().await;
    let planted = admin(&site).await;
    for (path, field) in [("/profile", "name"), ("/admin/users", "name"), ("/admin/clients", "name")] {
        let page = planted.form(path, &[(field, "")]).await;
        page.has_status(422);
        assert!(hidden(&page, "/logout").iter().any(|(name, _)| name == "ticket"), "{path}");
    }
}

#[tokio::test]
async fn x03_signing_out_everywhere_means_the_user_whom_the_page_shows() {
    let site = site().await;
    let (planted, phone) = (admin(&site).await, admin(&site).await);
    let page = shown_by(&site, &planted, "/dashboard").await;
    click(&site, &page, "/logout/all").await.goes_to("/login?done=signed-out-everywhere");
    for session in [&planted, &phone] {
        session.get("/profile").await.is_refused("session_ended");
    }

    // Another user has signed in beside it since: their other devices stay signed in, and this browser is signed out.
    let (planted, phone) = (admin(&site).await, site.logged_in_by("lin", Mode::Session).await);
    let page = shown_by(&site, &planted, "/dashboard").await;
    let browser = site.logged_in_by("lin", Mode::Session).await;
    let (thief, fields) = (browser.copy(), hidden(&page, "/logout/all"));
    let fields: Vec<_> = fields.iter().map(|(name, value)| (&**name, &**value)).collect();
    browser.form("/logout/all", &fields).await.goes_to("/login?done=signed-out-everywhere");
    for session in [&planted, &thief] {
        session.get("/profile").await.is_refused("session_ended");
    }
    phone.get("/profile").await.is_ok();

    // A ticket that names no session, or one that has ended, does nothing.
    for ticket in ["", "AAAA", fields[1].1] {
        site.visitor().form("/logout/all", &[("ticket", ticket)]).await.goes_to("/login");
    }
    let thief = phone.copy();
    phone.form("/logout/all", &fields).await.goes_to("/login?done=signed-out-everywhere");
    thief.get("/profile").await.is_refused("session_ended");
}

/// What a browser says when a link of another site opens a page.
const LINK: [(&str, &str); 3] =
    [("sec-fetch-site", "cross-site"), ("sec-fetch-mode", "navigate"), ("sec-fetch-dest", "document")];

/// The page as a browser gets it after following such a link with these cookies.
async fn followed(site: &Site, path: &str, cookies: &str) -> Answer {
    let browser = site.visitor();
    let request = browser.request(Method::GET, path).header("accept", "text/html").header(COOKIE, cookies);
    let request = LINK.iter().fold(request, |request, (name, value)| request.header(*name, *value));
    browser.send(request, "").await
}

#[tokio::test]
async fn x02_a_link_of_another_site_shows_nobody_by_a_planted_cookie_while_the_own_one_stays_at_home() {
    const PLAIN: &[(&str, &str)] = &[("public_url", "http://accounts.example.com"), ("http.plain", "true")];
    for (settings, mode, name) in [
        (SHARED, Mode::Session, PLANTED),
        (&[("dev", "true")], Mode::Session, "sessionId"),
        (&[("dev", "true")], Mode::Cookie, "token"),
        (PLAIN, Mode::Session, "sessionId"),
        (PLAIN, Mode::Cookie, "token"),
    ] {
        let site = Site::with(settings).await;
        let planted = site.logged_in_by("eve", mode).await;
        let line = format!("{name}={}", planted.cookie(name).unwrap());
        for path in ["/dashboard", "/login", "/dashboard?x=1"] {
            let page = followed(&site, path, &line).await;
            assert!(page.has_status(200).text().contains("One moment"), "{path}: {}", page.text());
            assert!(page.set_cookies().is_empty(), "{path}");
        }
        // A program that shows the answer, such as a script of another site, learns nothing either.
        let browser = site.visitor();
        let request = browser.request(Method::GET, "/profile").header(COOKIE, &line);
        browser.send(request.header("sec-fetch-site", "cross-site"), "").await.is_refused("token_missing");
        // From our own page it is a session like any other.
        let request = browser.request(Method::GET, "/profile").header(COOKIE, &line);
        browser.send(request.header("sec-fetch-site", "same-origin"), "").await.is_ok();
        let request = browser.request(Method::GET, "/profile").header(COOKIE, &line);
        browser.send(request.header("sec-fetch-site", "same-site"), "").await.is_ok();
    }
}

#[tokio::test]
async fn x02_a_planted_refresh_token_renews_nothing_on_the_way_from_another_site() {
    let site = Site::with(&[("dev", "true")]).await;
    let planted = site.logged_in_by("eve", Mode::Cookie).await;
    let line = format!("refresh_token={}", planted.cookie("refresh_token").unwrap());
    let answer = followed(&site, "/refresh?return_to=%2Fdashboard", &line).await;
    answer.goes_to("/login?return_to=%2Fdashboard");
    assert!(answer.set_cookies().is_empty());
    planted.post("/refresh", serde_json::Value::Null).await.is_ok();
}

#[tokio::test]
async fn x02_with_lax_cookies_a_link_of_another_site_brings_both_and_what_is_no_link_brings_none() {
    let lax = [SHARED, &[("cookie.same_site", "lax")]].concat();
    let site = Site::with(&lax).await;
    let (own, planted) =
        (site.logged_in_by("lin", Mode::Session).await, site.logged_in_by("eve", Mode::Session).await);
    let [own, planted] = [own, planted].map(|one| format!("{PLANTED}={}", one.cookie(PLANTED).unwrap()));
    followed(&site, "/dashboard", &own).await.has_status(200);
    let both = followed(&site, "/dashboard", &format!("{planted}; {own}")).await;
    assert!(both.has_status(401).text().contains("Sign out of both"));
    for other in [
        &[("sec-fetch-mode", "no-cors"), ("sec-fetch-dest", "image")][..],
        &[("sec-fetch-mode", "navigate"), ("sec-fetch-dest", "iframe")],
        &[("sec-fetch-mode", "navigate"), ("sec-fetch-dest", "document"), ("origin", "https://evil.example")],
        &[],
    ] {
        let browser = site.visitor();
        let request = browser.request(Method::GET, "/profile").header(COOKIE, &planted);
        let request = request.header("sec-fetch-site", "cross-site");
        let request = other.iter().fold(request, |request, (name, value)| request.header(*name, *value));
        browser.send(request, "").await.is_refused("token_missing");
    }
}

/// Every form of this page: its target, and its hidden fields.
fn forms(page: &Answer) -> Vec<(String, Vec<(String, String)>)> {
    let text = page.text().replace("&#x2f;", "/");
    let form = |form: &str| {
        let (form, _) = form.split_once("</form>").unwrap();
        let (action, fields) = form.split_once('"').unwrap();
        let field = |input: &str| {
            let (name, rest) = input.split_once("\" value=\"").unwrap();
            (name.to_owned(), rest.split_once('"').unwrap().0.to_owned())
        };
        let fields = fields.split("<input type=\"hidden\" name=\"").skip(1).map(field).collect();
        (action.to_owned(), fields)
    };
    text.split("<form method=\"post\" action=\"").skip(1).map(form).collect()
}

/// Sends a form with its hidden fields and this one.
async fn sent(browser: &Visitor, path: &str, hidden: &[(String, String)], more: (&str, &str)) -> Answer {
    let fields: Vec<_> = hidden.iter().map(|(name, value)| (&**name, &**value)).chain([more]).collect();
    browser.form(path, &fields).await
}

#[tokio::test]
async fn x02_a_form_acts_on_no_other_account_than_the_one_that_its_page_shows() {
    let site = site().await;
    let planted = admin(&site).await;
    let other = admin(&site).await;
    let user = format!("/admin/users/{}", site.logged_in_by("lin", Mode::Session).await.user_id().await);
    site.user("ada", RoleName::ADMIN).await;
    let own = site.logged_in_by("ada", Mode::Session).await;
    own.post(
        "/admin/clients",
        serde_json::json!({ "name": "Shop", "current_password": doorward::testing::PASSWORD }),
    )
    .await
    .has_status(201);
    let invite =
        serde_json::json!({ "email": "mo@example.org", "current_password": doorward::testing::PASSWORD });
    own.post("/admin/invitations", invite).await.has_status(201);

    let mut seen = Vec::new();
    let paths =
        ["/dashboard", "/admin/users", &user, "/admin/invitations", "/admin/sessions", "/admin/clients"];
    for path in paths {
        for (action, hidden) in forms(&shown_by(&site, &planted, path).await) {
            // A sign-out is about a session, which its ticket names.
            if action == "/logout" || action == "/logout/all" {
                continue;
            }
            let before = crate::support::state(&site).await;
            let refused = sent(&own, &action, &hidden, ("name", "Eve")).await;
            refused.has_status(409);
            assert!(refused.text().contains("other_account"), "{path} {action}: {}", refused.text());
            assert!(refused.set_cookies().is_empty(), "{path} {action}");
            assert_eq!(crate::support::state(&site).await, before, "{path} {action}");
            seen.push(action);
        }
    }
    for wanted in
        ["/profile", "/profile/password", "/profile/delete", "/sessions/end-others", "/admin/users", &user]
    {
        assert!(seen.iter().any(|action| action == wanted), "{wanted} is not among {seen:?}");
    }

    // Another session of the account that the page shows works too.
    let (action, hidden) = ("/profile", hidden(&shown_by(&site, &planted, "/dashboard").await, "/profile"));
    sent(&other, action, &hidden, ("name", "Eve II")).await.has_status(303);
    // A page that comes back with an error shows an account too, and so does the one that asks for the password.
    let again = sent(&other, action, &hidden, ("name", "")).await;
    again.has_status(422);
    let (_, fields) = forms(&again).into_iter().find(|(action, _)| action == "/profile").unwrap();
    sent(&own, "/profile", &fields, ("name", "Eve")).await.has_status(409);
    let (_, fields) = forms(&shown_by(&site, &planted, &user).await)
        .into_iter()
        .find(|(action, _)| *action == format!("{user}/reset-link"))
        .unwrap();
    let asks = sent(&planted, &format!("{user}/reset-link"), &fields, ("x", "")).await;
    assert!(asks.has_status(403).text().contains("Confirm it’s you"));
    let (action, fields) = forms(&asks).remove(0);
    sent(&own, &action, &fields, ("current_password", doorward::testing::PASSWORD)).await.has_status(409);
    assert_eq!(own.get("/profile").await.is_ok()["user"]["name"], "ada");
}

#[tokio::test]
async fn x02_a_form_that_was_open_while_somebody_else_signed_in_does_nothing_to_them() {
    let site = Site::new().await;
    let lin = site.logged_in_by("lin", Mode::Session).await;
    let page = lin.page("/dashboard").await;
    let fields = hidden(&page, "/profile");
    let eve = site.logged_in_by("eve", Mode::Cookie).await;
    sent(&eve, "/profile", &fields, ("name", "Lin the second")).await.has_status(409);
    assert_eq!(eve.get("/profile").await.is_ok()["user"]["name"], "eve");
    // Without the cookie that makes a form known, and with a field that was made up, it is no other.
    let made_up = [("account".to_owned(), "x".to_owned())];
    sent(&eve, "/profile", &made_up, ("name", "Lin the second")).await.has_status(409);
    // After signing in again, the open page still works.
    let again = site.logged_in_by("lin", Mode::Session).await;
    sent(&again, "/profile", &fields, ("name", "Lin the second")).await.has_status(303);
    assert_eq!(again.get("/profile").await.is_ok()["user"]["name"], "Lin the second");
    // Nobody is signed in: to the login.
    sent(&site.visitor(), "/profile", &fields, ("name", "x")).await.goes_to("/login");
}

/// A browser with this cookie at one path alone, which follows redirects from there.
async fn where_it_ends(site: &Site, at: &str, line: &str) -> Answer {
    let mut path = at.to_owned();
    for _ in 0..6 {
        let browser = site.visitor();
        let request = browser.request(Method::GET, &path).header("accept", "text/html");
        let request = if path.split('?').next() == Some(at) { request.header(COOKIE, line) } else { request };
        let answer = browser.send(request, "").await;
        match answer.header("location") {
            Some(next) => path = next.to_owned(),
            None => return answer,
        }
    }
    panic!("{at} leads in a circle, by {path}");
}

#[tokio::test]
async fn x02_no_planted_cookie_sends_a_browser_in_a_circle() {
    for (settings, mode, name) in [
        (SHARED, Mode::Session, PLANTED),
        (&[("dev", "true")], Mode::Session, "sessionId"),
        (&[("dev", "true")], Mode::Cookie, "token"),
        (&[("dev", "true")], Mode::Cookie, "refresh_token"),
    ] {
        let site = Site::with(settings).await;
        for path in ["/login", "/refresh", "/dashboard", "/register", "/logout", "/"] {
            let planted = site.logged_in_by("eve", mode).await;
            let line = format!("{name}={}", planted.cookie(name).unwrap());
            where_it_ends(&site, path, &line).await.has_status(200);
            site.later(Duration::from_secs(901)).await;
            where_it_ends(&site, path, &line).await.has_status(200);
        }
    }
    // A visitor who is sent to sign in, and is signed in, chooses whether to go on.
    let site = Site::with(SHARED).await;
    let eve = site.logged_in_by("eve", Mode::Session).await;
    let page = eve.page("/login?return_to=%2Fprofile").await;
    let text = page.has_status(200).text().replace("&#x2f;", "/");
    assert!(text.contains("You are signed in already") && text.contains("href=\"/profile\""), "{text}");
    eve.page("/login").await.goes_to("/dashboard");
    Site::new()
        .await
        .logged_in_by("lin", Mode::Session)
        .await
        .page("/login?return_to=%2Fprofile")
        .await
        .goes_to("/profile");
}

#[tokio::test]
async fn a_second_tab_is_renewed_by_way_of_the_login_also_where_cookies_can_be_planted() {
    let site = Site::with(&[("dev", "true")]).await;
    let tab = site.logged_in_by("ada", Mode::Cookie).await;
    let first = tab.copy();
    site.later(Duration::from_secs(901)).await;
    first.page("/refresh?return_to=%2Fdashboard").await.goes_to("/dashboard");
    let login = "/login?return_to=%2Fdashboard&renewed=1";
    tab.page("/refresh?return_to=%2Fdashboard").await.goes_to(login);
    tab.page(login).await.goes_to("/dashboard");
    tab.page("/dashboard").await.has_status(200);
    // A page that finds nobody redirects without that parameter, so there is no loop.
    site.visitor().page("/dashboard").await.goes_to("/login?return_to=%2Fdashboard");
    tab.page("/login?return_to=%2Fdashboard").await.has_status(200);
}
