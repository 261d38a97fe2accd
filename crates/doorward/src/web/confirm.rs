//! Confirmation: a caller who takes over an account, or makes a user who could, sends their password again (attack
//! X07).
//!
//! A request contains `current_password`. A browser is asked once: the page that asks continues with the form that it
//! replaces. The session then counts as confirmed for ten minutes, for requests with its cookie.

use std::sync::Arc;

use doorward_core::Refusal;
use doorward_core::password::Password;

use super::body::{CURRENT_PASSWORD, Sent, asked};
use super::caller::Caller;
use crate::accounts::{Actor, Confirmation};
use crate::app::App;
use crate::error::{Error, Result};
use crate::wire::page::{FORM_KEY, Value, context};
use crate::wire::peer::Peer;

pub(super) const PAGE: &str = "confirm.html";

asked! {
    /// An act that needs only its address.
    pub(crate) struct Confirming {
        current_password: Option<Password>,
    }
}

/// The caller as an actor, confirmed by the password in the request, which is counted as a guess.
///
/// # Errors
/// [`Error::WrongPassword`], [`Error::TooManyAttempts`], or an internal failure.
pub(crate) async fn actor(
    app: &App,
    caller: &Caller,
    client: &Peer,
    sent: &Sent,
    current_password: Option<Password>,
) -> Result<Actor> {
    let confirmation = match current_password {
        Some(password) => {
            let proof = app.passwords.confirm(caller.user, Arc::new(password), client).await?;
            if sent.is_form && caller.by_cookie {
                app.sessions.confirm(caller.session, caller.user, proof.credentials).await?;
            }
            Confirmation::Proved(proof.credentials)
        }
        None if caller.by_cookie => Confirmation::Session,
        None => Confirmation::None,
    };
    Ok(caller.actor(client, confirmation))
}

/// Whether a current password, or another one, would help.
pub(super) fn mends(error: &Error) -> bool {
    match error {
        Error::ConfirmationRequired | Error::WrongPassword | Error::TooManyAttempts(_) => true,
        Error::InvalidInput(fields) => fields.iter().any(|wrong| wrong.field == CURRENT_PASSWORD),
        _ => false,
    }
}

/// The data of the page that asks for it, and sends the form again with everything that was typed.
pub(super) async fn shown(app: &App, caller: &Caller, sent: &Sent) -> Result<Value> {
    let Ok(Some(cached)) = app.users.cached(caller.user).await else {
        return Err(Refusal::SessionEnded.into());
    };
    let fields = sent.form.iter().filter(|(name, _)| ![CURRENT_PASSWORD, FORM_KEY].contains(&name.as_str()));
    let fields: Vec<_> = fields.map(|(name, value)| context! { name, value => value.as_str() }).collect();
    let action = format!("{}{}", app.settings.base_path, sent.path);
    Ok(context! { action, fields, email => cached.user.email.as_str() })
}
