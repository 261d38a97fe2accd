//! The applications that send their people to the hosted login, by `apps` or `[apps.NAME]`.

use std::net::IpAddr;

use url::{Host, Url};

use super::check::{check_origin, require};
use super::{Origin, Settings, SettingsError, Values};

/// An application that sends people to the hosted login and gets them back.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ListedApp {
    /// Its origin, as browsers write it.
    pub origin: String,
    /// Its name on pages; empty for none.
    pub name: String,
}

impl ListedApp {
    /// Its host, with a port that isn't the default.
    pub fn host(&self) -> &str {
        self.origin.split_once("://").map_or(&self.origin, |(_, host)| host)
    }
}

/// The longest name of an application, in characters.
const LONGEST: usize = 60;

impl Values {
    /// The applications: those of the list, and those with a name.
    pub(super) fn apps(&self) -> Result<Vec<ListedApp>, SettingsError> {
        let list: Vec<String> = self.parse("apps")?;
        let mut apps: Vec<_> =
            list.into_iter().map(|origin| ListedApp { origin, name: String::new() }).collect();
        for (key, (text, origin)) in self.dynamic("apps.") {
            let Some((app, what)) = key.rsplit_once('.') else { continue };
            let text = text.trim();
            if what == "name" {
                check_name(key, text, origin)?;
                let of_app: String = self.parse(&format!("{app}.origin"))?;
                require(
                    !of_app.is_empty(),
                    key,
                    "has no origin beside it",
                    "such as origin = \"https://app.example.com\"",
                )?;
                continue;
            }
            apps.push(ListedApp { origin: text.to_owned(), name: self.parse(&format!("{app}.name"))? });
        }
        Ok(apps)
    }
}

fn check_name(key: &str, name: &str, origin: &Origin) -> Result<(), SettingsError> {
    let length = name.chars().count();
    let is_text = (1..=LONGEST).contains(&length) && !name.chars().any(char::is_control);
    let hint = format!("such as name = \"Shop\", of at most {LONGEST} characters");
    require(is_text, &format!("{key} ({origin})"), "is no name that a page can show", &hint)
}

impl Settings {
    /// The origins whose pages may call Doorward: those of `origins`, and of the applications.
    pub(crate) fn page_origins(&self) -> impl Iterator<Item = &String> {
        self.origins.iter().chain(self.apps.iter().map(|app| &app.origin))
    }

    /// The application at this URL.
    pub(crate) fn app_at(&self, url: &Url) -> Option<&ListedApp> {
        let origin = url.origin().ascii_serialization();
        self.apps.iter().find(|app| app.origin == origin)
    }

    /// Whether a session cookie can be exchanged for an access token.
    pub(crate) fn gives_tokens_for_sessions(&self) -> bool {
        self.session_tokens.unwrap_or(self.cookie_domain.is_empty())
    }

    pub(super) fn check_apps(&self) -> Result<(), SettingsError> {
        require(
            self.cookie_domain.is_empty() || self.session_tokens != Some(true),
            "session.tokens",
            "is on, and cookie.domain lets every host of the domain see the session's secret: a token in a page's memory protects nothing then",
            "leave cookie.domain out, or session.tokens",
        )?;
        for (at, app) in self.apps.iter().enumerate() {
            check_origin("apps", &app.origin)?;
            let is_repeated = self.apps.iter().take(at).any(|other| other.origin == app.origin);
            require(!is_repeated, "apps", &format!("has {:?} twice", app.origin), "list each origin once")?;
            self.check_app(app)?;
        }
        Ok(())
    }

    /// The hosted login signs in by a cookie, which browsers send to requests of the same site alone.
    fn check_app(&self, app: &ListedApp) -> Result<(), SettingsError> {
        let own = format!("{}://{}", self.public_scheme(), self.public_host());
        let problem = format!(
            "{:?} is on another site than Doorward at {own}: a browser would not send Doorward's cookie with its requests",
            app.origin
        );
        let hint = "bring both below one domain that is yours, with one scheme; on another site, list it in origins and sign in by its own form in bearer mode";
        let (app, own) = (Url::parse(&app.origin).ok(), Url::parse(&own).ok());
        let is_same = app.zip(own).is_some_and(|(app, own)| is_same_site(&app, &own));
        require(is_same, "apps", &problem, hint)
    }
}

/// Whether browsers take two URLs for one site: scheme and registrable domain are the same. A host without such a domain,
/// as an address or `localhost`, is one site with itself alone.
fn is_same_site(one: &Url, other: &Url) -> bool {
    let domain = |url: &Url| match url.host() {
        Some(Host::Domain(name)) if name.parse::<IpAddr>().is_err() => {
            psl::domain_str(name).map(str::to_owned)
        }
        _ => None,
    };
    let same_host = one.host() == other.host();
    let same_domain = domain(one).is_some_and(|of_one| domain(other) == Some(of_one));
    one.scheme() == other.scheme() && (same_host || same_domain)
}
