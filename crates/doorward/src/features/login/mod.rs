//! Log in: exchange email and password for a credential.
//!
//! `POST /login` {email, password, mode?, device?} → 200 with the user and the credential. Unknown address, wrong
//! password and an account without a password get the same answer, 401 `invalid_credentials`, for the same work. A
//! sign-in ends the session whose cookies came with it, so that nobody continues in a planted one (attacks K07, K08).
//!
//! `GET /login?return_to=` is the form; a signed-in browser is redirected.

use std::sync::Arc;
use std::time::Duration;

use axum::Extension;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use doorward_core::email::Email;
use doorward_core::password::Password;
use doorward_core::sign_in::{Method, Methods};
use doorward_core::{Mode, Refusal};
use doorward_guard::internals::distinct;
use http::{HeaderMap, StatusCode};
use zeroize::Zeroizing;

use crate::acts::Change;
use crate::app::App;
use crate::error::{Error, Pending, Result};
use crate::hooks::SigningIn;
use crate::sessions::{Beginning, Issued};
use crate::sign_ins::{Outcome, SignIn};
use crate::users::{self, Enabled, User};
use crate::web::api::{Routes, Who, describe};
use crate::web::body::{Asked, asked};
use crate::web::credential;
use crate::web::feature::{Feature, templates, texts};
use crate::web::flash::Flashed;
use crate::web::peer::Peer;
use crate::web::renew_redirect::{RENEWED, from_elsewhere, renew_redirect};
use crate::web::reply::form_or_json;
use crate::web::sign_in::{Opened, Proved, Way, sign_in};
use crate::wire::client_kind::ClientKind;
use crate::wire::page::{Value, context};
use crate::wire::query::Query;
use crate::wire::return_to::{RETURN_TO, is_in_app, reaches, return_to, with_way_on};
use crate::wire::shape::of;

pub(crate) const FEATURE: Feature =
    Feature { templates: templates!["login.html"], texts: texts!("en.ftl"), ..Feature::new("login", routes) };

fn routes() -> Routes {
    let form_doc = describe("The form to sign in", Who::Anybody)
        .query("return_to", of::<&str>(), RETURN_TO)
        .flashes()
        .page(200, "the form")
        .goes("a signed-in browser, to /dashboard");
    let login_doc = describe("Sign in", Who::Anybody)
        .more("`mode` says how the client holds the credential; if it is missing, the settings decide. A form can't use `bearer`.")
        .body::<Login>()
        .json(200, "signed in", credential::shape(Some("Login successful")))
        .goes("after a form, to `return_to` or /dashboard")
        .sets_cookies()
        .refuses([Error::InvalidCredentials, Error::UserDisabled, Error::HttpsRequired])
        .refuses([Error::SecondFactorRequired(Pending::example())])
        .refuses([Error::Refused(Refusal::TooManyCookies)])
        .refuses([Error::TooManyAttempts(Duration::ZERO), Error::RefusedByApplication(String::new())]);
    Routes::of("Signing in").get("/login", form, form_doc).post("/login", login, login_doc)
}

asked! {
    /// A sign-in.
    struct Login {
        email: Email,
        password: Password,
        /// How the client holds the credential.
        mode: Option<Mode>,
        /// The device from an earlier sign-in in bearer mode.
        device: Option<Zeroizing<String>>,
        /// Where to redirect.
        return_to in forms: Option<String>,
    }
}

async fn form(
    State(app): State<App>,
    kind: ClientKind,
    headers: HeaderMap,
    Flashed(mut said): Flashed,
    query: Query,
) -> Response {
    let back = query.text("return_to").and_then(|text| return_to(&app.settings, text));
    let mut on = None;
    if kind.is_browser() {
        let home = back.unwrap_or("/dashboard");
        let elsewhere = from_elsewhere(&headers);
        match app.guard.check(&headers).await {
            Ok(identity) if reaches(&app.settings, identity.mode, home) => {
                // The page may have redirected here, since this request's cookie isn't sent there: another host of the
                // domain planted it for this path. Redirecting back would loop (attack X02).
                let renewed = query.text(RENEWED).is_some();
                match is_in_app(&app.settings, home) {
                    // A page that sends the browser back at once would do so forever.
                    true if has_just_gone(&app, &headers) => said = Some(CAME_BACK),
                    true => return (app.cookies.set_went(), credential::go(&app, home)).into_response(),
                    false if back.is_none() || renewed || app.cookies.is_bound_to_host(identity.mode) => {
                        return credential::go(&app, home);
                    }
                    false => said = Some(SIGNED_IN),
                }
                on = Some(home);
            }
            // With a `return_to` the browser was redirected here, and a redirect back would loop. The exception is an
            // application that another site opened, so that our cookies were withheld.
            Err(Refusal::AmbiguousCookies) => said = Some(TWO),
            Err(refusal) if is_in_app(&app.settings, home) && !has_just_gone(&app, &headers) => {
                if let Some(way) = renew_redirect(&app, refusal, elsewhere, home) {
                    return (app.cookies.set_went(), way).into_response();
                }
            }
            Err(refusal)
                if query.text("return_to").is_none()
                    || refusal == Refusal::TokenMissing && !home.starts_with('/') =>
            {
                if let Some(way) = renew_redirect(&app, refusal, elsewhere, home) {
                    return way;
                }
            }
            _ => {}
        }
    }
    let on = on.map(|place| credential::place(&app, place));
    let context = context! { notice => said, on, ..shown(&app, back, "") };
    app.pages.show("login.html", StatusCode::OK, context)
}

/// The notice for a browser with two live sign-ins; the next sign-in ends both.
const TWO: &str = "login-two";

/// The notice for a visitor who was sent to sign in although they are signed in.
const SIGNED_IN: &str = "login-already";

/// The notice for a visitor who was sent to an application, and came back at once.
const CAME_BACK: &str = "login-came-back";

/// Whether this browser was sent on to an application a moment ago.
fn has_just_gone(app: &App, headers: &HeaderMap) -> bool {
    distinct(headers, app.cookies.went()).map_or(true, |went| !went.is_empty())
}

fn shown(app: &App, back: Option<&str>, email: &str) -> Value {
    with_way_on(&app.settings, back, context! { on => (), email })
}

async fn login(
    State(app): State<App>,
    client: Peer,
    headers: HeaderMap,
    Asked { body, sent }: Asked<Login>,
) -> Response {
    let (back, ip) = (return_to(&app.settings, sent.typed("return_to")), client.ip);
    let signed_in = async {
        let Login { email, password, mode, device, .. } = body?;
        let mode = credential::mode(&app, mode, &client, sent.is_form)?;
        let client = client.with_device(device);
        let signed_in = sign_in_by_password(&app, &email, password, mode, client, &headers).await;
        app.metrics.sign_in(&signed_in);
        signed_in
    };
    let signed_in = signed_in.await;
    let line = match &signed_in {
        Ok((_, issued)) => Some(SignIn::done(ip, issued)),
        Err(error) => Outcome::of(error).map(|outcome| SignIn { ip, outcome }),
    };
    let answer = form_or_json(&sent, signed_in)
        .json(|(user, issued)| {
            let message = Some("Login successful");
            let answer = credential::hand_out(&app, &issued, StatusCode::OK, message, Some(user.shown()));
            (credential::leftovers(&app, &issued, &headers), answer)
        })
        .goes(|(_, issued)| credential::hand_out_and_go(&app, &issued, back.unwrap_or("/dashboard")))
        .again("login.html", "login", async || Ok(shown(&app, back, sent.typed("email"))));
    (line.map(Extension), answer.await).into_response()
}

async fn sign_in_by_password(
    app: &App,
    email: &Email,
    password: Password,
    mode: Mode,
    client: Peer,
    headers: &HeaderMap,
) -> Result<(User, Issued)> {
    let (password, network) = (Arc::new(password), client.network());
    let proof = app.passwords.sign_in(email, password.clone(), &client).await?;
    let proved = Proved {
        who: who(&proof.user, mode, &client),
        methods: Methods::of(Method::Password),
        way: Way::Login,
        client,
        guess: proof.guess.clone(),
    };
    let (user, credentials) = (proof.user.clone(), proof.credentials);
    let open = async move |change: &mut Change<'_>, session: &Beginning| -> Result<Opened> {
        // If the password was changed or the account disabled since the comparison, the sign-in is refused.
        let lock = users::ask_enabled(change, user.id, Some(credentials))?;
        let look = session.look(change, user.id)?;
        let enabled = users::enabled(change, user.id, lock).await?;
        let Enabled { subject, enrolled } = enabled.ok_or(Error::InvalidCredentials)?;
        Ok(Opened { user: user.clone(), subject, enrolled, look })
    };
    let (user, step) = sign_in(app, headers, proved, open).await?;
    app.passwords.upgrade(&proof, password, network).await;
    Ok((user, step.done()?))
}

fn who(user: &User, mode: Mode, client: &Peer) -> SigningIn {
    let (name, email) = (user.name.clone(), user.email.clone());
    let email_vouched_by = user.email_vouched_by;
    SigningIn { user: user.id, name, email, email_vouched_by, role: user.role, mode, ip: client.ip }
}

#[cfg(test)]
mod tests;
