//! What must hold for every parser of the product, whatever the bytes. Shared with the targets of cargo-fuzz.

use std::net::IpAddr;
use std::path::Path;
use std::sync::LazyLock;

use doorward::internals::settings::{Settings, Values};
use doorward::testing::parsers::{self, Parsers};
use doorward_guard::CookieNames;
use doorward_guard::internals::{Credential, Credentials, MOST_COOKIES};
use http::header::{ACCEPT, AUTHORIZATION, COOKIE, HeaderName};
use http::{HeaderMap, HeaderValue, Method};

static PARSERS: LazyLock<Parsers> = LazyLock::new(Parsers::new);

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

/// A header line for each line of the bytes, as far as HTTP allows it.
fn lines(name: &HeaderName, bytes: &[u8]) -> HeaderMap {
    let values = bytes.split(|byte| *byte == b'\n').filter_map(|line| HeaderValue::from_bytes(line).ok());
    values.map(|value| (name.clone(), value)).collect()
}

/// A file is accepted or refused with the name of the file, and an accepted one says in words what is wrong with it.
pub(crate) fn settings_toml(bytes: &[u8]) {
    let mut values = Values::default();
    if let Err(error) = values.file(Path::new("doorward.toml"), &text(bytes)) {
        assert!(error.problem.contains("doorward.toml"), "{error}");
        return;
    }
    match Settings::read(&values) {
        Ok(settings) => assert!(settings.body_limit >= 4_096 && !settings.modes.is_empty()),
        Err(error) => assert!(!error.problem.is_empty()),
    }
    values.shown().for_each(drop);
}

/// The target is the given place, on this host or the application's, for every parser of URLs.
pub(crate) fn return_to(bytes: &[u8]) {
    let text = text(bytes);
    let Some(place) = PARSERS.return_to(&text) else { return };
    assert_eq!(place, text);
    let base = url::Url::parse("https://doorward.example/login").unwrap();
    let application = url::Url::parse("https://app.example.com/").unwrap();
    let expected = if place.starts_with('/') { base.origin() } else { application.origin() };
    assert_eq!(base.join(place).unwrap().origin(), expected);
    assert!(HeaderValue::from_str(place).is_ok());
}

/// An untrusted peer counts as itself; behind a trusted one, only an address from a header counts.
pub(crate) fn client_ip(bytes: &[u8]) {
    let headers = lines(&HeaderName::from_static("x-forwarded-for"), bytes);
    let untrusted: IpAddr = [203, 0, 113, 7].into();
    assert_eq!(PARSERS.client(untrusted, headers.clone()).0, untrusted);
    let trusted: IpAddr = [10, 0, 0, 1].into();
    let (ip, network, _) = PARSERS.client(trusted, headers);
    assert!(ip == trusted || ip.to_canonical() == ip);
    assert_eq!(network.is_ipv4(), ip.is_ipv4());
    let mut headers = lines(&HeaderName::from_static("user-agent"), bytes);
    headers.insert("x-forwarded-for", HeaderValue::from_static("198.51.100.1"));
    let (ip, _, user_agent) = PARSERS.client(trusted, headers);
    assert_eq!(ip, IpAddr::from([198, 51, 100, 1]));
    assert!(user_agent.is_none_or(|agent| agent.len() <= 400 && !agent.chars().any(char::is_control)));
}

/// The first line is `Authorization`, if it is not empty; the others are cookies. The picked credential occurs there as
/// a whole, and never in a cookie beside an `Authorization`.
pub(crate) fn credential(bytes: &[u8]) {
    let split = bytes.iter().position(|byte| *byte == b'\n').unwrap_or(bytes.len());
    let (authorization, cookies) = bytes.split_at(split);
    let mut headers = lines(&COOKIE, cookies.get(1..).unwrap_or_default());
    let has_authorization = !authorization.is_empty();
    match HeaderValue::from_bytes(authorization) {
        Ok(value) if has_authorization => drop(headers.insert(AUTHORIZATION, value)),
        _ => {}
    }
    let names = CookieNames::default();
    let by_header = headers.contains_key(AUTHORIZATION);
    let picked = match doorward_guard::internals::credentials(&headers, &names) {
        Ok(Credentials::One(one)) => vec![one],
        Ok(Credentials::Several(all)) => {
            assert!(all.len() > 1 && all.len() <= 2 * MOST_COOKIES);
            all
        }
        Err(_) => return,
    };
    for (at, one) in picked.iter().enumerate() {
        let (name, value) = match one {
            Credential::BearerToken(token) => {
                assert!(by_header && headers[AUTHORIZATION].as_bytes().ends_with(token.as_bytes()));
                continue;
            }
            Credential::CookieToken(token) => (&names.token, token),
            Credential::SessionSecret(secret) => (&names.session, secret),
        };
        assert!(!by_header && !picked[..at].contains(one));
        assert!(doorward_guard::internals::distinct(&headers, name).unwrap().contains(value));
    }
}

/// A body that is read is an object for serde_json too, and its text is the same; one that isn't is a client error.
pub(crate) fn json_body(bytes: &[u8]) {
    match PARSERS.body("application/json", bytes) {
        Ok(read) => {
            assert!(!read.is_form);
            let object: serde_json::Value = serde_json::from_slice(bytes).unwrap_or_default();
            assert!(bytes.is_empty() || object.is_object());
            assert_eq!(read.text.as_deref(), object["text"].as_str());
        }
        Err(error) => assert!(error.status().is_client_error(), "{error:?}"),
    }
}

/// A form is read as the standard of forms says; an empty one is an unfilled field.
pub(crate) fn form_body(bytes: &[u8]) {
    match PARSERS.body("application/x-www-form-urlencoded", bytes) {
        Ok(read) => {
            let text = url::form_urlencoded::parse(bytes)
                .find(|(name, _)| name == "text")
                .map(|(_, text)| text.into_owned());
            assert_eq!((read.text, read.is_form), (text.filter(|text| !text.is_empty()), true));
        }
        Err(error) => assert!(error.status().is_client_error(), "{error:?}"),
    }
}

/// Without text/html nobody gets a page; and the order of the media types changes nothing.
pub(crate) fn accept(bytes: &[u8]) {
    let headers = lines(&ACCEPT, bytes);
    let page = parsers::wants_page(&Method::GET, &headers);
    assert_eq!(page, parsers::wants_page(&Method::HEAD, &headers));
    assert!(!page || text(bytes).contains("text/html"));
    assert!(!parsers::wants_page(&Method::POST, &headers));
}

/// A query that is read has each name once.
pub(crate) fn query(bytes: &[u8]) {
    let text = text(bytes);
    let uri = format!("/?{text}");
    let Ok(parsed) = uri.parse::<http::Uri>() else { return };
    let query = parsed.query().unwrap_or_default();
    let times = url::form_urlencoded::parse(query.as_bytes()).filter(|(name, _)| name == "text").count();
    match PARSERS.query(&uri, "text") {
        Ok(text) => assert!(times <= 1 && (text.is_none() || times == 1)),
        Err(error) => assert!(error.status().is_client_error(), "{error:?}"),
    }
}
