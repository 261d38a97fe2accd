//! The profile: the signed-in user, and changing it.
//!
//! `GET /profile` → {user}, from memory. `PATCH /profile` {name?, email?, password} changes the name, or with the
//! current password the address. `POST /profile/password` {current_password, new_password} ends all other sessions, and
//! renews this one: its new credential is in the answer. `DELETE /profile` {password} deletes the account. A wrong
//! current password is 403 `wrong_password` and counts as a guess. Forms post to `/profile` and `/profile/delete`, and
//! go to /dashboard.

use std::sync::Arc;
use std::time::Duration;

use axum::Json;
use axum::body::Bytes;
use axum::extract::State;
use axum::response::Response;
use doorward_core::Refusal;
use doorward_core::email::Email;
use doorward_core::message::Message;
use doorward_core::name::DisplayName;
use doorward_core::password::Password;
use doorward_guard::Identity;
use serde::Serialize;
use serde_json::json;

use crate::accounts::{Actor, Owner, UserChange};
use crate::app::{App, Card, Express};
use crate::audit::By;
use crate::authenticators::{CredentialsVersion, PasswordChange};
use crate::error::{Error, Result};
use crate::passwords::Proof;
use crate::sessions;
use crate::users::{self, User, check_new_password};
use crate::web::account_page::{ACCOUNT_PAGE, account_page};
use crate::web::api::{Description, Routes, Who, describe};
use crate::web::body::{Asked, Body, asked};
use crate::web::caller::Confirmed;
use crate::web::credential::{self, go};
use crate::web::feature::{Feature, templates, texts};
use crate::web::peer::Peer;
use crate::web::reply::form_or_json;
use crate::wire::ack::{Ack, ack};
use crate::wire::client_kind::ClientKind;
use crate::wire::device::Device;
use crate::wire::flash::Flash;
use crate::wire::shape::{exactly, object, of};

const NAME_CHANGED: Flash = Flash::new("name-changed");
const EMAIL_CHANGED: Flash = Flash::new("email-changed");
const PASSWORD_CHANGED: Flash = Flash::new("password-changed");
const ACCOUNT_DELETED: Flash = Flash::new("account-deleted");

pub(crate) const FEATURE: Feature = Feature {
    templates: templates!["profile.html"],
    flashes: &[NAME_CHANGED, EMAIL_CHANGED, PASSWORD_CHANGED, ACCOUNT_DELETED],
    card: Some(Card { template: "profile.html", context: None }),
    express: &[Express { path: "/profile", json }],
    texts: texts!("en.ftl"),
    ..Feature::new("profile", routes)
};

fn routes() -> Routes {
    let user = || ("user", of::<users::UserView<'_>>());
    let show_doc = describe("Who I am", Who::SignedIn)
        .json(200, "the user", object([user()]))
        .goes("a browser, to /dashboard");
    // The current password counts as a guess, and is asked for again.
    let guessed = |description: Description| {
        description.refuses([Error::WrongPassword, Error::TooManyAttempts(Duration::ZERO)])
    };
    let change_doc = describe("Change my name or address", Who::SignedIn)
        .more("A new address needs the password.")
        .body::<ProfileChange>()
        .json(200, "changed", object([("success", exactly(true)), user()]))
        .goes("after a form, to /dashboard")
        .refuses([Error::EmailTaken]);
    let password_doc = describe("Change my password", Who::SignedIn)
        .without_room()
        .more("Ends all other sessions, and renews this one: the answer has its new credential, and copies of the former one are refused.")
        .body::<NewPassword>()
        .json(200, "changed", credential::shape_of_renewed("Password changed"))
        .goes("after a form, to /dashboard")
        .sets_cookies()
        .refuses([Error::HttpsRequired, Error::RefusedByApplication(String::new())]);
    let delete_doc = describe("Delete my account", Who::SignedIn)
        .body::<Deletion>()
        .json(200, "deleted", Ack::shape("Account deleted"))
        .goes("after a form, to /login")
        .sets_cookies()
        .refuses([Error::LastAdmin]);
    let to_password_doc = describe("Where the password is changed", Who::Anybody).goes("to that page");
    let (change_doc, delete_doc) = (guessed(change_doc), guessed(delete_doc));
    Routes::of("My account")
        .get("/profile", show, show_doc)
        .patch("/profile", change, change_doc.clone())
        .post("/profile", change, change_doc)
        .delete("/profile", delete, delete_doc.clone())
        .post("/profile/delete", delete, delete_doc)
        .post("/profile/password", change_password, guessed(password_doc))
        .get(CHANGE_PASSWORD, to_password, to_password_doc)
}

/// Where a password manager looks for the page that changes a password
/// (<https://w3c.github.io/webappsec-change-password-url/>): at the root of the origin.
pub(crate) const CHANGE_PASSWORD: &str = "/.well-known/change-password";

pub(crate) async fn to_password(State(app): State<App>) -> Response {
    go(&app, "/dashboard#change-password")
}

/// The answer to a program.
fn json(user: &User) -> Bytes {
    #[derive(Serialize)]
    struct Profile<'a> {
        user: users::UserView<'a>,
    }
    serde_json::to_vec(&Profile { user: user.shown() }).unwrap_or_default().into()
}

async fn show(State(app): State<App>, identity: Identity, kind: ClientKind) -> Result<Response> {
    if kind.is_browser() {
        return Ok(go(&app, "/dashboard"));
    }
    let cached = app.users.cached(identity.user).await?.ok_or(Refusal::SessionEnded)?;
    Ok(app.headers.json(json(&cached.user)))
}

asked! {
    /// The changes of the profile.
    struct ProfileChange {
        name not empty: Option<DisplayName>,
        email not empty: Option<Email>,
        /// The current password, which a new address needs.
        password: Option<Password>,
    }
}

async fn change(
    State(app): State<App>,
    Confirmed { identity, .. }: Confirmed,
    client: Peer,
    Asked { body, sent }: Asked<ProfileChange>,
) -> Result<Response> {
    let changed = async {
        let ProfileChange { name, email, password } = body?;
        let current = app.users.find(identity.user).await?.ok_or(Refusal::SessionEnded)?.user;
        // A form may send both fields, changed or not.
        let email = email.filter(|email| *email != current.email);
        let mut confirmed_by = None;
        if email.is_some() {
            let no_password = || Error::field("password", Message::new("email-needs-password"));
            let password = Arc::new(password.ok_or_else(no_password)?);
            // The answer reveals whether the address is taken, as a registration does: one limit for both (attack E03).
            app.throttle.registration(client.network(), app.now()).await?;
            let proof = app.passwords.confirm(identity.user, password, &client).await?;
            confirmed_by = Some(proof.credentials);
        }
        let change = UserChange { name, email, ..UserChange::default() };
        app.accounts.change(identity.user, change, owner(&identity, &client, confirmed_by)).await
    };
    // Of the two forms of the page only one asks for the password.
    let (form, notice) = match sent.has("password") {
        true => ("email", EMAIL_CHANGED),
        false => ("name", NAME_CHANGED),
    };
    form_or_json(&sent, changed.await)
        .json(|user| Json(json!({ "success": true, "user": user.shown() })))
        .goes(|_| go(&app, &notice.at("/dashboard")))
        .again(ACCOUNT_PAGE, form, async || account_page(&app, &identity, sent.shown()).await)
        .await
}

asked! {
    /// A new password.
    struct NewPassword {
        current_password: Password,
        new_password: Password,
    }
}

async fn change_password(
    State(app): State<App>,
    Confirmed { identity, .. }: Confirmed,
    client: Peer,
    Asked { body, sent }: Asked<NewPassword>,
) -> Result<Response> {
    let changed = async {
        let NewPassword { current_password: current, new_password: new } = body?;
        let Proof { user, credentials, .. } =
            app.passwords.confirm(identity.user, Arc::new(current), &client).await?;
        check_new_password(&new, &user)?;
        let hash = app.hashing.hash(Arc::new(new), client.network()).await?;
        let stored = app.sessions.stored(identity.session, user.id).await?.ok_or(Refusal::SessionEnded)?;
        credential::check_cookies(stored.mode, &client)?;
        let user_agent = client.user_agent.clone();
        let from = sessions::Origin { ip: client.ip, user_agent, device: Device::default() };
        let renewal = app.sessions.prepare_renewal(identity.session, user.id, stored.mode, from).await?;
        let new = PasswordChange { user: user.id, hash, confirmed_by: Some(credentials) };
        app.accounts.change_password(new, renewal, By::Owner(client.ip)).await
    };
    form_or_json(&sent, changed.await)
        .json(|(ended, issued)| credential::hand_out_renewed(&app, &issued, "Password changed", ended))
        .goes(|(_, issued)| credential::hand_out_and_go(&app, &issued, &PASSWORD_CHANGED.at("/dashboard")))
        .again(ACCOUNT_PAGE, "password", async || account_page(&app, &identity, ProfileChange::blank()).await)
        .await
}

asked! {
    /// The deletion of the account.
    struct Deletion {
        /// The current password.
        password: Password,
    }
}

async fn delete(
    State(app): State<App>,
    Confirmed { identity, .. }: Confirmed,
    client: Peer,
    Asked { body, sent }: Asked<Deletion>,
) -> Result<Response> {
    let deleted = async {
        let password = Arc::new(body?.password);
        let proof = app.passwords.confirm(identity.user, password, &client).await?;
        app.accounts.delete(identity.user, owner(&identity, &client, Some(proof.credentials))).await
    };
    let cleared = || app.cookies.clear_all();
    form_or_json(&sent, deleted.await)
        .json(|()| (cleared(), ack("Account deleted")))
        .goes(|()| (cleared(), go(&app, &ACCOUNT_DELETED.at("/login"))))
        .again(ACCOUNT_PAGE, "delete", async || account_page(&app, &identity, ProfileChange::blank()).await)
        .await
}

fn owner(identity: &Identity, client: &Peer, confirmed_by: Option<CredentialsVersion>) -> Actor {
    Actor::Owner(Owner { user: identity.user, session: identity.session, ip: client.ip, confirmed_by })
}

#[cfg(test)]
mod tests;
