//! Register: make an account and sign in with it.
//!
//! `POST /register` {name, email, password, mode?, invite?} → 201 with the user and the credential. A role in the body
//! is ignored: the role is `user`, or the invitation's. An address that is taken is 409 `email_taken`: the accepted
//! leak of open registration, bounded by the limit on registrations (attack E03).
//!
//! `GET /register?invite=&return_to=` is the form. It says so if registration is closed or the invitation is dead, and
//! doesn't use the invitation up. A signed-in browser is redirected to `return_to` or /dashboard, and so is one after
//! the form.

use std::sync::Arc;
use std::time::Duration;

use axum::Extension;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use doorward_core::email::Email;
use doorward_core::message::Message;
use doorward_core::name::DisplayName;
use doorward_core::password::{self, Password};
use doorward_core::role::RoleName;
use doorward_core::sign_in::{Enrolled, Method, Methods};
use doorward_core::{Mode, OpaqueSecret, UserId};
use http::{HeaderMap, StatusCode};
use zeroize::Zeroizing;

use crate::accounts::{self, NewUser};
use crate::acts::Change;
use crate::app::App;
use crate::challenges;
use crate::error::{Error, Result};
use crate::hooks::SigningIn;
use crate::invitations;
use crate::sessions::{Beginning, Issued, Look};
use crate::settings::Registration;
use crate::sign_ins::SignIn;
use crate::throttle::Guess;
use crate::users::{User, VouchedBy};
use crate::web::api::{Routes, Who, describe};
use crate::web::body::{Asked, Body, asked};
use crate::web::credential;
use crate::web::feature::{Feature, templates, texts};
use crate::web::peer::Peer;
use crate::web::reply::form_or_json;
use crate::web::sign_in::{Opened, Proved, Way, sign_in};
use crate::wire::client_kind::ClientKind;
use crate::wire::page::context;
use crate::wire::query::Query;
use crate::wire::return_to::{RETURN_TO, reaches, return_to, with_way_on};
use crate::wire::shape::of;

pub(crate) const FEATURE: Feature = Feature {
    templates: templates!["register.html"],
    texts: texts!("en.ftl"),
    ..Feature::new("register", routes)
};

fn routes() -> Routes {
    let form_doc = describe("The form to register", Who::Anybody)
        .query("invite", of::<OpaqueSecret>(), "The secret of an invitation.")
        .query("return_to", of::<&str>(), RETURN_TO)
        .page(200, "the form")
        .goes("a signed-in browser, to `return_to` or /dashboard")
        .refuses([Error::LinkInvalid]);
    let register_doc = describe("Make an account, and sign in", Who::Anybody)
        .more("A password has at least 8 characters, and must not be one of the most common ones, the name or the address.")
        .body::<Registering>()
        .json(201, "made, and signed in", credential::shape(Some("Registered")))
        .goes("after a form, to `return_to` or /dashboard")
        .sets_cookies()
        .refuses([Error::RegistrationClosed(CLOSED), Error::LinkInvalid, Error::EmailTaken, Error::HttpsRequired])
        .refuses([Error::Refused(doorward_core::Refusal::TooManyCookies)])
        .refuses([Error::TooManyAttempts(Duration::ZERO), Error::RefusedByApplication(String::new())]);
    Routes::of("Signing in").get("/register", form, form_doc).post("/register", register, register_doc)
}

const CLOSED: Message = Message::new("registration-closed");

asked! {
    /// The fields of a registration.
    struct Registering {
        name: DisplayName,
        email: Email,
        password: Password,
        /// How the client holds the credential.
        mode: Option<Mode>,
        /// The secret of an invitation.
        invite: Option<OpaqueSecret>,
        /// The device from an earlier sign-in in bearer mode.
        device: Option<Zeroizing<String>>,
        /// Where to redirect.
        return_to in forms: Option<String>,
    }
    check(input) {
        let judged = match (&name, &email, &password) {
            (Some(name), Some(email), Some(password)) => password::check_policy(password, name, email),
            (_, _, Some(password)) => password::check_alone(password),
            _ => Ok(()),
        };
        if let Err(problem) = judged {
            input.blame("password", problem);
        }
    }
}

async fn form(
    State(app): State<App>,
    kind: ClientKind,
    headers: HeaderMap,
    query: Query,
) -> Result<Response> {
    let back = query.text("return_to").and_then(|text| return_to(&app.settings, text));
    if kind.is_browser()
        && let Ok(identity) = app.guard.check(&headers).await
    {
        let way = back.filter(|way| reaches(&app.settings, identity.mode, way));
        return Ok(credential::go(&app, way.unwrap_or("/dashboard")));
    }
    let invite = query.text("invite").unwrap_or_default();
    let is_read = !invite.is_empty() && app.settings.registration != Registration::Closed;
    let roles = &app.settings.roles;
    let secret = challenges::secret(invite);
    if is_read && invitations::find(&app.store, roles, &secret, app.now()).await?.is_none() {
        return Err(Error::LinkInvalid);
    }
    let context = with_way_on(&app.settings, back, context! { invite, ..Registering::blank() });
    Ok(app.pages.show("register.html", StatusCode::OK, context))
}

async fn register(
    State(app): State<App>,
    client: Peer,
    headers: HeaderMap,
    Asked { body, sent }: Asked<Registering>,
) -> Result<Response> {
    let (back, ip) = (return_to(&app.settings, sent.typed("return_to")), client.ip);
    let made = async {
        let mut new = body?;
        let mode = credential::mode(&app, new.mode, &client, sent.is_form)?;
        let client = client.with_device(new.device.take());
        make(&app, new, mode, client, &headers).await
    };
    let made = made.await;
    let line = made.as_ref().ok().map(|(_, issued)| Extension(SignIn::done(ip, issued)));
    let answer = form_or_json(&sent, made)
        .json(|(user, issued)| {
            let (message, user) = (Some("Registered"), Some(user.shown()));
            let answer = credential::hand_out(&app, &issued, StatusCode::CREATED, message, user);
            (credential::leftovers(&app, &issued, &headers), answer)
        })
        .goes(|(_, issued)| credential::hand_out_and_go(&app, &issued, back.unwrap_or("/dashboard")))
        .again("register.html", "register", async || Ok(with_way_on(&app.settings, back, sent.shown())));
    Ok((line, answer.await?).into_response())
}

/// Makes the account and its first session, both or neither.
async fn make(
    app: &App,
    new: Registering,
    mode: Mode,
    client: Peer,
    headers: &HeaderMap,
) -> Result<(User, Issued)> {
    let invited = new.invite.is_some();
    match app.settings.registration {
        Registration::Open => {}
        Registration::Invite if invited => {}
        Registration::Invite => {
            return Err(Error::RegistrationClosed(Message::new("registration-by-invitation")));
        }
        Registration::Closed => return Err(Error::RegistrationClosed(CLOSED)),
    }
    limit(app, &new, &client).await?;
    let who = SigningIn {
        user: UserId::new(app.now(), crate::random::bytes()),
        name: new.name.as_str().to_owned(),
        email: new.email.clone(),
        email_vouched_by: None,
        role: RoleName::USER,
        mode,
        ip: client.ip,
    };
    app.hooks.may_register(&who).await?;
    let password_hash = Some(app.hashing.hash(Arc::new(new.password), client.network()).await?);
    let (id, now) = (who.user, app.now());
    let invite = new.invite.map(|invite| invite.hash());
    let account = NewUser { name: new.name, email: new.email, role: RoleName::USER, password_hash };
    let roles = app.settings.roles.clone();
    let password = Methods::of(Method::Password);
    let open = async move |change: &mut Change<'_>, _: &Beginning| -> Result<Opened> {
        let (mut account, mut vouched) = (account.clone(), None);
        if let Some(hash) = invite {
            let invitation = invitations::use_up(change, &roles, hash, now).await?;
            let for_them = invitation.filter(|invitation| invitation.is_for(&account.email));
            let invitation = for_them.ok_or(Error::LinkInvalid)?;
            account.role = invitation.role;
            vouched = invitation.email.map(|_| VouchedBy::Invitation);
        }
        let made = accounts::insert(change, id, &account, vouched, now).await?.ok_or(Error::EmailTaken)?;
        let enrolled = Enrolled { methods: password, has_unknown: false };
        let look = Look::at_new_user();
        Ok(Opened { user: made.user, subject: made.subject, enrolled, look })
    };
    let proved = Proved { who, methods: password, way: Way::Register, client, guess: Guess::default() };
    let (user, step) = sign_in(app, headers, proved, open).await?;
    Ok((user, step.done()?))
}

/// Counts a registration. A valid invitation has a limit of its own. So others on the network can't lock its owner out,
/// and the owner can't find out which addresses are taken. A made-up one costs no hash.
async fn limit(app: &App, new: &Registering, client: &Peer) -> Result<()> {
    let Some(invite) = &new.invite else {
        return app.throttle.registration(client.network(), app.now()).await;
    };
    let found = invitations::find(&app.store, &app.settings.roles, invite, app.now()).await?;
    match found {
        Some(invitation) if invitation.is_for(&new.email) => app.throttle.invitation(invite, app.now()).await,
        _ => {
            app.throttle.registration(client.network(), app.now()).await?;
            Err(Error::LinkInvalid)
        }
    }
}

#[cfg(test)]
mod tests;
