//! Confirmation: who takes over an account, or makes somebody who could, gives their password again (attack X07).
//!
//! A request carries `current_password`. A browser is asked once: the page that asks goes on with the form that it
//! stands in for, and the session counts as confirmed for ten minutes, for requests that bring its cookie.

use std::sync::Arc;

use axum::response::Response;
use doorward_core::Refusal;
use doorward_core::password::Password;
use minijinja::context;
use minijinja::value::{Serde, Value};
use serde::Serialize;

use super::caller::Caller;
use super::input::Input;
use crate::accounts::{Actor, Confirmation};
use crate::app::App;
use crate::error::{Error, Result};
use crate::wire::client::Client;
use crate::wire::page::FORM_KEY;

/// The field with the password of who asks.
pub(crate) const CURRENT_PASSWORD: &str = "current_password";

const PAGE: &str = "confirm.html";

/// The caller as the one who acts, with what their request brings to confirm it. A password is counted as a guess.
///
/// # Errors
/// [`Error::WrongPassword`], [`Error::TooManyAttempts`], or our own failure.
pub(crate) async fn actor(app: &App, caller: &Caller, client: &Client, input: &mut Input) -> Result<Actor> {
    let password = input.optional::<Password>(CURRENT_PASSWORD);
    input.check()?;
    let confirmation = match password {
        Some(password) => {
            let confirmed = app.passwords.confirm(caller.user, Arc::new(password), client).await?;
            if input.is_form && caller.by_cookie {
                app.sessions.confirm(caller.session, &confirmed).await?;
            }
            Confirmation::Password(confirmed.1)
        }
        None if caller.by_cookie => Confirmation::Session,
        None => Confirmation::None,
    };
    Ok(caller.actor(client, confirmation))
}

/// A form that may have to wait for the password: where it goes, and all that was typed.
pub(crate) struct Waiting {
    /// What it does, as the beginning of a sentence.
    purpose: &'static str,
    action: String,
    /// Where to go instead.
    back: String,
    fields: Vec<Field>,
}

#[derive(Serialize)]
struct Field {
    name: String,
    value: String,
}

impl Waiting {
    /// This form, which was sent to `action`.
    pub(crate) fn of(
        app: &App,
        purpose: &'static str,
        (action, back): (String, String),
        input: &Input,
    ) -> Self {
        let fields = input.texts().filter(|(name, _)| ![CURRENT_PASSWORD, FORM_KEY].contains(name));
        let fields = fields.map(|(name, value)| Field { name: name.into(), value: value.into() }).collect();
        Self { purpose, action: format!("{}{action}", app.settings.base_path), back, fields }
    }

    /// The page that asks for the password, if that is what was missing or wrong.
    pub(crate) async fn ask(self, app: &App, caller: &Caller, error: Error) -> Result<Response, Error> {
        let about_password = match &error {
            Error::ConfirmationRequired | Error::WrongPassword | Error::TooManyAttempts(_) => true,
            Error::InvalidInput(fields) => fields.iter().any(|wrong| wrong.field == CURRENT_PASSWORD),
            _ => false,
        };
        if !about_password {
            return Err(error);
        }
        let Ok(Some(cached)) = app.users.cached(caller.user).await else {
            return Err(Refusal::SessionEnded.into());
        };
        let context = context! {
            purpose => self.purpose, action => self.action, back => self.back,
            fields => Value::from(Serde(self.fields)), email => cached.user.email.as_str(),
        };
        Ok(error.in_form(PAGE, "confirm", context))
    }
}
