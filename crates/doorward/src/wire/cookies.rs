//! The credential cookies: names, attributes, setting and clearing them.

use std::time::Duration;

use axum::response::{IntoResponseParts, ResponseParts};
use cookie::{Cookie, CookieBuilder, SameSite, time::OffsetDateTime};
use doorward_core::{Mode, Timestamp};
use doorward_guard::CookieNames;
use http::HeaderValue;
use http::header::SET_COOKIE;

use crate::settings::{self, Settings};

/// How long it is noticed that an application sends its browser back, in seconds.
const MOMENT: i64 = 10;

/// The names and attributes of our cookies: one list, from which they are set, cleared and named.
#[derive(Debug, Clone)]
pub(crate) struct CookieJar {
    /// The cookies that carry credentials.
    pub(crate) names: CookieNames,
    ours: Vec<Ours>,
    /// What binds forms to a browser.
    form: Ours,
    /// What says that the browser was sent on to an application a moment ago.
    went: Ours,
    /// The former name of the refresh token's cookie, before it was bound to the host.
    former: Ours,
    /// A browser's proof of earlier sign-ins, for its next one. Not a credential: it is neither cleared nor picked with
    /// the others.
    device: Ours,
    secure: bool,
    same_site: SameSite,
}

/// One of our cookies.
#[derive(Debug, Clone)]
struct Ours {
    name: String,
    path: String,
    /// The domain whose hosts share it; `None` for this host only.
    domain: Option<String>,
}

/// `Set-Cookie` headers for one answer.
#[derive(Debug, Default)]
pub(crate) struct SetCookies(Vec<HeaderValue>);

impl CookieJar {
    /// `__Host-` binds a cookie to this host, so that no other host of the domain can plant one (attacks K02, X02). A
    /// cookie with a domain may only have `__Secure-`. `--dev` and `http.plain` drop prefixes and `Secure` together.
    pub(crate) fn new(settings: &Settings) -> Self {
        let prefixed = |prefix: &str, name: &str| match settings.has_plain_cookies() {
            true => name.into(),
            false => format!("{prefix}{name}"),
        };
        let domain = Some(&settings.cookie_domain).filter(|domain| !domain.is_empty()).cloned();
        let of_session = if domain.is_some() { "__Secure-" } else { "__Host-" };
        let mut names = CookieNames::default();
        names.token = prefixed("__Host-", &settings.cookie_token);
        names.session = prefixed(of_session, &settings.cookie_session);
        names.refresh = prefixed("__Host-", &settings.cookie_refresh);
        names.device = prefixed("__Host-", &settings.cookie_device);
        names.lax = matches!(settings.cookie_same_site, settings::SameSite::Lax);
        let ours = |name: &str, domain| Ours { name: name.into(), path: "/".into(), domain };
        let former = Ours {
            path: format!("{}/refresh", settings.base_path),
            ..ours(&prefixed("__Secure-", &settings.cookie_refresh), None)
        };
        let form = ours(&prefixed("__Host-", "doorward-form"), None);
        let went = ours(&prefixed("__Host-", "doorward-went"), None);
        Self {
            form,
            went,
            ours: vec![ours(&names.token, None), ours(&names.session, domain), ours(&names.refresh, None)],
            device: ours(&names.device, None),
            names,
            former,
            secure: !settings.has_plain_cookies(),
            same_site: match settings.cookie_same_site {
                settings::SameSite::Strict => SameSite::Strict,
                settings::SameSite::Lax => SameSite::Lax,
            },
        }
    }

    /// Whether no other host can set the cookie that proves a sign-in of this mode.
    pub(crate) fn is_bound_to_host(&self, mode: Mode) -> bool {
        let name = if mode == Mode::Session { &self.names.session } else { &self.names.token };
        name.starts_with("__Host-")
    }

    /// Sets one cookie until `expires_at`, the end of the session: an expired JWT must still be sent to /logout.
    pub(crate) fn set(&self, name: &str, value: &str, now: Timestamp, expires_at: Timestamp) -> SetCookies {
        let max_age = i64::try_from(expires_at.since(now).as_secs()).unwrap_or(i64::MAX);
        let max_age = cookie::time::Duration::seconds(max_age);
        let ours = self.ours.iter().filter(|ours| ours.name == name);
        SetCookies::of(ours.map(|ours| self.cookie(ours, value).max_age(max_age)))
    }

    /// Sets the device's cookie. It is never sent with requests from another site, whatever the settings say about the
    /// others.
    pub(crate) fn set_device(&self, value: &str, ttl: Duration) -> SetCookies {
        let max_age = i64::try_from(ttl.as_secs()).unwrap_or(i64::MAX);
        let cookie = self.cookie(&self.device, value).same_site(SameSite::Strict);
        SetCookies::of([cookie.max_age(cookie::time::Duration::seconds(max_age))])
    }

    /// Clears these cookies, with the attributes they were set with.
    pub(crate) fn clear<'a>(&'a self, names: impl IntoIterator<Item = &'a str>) -> SetCookies {
        let named = |name| self.ours.iter().find(move |ours| ours.name == name);
        SetCookies::of(names.into_iter().filter_map(named).map(|ours| self.cleared(ours)))
    }

    /// Clears all our cookies.
    pub(crate) fn clear_all(&self) -> SetCookies {
        SetCookies::of(self.ours.iter().map(|ours| self.cleared(ours)))
    }

    /// Clears all our cookies after a sign-out, also under their former names.
    pub(crate) fn sign_out(&self) -> SetCookies {
        self.clear_all().and(SetCookies::of([&self.former, &self.form].map(|ours| self.cleared(ours))))
    }

    /// The name of the cookie that binds forms to a browser.
    pub(crate) fn form(&self) -> &str {
        &self.form.name
    }

    /// A new one, until the browser is closed.
    pub(crate) fn new_form(&self) -> SetCookies {
        let value = format!("{:032x}", u128::from_be_bytes(crate::random::bytes()));
        SetCookies::of([self.cookie(&self.form, &value)])
    }

    /// The name of the cookie that says that the browser was sent on to an application a moment ago.
    pub(crate) fn went(&self) -> &str {
        &self.went.name
    }

    /// A new one.
    pub(crate) fn set_went(&self) -> SetCookies {
        let cookie = self.cookie(&self.went, "1").max_age(cookie::time::Duration::seconds(MOMENT));
        SetCookies::of([cookie])
    }

    /// Whether a `Set-Cookie` line is about a credential.
    pub(crate) fn is_credential(&self, line: &str) -> bool {
        let name = line.split('=').next().unwrap_or_default();
        self.ours.iter().any(|ours| ours.name == name)
    }

    fn cleared<'c>(&'c self, ours: &'c Ours) -> CookieBuilder<'c> {
        let cookie = self.cookie(ours, "").expires(OffsetDateTime::UNIX_EPOCH);
        cookie.max_age(cookie::time::Duration::ZERO)
    }

    fn cookie<'c>(&'c self, ours: &'c Ours, value: &'c str) -> CookieBuilder<'c> {
        let cookie = Cookie::build((ours.name.as_str(), value))
            .path(ours.path.as_str())
            .http_only(true)
            .secure(self.secure)
            .same_site(self.same_site);
        match &ours.domain {
            Some(domain) => cookie.domain(domain),
            None => cookie,
        }
    }
}

impl SetCookies {
    fn of<'c>(cookies: impl IntoIterator<Item = CookieBuilder<'c>>) -> Self {
        let line = |cookie: CookieBuilder<'c>| HeaderValue::from_str(&cookie.build().to_string()).ok();
        Self(cookies.into_iter().filter_map(line).collect())
    }

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
