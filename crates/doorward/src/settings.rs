//! Each setting of the server in one table: key, type, default and what it does. Settings of one feature are in its
//! folder.
//!
//! A value comes from the first of these that has it: a flag, a `DOORWARD_…` variable (`access.ttl` is
//! `DOORWARD_ACCESS_TTL`), `doorward.toml`, the default. An unknown key is refused with the nearest known one.

mod apps;
mod check;
mod check_hosts;
mod contributed;
mod error;
mod files;
mod parse;
mod secrets;
mod service_links;
mod sources;

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::os::unix::fs::DirBuilderExt;
use std::path::PathBuf;
use std::time::Duration;

use doorward_core::password_hash::{Argon2Params, HashAlgorithm, HashPolicy};
use doorward_core::role::Roles;
use doorward_core::throttle::Limit;
use doorward_core::token::Algorithm;
use doorward_core::{Lifetimes, Mode};
use ipnet::IpNet;
use url::Url;

use crate::flow::Sample;
use crate::store::{Database, PostgresSettings};
pub use apps::ListedApp;
pub(crate) use contributed::{Contributed, Own};
pub use error::SettingsError;
pub(crate) use files::{SecretFile, check_private};
pub use parse::{
    DatabaseUrl, InvalidTokenStatus, LogFormat, LogLevel, PasswordAlgorithm, Percent, Registration, SameSite,
};
pub use secrets::{RootSource, Secrets, drop_former_root, make_other_root};
pub use sources::{Noticed, Origin, Values};

/// One setting, as the reference page shows it.
#[derive(Debug, Clone, Copy)]
pub struct Setting {
    /// Its key in `doorward.toml`.
    pub key: &'static str,
    /// Its default value; empty for none.
    pub default: &'static str,
    /// What it does.
    pub doc: &'static str,
}

impl Setting {
    /// The environment variable that sets it.
    pub fn variable(&self) -> String {
        format!("DOORWARD_{}", self.key.replace('.', "_").to_uppercase())
    }
}

macro_rules! settings {
    ($($(#[doc = $doc:literal])+ $field:ident: $type:ty = $key:literal, $default:literal;)+) => {
        /// All settings, read and checked.
        #[derive(Debug, Clone)]
        pub struct Settings {
            $($(#[doc = $doc])+ pub $field: $type,)+
            /// The roles that exist: `user`, `admin`, and those of `[roles]`.
            pub roles: Roles,
            /// The applications of `apps` and `[apps.NAME]`.
            pub apps: Vec<ListedApp>,
            /// Warnings from reading them.
            pub noticed: Noticed,
            /// The values of the features' own settings, by key.
            pub(crate) contributed: BTreeMap<&'static str, String>,
        }

        /// The table of the settings that belong to no feature.
        const SETTINGS: &[Setting] =
            &[$(Setting { key: $key, default: $default, doc: concat!($($doc),+) },)+];

        impl Settings {
            /// Reads the collected values and checks them together.
            ///
            /// # Errors
            /// The first invalid setting, with where it came from and what to do.
            pub fn read(values: &Values) -> Result<Self, SettingsError> {
                let (roles, noticed) = (values.roles()?, values.noticed.clone());
                let (contributed, apps) = (values.contributed()?, values.apps()?);
                let settings = Self { $($field: values.parse($key)?,)+ roles, apps, noticed, contributed };
                settings.check()?;
                Ok(settings)
            }
        }
    };
}

settings! {
    /// The address to listen on. Port 0 picks a free one.
    listen: SocketAddr = "listen", "127.0.0.1:8080";
    /// The folder of the secret and of the SQLite database.
    data: PathBuf = "data", "./doorward-data";
    /// A PostgreSQL URL (`postgres://user:password@host/name?sslmode=require`); empty for SQLite in the data folder. Beyond this machine TLS is required, unless the URL says `sslmode=disable`. A parameter that it can't have is refused by its name.
    database: Option<DatabaseUrl> = "database", "";
    /// The URL under which people reach Doorward, needed beyond loopback. It decides origin, issuer, `Secure` and links.
    public_url: Option<Url> = "public_url", "";
    /// A path that all routes stand below, such as `/auth`.
    base_path: String = "base_path", "";
    /// Other origins whose pages may call Doorward (CORS) and send unsafe requests (CSRF), exactly as browsers send them. Apps with a scheme of their own, such as `capacitor://localhost`, may use bearer mode only.
    origins: Vec<String> = "origins", "";
    /// Origins of applications on Doorward's site that send people to the hosted login and get them back. They count among `origins` too. In the file, `[apps.shop]` with `origin` and `name` also gives one the name that pages show.
    app_origins: Vec<String> = "apps", "";
    /// Networks of proxies whose `X-Forwarded-…` is believed, and that speak https for Doorward.
    trusted_proxies: Vec<IpNet> = "trusted_proxies", "";
    /// Development mode, on a loopback address and a database of its own: what each request does is shown to everybody on
    /// this machine, and cookies have no `Secure` and no prefixes.
    dev: bool = "dev", "false";
    /// Who may register: `open` (everybody), `invite` (people with an invitation) or `closed` (nobody).
    registration: Registration = "registration", "open";
    /// The support contact that pages show to people who cannot sign in: a text such as `the office`, an address, or an
    /// https URL.
    contact: String = "contact", "";
    /// The modes in which people may sign in.
    modes: Vec<Mode> = "modes", "bearer,cookie,session";
    /// The mode of a JSON sign-in that doesn't name one.
    mode_json: Mode = "mode_json", "bearer";
    /// The mode of a form sign-in that doesn't name one.
    mode_form: Mode = "mode_form", "session";
    /// How many bytes are kept free on the disk of the data folder with SQLite. Below that, everything but reads, acts
    /// that end sessions, refreshes and new passwords gets 503. 0 for none. In a file that sets `data`, write the name
    /// in quotes.
    data_reserve: u64 = "data.reserve", "67108864";
    /// The algorithm of access tokens: `ES256`, `EdDSA` or `RS256`. With a `JWT_SECRET` it is HS256.
    access_algorithm: Algorithm = "access.algorithm", "ES256";
    /// Which requests are recorded for `/flow` while nobody watches: `off`, `errors` (the refused ones), or a share such
    /// as `1%`. They stay in memory for 15 minutes, for admins. In development mode all are recorded.
    flow_sample: Sample = "flow.sample", "off";
    /// How long an access token lives, from 1 s.
    access_ttl: Duration = "access.ttl", "15m";
    /// How long a refresh token lives from its last use.
    refresh_ttl: Duration = "refresh.ttl", "30d";
    /// How long a session in session mode lives from its last use.
    idle_ttl: Duration = "session.idle_ttl", "7d";
    /// How long any session lives from its sign-in.
    absolute_ttl: Duration = "session.absolute_ttl", "90d";
    /// How long a session of an admin lives from its sign-in.
    admin_absolute_ttl: Duration = "session.admin_absolute_ttl", "12h";
    /// Whether `POST /refresh` gives an access token for the cookie of session mode, for requests to APIs on other hosts. Every page of Doorward's own origin, of `origins` and of `apps` may then read access tokens of the person who is signed in. Empty for yes, unless `cookie.domain` is set.
    session_tokens: Option<bool> = "session.tokens", "";
    /// How many live sessions a user may have; a further sign-in ends the one longest unused.
    sessions_per_user: u32 = "session.max_per_user", "100";
    /// How many sessions in session mode are kept in memory.
    sessions_in_memory: usize = "session.memory", "100000";
    /// The name of the access token's cookie; `__Host-` is put before it except with `dev` and `http.plain`.
    cookie_token: String = "cookie.token", "token";
    /// The name of the session secret's cookie; `__Host-` is put before it except with `dev` and `http.plain`.
    cookie_session: String = "cookie.session", "sessionId";
    /// The name of the refresh token's cookie; `__Host-` is put before it except with `dev` and `http.plain`.
    cookie_refresh: String = "cookie.refresh", "refresh_token";
    /// The name of the cookie that says that a browser signed in before; `__Host-` is put before it except with `dev`.
    cookie_device: String = "cookie.device", "device";
    /// `SameSite` of all cookies: `strict` or `lax`.
    cookie_same_site: SameSite = "cookie.same_site", "strict";
    /// A domain whose hosts all get the cookie of session mode, such as `example.com`: `__Secure-` is put before its name then. Empty for Doorward's own host only.
    cookie_domain: String = "cookie.domain", "";
    /// The hosts of applications that a proxy protects with `/forward-auth`, exactly as browsers write them: `app.example.com`, or `localhost:8443`. Only these are answered for and returned to.
    forward_auth_hosts: Vec<String> = "forward_auth.hosts", "";
    /// How passwords are hashed: `bcrypt` (argon2id for those over 72 bytes) or `argon2id`.
    password_algorithm: PasswordAlgorithm = "password.algorithm", "bcrypt";
    /// The cost of bcrypt: 10 to 16. Each step doubles the time.
    bcrypt_cost: u32 = "password.bcrypt_cost", "10";
    /// How many passwords may wait to be hashed; a further one is answered with 503.
    hashing_queue: usize = "hashing.queue", "128";
    /// How long a password may wait to be hashed; then it is answered with 503.
    hashing_timeout: Duration = "hashing.timeout", "10s";
    /// How many passwords each core hashes side by side with bcrypt, 1 to 4. Empty for the quickest number, which is
    /// measured at the start. With 1 the library for one password at a time is used.
    hashing_lanes: Option<usize> = "hashing.lanes", "";
    /// Whether guesses and registrations are limited. Off only on a loopback address, for load tests.
    throttle: bool = "throttle.enabled", "true";
    /// Failures at one account from one network: this many at once, then one in each span.
    throttle_account: Limit = "throttle.account", "10/30s";
    /// Failures from one network, at any accounts.
    throttle_network: Limit = "throttle.network", "100/9s";
    /// Failures at one account from a device that it knows, when those of the network are used up.
    throttle_device: Limit = "throttle.device", "10/6m";
    /// Registrations from one network without a valid invitation.
    throttle_registrations: Limit = "throttle.registrations", "30/1m";
    /// Acts of one user that add to the database: changes, and of admins also what they make. Sign-ins and new
    /// passwords are counted in the same way, each separately. Acts that end sessions are not counted.
    throttle_acts: Limit = "throttle.acts", "1000/1s";
    /// Networks that `throttle.network` doesn't count, such as the one of a school. Every other limit counts there too.
    throttle_exempt: Vec<IpNet> = "throttle.exempt", "";
    /// How many accounts and networks each server keeps counts of in its memory, in front of the store.
    throttle_memory: usize = "throttle.memory", "200000";
    /// The largest request body, in bytes.
    body_limit: usize = "http.body_limit", "65536";
    /// The largest request head, in bytes.
    head_limit: usize = "http.head_limit", "16384";
    /// How long a client may take to send the head; also how long a connection may stay idle.
    head_timeout: Duration = "http.head_timeout", "10s";
    /// How long a client may take to send the body.
    body_timeout: Duration = "http.body_timeout", "10s";
    /// How long a client may take to accept a piece of the answer.
    write_timeout: Duration = "http.write_timeout", "30s";
    /// How many connections are open at once; further ones wait.
    max_connections: usize = "http.max_connections", "16384";
    /// How many of them one client address (of IPv6: one /64) may have; a further one is closed. Those of
    /// `trusted_proxies` have no such limit.
    max_connections_per_address: usize = "http.max_connections_per_address", "1024";
    /// How long a stopping server still accepts connections while `/readyz` says 503, so that a load balancer notices.
    drain_delay: Duration = "http.drain_delay", "0s";
    /// How long open requests may take after the signal to stop.
    drain_timeout: Duration = "http.drain_timeout", "10s";
    /// `Strict-Transport-Security` with a `public_url` of https; empty for none. `includeSubDomains` commits all hosts below Doorward's own to https, whoever runs them.
    hsts: String = "http.hsts", "max-age=31536000";
    /// The status of an invalid or expired token: 401, or 403 for clients written against older tutorials.
    invalid_token_status: InvalidTokenStatus = "http.invalid_token_status", "401";
    /// Allows a `public_url` of plain http beyond loopback. Passwords and cookies then cross the network in the clear, and cookies go without `Secure` and prefixes.
    plain_http: bool = "http.plain", "false";
    /// The PEM file of the certificate and its chain, to speak TLS. It is read again when it changes.
    tls_cert: Option<PathBuf> = "tls.cert", "";
    /// The PEM file of the certificate's private key.
    tls_key: Option<PathBuf> = "tls.key", "";
    /// Whether a pooler such as pgbouncer in transaction mode shares its connections to PostgreSQL among its clients. Without it such a pooler is noticed and refused; `pgbouncer=true` in the URL says the same.
    postgres_pooler: bool = "postgres.pooler", "false";
    /// How long a start waits for a PostgreSQL server that isn't up yet.
    postgres_start_timeout: Duration = "postgres.start_timeout", "30s";
    /// How many connections to PostgreSQL are kept; for a moment there is one more while one is opened.
    postgres_pool: usize = "postgres.pool_size", "16";
    /// How long PostgreSQL may take for one statement.
    postgres_timeout: Duration = "postgres.statement_timeout", "5s";
    /// A PEM file with further certificate authorities for PostgreSQL.
    postgres_ca: Option<PathBuf> = "postgres.tls_ca", "";
    /// How many ended sessions are kept in memory, and as many users with stale tokens: about 30 bytes each. Beyond it the
    /// newest stay, and a check of an older credential asks the store.
    revocations_max: usize = "revocations.max", "4000000";
    /// How long a revocation is kept after its last token has expired: longer than `revocations.stale_after`.
    revocations_margin: Duration = "revocations.margin", "10m";
    /// How long the database may be out of reach before checks no longer go by what memory knows of other nodes' logouts.
    revocations_stale_after: Duration = "revocations.stale_after", "2m";
    /// How long `/readyz` says that a node is ready which can't reach its database: it still checks what it knows.
    unreachable_after: Duration = "readyz.unreachable_after", "2m";
    /// How many programs may follow the revocations at once; a further one is answered with 503.
    feed_streams: usize = "feed.max_streams", "256";
    /// How many of them may be of one registered client.
    feed_streams_per_client: usize = "feed.max_streams_per_client", "64";
    /// How long the audit log is kept.
    audit_retention: Duration = "audit.retention", "90d";
    /// The address of the listener for metrics, such as `127.0.0.1:9100`; empty for none.
    metrics_listen: Option<SocketAddr> = "metrics.listen", "";
    /// Allows `metrics.listen` beyond loopback. Everybody who reaches it can read them.
    metrics_public: bool = "metrics.public", "false";
    /// The collector of OpenTelemetry that gets what requests did as spans, such as `http://127.0.0.1:4318`: they are sent to `/v1/traces` below it. Empty for none.
    otel_endpoint: Option<Url> = "otel.endpoint", "";
    /// Allows an `otel.endpoint` of plain http beyond loopback. Spans, and the token of the collector, then cross the network in the clear.
    otel_plain: bool = "otel.plain", "false";
    /// A PEM file with further certificate authorities for the collector.
    otel_ca: Option<PathBuf> = "otel.tls_ca", "";
    /// Sends addresses, names, user agents and ids of users with the spans.
    otel_personal: bool = "otel.personal", "false";
    /// The share of the recorded requests that is sent, such as `5%`. At most 200 requests a second are recorded, and 50 refused ones. Of a trace that a trusted proxy began, the proxy decides.
    otel_sample: Percent = "otel.sample", "100%";
    /// The name under which the collector shows Doorward.
    otel_service: String = "otel.service_name", "doorward";
    /// The form of the log: `text`, `json`, or `auto` (text on a terminal, JSON otherwise).
    log_format: LogFormat = "log.format", "auto";
    /// How much is logged: `error`, `warn`, `info`, `debug` or `trace`.
    log_level: LogLevel = "log.level", "info";
}

impl Settings {
    /// The lifetimes, together.
    pub fn lifetimes(&self) -> Lifetimes {
        Lifetimes {
            access_ttl: self.access_ttl,
            refresh_ttl: self.refresh_ttl,
            idle_ttl: self.idle_ttl,
            absolute_ttl: self.absolute_ttl,
            admin_absolute_ttl: self.admin_absolute_ttl,
        }
    }

    /// How new passwords are hashed.
    ///
    /// # Errors
    /// The hashing rules refuse it.
    pub fn hash_policy(&self) -> Result<HashPolicy, SettingsError> {
        let algorithm = match self.password_algorithm {
            PasswordAlgorithm::Bcrypt => HashAlgorithm::Bcrypt,
            PasswordAlgorithm::Argon2id => HashAlgorithm::Argon2id,
        };
        HashPolicy::new(algorithm, self.bcrypt_cost, Argon2Params::default())
            .map_err(|error| SettingsError::new(format!("password: {error}"), "leave it out for the default"))
    }

    /// The database that the settings name.
    pub fn database(&self) -> Database {
        match &self.database {
            None => Database::Sqlite(self.data.join("doorward.db")),
            Some(url) => Database::Postgres(PostgresSettings {
                url: doorward_core::Secret::new(url.expose()),
                pool_size: self.postgres_pool,
                statement_timeout: self.postgres_timeout,
                tls_ca_file: self.postgres_ca.clone(),
                pooler: self.postgres_pooler,
                start_timeout: self.postgres_start_timeout,
            }),
        }
    }

    /// Makes the data folder of a SQLite database, for its owner alone. An existing folder stays as it is.
    ///
    /// # Errors
    /// If it cannot be made.
    pub fn make_data_folder(&self) -> Result<(), SettingsError> {
        if self.database.is_some() {
            return Ok(());
        }
        let folder = &self.data;
        std::fs::DirBuilder::new().recursive(true).mode(0o700).create(folder).map_err(|error| {
            let problem = format!("cannot make the data folder {}: {error}", folder.display());
            SettingsError::new(problem, "name one that you may write to as data (--data)")
        })
    }

    /// The flags with which a command finds the same installation; none for the default one.
    pub fn place_flags(&self) -> String {
        match &self.database {
            None if self.data == std::path::Path::new("./doorward-data") => String::new(),
            None => format!(" --data {}", self.data.display()),
            Some(_) => " --database URL".to_owned(),
        }
    }

    /// The issuer of access tokens: the public URL, otherwise `doorward`; never the address or port.
    pub fn issuer(&self) -> String {
        self.public_url.as_ref().map_or("doorward".into(), |url| url.as_str().trim_end_matches('/').into())
    }

    /// What the server itself speaks: `http`, or `https` with a certificate.
    pub fn scheme(&self) -> &'static str {
        if self.tls_cert.is_some() { "https" } else { "http" }
    }

    /// The scheme that browsers use with the server: `http` or `https`.
    pub fn public_scheme(&self) -> &str {
        self.public_url.as_ref().map_or(self.scheme(), Url::scheme)
    }

    /// The host that browsers use, without a port, which cookies ignore.
    pub fn public_host(&self) -> String {
        let host = self.public_url.as_ref().and_then(Url::host_str).map(str::to_owned);
        host.unwrap_or_else(|| match self.listen.ip() {
            IpAddr::V4(ip) => ip.to_string(),
            IpAddr::V6(ip) => format!("[{ip}]"),
        })
    }

    /// Whether browsers send a cookie of this mode to this host, which may have a port.
    pub fn cookie_reaches(&self, mode: Mode, host: &str) -> bool {
        let url = Url::parse(&format!("{}://{host}/", self.public_scheme())).ok();
        let Some(host) = url.as_ref().and_then(Url::host_str) else { return false };
        host == self.public_host() || mode == Mode::Session && is_within(host, &self.cookie_domain)
    }

    /// What is allowed but rarely intended, and what to do about it.
    pub fn advice(&self) -> Vec<(&'static str, &'static str)> {
        let beyond = self.public_url.as_ref().is_some_and(|url| !is_loopback(url));
        // A listener beyond loopback that may speak plain http needs no proxy.
        let alone = self.plain_http && !self.listen.ip().is_loopback();
        let by_proxy = beyond && self.tls_cert.is_none() && !alone;
        let advice = [
            (
                self.access_ttl > Duration::from_secs(86_400),
                "access.ttl is over 24 h",
                "programs that only check signatures learn of a logout as late",
            ),
            (
                by_proxy && self.trusted_proxies.is_empty(),
                "trusted_proxies is empty, and there seems to be a proxy in front",
                "name its address, such as 127.0.0.1/32: until then all clients are one to the limits, and through a proxy on another machine nobody signs in with cookies",
            ),
            (
                !self.forward_auth_hosts.is_empty() && self.trusted_proxies.is_empty(),
                "forward_auth.hosts is set, and trusted_proxies is empty",
                "name the address of the proxy: until then /forward-auth denies everything",
            ),
            (
                self.plain_http,
                "http.plain is on",
                "passwords and cookies cross the network in the clear: leave it out once TLS is in front",
            ),
            (self.dev, "dev is on", "leave it out beyond your own machine"),
            (
                !self.throttle,
                "throttle.enabled is off",
                "turn it on: anybody can guess passwords without end",
            ),
        ];
        advice.into_iter().filter(|(holds, ..)| *holds).map(|(_, what, hint)| (what, hint)).collect()
    }

    /// The start of links, for a server at this address.
    pub fn base_url(&self, listening: SocketAddr) -> String {
        let public = self.public_url.as_ref().map(|url| url.as_str().trim_end_matches('/').to_owned());
        let host = public.unwrap_or_else(|| format!("{}://{listening}", self.scheme()));
        format!("{host}{}", self.base_path)
    }

    /// Whether a cookie set here would cross a network in the clear.
    pub fn is_plain_beyond_loopback(&self) -> bool {
        let plain = self.public_url.as_ref().is_some_and(|url| url.scheme() == "http");
        plain && !(self.listen.ip().is_loopback() && self.public_url.as_ref().is_some_and(is_loopback))
    }

    /// Which requests are recorded.
    pub(crate) fn sample(&self) -> Sample {
        if self.dev { Sample::All } else { self.flow_sample }
    }

    /// Whether cookies go without `Secure` and without the prefixes that need it, since browsers reach the server by
    /// plain http.
    pub fn has_plain_cookies(&self) -> bool {
        self.dev || self.plain_http
    }

    /// Whether this is the address of a trusted proxy.
    pub fn is_trusted_proxy(&self, peer: IpAddr) -> bool {
        self.trusted_proxies.iter().any(|net| net.contains(&peer.to_canonical()))
    }

    /// Whether a request from this address came in the clear against the settings: straight to a listener beyond
    /// loopback without TLS and without `http.plain`. Behind a trusted proxy or one on this machine, `public_url`
    /// decides.
    pub fn is_plain_from(&self, peer: IpAddr) -> bool {
        let by_proxy = peer.to_canonical().is_loopback() || self.is_trusted_proxy(peer);
        !(self.plain_http || self.tls_cert.is_some() || self.listen.ip().is_loopback() || by_proxy)
    }
}

/// Whether a host is this domain or below it; false for an empty domain.
fn is_within(host: &str, domain: &str) -> bool {
    let below = host.strip_suffix(domain).is_some_and(|rest| rest.is_empty() || rest.ends_with('.'));
    !domain.is_empty() && below
}

fn is_loopback(url: &Url) -> bool {
    match url.host() {
        Some(url::Host::Ipv4(ip)) => ip.is_loopback(),
        Some(url::Host::Ipv6(ip)) => ip.is_loopback(),
        Some(url::Host::Domain(name)) => is_loopback_name(name),
        None => false,
    }
}

/// Whether a host is this machine by its name: `localhost` and what is below it (RFC 6761 section 6.3), or a loopback
/// address, of IPv6 in brackets.
pub(crate) fn is_loopback_name(host: &str) -> bool {
    let host = host.to_ascii_lowercase();
    let labels = host.strip_suffix("localhost");
    let is_name = |labels: &str| {
        labels.strip_suffix('.').is_some_and(|labels| labels.split('.').all(|label| !label.is_empty()))
    };
    let of_ipv6 = host.strip_prefix('[').and_then(|host| host.strip_suffix(']'));
    labels.is_some_and(|labels| labels.is_empty() || is_name(labels))
        || host.parse::<Ipv4Addr>().is_ok_and(|address| address.is_loopback())
        || of_ipv6
            .and_then(|address| address.parse::<Ipv6Addr>().ok())
            .is_some_and(|address| address.is_loopback())
}

#[cfg(test)]
mod tests;
