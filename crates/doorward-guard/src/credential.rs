use std::mem;

use doorward_core::Refusal;
use http::{HeaderMap, HeaderName, HeaderValue, header};
use memchr::memchr_iter;

const SITE: HeaderName = HeaderName::from_static("sec-fetch-site");
const MODE: HeaderName = HeaderName::from_static("sec-fetch-mode");
const DEST: HeaderName = HeaderName::from_static("sec-fetch-dest");

/// The names of the cookies that carry credentials, and when browsers send them.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct CookieNames {
    /// The access token of cookie mode, by default `__Host-token`.
    pub token: String,
    /// The session secret of session mode, by default `__Host-sessionId`.
    pub session: String,
    /// The refresh token of cookie mode, by default `__Host-refresh_token`. It is for the server alone, so a guard
    /// removes it from the request before the application reads it.
    pub refresh: String,
    /// The browser's proof that it signed in before, by default `__Host-device`: also for the server alone.
    pub device: String,
    /// Whether the server's setting `cookie.same_site` is `lax`. Browsers then also send the cookies when a link on
    /// another site opens a page.
    pub lax: bool,
}

impl Default for CookieNames {
    fn default() -> Self {
        Self {
            token: "__Host-token".into(),
            session: "__Host-sessionId".into(),
            refresh: "__Host-refresh_token".into(),
            device: "__Host-device".into(),
            lax: false,
        }
    }
}

impl CookieNames {
    /// Removes cookies that can't be the server's own: `SameSite` withholds those if another site triggers the request.
    /// If a cookie comes all the same, under a name without `__Host-`, another host of the domain planted it (attack
    /// X02).
    #[doc(hidden)]
    pub fn strip_planted(&self, headers: &mut HeaderMap) {
        if !self.stay_at_home(headers) {
            return;
        }
        for name in [&self.token, &self.session, &self.refresh, &self.device] {
            if is_plantable(name) {
                strip(headers, name);
            }
        }
    }

    /// Whether a browser that sends this header withholds the server's own cookies.
    fn stay_at_home(&self, headers: &HeaderMap) -> bool {
        let says = |name: HeaderName, value: &str| {
            let mut said =
                headers.get_all(name).iter().flat_map(|line| line.as_bytes().split(|byte| *byte == b','));
            said.any(|one| one.trim_ascii() == value.as_bytes())
        };
        // A form of another site has an `Origin`, a link has none.
        let is_link =
            || says(MODE, "navigate") && says(DEST, "document") && !headers.contains_key(header::ORIGIN);
        says(SITE, "cross-site") && !(self.lax && is_link())
    }
}

/// Whether another host of the domain can set a cookie of this name.
fn is_plantable(name: &str) -> bool {
    !name.starts_with("__Host-")
}

/// How many cookies of one name are read; a request with more is refused.
pub const MOST_COOKIES: usize = 64;

/// A credential of a request, unverified.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Credential<'a> {
    /// From `Authorization: Bearer` (RFC 6750 section 2.1).
    BearerToken(&'a str),
    /// From the cookie of the access token.
    CookieToken(&'a str),
    /// From the cookie of the session secret.
    SessionSecret(&'a str),
}

/// The credentials of a request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Credentials<'a> {
    /// One credential, as in almost every request.
    One(Credential<'a>),
    /// Cookies with different values, of one name or of two modes. Another host of the domain, or an earlier setting,
    /// may have left some of them. At most one may prove a live session.
    Several(Vec<Credential<'a>>),
}

/// Picks the credential of a request.
///
/// If `Authorization` is present, it alone is checked: a bad one never falls back to a cookie (attack K06), and two are
/// refused (J36). Cookies with equal values count once, and those that [`CookieNames::strip_planted`] removes don't
/// count.
///
/// # Errors
/// [`Refusal::TokenMissing`] without a credential, [`Refusal::TokenInvalid`] if none can be read,
/// [`Refusal::TooManyCookies`] for more than [`MOST_COOKIES`] of one name.
pub fn credentials<'a>(headers: &'a HeaderMap, names: &CookieNames) -> Result<Credentials<'a>, Refusal> {
    let mut authorization = headers.get_all(header::AUTHORIZATION).iter();
    if let Some(value) = authorization.next() {
        let one = authorization.next().is_none();
        let token = value.to_str().ok().and_then(bearer).filter(|_| one);
        let one = token.map(|token| Credentials::One(Credential::BearerToken(token)));
        return one.ok_or(Refusal::TokenInvalid);
    }
    let stay_at_home = names.stay_at_home(headers);
    let counts = |name: &str| !stay_at_home || !is_plantable(name);
    let mut found = cookies(headers).filter_map(|(name, value)| match name {
        _ if name == names.token.as_bytes() && counts(&names.token) => {
            Some(str::from_utf8(value).map(Credential::CookieToken))
        }
        _ if name == names.session.as_bytes() && counts(&names.session) => {
            Some(str::from_utf8(value).map(Credential::SessionSecret))
        }
        _ => None,
    });
    let Some(first) = found.next() else { return Err(Refusal::TokenMissing) };
    match (found.next(), first) {
        (None, Ok(one)) => Ok(Credentials::One(one)),
        (None, Err(_)) => Err(Refusal::TokenInvalid),
        (Some(_), _) => several(
            headers,
            [&names.token, &names.session].map(|name| Some(&**name).filter(|name| counts(name))),
        ),
    }
}

/// The usual request never gets here: this allocates.
#[cold]
fn several<'a>(
    headers: &'a HeaderMap,
    [token, session]: [Option<&str>; 2],
) -> Result<Credentials<'a>, Refusal> {
    let values = |name: Option<&str>| name.map_or(Ok(Vec::new()), |name| distinct(headers, name));
    let tokens = values(token)?.into_iter().map(Credential::CookieToken);
    let secrets = values(session)?.into_iter().map(Credential::SessionSecret);
    let found: Vec<_> = tokens.chain(secrets).collect();
    match *found {
        [] => Err(Refusal::TokenInvalid),
        [one] => Ok(Credentials::One(one)),
        _ => Ok(Credentials::Several(found)),
    }
}

/// The different values of the cookies with exactly this name, as far as they are text, in the order of the request.
///
/// # Errors
/// [`Refusal::TooManyCookies`] for more than [`MOST_COOKIES`].
pub fn distinct<'a>(headers: &'a HeaderMap, name: &str) -> Result<Vec<&'a str>, Refusal> {
    let mut values = Vec::new();
    for (count, (_, value)) in cookies(headers).filter(|(found, _)| *found == name.as_bytes()).enumerate() {
        if count == MOST_COOKIES {
            return Err(Refusal::TooManyCookies);
        }
        if let Ok(value) = str::from_utf8(value)
            && !values.contains(&value)
        {
            values.push(value);
        }
    }
    Ok(values)
}

/// Removes every cookie of this name from a request. Other lines stay as they are, byte for byte.
pub(crate) fn strip(headers: &mut HeaderMap, name: &str) {
    let is_named = |pair: &[u8]| {
        let mut parts = pair.trim_ascii().splitn(2, |byte| *byte == b'=');
        parts.next() == Some(name.as_bytes()) && parts.next().is_some()
    };
    let has_it = |line: &HeaderValue| pairs(line.as_bytes()).any(is_named);
    if !headers.get_all(header::COOKIE).iter().any(has_it) {
        return;
    }
    let lines: Vec<_> = headers.get_all(header::COOKIE).iter().cloned().collect();
    headers.remove(header::COOKIE);
    for line in lines {
        let kept: Vec<_> = pairs(line.as_bytes()).filter(|pair| !is_named(pair)).collect();
        let Ok(mut line) = HeaderValue::from_bytes(kept.join(&b';').trim_ascii()) else { continue };
        line.set_sensitive(true);
        if !line.is_empty() {
            headers.append(header::COOKIE, line);
        }
    }
}

fn bearer(value: &str) -> Option<&str> {
    let (scheme, token) = value.split_once(' ')?;
    scheme.eq_ignore_ascii_case("bearer").then_some(token)
}

/// Name and value of each cookie (RFC 6265 section 4.2.1), byte for byte. Nothing is unquoted or decoded, and a
/// malformed cookie of another program is ignored (K03, K04).
fn cookies(headers: &HeaderMap) -> impl Iterator<Item = (&[u8], &[u8])> {
    headers.get_all(header::COOKIE).iter().flat_map(|line| pairs(line.as_bytes())).filter_map(|pair| {
        let pair = pair.trim_ascii();
        let equals = pair.iter().position(|byte| *byte == b'=')?;
        let (name, value) = pair.split_at_checked(equals)?;
        Some((name, value.get(1..)?))
    })
}

/// With memchr: a token makes the line hundreds of bytes long.
fn pairs(line: &[u8]) -> impl Iterator<Item = &[u8]> {
    let mut start = 0;
    let ends = memchr_iter(b';', line).chain([line.len()]);
    ends.filter_map(move |end| line.get(mem::replace(&mut start, end + 1)..end))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pick(lines: &[(&'static str, &str)]) -> Result<String, Refusal> {
        let mut headers = HeaderMap::new();
        for (name, value) in lines {
            headers.append(*name, value.parse().unwrap());
        }
        let found = credentials(&headers, &CookieNames::default())?;
        Ok(match found {
            Credentials::One(one) => format!("{one:?}"),
            Credentials::Several(several) => format!("{several:?}"),
        })
    }

    #[test]
    fn j36_the_scheme_is_read_in_any_case_and_everything_else_strictly() {
        for good in ["Bearer abc", "bearer abc", "BEARER abc"] {
            assert_eq!(pick(&[("authorization", good)]).unwrap(), "BearerToken(\"abc\")");
        }
        for bad in ["Bearer", "Basic abc", "Token abc", "Negotiate", "abc", "", "Bearer\tabc"] {
            assert_eq!(pick(&[("authorization", bad)]), Err(Refusal::TokenInvalid), "{bad:?}");
        }
        let twice = [("authorization", "Bearer abc"), ("authorization", "Bearer abc")];
        assert_eq!(pick(&twice), Err(Refusal::TokenInvalid));
    }

    #[test]
    fn k06_a_bad_authorization_never_falls_back_to_a_good_cookie() {
        let both = [("authorization", "Basic abc"), ("cookie", "__Host-token=good")];
        assert_eq!(pick(&both), Err(Refusal::TokenInvalid));
    }

    #[test]
    fn k01_different_cookies_are_all_judged_and_equal_ones_count_once() {
        for line in ["__Host-token=a; __Host-token=b", "__Host-token=a; x=y; __Host-token=b; __Host-token=a"]
        {
            assert_eq!(pick(&[("cookie", line)]).unwrap(), "[CookieToken(\"a\"), CookieToken(\"b\")]");
        }
        let lines = [("cookie", "__Host-sessionId=a"), ("cookie", "__Host-sessionId=a")];
        assert_eq!(pick(&lines).unwrap(), "SessionSecret(\"a\")");
        let two_modes = pick(&[("cookie", "__Host-sessionId=a; __Host-token=a")]).unwrap();
        assert_eq!(two_modes, "[CookieToken(\"a\"), SessionSecret(\"a\")]");
    }

    #[test]
    fn x04_more_cookies_of_one_name_than_anybody_has_are_refused() {
        let line =
            |count: usize| "__Host-token=a;".repeat(count) + "__Host-sessionId=b; __Host-refresh_token=c";
        assert!(pick(&[("cookie", &line(MOST_COOKIES))]).is_ok());
        assert_eq!(pick(&[("cookie", &line(MOST_COOKIES + 1))]), Err(Refusal::TooManyCookies));
        let lines: Vec<_> = (0..=MOST_COOKIES).map(|_| ("cookie", "__Host-sessionId=a")).collect();
        assert_eq!(pick(&lines), Err(Refusal::TooManyCookies));
    }

    #[test]
    fn k03_k04_only_the_exact_name_counts_and_foreign_broken_cookies_do_no_harm() {
        let foreign =
            "=__Host-token=v; __hOsT-token=v; __Host-token2=v; token=v; $Version=1; ; broken; __Host-token";
        assert_eq!(pick(&[("cookie", foreign)]), Err(Refusal::TokenMissing));
        let mixed = "a=\"b; __Host-token=good; c=\u{fc}";
        assert_eq!(pick(&[("cookie", mixed)]).unwrap(), "CookieToken(\"good\")");
        assert_eq!(pick(&[("cookie", "__Host-token=\"good\"")]).unwrap(), "CookieToken(\"\\\"good\\\"\")");
    }

    #[test]
    fn x02_the_refresh_token_never_reaches_the_application() {
        for (lines, left) in [
            (&["__Host-refresh_token=a"][..], &[][..]),
            (&["a=b; __Host-refresh_token=x; c=d"], &["a=b; c=d"]),
            (&["__Host-refresh_token=x;a=b;__Host-refresh_token=y; __Host-refresh_token="], &["a=b"]),
            (
                &["a=b", " __Host-refresh_token = x", "__Host-refresh_token=x;"],
                &["a=b", "__Host-refresh_token = x"],
            ),
            (
                &["x__Host-refresh_token=a;  __Host-refresh_token2=b", "__Host-refresh_token"],
                &["x__Host-refresh_token=a;  __Host-refresh_token2=b", "__Host-refresh_token"],
            ),
        ] {
            let mut headers = HeaderMap::new();
            for line in lines {
                headers.append(header::COOKIE, line.parse().unwrap());
            }
            strip(&mut headers, "__Host-refresh_token");
            let kept: Vec<_> =
                headers.get_all(header::COOKIE).iter().map(|it| it.to_str().unwrap()).collect();
            assert_eq!(kept, left, "{lines:?}");
        }
    }
}
