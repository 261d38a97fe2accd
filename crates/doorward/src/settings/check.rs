//! The rules for the settings, each alone and all together, with what to do if one is broken.

use std::collections::BTreeSet;
use std::time::Duration;

use bcrypt_lanes::MOST_LANES;
use doorward_core::Mode;
use doorward_core::token::Algorithm;
use url::Url;

use super::{Settings, SettingsError, is_loopback};

impl Settings {
    pub(super) fn check(&self) -> Result<(), SettingsError> {
        self.check_network()?;
        self.check_lifetimes()?;
        self.check_sizes()?;
        let cost_known = (10..=16).contains(&self.bcrypt_cost);
        require(cost_known, "password.bcrypt_cost", "must be 10 to 16", "leave it at 10")?;
        require(
            !self.modes.is_empty(),
            "modes",
            "is empty",
            "name at least one of bearer, cookie and session",
        )?;
        require(
            self.mode_form != Mode::Bearer,
            "mode_form",
            "is bearer, which no form can use",
            "choose session or cookie",
        )?;
        require(
            self.access_algorithm != Algorithm::Hs256,
            "access.algorithm",
            "HS256 needs a shared secret",
            "set the variable JWT_SECRET, which switches to HS256, and leave this setting out",
        )?;
        let plain =
            |name: &str| !name.is_empty() && name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_');
        let names = [&self.cookie_token, &self.cookie_session, &self.cookie_refresh, &self.cookie_device];
        require(
            names.iter().all(|name| plain(name)),
            "cookie",
            "a cookie's name must have only a-z, A-Z, 0-9 and _",
            "",
        )?;
        let distinct = names.iter().collect::<BTreeSet<_>>().len() == names.len();
        require(distinct, "cookie", "two cookies have the same name", "give each its own")?;
        self.check_hosts()?;
        self.check_apps()?;
        self.check_otel()?;
        self.database().check().map_err(|error| SettingsError::new(error.to_string(), ""))
    }

    fn check_network(&self) -> Result<(), SettingsError> {
        // Behind a proxy the address is always loopback; the public URL counts.
        let local = self.listen.ip().is_loopback() && self.public_url.as_ref().is_none_or(is_loopback);
        if self.dev {
            self.check_development(local)?;
        }
        require(
            self.listen.ip().is_loopback() || self.public_url.is_some(),
            "listen",
            "is beyond loopback, and nothing says under which URL people reach it",
            "set public_url = \"https://…\" to the address in people's browsers",
        )?;
        require(
            self.throttle || local,
            "throttle.enabled",
            "cannot be off beyond loopback: anybody could guess passwords without end",
            "listen on 127.0.0.1 for load tests, or leave it on",
        )?;
        require(
            !self.is_plain_beyond_loopback() || self.plain_http,
            "public_url",
            "is plain http: passwords and tokens would cross the network in the clear",
            "use https://, or say http.plain = true if a protected network carries it",
        )?;
        require(
            self.metrics_public || self.metrics_listen.is_none_or(|address| address.ip().is_loopback()),
            "metrics.listen",
            "is beyond loopback: everybody who reaches it could read the metrics",
            "listen on 127.0.0.1, or say metrics.public = true if a protected network or a firewall is around it",
        )?;
        require(
            self.tls_cert.is_some() == self.tls_key.is_some(),
            "tls",
            "needs both files, tls.cert and tls.key",
            "name the one that is missing, or leave both out",
        )?;
        let secure = self.public_url.as_ref().is_none_or(|url| url.scheme() == "https");
        require(
            self.tls_cert.is_none() || secure,
            "public_url",
            "is plain http, and the server speaks TLS",
            "write it with https://, or leave tls.cert and tls.key out",
        )?;
        require(
            local || self.revocations_margin >= Duration::from_secs(60),
            "revocations.margin",
            "is below a minute, which is for tests on this machine",
            "leave it at 10m",
        )?;
        self.check_public_url()
    }

    /// Development mode opens things to every program on this machine: nobody else may reach the server.
    fn check_development(&self, local: bool) -> Result<(), SettingsError> {
        let require = |holds, problem, hint| require(holds, "dev", problem, hint);
        require(
            local,
            "is for a loopback address only, with no public_url beyond it",
            "listen on 127.0.0.1, or leave --dev out",
        )?;
        require(
            self.trusted_proxies.is_empty(),
            "is for a server without a proxy, and trusted_proxies names one",
            "leave trusted_proxies out, or --dev",
        )?;
        require(
            self.tls_cert.is_none() && self.tls_key.is_none() && self.public_scheme() == "http",
            "is for plain http on this machine, and the settings name https",
            "leave tls.cert, tls.key and a public_url with https:// out, or --dev",
        )?;
        require(
            self.metrics_listen.is_none_or(|address| address.ip().is_loopback()),
            "is for a loopback address only, and metrics.listen is beyond it",
            "let metrics.listen name 127.0.0.1, or leave --dev out",
        )
    }

    fn check_public_url(&self) -> Result<(), SettingsError> {
        require(
            !(self.plain_http && self.public_scheme() == "https"),
            "http.plain",
            "is on, and people reach Doorward by https: cookies would lose their protection for nothing",
            "leave http.plain out, or say the http:// URL as public_url",
        )?;
        if let Some(url) = &self.public_url {
            let host_only = url.path() == "/" && url.query().is_none() && url.fragment().is_none();
            let web = matches!(url.scheme(), "http" | "https") && url.username().is_empty();
            require(
                web && host_only,
                "public_url",
                "must be scheme and host only",
                "such as https://accounts.example.com; a path goes into base_path",
            )?;
        }
        require(
            self.hsts.is_empty() || is_hsts(&self.hsts),
            "http.hsts",
            "must be max-age=SECONDS, and after it includeSubDomains and preload if you like, each after a `;`",
            "such as max-age=31536000; includeSubDomains",
        )?;
        let path = &self.base_path;
        let clean =
            path.is_empty() || (path.starts_with('/') && !path.ends_with('/') && !path.contains("//"));
        let safe = path.bytes().all(|b| b.is_ascii_alphanumeric() || b"/-_".contains(&b));
        require(clean && safe, "base_path", "must begin with / and not end with it", "such as /auth")?;
        self.origins.iter().try_for_each(|origin| check_origin("origins", origin))
    }

    fn check_lifetimes(&self) -> Result<(), SettingsError> {
        require(
            self.revocations_stale_after < self.revocations_margin,
            "revocations.stale_after",
            "is not below revocations.margin: a node that reads nothing for so long could miss an end for good",
            "lower it, or raise revocations.margin",
        )?;
        let second = Duration::from_secs(1);
        for (key, ttl) in [
            ("access.ttl", self.access_ttl),
            ("refresh.ttl", self.refresh_ttl),
            ("session.idle_ttl", self.idle_ttl),
            ("session.absolute_ttl", self.absolute_ttl),
            ("session.admin_absolute_ttl", self.admin_absolute_ttl),
        ] {
            require(ttl >= second, key, "is shorter than one second", "such as 15m, 12h or 30d")?;
            require(
                ttl <= 3_660 * 86_400 * second,
                key,
                "is longer than ten years",
                "such as 15m, 12h or 30d",
            )?;
        }
        Ok(())
    }

    fn check_otel(&self) -> Result<(), SettingsError> {
        let Some(url) = &self.otel_endpoint else { return Ok(()) };
        let key = "otel.endpoint";
        require(
            cfg!(feature = "otel"),
            key,
            "is set, and this program was built without OpenTelemetry",
            "build it with the crate feature otel, or leave the setting out",
        )?;
        let is_web = matches!(url.scheme(), "http" | "https") && url.has_host();
        let is_base = url.query().is_none() && url.fragment().is_none();
        require(is_web && is_base, key, "must be the start of a URL", "such as http://127.0.0.1:4318")?;
        require(
            url.username().is_empty() && url.password().is_none(),
            key,
            "has a name or password",
            "give what the collector asks for as headers, by the variable DOORWARD_OTEL_HEADERS",
        )?;
        require(
            url.scheme() == "https" || is_loopback(url) || self.otel_plain,
            key,
            "is plain http: spans, and the token of the collector, would cross the network in the clear",
            "use https://, or say otel.plain = true if a protected network carries it",
        )?;
        require(
            !self.otel_service.is_empty(),
            "otel.service_name",
            "is empty",
            "leave it out for the default",
        )
    }

    fn check_sizes(&self) -> Result<(), SettingsError> {
        for (key, size, least) in [
            ("hashing.queue", self.hashing_queue, 1),
            ("throttle.memory", self.throttle_memory, 1_000),
            ("session.memory", self.sessions_in_memory, 100),
            ("session.max_per_user", self.sessions_per_user as usize, 1),
            ("http.body_limit", self.body_limit, 4_096),
            ("http.head_limit", self.head_limit, 8_192),
            ("http.max_connections", self.max_connections, 1),
            ("http.max_connections_per_address", self.max_connections_per_address, 1),
            ("feed.max_streams_per_client", self.feed_streams_per_client, 1),
            ("postgres.pool_size", self.postgres_pool, 1),
        ] {
            require(size >= least, key, &format!("is less than {least}"), "leave it out for the default")?;
        }
        let lanes = self.hashing_lanes.unwrap_or(1);
        require(
            (1..=MOST_LANES).contains(&lanes),
            "hashing.lanes",
            "is not within 1 to 4",
            "leave it out for the quickest number",
        )
    }
}

/// Checks a value of `Strict-Transport-Security` (RFC 6797 section 6.1); unknown directives are refused.
fn is_hsts(text: &str) -> bool {
    let mut directives = text.split(';').map(str::trim);
    let seconds = directives.next().and_then(|first| first.strip_prefix("max-age="));
    let is_age = seconds.is_some_and(|age| age.parse::<u32>().is_ok() && !age.starts_with('+'));
    let rest: Vec<&str> = directives.collect();
    is_age && ["", "includeSubDomains", "includeSubDomains preload"].contains(&rest.join(" ").as_str())
}

/// Checks that an origin is written exactly as a browser sends it: scheme, host, port unless it is the default.
pub(super) fn check_origin(key: &str, origin: &str) -> Result<(), SettingsError> {
    require(
        !origin.contains('*'),
        key,
        "has a wildcard: every page of the web could act for the people who are signed in",
        "list each origin exactly, such as https://app.example.com",
    )?;
    require(
        origin != "null",
        key,
        "has null, which browsers send for files and sandboxed frames: anybody can make one",
        "serve the page from an address, and list that",
    )?;
    if let Some((scheme, host)) = origin.split_once("://")
        && !matches!(scheme, "http" | "https")
    {
        return check_app_origin(key, origin, scheme, host);
    }
    let exact = Url::parse(origin).ok().map(|url| url.origin().ascii_serialization());
    let hint =
        format!("write it as browsers send it: {}", exact.as_deref().unwrap_or("https://app.example.com"));
    require(exact.as_deref() == Some(origin), key, &format!("{origin:?} is not an origin"), &hint)
}

/// Schemes whose pages have no origin, or that have no pages.
const NO_PAGES: [&str; 10] =
    ["about", "blob", "data", "file", "filesystem", "ftp", "javascript", "view-source", "ws", "wss"];

/// An app with a scheme of its own: `capacitor://localhost`, or an extension.
fn check_app_origin(key: &str, origin: &str, scheme: &str, host: &str) -> Result<(), SettingsError> {
    let of_scheme = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || b"+-.".contains(&byte);
    let is_scheme = scheme.starts_with(|c: char| c.is_ascii_lowercase()) && scheme.bytes().all(of_scheme);
    let of_host = |byte: u8| byte.is_ascii_alphanumeric() || b".-_:".contains(&byte);
    let is_host = host.starts_with(|c: char| c.is_ascii_alphanumeric()) && host.bytes().all(of_host);
    require(
        is_scheme && is_host && !NO_PAGES.contains(&scheme),
        key,
        &format!("{origin:?} is not an origin"),
        "write it as the app sends it in Origin: scheme, host and no path, such as capacitor://localhost",
    )
}

pub(super) fn require(holds: bool, key: &str, problem: &str, hint: &str) -> Result<(), SettingsError> {
    if holds { Ok(()) } else { Err(SettingsError::new(format!("{key} {problem}"), hint)) }
}
