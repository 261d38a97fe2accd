//! Where a sign-in may redirect to: a path of Doorward, a listed application, or one behind forward-auth, and nothing else.

use doorward_core::Mode;
use url::Url;

use crate::settings::Settings;
use crate::wire::page::{Value, context};

/// The longest accepted place, in bytes.
const MOST: usize = 2_048;

/// Its description in the document of the API.
pub(crate) const RETURN_TO: &str =
    "A path of this site, or the URL of an application behind it, to go to afterwards.";

/// Parses a `return_to`: a [`path_of_ours`], or the URL of a listed application. `None` for everything else.
pub(crate) fn return_to<'a>(settings: &Settings, text: &'a str) -> Option<&'a str> {
    let is_listed = |url: &Url| application(settings, url).is_some() || is_of_app(settings, url);
    path_of_ours(text).or_else(|| page(settings, text).is_some_and(|url| is_listed(&url)).then_some(text))
}

/// Whether a browser that is signed in in this mode is of use there: cookies with tokens are only for our host. The page
/// of a listed application asks Doorward itself.
pub(crate) fn reaches(settings: &Settings, mode: Mode, place: &str) -> bool {
    page(settings, place).is_none_or(|url| {
        let by_cookie = |host: &str| settings.cookie_reaches(mode, host);
        is_of_app(settings, &url) || application(settings, &url).is_none_or(by_cookie)
    })
}

/// Whether this is the URL of a listed application, or of one beside Doorward on its own origin.
pub(crate) fn is_in_app(settings: &Settings, text: &str) -> bool {
    page(settings, text).is_some_and(|url| is_of_app(settings, &url))
}

/// The data of a page with a way on: the place, the listed application that it is in, and the rest.
pub(crate) fn with_way_on(settings: &Settings, place: Option<&str>, rest: Value) -> Value {
    let url = place.and_then(|place| page(settings, place));
    let goes_to = url.and_then(|url| settings.app_at(&url)).map(|app| {
        context! { name => app.name.as_str(), host => app.host() }
    });
    context! { return_to => place.unwrap_or_default(), goes_to, ..rest }
}

fn is_of_app(settings: &Settings, url: &Url) -> bool {
    settings.app_at(url).is_some() || is_beside(settings, url)
}

/// Whether this is a page beside Doorward: of the same origin, outside `base_path`.
fn is_beside(settings: &Settings, url: &Url) -> bool {
    let rest = url.path().strip_prefix(&settings.base_path);
    let is_outside = !rest.is_some_and(|rest| rest.is_empty() || rest.starts_with('/'));
    is_outside && settings.public_url.as_ref().is_some_and(|public| public.origin() == url.origin())
}

/// The URL of a page that may be an application's, in its one spelling: two parsers can't read it in two ways (attack
/// O02). A fragment is the page's own. On Doorward's host it is neither /logout nor /refresh.
fn page(settings: &Settings, text: &str) -> Option<Url> {
    let url = Url::parse(text).ok()?;
    let is_exact = url.as_str() == text && text.len() <= MOST && text.bytes().all(|b| b.is_ascii_graphic());
    let is_plain = url.username().is_empty() && url.password().is_none();
    // The origin of a blob is that of the URL in it.
    let is_web = matches!(url.scheme(), "http" | "https");
    let is_ours = url.host_str() == Some(settings.public_host().as_str());
    let is_page = !is_ours || path_of_ours(url.path()).is_some();
    (is_exact && is_plain && is_web && is_page).then_some(url)
}

/// The listed host, with its port, that a URL is on.
pub(crate) fn application<'a>(settings: &'a Settings, url: &Url) -> Option<&'a str> {
    let alone = url.username().is_empty() && url.password().is_none() && url.fragment().is_none();
    let name = url.host_str()?;
    let host = url.port().map_or(name.to_owned(), |port| format!("{name}:{port}"));
    let mut hosts = settings.forward_auth_hosts.iter().map(String::as_str);
    hosts.find(|listed| alone && url.scheme() == settings.public_scheme() && *listed == host)
}

/// Parses a path that begins with exactly one `/`, without backslash or control character, of at most 2 KiB, and
/// neither /logout nor /refresh. `None` for everything else, which then means the default page (attacks O01 to O04).
pub(crate) fn path_of_ours(text: &str) -> Option<&str> {
    let one_slash = text.starts_with('/') && !text.starts_with("//");
    let clean = text.len() <= MOST && text.chars().all(|c| c.is_ascii_graphic() && c != '\\');
    let path = text.split(['?', '#']).next().unwrap_or_default();
    let path = path.trim_end_matches('/').to_ascii_lowercase();
    let is_page = !path.ends_with("/logout") && !path.ends_with("/refresh");
    (one_slash && clean && is_page).then_some(text)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::settings::{Origin, Values};

    #[test]
    fn o02_o03_only_the_one_spelling_of_a_listed_application_is_returned_to() {
        let mut values = Values::default();
        for (key, value) in [
            ("public_url", "https://accounts.example.com"),
            ("cookie.domain", "example.com"),
            ("forward_auth.hosts", "app.example.com,wiki.example.com:8443,accounts.example.com"),
        ] {
            values.set(key, value, Origin::Flag("test".into())).unwrap();
        }
        let settings = Settings::read(&values).unwrap();
        for good in [
            "https://app.example.com/",
            "https://app.example.com/a/b?c=https://evil",
            "https://wiki.example.com:8443/x",
            "https://app.example.com/logout",
            "https://accounts.example.com/notes",
        ] {
            assert_eq!(return_to(&settings, good), Some(good));
        }
        for bad in [
            "https://app.example.com",
            "http://app.example.com/",
            "https://app.example.com.evil/",
            "https://evilapp.example.com/",
            "https://app.example.com@evil/",
            "https://evil@app.example.com/",
            "https://app.example.com:80@evil/",
            "https://app.example.com:443/",
            "https://app.example.com:8443/",
            "https://wiki.example.com/",
            "https://app.example.com./",
            "https://APP.example.com/",
            "https://app.example.com%00.evil/",
            "https://app\u{ff0e}example.com/",
            "https://app.example.com/#there",
            "https://app.example.com\\@evil/",
            "https:app.example.com/",
            "https:///app.example.com/",
            "https://app.example.com/a\r\nSet-Cookie: x",
            "https://app.example.com/a b",
            " https://app.example.com/",
            "https://accounts.example.com/logout",
            "https://accounts.example.com/refresh?return_to=/",
            "javascript://app.example.com/%0aalert(1)",
            "data:,x",
            &format!("https://app.example.com/{}", "a".repeat(2_048)),
        ] {
            assert_eq!(return_to(&settings, bad), None, "{bad:?}");
        }
    }

    #[test]
    fn o02_o03_only_pages_of_listed_applications_and_of_our_own_origin_are_gone_on_to() {
        let mut values = Values::default();
        for (key, value) in [
            ("public_url", "https://example.com"),
            ("base_path", "/auth"),
            ("apps.shop.origin", "https://shop.example.com"),
            ("apps", "https://wiki.example.com:8443"),
        ] {
            values.set(key, value, Origin::Flag("test".into())).unwrap();
        }
        let settings = Settings::read(&values).unwrap();
        for good in [
            "https://shop.example.com/",
            "https://shop.example.com/a?b=c#/d",
            "https://shop.example.com/logout",
            "https://wiki.example.com:8443/",
            "https://example.com/page",
        ] {
            assert_eq!(return_to(&settings, good), Some(good));
        }
        for bad in [
            "https://shop.example.com",
            "http://shop.example.com/",
            "https://shop.example.com:8443/",
            "https://wiki.example.com/",
            "https://other.example.com/",
            "https://shop.example.com.evil/",
            "https://shop.example.com@evil/",
            "https://evil@shop.example.com/",
            "https://:x@shop.example.com/",
            "https://shop.example.com./",
            "https://SHOP.example.com/",
            "https://shop.example.com\\@evil/",
            "https://shop\u{3002}example.com/",
            "https:shop.example.com/",
            "//shop.example.com/",
            "https://shop.example.com/a\r\nSet-Cookie: x",
            "blob:https://shop.example.com/1",
            "https://example.com/auth/dashboard",
            "https://example.com/auth",
            "https://example.com/auth/logout",
            "https://example.com/auth/refresh?return_to=/",
            "https://example.com/auth/REFRESH/",
            "http://example.com/page",
            &format!("https://shop.example.com/{}", "a".repeat(2_048)),
        ] {
            assert_eq!(return_to(&settings, bad), None, "{bad:?}");
        }
    }

    #[test]
    fn o01_to_o04_only_a_path_of_ours_is_returned_to() {
        for good in ["/", "/dashboard", "/a/b?c=d&e=%2F%2Fevil", "/a#b"] {
            assert_eq!(path_of_ours(good), Some(good));
        }
        for bad in [
            "",
            "dashboard",
            "//evil",
            "///evil",
            "/\\evil",
            "\\\\evil",
            "https:evil",
            "https://evil",
            "http:///evil",
            " /a",
            "/a\n",
            "/\t/evil",
            "/a\r\nSet-Cookie: x",
            "javascript:alert(1)",
            "data:,x",
            "%2f%2fevil",
            "/a b",
            "/\u{2215}evil",
            "/logout",
            "/logout/",
            "/LOGOUT?x",
            "/auth/logout",
            "/refresh?return_to=%2Frefresh",
            &format!("/{}", "a".repeat(2_048)),
        ] {
            assert_eq!(path_of_ours(bad), None, "{bad:?}");
        }
    }
}
