//! Introspection (RFC 7662): `POST /introspect` with `token` tells a registered client whether it is alive, and whose
//! it is.
//!
//! It accepts access tokens, refresh tokens and session secrets, distinguished by their form: `token_type_hint` changes
//! nothing. For everything else the answer is only `{active: false}`: unknown, expired, of an ended session, with an
//! old role. `tokens` are session secrets, for our guards: there the answer has the reason, so that a guard refuses as
//! this server does. The holder of a session secret could learn that by a request of their own. `token_type` says which
//! kind it is; only `Bearer` is good as an access token. Asking about a session secret uses its session, as a request
//! to this server would. It never contains name and address.

use axum::Json;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use doorward_core::message::Message;
use doorward_core::refresh::is_like_one;
use doorward_core::revocation::RevocationCheck;
use doorward_core::role::RoleName;
use doorward_core::sign_in::Methods;
use doorward_core::{ClaimsVersion, Mode, OpaqueSecret, Refusal, SessionId, Timestamp, UserId};
use doorward_guard::Identity;
use doorward_guard::internals::{Lookup, MOST_COOKIES};
use serde::Serialize;
use serde_json::json;
use zeroize::Zeroizing;

use crate::app::App;
use crate::error::{Error, Result};
use crate::web::api::{Routes, Who, describe};
use crate::web::body::{Asked, REQUIRED, asked};
use crate::web::client_credentials::ClientCredentials;
use crate::web::feature::Feature;
use crate::wire::shape::{and_maybe, like, named, object, of};

pub(crate) const FEATURE: Feature = Feature::new("introspect", routes);

fn routes() -> Routes {
    let alive = and_maybe(
        object([("active", of::<bool>())]),
        [
            ("token_type", json!({ "enum": ["Bearer", "refresh_token", "session_secret"] })),
            ("sub", of::<UserId>()),
            ("sid", of::<SessionId>()),
            ("role", of::<RoleName>()),
            ("ver", like(of::<u64>(), 1_773_480_413_000_i64)),
            ("auth_time", like(of::<u64>(), 1_773_480_413)),
            ("amr", of::<Methods>()),
            ("mode", of::<Mode>()),
            ("iat", like(of::<u64>(), 1_773_480_413)),
            ("exp", like(of::<u64>(), 1_773_481_313)),
            ("iss", like(of::<&str>(), "https://accounts.example.org")),
            ("aud", like(of::<&str>(), "doorward")),
            ("code", like(of::<&str>(), "token_stale")),
        ],
    );
    let alive = named("Introspected", "Whether a token is alive, and whose.", alive);
    let told =
        json!({ "anyOf": [alive.clone(), object([("tokens", json!({ "type": "array", "items": alive }))])] });
    let introspect_doc = describe("Ask about a token", Who::Client)
        .without_room()
        .in_oauths_form()
        .more("RFC 7662. For a token that isn't alive the answer is only `{\"active\": false}`. `tokens` in place of `token` asks about up to 64 session secrets at once, separated by one space. The answers are in their order; if one isn't alive, `code` says why.")
        .body::<Introspect>()
        .json(200, "whether it is alive, and whose", told);
    Routes::of("For other programs").post("/introspect", introspect, introspect_doc)
}

/// The answer about a token.
#[derive(Serialize)]
struct Introspection {
    active: bool,
    #[serde(flatten)]
    alive: Option<Alive>,
    /// Why it isn't alive.
    #[serde(skip_serializing_if = "Option::is_none")]
    code: Option<&'static str>,
}

#[derive(Serialize)]
struct Alive {
    token_type: &'static str,
    sub: UserId,
    sid: SessionId,
    role: RoleName,
    ver: ClaimsVersion,
    auth_time: i64,
    amr: Methods,
    mode: Mode,
    iat: i64,
    exp: i64,
    iss: String,
    aud: String,
}

/// The answer about several.
#[derive(Serialize)]
struct Several {
    tokens: Vec<Introspection>,
}

impl Introspection {
    fn of(alive: Option<Alive>) -> Self {
        Self { active: alive.is_some(), alive, code: None }
    }
}

asked! {
    /// As RFC 7662 has it, or several session secrets at once.
    struct Introspect {
        token: Option<Zeroizing<String>>,
        /// Session secrets, in place of `token`.
        tokens: Option<Zeroizing<String>>,
        token_type_hint: Option<String>,
    }
}

async fn introspect(
    State(app): State<App>,
    _: ClientCredentials,
    Asked { body, .. }: Asked<Introspect>,
) -> Result<Response> {
    let Introspect { token, tokens, .. } = body?;
    if let Some(tokens) = tokens {
        let told = several(&app, &tokens).await?;
        return Ok(Json(Several { tokens: told }).into_response());
    }
    let token = token.ok_or_else(|| Error::field("token", REQUIRED))?;
    Ok(Json(Introspection::of(alive(&app, &token).await?)).into_response())
}

/// A guard asks once for all session secrets of a request (attack X03): one statement finds them.
async fn several(app: &App, tokens: &str) -> Result<Vec<Introspection>> {
    let secrets: Option<Vec<_>> = tokens.split(' ').map(OpaqueSecret::parse).collect();
    let Some(secrets) = secrets.filter(|secrets| secrets.len() <= MOST_COOKIES) else {
        return Err(Error::field("tokens", Message::new("tokens-form").with("most", MOST_COOKIES)));
    };
    let told = of_secrets(app, &secrets, app.now()).await?.into_iter().map(|answer| match answer {
        Ok(identity) => Ok(Introspection::of(Some(shown(app, "session_secret", identity)))),
        Err(Refusal::Unavailable) => Err(Refusal::Unavailable.into()),
        Err(refusal) => Ok(Introspection { code: Some(refusal.code()), ..Introspection::of(None) }),
    });
    told.collect()
}

async fn alive(app: &App, token: &str) -> Result<Option<Alive>> {
    let now = app.now();
    let (token_type, identity) = if let Some(secret) = OpaqueSecret::parse(token) {
        ("session_secret", of_secret(app, secret, now).await?)
    } else if token.contains('.') && !is_like_one(token) {
        ("Bearer", of_access_token(app, token, now).await?)
    } else {
        ("refresh_token", app.sessions.of_live_refresh_token(token).await?)
    };
    Ok(identity.map(|identity| shown(app, token_type, identity)))
}

fn shown(app: &App, token_type: &'static str, identity: Identity) -> Alive {
    let expected = app.keys.verifier().expected();
    Alive {
        token_type,
        sub: identity.user,
        sid: identity.session,
        role: identity.role,
        ver: identity.claims_version,
        auth_time: identity.authentication.at.as_secs(),
        amr: identity.authentication.methods,
        mode: identity.mode,
        iat: identity.issued_at.as_secs(),
        exp: identity.expires_at.as_secs(),
        iss: expected.issuer.clone(),
        aud: expected.audience.clone(),
    }
}

/// From the store, which alone knows the mode; memory refuses before it.
async fn of_access_token(app: &App, token: &str, now: Timestamp) -> Result<Option<Identity>> {
    app.keys.look_for_the_key_of(token).await;
    let Ok(token) = app.keys.verifier().verify(token, now) else { return Ok(None) };
    let standing = app.revocations.set.check(token.user, token.session, token.version);
    if matches!(standing, RevocationCheck::Ended | RevocationCheck::Stale) {
        return Ok(None);
    }
    let Some(stored) = app.sessions.stored(token.session, token.user).await? else { return Ok(None) };
    let alive = stored.state.check_not_ended().is_ok() && stored.claims_version <= token.version;
    Ok(alive.then(|| Identity::of_token(token, stored.mode)))
}

async fn of_secret(app: &App, secret: OpaqueSecret, now: Timestamp) -> Result<Option<Identity>> {
    match of_secrets(app, &[secret], now).await?.pop() {
        Some(Ok(identity)) => Ok(Some(identity)),
        Some(Err(Refusal::Unavailable)) => Err(Refusal::Unavailable.into()),
        _ => Ok(None),
    }
}

/// From memory, if it knows them all.
async fn of_secrets(
    app: &App,
    secrets: &[OpaqueSecret],
    now: Timestamp,
) -> Result<Vec<Result<Identity, Refusal>>> {
    let memory = &app.sessions.memory;
    let known: Option<Vec<_>> =
        secrets.iter().map(|secret| memory.session_in_memory(&secret.hash(), now)).collect();
    Ok(match (known, secrets) {
        (Some(known), _) => known,
        (None, [one]) => vec![memory.session(one, now).await],
        (None, several) => memory.sessions(several, now).await?,
    })
}

#[cfg(test)]
mod tests;
