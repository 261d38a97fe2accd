//! Credentials of registered clients: id and secret by HTTP Basic (RFC 6749 section 2.3.1).

use axum::extract::FromRequestParts;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use doorward_core::{ClientId, OpaqueSecret};
use http::HeaderMap;
use http::header::AUTHORIZATION;
use http::request::Parts;
use zeroize::Zeroizing;

use crate::app::App;
use crate::error::{Error, Result};

/// The registered client that sent the request.
#[derive(Debug, Clone, Copy)]
pub(crate) struct ClientCredentials(pub(crate) ClientId);

impl FromRequestParts<App> for ClientCredentials {
    type Rejection = Error;

    async fn from_request_parts(parts: &mut Parts, app: &App) -> Result<Self> {
        let (scheme, presented) = authorization(&parts.headers).ok_or(Error::InvalidClient)?;
        if !scheme.eq_ignore_ascii_case("basic") {
            return Err(Error::InvalidClient);
        }
        let (client, secret) = read(presented).ok_or(Error::InvalidClient)?;
        // It may have been deleted elsewhere while nothing could be read.
        if app.revocations.set.is_behind() {
            app.clients.follow().await?;
        }
        if app.clients.knows(client, &secret) { Ok(Self(client)) } else { Err(Error::InvalidClient) }
    }
}

/// Scheme and credential of the only `Authorization`; none if there are two.
pub(crate) fn authorization(headers: &HeaderMap) -> Option<(&str, &str)> {
    let mut values = headers.get_all(AUTHORIZATION).iter();
    match (values.next(), values.next()) {
        (Some(value), None) => value.to_str().ok()?.split_once(' '),
        _ => None,
    }
}

fn read(presented: &str) -> Option<(ClientId, OpaqueSecret)> {
    let decoded = Zeroizing::new(STANDARD.decode(presented).ok()?);
    let (id, secret) = str::from_utf8(&decoded).ok()?.split_once(':')?;
    Some((id.parse().ok()?, OpaqueSecret::parse(secret)?))
}
