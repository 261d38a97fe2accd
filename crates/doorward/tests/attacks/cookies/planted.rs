//! Sessions that a sibling host planted for one path: their cookie comes to one page, and not to where its forms go.

use std::time::Duration;

use doorward::testing::{Answer, Site, Visitor};
use doorward_core::Mode;
use doorward_core::role::RoleName;
use http::Method;
use http::header::COOKIE;

/// With cookies that a sibling host can plant.
const SHARED: &[(&str, &str)] =
    &[("public_url", "https://accounts.example.com"), ("cookie.domain", "example.com")];
const PLANTED: &str = "__Secure-sessionId";

/// The page as a browser gets it whose planted cookie comes to it alone.
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

/// Clicks the button of this form in a browser that sends none of our cookies along.
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
        // The cookie can't be taken back. It is in nobody's way.
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

    // Somebody signed in beside it since: their other devices stay in, and this browser is out.
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

    // What names no session, or one that is over, is as good as nothing.
    for ticket in ["", "AAAA", fields[1].1] {
        site.visitor().form("/logout/all", &[("ticket", ticket)]).await.goes_to("/login");
    }
    let thief = phone.copy();
    phone.form("/logout/all", &fields).await.goes_to("/login?done=signed-out-everywhere");
    thief.get("/profile").await.is_refused("session_ended");
}
