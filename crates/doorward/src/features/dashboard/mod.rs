//! The dashboard: `GET /dashboard` → {message: "Welcome NAME!", user}; as a page, the account page with the devices.
//! `GET /` redirects there. While the server has no users, it shows a browser what this is and how to begin: on
//! production's servers without anything about the machine.

use axum::body::Bytes;
use axum::extract::State;
use axum::response::Response;
use doorward_core::Refusal;
use doorward_guard::Identity;
use http::StatusCode;
use serde::Serialize;

use crate::app::{App, Express};
use crate::error::Result;
use crate::users::{self, User};
use crate::web::account_page::{ACCOUNT_PAGE, account_page};
use crate::web::api::{Routes, Who, describe};
use crate::web::credential::go;
use crate::web::feature::{Feature, templates, texts};
use crate::web::flash::Flashed;
use crate::wire::client_kind::ClientKind;
use crate::wire::page::context;
use crate::wire::shape::{like, object, of};

pub(crate) const FEATURE: Feature = Feature {
    express: &[Express { path: "/dashboard", json }],
    templates: templates!["welcome.html"],
    texts: texts!("en.ftl"),
    ..Feature::new("dashboard", routes)
};

fn routes() -> Routes {
    let user = object([
        ("message", like(of::<&str>(), "Welcome Ada Lovelace!")),
        ("user", of::<users::UserView<'_>>()),
    ]);
    let dashboard_doc = describe("The dashboard", Who::SignedIn)
        .flashes()
        .json(200, "who is signed in", user)
        .page(200, "as a page, with the devices");
    let start_doc = describe("The start page", Who::Anybody)
        .goes("to /dashboard")
        .page(200, "while the server has no users: what this is, and how to begin");
    Routes::of("My account").get("/dashboard", dashboard, dashboard_doc).get("/", start, start_doc)
}

/// The answer to a program.
fn json(user: &User) -> Bytes {
    #[derive(Serialize)]
    struct Welcome<'a> {
        message: String,
        user: users::UserView<'a>,
    }
    let welcome = Welcome { message: format!("Welcome {}!", user.name), user: user.shown() };
    serde_json::to_vec(&welcome).unwrap_or_default().into()
}

pub(crate) async fn start(State(app): State<App>, kind: ClientKind) -> Response {
    // If the store fails, the dashboard says so.
    if !kind.is_browser() || app.users.have_any().await.unwrap_or(true) {
        return go(&app, "/dashboard");
    }
    let place = if app.settings.dev { app.settings.place_flags() } else { String::new() };
    let (tour, flow) = (app.opens("/tour"), app.opens("/flow") && app.opens("/inspect"));
    app.pages.show("welcome.html", StatusCode::OK, context! { place, tour, flow })
}

async fn dashboard(
    State(app): State<App>,
    identity: Identity,
    kind: ClientKind,
    said: Flashed,
) -> Result<Response> {
    if kind.is_browser() {
        // Boxed, so that a program's path reserves no room for the page's.
        return Box::pin(page(&app, &identity, said)).await;
    }
    let cached = app.users.cached(identity.user).await?.ok_or(Refusal::SessionEnded)?;
    Ok(app.headers.json(json(&cached.user)))
}

async fn page(app: &App, identity: &Identity, Flashed(said): Flashed) -> Result<Response> {
    let shown = account_page(app, identity, context! { name => "", email => "" }).await?;
    Ok(app.pages.show(ACCOUNT_PAGE, StatusCode::OK, context! { notice => said, ..shown }))
}

#[cfg(test)]
mod tests;
