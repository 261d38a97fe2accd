//! A whole server in a temporary folder, with its own clock, and visitors with cookie jars, for tests.
//!
//! On SQLite; or, if `DOORWARD_TEST_POSTGRES` names a PostgreSQL server, in a new database there.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, missing_docs)]

mod answer;
mod canaries;
mod conformity;
pub mod parsers;
mod round_trips;
mod visitor;

pub use answer::Answer;
use canaries::Canaries;
pub use conformity::{Api, Route};
pub use round_trips::RoundTrips;
pub use visitor::Visitor;

use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use doorward_core::email::Email;
use doorward_core::name::DisplayName;
use doorward_core::password::Password;
use doorward_core::password_hash::{HashAlgorithm, HashPolicy};
use doorward_core::role::RoleName;
use doorward_core::{Mode, Timestamp};
use serde_json::json;

use crate::accounts::Actor;
use crate::app::App;
#[cfg(test)]
use crate::app::{Contributions, Opening};
use crate::clock::Clock;
use crate::features::admin_users;
#[cfg(test)]
use crate::features::contributions;
use crate::hooks::Hooks;
#[cfg(test)]
use crate::keys::Algorithms;
use crate::settings::{Origin, PasswordAlgorithm, Secrets, Settings, Values};
#[cfg(test)]
use crate::texts::Language;

/// The password of every user in tests.
pub const PASSWORD: &str = "a door is a promise";

/// A separate server.
pub struct Site {
    pub app: App,
    pub clock: Clock,
    router: Router,
    api: Arc<Api>,
    canaries: Arc<Canaries>,
    folder: Arc<tempfile::TempDir>,
    settings: Vec<(String, String)>,
    environment: Vec<(String, String)>,
    hooks: Hooks,
}

impl Site {
    /// A site with the default settings.
    pub async fn new() -> Self {
        Self::with(&[]).await
    }

    /// A site with these settings, such as `("access.ttl", "5s")`. `JWT_SECRET` is allowed among them.
    pub async fn with(settings: &[(&str, &str)]) -> Self {
        Self::with_hooks(settings, Hooks::new()).await
    }

    /// The same, inside an application with these hooks.
    pub async fn with_hooks(settings: &[(&str, &str)], hooks: Hooks) -> Self {
        Self::begin(settings, hooks, Timestamp::from_secs(1_800_000_000), None).await
    }

    /// A site over a copy of the database that another program made: `sqlite.db`, or the dump `postgres.sql`, of this
    /// folder. It is opened at this time.
    pub async fn over(database: &Path, secret: &str, now: Timestamp) -> Self {
        Self::begin(&[("DOORWARD_SECRET", secret)], Hooks::new(), now, Some(database)).await
    }

    async fn begin(settings: &[(&str, &str)], hooks: Hooks, now: Timestamp, database: Option<&Path>) -> Self {
        let folder = Arc::new(tempfile::tempdir().unwrap());
        let clock = Clock::manual(now);
        let (environment, settings): (Vec<_>, Vec<_>) = settings
            .iter()
            .map(|(key, value)| ((*key).to_owned(), (*value).to_owned()))
            .partition(|(key, _)| key.chars().all(|c| c.is_ascii_uppercase() || c == '_'));
        let mut site_settings = settings;
        let mut environment = environment;
        let is_named = site_settings.iter().any(|(key, _)| key == "database");
        let url = if is_named { None } else { new_postgres_schema(database).await };
        if let (Some(database), None) = (database, &url) {
            // Not its mode: a checked out file may be writable for others.
            let file = std::fs::read(database.join("sqlite.db")).unwrap();
            std::fs::write(folder.path().join("doorward.db"), file).unwrap();
        }
        if is_named || url.is_some() {
            environment.push(("DOORWARD_SECRET".into(), "a root secret for tests: 0123456789".into()));
        }
        site_settings.extend(url.map(|url| ("database".into(), url)));
        let app = open(folder.path(), &clock, &site_settings, &environment, &hooks).await;
        let (router, api) = (crate::routes::alone(&app), Arc::new(Api::of(&app.settings)));
        let canaries = Canaries::of(&app);
        Self { app, clock, router, api, canaries, folder, settings: site_settings, environment, hooks }
    }

    /// Without a reader of its flows: every other site has one, which looks for secrets in them.
    pub fn unwatched(self) -> Self {
        self.canaries.stop();
        self
    }

    /// The same data, opened again as by a new process.
    pub async fn restarted(&self) -> Self {
        self.app.sessions.memory.flush().await.unwrap();
        self.app.write_limits().await.unwrap();
        let app = self.opened(&self.settings).await;
        Self {
            router: crate::routes::alone(&app),
            api: self.api.clone(),
            canaries: Canaries::of(&app),
            app,
            clock: self.clock.clone(),
            folder: self.folder.clone(),
            settings: self.settings.clone(),
            environment: self.environment.clone(),
            hooks: self.hooks.clone(),
        }
    }

    /// The same data under changed settings, opened again as by a new process.
    pub async fn restarted_with(&self, settings: &[(&str, &str)]) -> Self {
        let (mut all, mut environment) = (self.settings.clone(), self.environment.clone());
        for (key, value) in settings {
            let is_variable = key.chars().all(|c| c.is_ascii_uppercase() || c == '_');
            let list = if is_variable { &mut environment } else { &mut all };
            list.push(((*key).to_owned(), (*value).to_owned()));
        }
        let app = open(self.folder.path(), &self.clock, &all, &environment, &self.hooks).await;
        let (router, api) = (crate::routes::alone(&app), Arc::new(Api::of(&app.settings)));
        let (clock, folder) = (self.clock.clone(), self.folder.clone());
        let (canaries, hooks) = (Canaries::of(&app), self.hooks.clone());
        Self { app, clock, router, api, canaries, folder, settings: all, environment, hooks }
    }

    /// The same site with its pages in another language.
    #[cfg(test)]
    pub(crate) async fn in_language(&self, language: Language) -> Self {
        let (settings, secrets, policy) = read(self.folder.path(), &self.settings, &self.environment);
        let contributions = Contributions { language, ..contributions() };
        let (clock, hooks, algorithms) = (self.clock.clone(), self.hooks.clone(), Algorithms::AsSet);
        let database = settings.database();
        let opening =
            Opening { settings, database, secrets, clock, policy, hooks, algorithms, contributions };
        let app = Box::pin(App::assemble(opening)).await.unwrap();
        let canaries = Canaries::of(&app);
        Self { router: crate::routes::alone(&app), canaries, app, ..self.restarted().await }
    }

    /// Why a server with changed settings is refused on the same data.
    pub async fn refused_with(&self, settings: &[(&str, &str)]) -> String {
        let (settings, secrets, policy) = self.changed(settings);
        let opened = App::open_with(settings, secrets, self.clock.clone(), policy, self.hooks.clone()).await;
        opened.err().unwrap().to_string()
    }

    /// The application as a command opens it beside the server.
    pub async fn command(&self) -> App {
        let (settings, secrets, _) = self.changed(&[]);
        App::join(settings, secrets, self.clock.clone()).await.unwrap()
    }

    /// A command with changed settings makes its issuer that of all servers.
    pub async fn adopts_issuer_of(&self, settings: &[(&str, &str)]) {
        let (settings, secrets, _) = self.changed(settings);
        let app = App::join(settings, secrets, self.clock.clone()).await.unwrap();
        app.adopt_issuer().await.unwrap();
    }

    fn changed(&self, settings: &[(&str, &str)]) -> (Settings, Secrets, HashPolicy) {
        let mut all = self.settings.clone();
        all.extend(settings.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())));
        read(self.folder.path(), &all, &self.environment)
    }

    async fn opened(&self, settings: &[(String, String)]) -> App {
        open(self.folder.path(), &self.clock, settings, &self.environment, &self.hooks).await
    }

    /// Moves the clock on, and does what the server does as time passes.
    pub async fn later(&self, by: Duration) {
        self.clock.advance(by);
        self.app.follow().await.unwrap();
        self.app.sweep().await.unwrap();
    }

    /// The document of the API, which every answer is compared with.
    pub fn api(&self) -> &Api {
        &self.api
    }

    /// A visitor without a credential.
    pub fn visitor(&self) -> Visitor {
        Visitor::new(self)
    }

    /// A visitor who registers in bearer mode as `NAME@example.org`, and is signed in.
    pub async fn registered(&self, name: &str) -> Visitor {
        let visitor = self.visitor();
        let body = json!({ "name": name, "email": format!("{name}@example.org"), "password": PASSWORD });
        visitor.post("/register", body).await.has_status(201);
        visitor
    }

    /// A visitor who is signed in as `NAME@example.org` in bearer mode; registered first if new.
    pub async fn logged_in(&self, name: &str) -> Visitor {
        self.logged_in_by(name, Mode::Bearer).await
    }

    /// The same in another mode.
    pub async fn logged_in_by(&self, name: &str, mode: Mode) -> Visitor {
        let email = Email::parse(&format!("{name}@example.org")).unwrap();
        if self.app.users.find_by_email(&email).await.unwrap().is_none() {
            self.user(name, RoleName::USER).await;
        }
        let visitor = self.visitor();
        let body = json!({ "email": email.as_str(), "password": PASSWORD, "mode": mode.as_str() });
        visitor.post("/login", body).await.has_status(200);
        visitor
    }

    /// A new admin `NAME@example.org`, signed in in bearer mode, who sends their password with each act.
    pub async fn admin(&self, name: &str) -> Visitor {
        self.user(name, RoleName::ADMIN).await;
        self.logged_in(name).await.confirming(true)
    }

    /// Makes a user with this role; returns the id.
    pub async fn user(&self, name: &str, role: RoleName) -> String {
        let email = Email::parse(&format!("{name}@example.org")).unwrap();
        let (name, password) = (DisplayName::parse(name).unwrap(), Password::new(PASSWORD).unwrap());
        let new = admin_users::CreateUser { name, email, role, password: Some(password) };
        admin_users::create(&self.app, new, Actor::CommandLine).await.unwrap().id.to_string()
    }

    /// Registers a client; returns its `Authorization`.
    pub async fn client(&self) -> String {
        let name = DisplayName::parse("the shop").unwrap();
        let (id, secret) = self.app.clients.create(&name, &Actor::CommandLine).await.unwrap();
        format!("Basic {}", STANDARD.encode(format!("{id}:{}", *secret)))
    }

    /// Serves on a free port of the loopback address, for as long as the test runs.
    pub async fn listen(&self) -> SocketAddr {
        let listening = crate::serve::Listening::bind(&self.app).await.unwrap();
        let address = listening.address().unwrap();
        tokio::spawn(listening.serve(std::future::pending()));
        address
    }

    /// Every value of every table as text, as somebody who steals the database would have it.
    pub async fn stolen_database(&self) -> String {
        const TABLES: [&str; 10] = [
            "SELECT name, role FROM users ORDER BY id",
            "SELECT address, verified_by FROM emails ORDER BY address",
            "SELECT kind, identifier, data FROM authenticators ORDER BY id",
            "SELECT mode, ip, user_agent, secret_hash, salt, generation FROM sessions ORDER BY id",
            "SELECT secret_hash, salt FROM former_credentials ORDER BY session_id, salt",
            "SELECT purpose, data, hash FROM challenges ORDER BY hash",
            "SELECT hash FROM devices ORDER BY hash",
            "SELECT name, secret_hash FROM clients ORDER BY id",
            "SELECT owner, outcome, hash FROM form_posts ORDER BY hash",
            "SELECT kid, algorithm, public_jwk, private_key FROM signing_keys ORDER BY kid",
        ];
        let mut text = String::new();
        for table in TABLES {
            for row in self.app.store.list(table, Vec::new()).await.unwrap() {
                text += &row.for_tests();
            }
        }
        text
    }
}

async fn open(
    folder: &Path,
    clock: &Clock,
    settings: &[(String, String)],
    environment: &[(String, String)],
    hooks: &Hooks,
) -> App {
    let (settings, secrets, policy) = read(folder, settings, environment);
    App::open_with(settings, secrets, clock.clone(), policy, hooks.clone()).await.unwrap()
}

fn read(
    folder: &Path,
    settings: &[(String, String)],
    environment: &[(String, String)],
) -> (Settings, Secrets, HashPolicy) {
    let mut values = Values::default();
    let test = || Origin::Flag("test".into());
    values.set("data", folder.to_str().unwrap(), test()).unwrap();
    values.set("listen", "127.0.0.1:0", test()).unwrap();
    for (key, value) in settings {
        values.set(key, value.clone(), test()).unwrap();
    }
    let settings = Settings::read(&values).unwrap();
    let variable =
        |name: &str| environment.iter().find(|(key, _)| key == name).map(|(_, value)| value.clone());
    let secrets = Secrets::read(&settings, variable).unwrap();
    let algorithm = match settings.password_algorithm {
        PasswordAlgorithm::Bcrypt => HashAlgorithm::Bcrypt,
        PasswordAlgorithm::Argon2id => HashAlgorithm::Argon2id,
    };
    (settings, secrets, HashPolicy::for_tests(algorithm))
}

/// A schema for each site, which is faster to make than a database; returns its URL. With the dump `postgres.sql` of
/// this folder, if there is one. The temporary server is removed after the tests, and all schemas with it. If
/// `DOORWARD_TEST_POOLER` is the port of a pooler before that server, the site reaches it through the pooler.
async fn new_postgres_schema(database: Option<&Path>) -> Option<String> {
    let server = std::env::var("DOORWARD_TEST_POSTGRES").ok()?;
    let (client, connection) = tokio_postgres::connect(&server, tokio_postgres::NoTls).await.unwrap();
    let connection = tokio::spawn(connection);
    let name = format!("site_{:016x}", u64::from_be_bytes(crate::random::bytes()));
    let dump = database.map(|folder| std::fs::read_to_string(folder.join("postgres.sql")).unwrap());
    let dump = dump.unwrap_or_default();
    client.batch_execute(&format!("CREATE SCHEMA {name}; SET search_path TO {name}; {dump}")).await.unwrap();
    connection.abort();
    let mut url = url::Url::parse(&server).unwrap();
    url.query_pairs_mut().append_pair("options", &format!("-csearch_path={name}"));
    if let Ok(port) = std::env::var("DOORWARD_TEST_POOLER") {
        url.set_port(Some(port.parse().unwrap())).unwrap();
        url.query_pairs_mut().append_pair("pgbouncer", "true");
    }
    Some(url.into())
}
