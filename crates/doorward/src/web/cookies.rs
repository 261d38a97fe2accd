//! The credential cookies: names, attributes, setting and clearing them.

use axum::response::{IntoResponseParts, ResponseParts};
use cookie::{Cookie, SameSite, time::OffsetDateTime};
use doorward_core::Timestamp;
use doorward_guard::CookieNames;
use http::HeaderValue;
use http::header::SET_COOKIE;

use crate::settings::{self, Settings};

/// How our cookies are called and sent.
#[derive(Debug, Clone)]
pub(crate) struct CookieJar {
    /// The cookies that the guard reads.
    pub(crate) names: CookieNames,
    /// The refresh token's cookie.
    pub(crate) refresh: String,
    refresh_path: String,
    secure: bool,
    same_site: SameSite,
    /// The domain whose hosts share the session cookie.
    domain: Option<String>,
}

/// `Set-Cookie` headers for one answer.
#[derive(Debug, Default)]
pub(crate) struct SetCookies(Vec<HeaderValue>);

impl CookieJar {
    /// `__Host-` ties a cookie to this host and path, so that no sibling domain can toss one in (attack K02); the
    /// refresh token's narrower path allows `__Secure-` only, and so does a domain. `--dev` drops prefixes and `Secure`
    /// together.
    pub(crate) fn new(settings: &Settings) -> Self {
        let prefixed =
            |prefix: &str, name: &str| if settings.dev { name.into() } else { format!("{prefix}{name}") };
        let domain = Some(&settings.cookie_domain).filter(|domain| !domain.is_empty());
        let of_session = if domain.is_some() { "__Secure-" } else { "__Host-" };
        Self {
            names: CookieNames {
                token: prefixed("__Host-", &settings.cookie_token),
                session: prefixed(of_session, &settings.cookie_session),
            },
            refresh: prefixed("__Secure-", &settings.cookie_refresh),
            refresh_path: format!("{}/refresh", settings.base_path),
            secure: !settings.dev,
            same_site: match settings.cookie_same_site {
                settings::SameSite::Strict => SameSite::Strict,
                settings::SameSite::Lax => SameSite::Lax,
            },
            domain: domain.cloned(),
        }
    }

    /// Sets one cookie until `expires_at`, the end of the session: an expired JWT must still reach /logout.
    pub(crate) fn set(&self, name: &str, value: &str, now: Timestamp, expires_at: Timestamp) -> SetCookies {
        let max_age = i64::try_from(expires_at.since(now).as_secs()).unwrap_or(i64::MAX);
        let cookie = self.cookie(name, value).max_age(cookie::time::Duration::seconds(max_age));
        SetCookies(HeaderValue::from_str(&cookie.build().to_string()).into_iter().collect())
    }

    /// Clears these cookies, with the attributes they were set with.
    pub(crate) fn clear<'a>(&'a self, names: impl IntoIterator<Item = &'a str>) -> SetCookies {
        let cleared = names.into_iter().filter_map(|name| {
            let cookie = self
                .cookie(name, "")
                .expires(OffsetDateTime::UNIX_EPOCH)
                .max_age(cookie::time::Duration::ZERO);
            HeaderValue::from_str(&cookie.build().to_string()).ok()
        });
        SetCookies(cleared.collect())
    }

    /// Clears all our cookies.
    pub(crate) fn clear_all(&self) -> SetCookies {
        self.clear(self.all())
    }

    /// The names of all our cookies.
    pub(crate) fn all(&self) -> [&str; 3] {
        [&self.names.token, &self.names.session, &self.refresh]
    }

    fn cookie<'c>(&'c self, name: &'c str, value: &'c str) -> cookie::CookieBuilder<'c> {
        let path = if name == self.refresh { self.refresh_path.clone() } else { "/".into() };
        let cookie = Cookie::build((name, value))
            .path(path)
            .http_only(true)
            .secure(self.secure)
            .same_site(self.same_site);
        match &self.domain {
            Some(domain) if name == self.names.session => cookie.domain(domain),
            _ => cookie,
        }
    }
}

impl SetCookies {
    /// These and the others.
    pub(crate) fn and(mut self, mut others: Self) -> Self {
        self.0.append(&mut others.0);
        self
    }
}

impl IntoIterator for SetCookies {
    type Item = HeaderValue;
    type IntoIter = std::vec::IntoIter<HeaderValue>;

    fn into_iter(self) -> Self::IntoIter {
        self.0.into_iter()
    }
}

impl IntoResponseParts for SetCookies {
    type Error = std::convert::Infallible;

    fn into_response_parts(self, mut parts: ResponseParts) -> Result<ResponseParts, Self::Error> {
        for cookie in self {
            parts.headers_mut().append(SET_COOKIE, cookie);
        }
        Ok(parts)
    }
}
