//! Reset a password with a one-time link, which an admin or the command line made.
//!
//! `GET /password/reset?token=` is the form; it doesn't use the link up, so a mail scanner does no harm.
//! `POST /password/reset` {token, new_password} sets the password, ends every session, and voids all links of the user.
//! A link that is unknown, used or older than an hour, or whose maker lost the right to make it, is 400 `link_invalid`:
//! the same answer for all. Without a token the page names the support contact.

use std::sync::Arc;

use axum::extract::State;
use axum::response::Response;
use doorward_core::password::Password;
use doorward_core::{OpaqueSecret, UserId};
use http::StatusCode;

use crate::app::App;
use crate::audit::{Action, By};
use crate::challenges::{self, Presented, Purpose};
use crate::error::{Error, Result};
use crate::web::api::{Routes, Who, describe};
use crate::web::body::{Asked, asked};
use crate::web::credential::go;
use crate::web::feature::{Feature, templates, texts};
use crate::web::peer::Peer;
use crate::web::reply::form_or_json;
use crate::wire::ack::{Ack, ack};
use crate::wire::client_kind::ClientKind;
use crate::wire::flash::Flash;
use crate::wire::page::context;
use crate::wire::query::Query;
use crate::wire::shape::of;

const PASSWORD_RESET: Action = Action::new("password_reset", "A password was set by a reset link.");
const RESET: Flash = Flash::new("password-reset");

pub(crate) const FEATURE: Feature = Feature {
    templates: templates!["ask.html", "reset.html"],
    flashes: &[RESET],
    actions: &[PASSWORD_RESET],
    // The table has every challenge, whatever its purpose.
    sweep: Some(challenges::expired),
    texts: texts!("en.ftl"),
    ..Feature::new("password_reset", routes)
};

fn routes() -> Routes {
    let form_doc = describe("The form to set a new password", Who::Anybody)
        .query("token", of::<OpaqueSecret>(), "The secret of the link.")
        .page(200, "the form")
        .refuses([Error::LinkInvalid]);
    let reset_doc = describe("Set a new password by a link", Who::Anybody)
        .without_room()
        .more("Ends every session of the user, and voids all links.")
        .body::<Reset>()
        .json(200, "set", Ack::shape_of_sessions("Password reset: sign in with it"))
        .goes("after a form, to /login")
        .sets_cookies()
        .refuses([Error::LinkInvalid]);
    Routes::of("Signing in").get("/password/reset", form, form_doc).post("/password/reset", reset, reset_doc)
}

async fn form(State(app): State<App>, kind: ClientKind, query: Query) -> Result<Response> {
    let token = query.text("token").unwrap_or_default();
    if token.is_empty() && kind.is_browser() {
        return Ok(app.pages.show("ask.html", StatusCode::OK, context! {}));
    }
    find(&app, &challenges::secret(token)).await?;
    Ok(app.pages.show("reset.html", StatusCode::OK, context! { token }))
}

asked! {
    /// A new password, by a link.
    struct Reset {
        /// The secret of the link.
        token: OpaqueSecret,
        new_password: Password,
    }
}

/// Whose password the link resets, if it still works. Doesn't use it up.
async fn find(app: &App, secret: &OpaqueSecret) -> Result<UserId> {
    let presented = Presented { hash: secret.hash(), purpose: Purpose::Reset, now: app.now() };
    let found = challenges::find(&app.store, &app.settings.roles, presented).await?;
    found.and_then(|found| found.user).ok_or(Error::LinkInvalid)
}

async fn reset(State(app): State<App>, client: Peer, Asked { body, sent }: Asked<Reset>) -> Result<Response> {
    let reset = async {
        let Reset { token, new_password: new } = body?;
        let user = app.users.find(find(&app, &token).await?).await?.ok_or(Error::LinkInvalid)?.user;
        crate::users::check_new_password(&new, &user)?;
        let hash = app.hashing.hash(Arc::new(new), client.network()).await?;
        app.accounts.reset_password(token.hash(), hash, PASSWORD_RESET, By::Visitor(client.ip)).await
    };
    let reset = reset.await;
    if reset == Err(Error::LinkInvalid) {
        // A dead link has no form to show again.
        return Err(Error::LinkInvalid);
    }
    let cleared = || app.cookies.clear_all();
    form_or_json(&sent, reset)
        .json(|ended| (cleared(), ack("Password reset: sign in with it").sessions(ended)))
        .goes(|_| (cleared(), go(&app, &RESET.at("/login"))))
        .again("reset.html", "reset", async || Ok(sent.shown()))
        .await
}

#[cfg(test)]
mod tests;
