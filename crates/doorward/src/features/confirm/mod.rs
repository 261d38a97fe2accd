//! Confirm a session: its user gives the password once, and for ten minutes the acts that need it take the session's cookie.
//!
//! `POST /confirm` {current_password}. A wrong password is 403 `wrong_password` and counts as a guess. A bearer token
//! confirms nothing: who has one sends `current_password` with the act itself. A new password ends the confirmation.

use std::sync::Arc;
use std::time::Duration;

use axum::extract::State;
use axum::response::{IntoResponse, Response};
use doorward_core::message::Message;
use doorward_core::password::Password;

use crate::app::App;
use crate::error::{Error, Result};
use crate::web::api::{Routes, Who, required, says};
use crate::web::caller::Confirmed;
use crate::web::client::Client;
use crate::web::confirm::CURRENT_PASSWORD;
use crate::web::credential::go;
use crate::web::feature::Feature;
use crate::web::input::Input;
use crate::wire::done::{Done, done};

pub(crate) const FEATURE: Feature = Feature::new("confirm", routes);

fn routes() -> Routes {
    let confirm_says = says("Confirm the session by the password", Who::SignedIn)
        .more("For ten minutes, acts of admins that need `current_password` do without it, if they come with the session's cookie. A bearer token is 400: send the password with the act.")
        .body([required::<Password>(CURRENT_PASSWORD)])
        .json(200, "confirmed", Done::shape("Confirmed"))
        .goes("after a form, to /dashboard")
        .refuses([Error::WrongPassword, Error::TooManyAttempts(Duration::ZERO)]);
    Routes::of("My account").post("/confirm", confirm, confirm_says)
}

async fn confirm(
    State(app): State<App>,
    Confirmed { identity, by_cookie }: Confirmed,
    client: Client,
    mut input: Input,
) -> Result<Response> {
    if !by_cookie {
        return Err(Error::Malformed(Message::new("confirm-by-cookie")));
    }
    let Some(password) = input.required::<Password>(CURRENT_PASSWORD) else { return Err(input.refuse()) };
    let confirmed = app.passwords.confirm(identity.user, Arc::new(password), &client).await?;
    app.sessions.confirm(identity.session, &confirmed).await?;
    if input.is_form { Ok(go(&app, "/dashboard")) } else { Ok(done("Confirmed").into_response()) }
}
