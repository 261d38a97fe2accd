//! Doorward inside another axum application.

use std::path::{Path, PathBuf};

use axum::Router;
use doorward_guard::Guard;
use tokio::task::AbortHandle;
use zeroize::Zeroizing;

use crate::app::{App, OpenError};
use crate::clock::Clock;
use crate::hooks::Hooks;
use crate::routes;
use crate::settings::{Origin, Secrets, Settings, SettingsError, Values};

/// Doorward as a part of an axum application: its accounts, its routes, and the guard for your own routes.
///
/// ```
/// use axum::{Router, routing::get};
/// use doorward::{Doorward, Identity};
///
/// async fn hello(identity: Identity) -> String {
///     format!("Hello, user {}", identity.user)
/// }
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # use axum::{body::Body, http::{Request, StatusCode}};
/// # use tower::ServiceExt;
/// # let folder = tempfile::tempdir()?;
/// # let data = folder.path().join("data");
/// let doorward = Doorward::builder().data(&data).build().await?;
/// let app = Router::new()
///     .route("/hello", get(hello))
///     .with_state(doorward.guard())
///     .merge(doorward.router());
///
/// let register = Request::post("/register")
///     .header("content-type", "application/json")
///     .body(Body::from(r#"{"name":"Ada","email":"ada@example.org","password":"correct horse battery"}"#))?;
/// assert_eq!(app.clone().oneshot(register).await?.status(), StatusCode::CREATED);
///
/// let stranger = Request::get("/hello").body(Body::empty())?;
/// assert_eq!(app.oneshot(stranger).await?.status(), StatusCode::UNAUTHORIZED);
/// doorward.close().await;
/// # Ok(())
/// # }
/// ```
///
/// While any of its routers lives, it follows what other processes write to the database, and deletes what has expired.
/// A clone is the same Doorward.
///
/// # What the application must know
///
/// - **Client addresses.** Limits and the audit log use the address of the client, which the listener has to pass on:
///   `axum::serve(listener, app.into_make_service_with_connect_info::<SocketAddr>())`. Without it all clients count as
///   one address, `0.0.0.0`: that is safe, but one client that guesses passwords uses up everybody's guesses. Behind a
///   proxy, list it in the setting `trusted_proxies`.
/// - **Paths.** The routes are at the root, including `/`; with the setting `base_path` they are below a path, such as
///   `/auth`. Merge the router and don't nest it: cookies and redirects contain the whole path. Two routes for one path
///   make axum panic when the routers are merged, at the start.
/// - **The listener** is the application's. The settings `listen` and `public_url` still say how people reach it: they
///   decide links, cookies and what is allowed. Limits of connections, TLS, metrics and the log belong to the
///   application, and the settings for them do nothing here.
/// - **Clients that hang up.** A request that changes something runs to its end in a task of its own, even if the
///   client is gone.
/// - **Other sites.** Doorward's own routes refuse unsafe requests of other sites' pages. Your own routes that browsers
///   call with cookies need that too: tower-http's `csrf` layer, and no `GET` that changes anything.
/// - **Layers** of Doorward wrap only its own routes, and it has no fallback: yours applies.
#[derive(Clone)]
pub struct Doorward {
    app: App,
    keeping_up: AbortHandle,
}

impl Doorward {
    /// The origin of the settings, until [`Builder::build`].
    pub fn builder() -> Builder {
        Builder::default()
    }

    /// All routes, to be merged into a router of any state.
    pub fn router<S: Clone + Send + Sync + 'static>(&self) -> Router<S> {
        routes::router(&self.app)
    }

    /// Checks requests: as the state of a router, or within it by `FromRef`, it makes [`doorward_guard::Identity`] an
    /// argument of handlers.
    pub fn guard(&self) -> Guard {
        self.app.guard.clone()
    }

    /// Everything behind the routes.
    #[cfg(feature = "internals")]
    #[doc(hidden)]
    pub fn app(&self) -> &App {
        &self.app
    }

    /// Closes it gracefully, after the application has stopped serving. It stops following, writes what is still
    /// pending, and closes the store. Later requests get 503.
    pub async fn close(self) {
        self.keeping_up.abort();
        self.app.close().await;
    }
}

/// Settings of a [`Doorward`]. Each comes from the first of these that has it: a call here, a variable, the file, the
/// default. Variables and a file are read only if you call for it.
#[derive(Default)]
#[must_use]
pub struct Builder {
    settings: Vec<(String, String)>,
    secrets: Vec<(&'static str, Zeroizing<String>)>,
    file: Option<PathBuf>,
    environment: bool,
    hooks: Hooks,
}

impl Builder {
    /// One setting by its key, as in `doorward.toml`: `.setting("access.ttl", "5m")`. docs/reference/settings.md has all.
    pub fn setting(mut self, key: impl Into<String>, value: impl Into<String>) -> Self {
        self.settings.push((key.into(), value.into()));
        self
    }

    /// The folder of the secret and of the SQLite database: the setting `data`. It is created if it is missing.
    pub fn data(self, folder: impl AsRef<Path>) -> Self {
        let folder = folder.as_ref().display().to_string();
        self.setting("data", folder)
    }

    /// A PostgreSQL URL in place of SQLite: the setting `database`. It needs a [`Builder::secret`].
    pub fn database(self, url: impl Into<String>) -> Self {
        self.setting("database", url)
    }

    /// The root secret, as `DOORWARD_SECRET` gives it to the server: at least 32 bytes. Without one it is made and kept in
    /// the data folder.
    pub fn secret(self, secret: impl Into<String>) -> Self {
        self.keep("DOORWARD_SECRET", secret.into())
    }

    /// A second root secret while the first one is being changed, as `DOORWARD_SECRET_OTHER` gives it to the server.
    pub fn other_secret(self, secret: impl Into<String>) -> Self {
        self.keep("DOORWARD_SECRET_OTHER", secret.into())
    }

    /// Signs access tokens with a shared secret (HS256), as `JWT_SECRET` does. A program that has it can mint tokens.
    pub fn jwt_secret(self, secret: impl Into<String>) -> Self {
        self.keep("JWT_SECRET", secret.into())
    }

    /// Opens the feed of revocations to holders of this secret, as `DOORWARD_FEED_SECRET` does.
    pub fn feed_secret(self, secret: impl Into<String>) -> Self {
        self.keep("DOORWARD_FEED_SECRET", secret.into())
    }

    /// The headers for the collector of OpenTelemetry, as `DOORWARD_OTEL_HEADERS` gives them:
    /// `authorization=Bearer%20TOKEN`.
    pub fn otel_headers(self, headers: impl Into<String>) -> Self {
        self.keep("DOORWARD_OTEL_HEADERS", headers.into())
    }

    /// Reads this `doorward.toml`.
    pub fn file(mut self, path: impl Into<PathBuf>) -> Self {
        self.file = Some(path.into());
        self
    }

    /// Reads the variables `DOORWARD_…` and `JWT_SECRET`, as the server does.
    pub fn environment(mut self) -> Self {
        self.environment = true;
        self
    }

    /// What the application does when people register and sign in.
    pub fn hooks(mut self, hooks: Hooks) -> Self {
        self.hooks = hooks;
        self
    }

    /// Opens it: database, migrations, keys, revocations. Needs a tokio runtime, which it keeps using.
    ///
    /// # Errors
    /// What cannot be used, and why; for a setting also what to do about it.
    pub async fn build(self) -> Result<Doorward, OpenError> {
        let settings = Settings::read(&self.values()?)?;
        settings.make_data_folder()?;
        let secrets = Secrets::read(&settings, |name| self.secret_named(name))?;
        let policy = settings.hash_policy()?;
        let app = App::open_with(settings, secrets, Clock::system(), policy, self.hooks).await?;
        let keeping_up = app.keep_up().abort_handle();
        Ok(Doorward { app, keeping_up })
    }

    fn keep(mut self, name: &'static str, secret: String) -> Self {
        self.secrets.push((name, Zeroizing::new(secret)));
        self
    }

    fn values(&self) -> Result<Values, SettingsError> {
        let mut values = Values::default();
        if let Some(path) = &self.file {
            let text = std::fs::read_to_string(path).map_err(|error| {
                let problem = format!("cannot read the settings in {}: {error}", path.display());
                SettingsError::new(problem, "name a readable file")
            })?;
            values.file(path, &text)?;
        }
        if self.environment {
            values.own_environment()?;
        }
        for (key, value) in &self.settings {
            values.set(key, value.clone(), Origin::Code)?;
        }
        Ok(values)
    }

    /// A secret that was given here overrides its variable, and the one that names its file.
    fn secret_named(&self, name: &str) -> Option<String> {
        let own = name.strip_suffix("_FILE").unwrap_or(name);
        match self.secrets.iter().rfind(|(given, _)| *given == own) {
            Some((given, secret)) => (*given == name).then(|| secret.to_string()),
            None => self.environment.then(|| std::env::var(name).ok()).flatten(),
        }
    }
}
