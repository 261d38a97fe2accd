//! Register: make an account and sign in with it.
//!
//! `POST /register` {name, email, password, mode?, invite?} → 201 with the user and the credential. A role in the body
//! gives none: the role is `user`, or the invitation's. An address that somebody has is 409 `email_taken`: the accepted
//! leak of open registration, bounded by the limit on registrations (attack E03).
//!
//! `GET /register?invite=&return_to=` is the form, or says that it is closed, or that the invitation is dead; it uses
//! nothing up. A browser that is signed in goes on to `return_to` or /dashboard, and so does one after the form.

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
use doorward_core::{Mode, OpaqueSecret, UserId};
use http::{HeaderMap, StatusCode};
use minijinja::{Value, context};

use crate::accounts::{self, NewUser};
use crate::acts::{Change, Done};
use crate::app::App;
use crate::audit::Action;
use crate::error::{Error, Result};
use crate::hooks::SigningIn;
use crate::links;
use crate::sessions::{self, Begun, Issued};
use crate::settings::Registration;
use crate::sign_ins::SignIn;
use crate::users::{User, VouchedBy};
use crate::web::api::{Routes, Who, optional, required, says};
use crate::web::client::Client;
use crate::web::feature::Feature;
use crate::web::input::Input;
use crate::web::{credential, proof};
use crate::wire::query::Query;
use crate::wire::reader::Reader;
use crate::wire::return_to::{RETURN_TO, reaches, return_to};
use crate::wire::shape::of;

pub(crate) const FEATURE: Feature = Feature {
    templates: &[("register.html", include_str!("register.html"))],
    ..Feature::new("register", routes)
};

fn routes() -> Routes {
    let form_says = says("The form to register", Who::Anybody)
        .query("invite", of::<OpaqueSecret>(), "The secret of an invitation.")
        .query("return_to", of::<&str>(), RETURN_TO)
        .page(200, "the form")
        .goes("whoever is signed in, to `return_to` or /dashboard")
        .refuses([Error::LinkInvalid]);
    let fields = [
        required::<DisplayName>("name"),
        required::<Email>("email"),
        required::<Password>("password"),
        optional::<Mode>("mode"),
        optional::<OpaqueSecret>("invite"),
        optional::<String>("device"),
        optional::<String>("return_to").in_forms(),
    ];
    let register_says = says("Make an account, and sign in", Who::Anybody)
        .more("Passwords have 8 characters or more, and are none of the most common ones, nor the name or address.")
        .body(fields)
        .json(201, "made, and signed in", credential::shape(Some("Registered")))
        .goes("after a form, to `return_to` or /dashboard")
        .sets_cookies()
        .refuses([Error::RegistrationClosed(CLOSED), Error::LinkInvalid, Error::EmailTaken, Error::HttpsRequired])
        .refuses([Error::Refused(doorward_core::Refusal::TooManyCookies)])
        .refuses([Error::TooManyAttempts(Duration::ZERO), Error::RefusedByApplication(String::new())]);
    Routes::of("Signing in").get("/register", form, form_says).post("/register", register, register_says)
}

const CLOSED: Message = Message::new("registration-closed");

/// What somebody who registers says.
struct Registering {
    name: DisplayName,
    email: Email,
    password: Arc<Password>,
    mode: Mode,
    invite: Option<OpaqueSecret>,
}

async fn form(State(app): State<App>, reader: Reader, headers: HeaderMap, query: Query) -> Result<Response> {
    let back = query.text("return_to").and_then(|text| return_to(&app.settings, text));
    if reader.is_person()
        && let Ok(identity) = app.guard.check(&headers).await
    {
        let way = back.filter(|way| reaches(&app.settings, identity.mode, way));
        return Ok(credential::go(&app, way.unwrap_or("/dashboard")));
    }
    let invite = query.text("invite").unwrap_or_default();
    let is_read = !invite.is_empty() && app.settings.registration != Registration::Closed;
    let roles = &app.settings.roles;
    let secret = links::secret(invite);
    if is_read && links::find_invitation(&app.store, roles, &secret, app.now()).await?.is_none() {
        return Err(Error::LinkInvalid);
    }
    Ok(app.pages.show("register.html", StatusCode::OK, shown(["", "", invite], back)))
}

fn shown([name, email, invite]: [&str; 3], back: Option<&str>) -> Value {
    context! { name, email, invite, return_to => back.unwrap_or_default() }
}

async fn register(
    State(app): State<App>,
    client: Client,
    headers: HeaderMap,
    mut input: Input,
) -> Result<Response> {
    let (is_form, typed) = (input.is_form, ["name", "email", "invite"].map(|field| input.typed(field)));
    let back = input.typed("return_to");
    let back = return_to(&app.settings, &back);
    let ip = client.ip;
    match read_and_make(&app, &mut input, client, &headers).await {
        Ok((_, issued)) if is_form => {
            let line = Extension(SignIn::done(ip, &issued));
            let answer = credential::hand_out_and_go(&app, &issued, back.unwrap_or("/dashboard"));
            Ok((line, answer).into_response())
        }
        Ok((user, issued)) => {
            let message = (StatusCode::CREATED, Some("Registered"));
            let answer = credential::hand_out(&app, &issued, message, Some(user.shown()));
            let line = Extension(SignIn::done(ip, &issued));
            Ok((line, credential::leftovers(&app, &issued, &headers), answer).into_response())
        }
        Err(error) if is_form => {
            Ok(error.in_form("register.html", "register", shown(typed.each_ref().map(String::as_str), back)))
        }
        Err(error) => Err(error),
    }
}

async fn read_and_make(
    app: &App,
    input: &mut Input,
    mut client: Client,
    headers: &HeaderMap,
) -> Result<(User, Issued)> {
    client.read_device(input);
    let registering = read(app, input)?;
    credential::check_mode(app, registering.mode, (&client, input.is_form))?;
    make(app, registering, client, headers).await
}

fn read(app: &App, input: &mut Input) -> Result<Registering> {
    let (name, email) = (input.required::<DisplayName>("name"), input.required::<Email>("email"));
    let password = input.required::<Password>("password");
    let default = if input.is_form { app.settings.mode_form } else { app.settings.mode_json };
    let mode = input.optional("mode").unwrap_or(default);
    let invite = input.optional("invite");
    // Only a form goes anywhere afterwards, but a field that is no text is wrong for all.
    let _ = input.optional::<String>("return_to");
    let judged = match (&name, &email, &password) {
        (Some(name), Some(email), Some(password)) => password::check_policy(password, name, email),
        (_, _, Some(password)) => password::check_alone(password),
        _ => Ok(()),
    };
    if let Err(problem) = judged {
        input.blame("password", problem);
    }
    input.check()?;
    let (Some(name), Some(email), Some(password)) = (name, email, password) else {
        return Err(input.refuse());
    };
    Ok(Registering { name, email, password: Arc::new(password), mode, invite })
}

/// Makes the account and its first session, both or neither.
async fn make(app: &App, new: Registering, client: Client, headers: &HeaderMap) -> Result<(User, Issued)> {
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
        mode: new.mode,
        ip: client.ip,
    };
    app.hooks.may_register(&who).await?;
    let password_hash = Some(app.hashing.hash(new.password, client.network()).await?);
    let replaced = proof::by_cookies(app, headers).await?;
    let from = sessions::From { ip: client.ip, user_agent: client.user_agent, device: client.device };
    let beginning = app.sessions.prepare((who.user, who.mode), from, replaced, Action::Register).await?;
    let (id, now) = (who.user, app.now());
    let invite = new.invite.map(|invite| invite.hash());
    let account = NewUser { name: new.name, email: new.email, role: RoleName::USER, password_hash };
    let (session, roles) = (beginning.clone(), app.settings.roles.clone());
    let change = async move |change: &mut Change<'_>| -> Result<Done<(User, Begun)>> {
        let (mut account, mut vouched) = (account.clone(), None);
        if let Some(hash) = invite {
            let invitation = links::use_invitation(change, &roles, hash, now).await?;
            let for_them = invitation.filter(|invitation| invitation.is_for(&account.email));
            let invitation = for_them.ok_or(Error::LinkInvalid)?;
            account.role = invitation.role;
            vouched = invitation.email.map(|_| VouchedBy::Invitation);
        }
        let made = accounts::insert(change, id, (&account, vouched), now).await?.ok_or(Error::EmailTaken)?;
        let user = made.user;
        Ok(sessions::begin(change, made.subject, &session).await?.map(|begun| (user, begun)))
    };
    let (user, begun) = app.acts.commit(beginning.act(), change).await?;
    let issued = app.sessions.issue(&beginning, &begun);
    app.hooks.registered(SigningIn { role: user.role, email_vouched_by: user.email_vouched_by, ..who }).await;
    Ok((user, issued?))
}

/// Counts a registration. A valid invitation has a limit of its own, so that neither others on the network keep its owner
/// out nor the owner finds out which addresses are taken. One that is made up costs no hash.
async fn limit(app: &App, new: &Registering, client: &Client) -> Result<()> {
    let Some(invite) = &new.invite else { return app.throttle.registration(client.network(), app.now()) };
    let found = links::find_invitation(&app.store, &app.settings.roles, invite, app.now()).await?;
    match found {
        Some(invitation) if invitation.is_for(&new.email) => app.throttle.invitation(invite, app.now()),
        _ => {
            app.throttle.registration(client.network(), app.now())?;
            Err(Error::LinkInvalid)
        }
    }
}

#[cfg(test)]
mod tests;
