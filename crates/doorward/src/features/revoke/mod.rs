//! Revocation (RFC 7009): `POST /revoke` with `token` ends the session behind it, for a registered client that holds it.
//!
//! The answer is 200 for every token: one that is unknown, expired or of an ended session needs no end. Access tokens,
//! refresh tokens and session secrets are distinguished by their form: `token_type_hint` changes nothing.

use axum::extract::State;
use zeroize::Zeroizing;

use crate::app::App;
use crate::audit::{Action, By};
use crate::error::Result;
use crate::revocations::EndReason;
use crate::web::api::{Routes, Who, describe};
use crate::web::body::{Asked, asked};
use crate::web::client_credentials::ClientCredentials;
use crate::web::feature::{Feature, texts};
use crate::web::peer::Peer;
use crate::web::presented_sessions;
use crate::wire::ack::{Ack, ack};

const TOKEN_REVOKED: Action =
    Action::new("token_revoked", "A client revoked a token, which ended its session.");

pub(crate) const FEATURE: Feature =
    Feature { actions: &[TOKEN_REVOKED], texts: texts!("en.ftl"), ..Feature::new("revoke", routes) };

fn routes() -> Routes {
    let revoke_doc = describe("Revoke a token", Who::Client)
        .without_room()
        .in_oauths_form()
        .more("RFC 7009. Ends the session behind the token; the answer is the same if there is none.")
        .body::<Revoke>()
        .json(200, "it no longer works", Ack::shape("Revoked"));
    Routes::of("For other programs").post("/revoke", revoke, revoke_doc)
}

asked! {
    /// As RFC 7009 has it.
    struct Revoke {
        token: Zeroizing<String>,
        token_type_hint: Option<String>,
    }
}

async fn revoke(
    State(app): State<App>,
    ClientCredentials(by): ClientCredentials,
    client: Peer,
    Asked { body, .. }: Asked<Revoke>,
) -> Result<Ack> {
    let sessions = presented_sessions::by_text(&app, &body?.token).await?;
    app.sessions.end(sessions, EndReason::Revoked, TOKEN_REVOKED, By::Client(by, client.ip)).await?;
    Ok(ack("Revoked"))
}

#[cfg(test)]
mod tests;
