//! The applications behind forward-auth: browsers must send Doorward's cookie to them, and to no other host.

use std::net::IpAddr;

use doorward_core::Mode;
use url::Url;

use super::check::require;
use super::{Settings, SettingsError, is_within};

impl Settings {
    pub(super) fn check_hosts(&self) -> Result<(), SettingsError> {
        if !self.cookie_domain.is_empty() {
            self.check_cookie_domain()?;
        }
        self.forward_auth_hosts.iter().try_for_each(|host| self.check_host(host))
    }

    /// Browsers themselves refuse a public suffix (`co.uk`) as a domain, so no list of those is needed here.
    fn check_cookie_domain(&self) -> Result<(), SettingsError> {
        let (key, domain) = ("cookie.domain", self.cookie_domain.as_str());
        let exact = Url::parse(&format!("https://{domain}/")).ok();
        let is_host = exact.as_ref().and_then(Url::host_str) == Some(domain)
            && !domain.starts_with('.')
            && !domain.ends_with('.');
        require(
            is_host && domain.contains('.') && domain.parse::<IpAddr>().is_err(),
            key,
            &format!("{domain:?} is no domain that hosts can share"),
            "write it in lower case and without a dot before it, such as example.com",
        )?;
        require(
            is_within(&self.public_host(), domain),
            key,
            &format!("{domain:?} is not the domain of public_url, so browsers refuse the cookie"),
            "name the domain that Doorward's own host and the applications share",
        )?;
        require(
            self.public_scheme() == "https" && !self.dev,
            key,
            "needs https: its hosts share the cookie, and each of them is a place to read it",
            "use a public_url with https://, and leave dev out",
        )?;
        require(
            self.mode_form == Mode::Session && self.modes.contains(&Mode::Session),
            key,
            "is for session mode: the tokens of cookie mode stay with Doorward's own host",
            "say mode_form = \"session\", and have session among modes",
        )
    }

    fn check_host(&self, host: &str) -> Result<(), SettingsError> {
        let key = "forward_auth.hosts";
        let exact = Url::parse(&format!("{}://{host}/", self.public_scheme())).ok();
        let exact = exact.and_then(|url| Some((url.host_str()?.to_owned(), url.port())));
        let exact = exact.map(|(name, port)| port.map_or(name.clone(), |port| format!("{name}:{port}")));
        let hint = format!("write it as browsers do: {}", exact.as_deref().unwrap_or("app.example.com"));
        require(
            exact.as_deref() == Some(host) && !host.contains('*'),
            key,
            &format!("{host:?} is not a host"),
            &hint,
        )?;
        let named = (self.public_host(), &self.cookie_domain);
        let problem = format!(
            "{host:?} is neither Doorward's own host {:?} nor within cookie.domain {:?}: browsers don't send it Doorward's cookie",
            named.0, named.1
        );
        let hint = "bring the application under one domain with Doorward and say cookie.domain; across domains, use the guard and bearer tokens";
        require(self.cookie_reaches(Mode::Session, host), key, &problem, hint)
    }
}
