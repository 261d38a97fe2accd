//! Confirm a session: its user sends the password once. For ten minutes, acts that need it accept the session's cookie.
//!
//! `POST /confirm` {current_password}. A wrong password is 403 `wrong_password` and counts as a guess. A bearer token
//! confirms nothing: its holder sends `current_password` with the act itself. A new password ends the confirmation.

use std::sync::Arc;
use std::time::Duration;

use axum::extract::State;
use axum::response::{IntoResponse, Response};
use doorward_core::message::Message;
use doorward_core::password::Password;

use crate::app::App;
use crate::error::{Error, Result};
use crate::web::api::{Routes, Who, describe};
use crate::web::body::{Asked, asked};
use crate::web::caller::Confirmed;
use crate::web::credential::go;
use crate::web::feature::Feature;
use crate::web::peer::Peer;
use crate::wire::ack::{Ack, ack};

pub(crate) const FEATURE: Feature = Feature::new("confirm", routes);

fn routes() -> Routes {
    let confirm_doc = describe("Confirm the session by the password", Who::SignedIn)
        .more("For ten minutes, admin acts that need `current_password` don't, if they come with the session's cookie. A bearer token is 400: send the password with the act.")
        .body::<Confirm>()
        .json(200, "confirmed", Ack::shape("Confirmed"))
        .goes("after a form, to /dashboard")
        .refuses([Error::WrongPassword, Error::TooManyAttempts(Duration::ZERO)]);
    Routes::of("My account").post("/confirm", confirm, confirm_doc)
}

asked! {
    /// The password of the session's user.
    struct Confirm {
        current_password: Password,
    }
}

async fn confirm(
    State(app): State<App>,
    Confirmed { identity, by_cookie }: Confirmed,
    client: Peer,
    Asked { body, sent }: Asked<Confirm>,
) -> Result<Response> {
    if !by_cookie {
        return Err(Error::Malformed(Message::new("confirm-by-cookie")));
    }
    let password = body?.current_password;
    let proof = app.passwords.confirm(identity.user, Arc::new(password), &client).await?;
    app.sessions.confirm(identity.session, identity.user, proof.credentials).await?;
    if sent.is_form { Ok(go(&app, "/dashboard")) } else { Ok(ack("Confirmed").into_response()) }
}
