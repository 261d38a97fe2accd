//! Opening the application, with what all features contribute; and the separate server that the tour plays against.

use doorward_core::password_hash::HashPolicy;
use doorward_core::{RootSecret, Secret};

use crate::app::{App, Boxed, Contributions, Inner, OpenError, Opening};
use crate::clock::Clock;
use crate::error::{Error, Result};
use crate::features::contributions;
use crate::hooks::Hooks;
use crate::keys::Algorithms;
use crate::settings::{Origin, RootSource, Secrets, Settings, Values};
use crate::store::Database;
#[cfg(feature = "internals")]
use crate::tour::{self, Break, Played, Script};
use crate::{random, routes};

impl App {
    /// Opens the database, applies migrations, loads keys and revocations. Only then may requests be accepted.
    ///
    /// # Errors
    /// What cannot be used, and why.
    pub async fn open(settings: Settings, secrets: Secrets, clock: Clock) -> Result<Self, OpenError> {
        let policy = settings.hash_policy()?;
        Self::open_with(settings, secrets, clock, policy, Hooks::new()).await
    }

    /// Opens the application beside a running server, as the command line does. Its settings may differ: the signing
    /// keys stay as they are.
    ///
    /// # Errors
    /// What cannot be used, and why.
    pub async fn join(settings: Settings, secrets: Secrets, clock: Clock) -> Result<Self, OpenError> {
        let (policy, database) = (settings.hash_policy()?, settings.database());
        let (hooks, algorithms, contributions) = (Hooks::new(), Algorithms::AsStored, contributions());
        let opening =
            Opening { settings, database, secrets, clock, policy, hooks, algorithms, contributions };
        Box::pin(Self::assemble(opening)).await
    }

    /// The same with the caller's policy and hooks.
    pub(crate) async fn open_with(
        settings: Settings,
        secrets: Secrets,
        clock: Clock,
        policy: HashPolicy,
        hooks: Hooks,
    ) -> Result<Self, OpenError> {
        for name in &settings.noticed.service_links {
            tracing::debug!(%name, "this variable is Kubernetes' and no setting");
        }
        for warning in settings.noticed.warnings.iter().chain(&secrets.warnings) {
            tracing::warn!("{warning}");
        }
        let (algorithms, database) = (Algorithms::AsSet, settings.database());
        let contributions = Contributions { inner: Some(inner), ..contributions() };
        let opening =
            Opening { settings, database, secrets, clock, policy, hooks, algorithms, contributions };
        Box::pin(Self::assemble(opening)).await
    }
}

/// The settings of the tour's server: those of production behind https, so that its cookies are the real ones. It is
/// never listened on. All requests are recorded.
const INNER: [(&str, &str); 4] = [
    ("public_url", "https://tour.example"),
    ("flow.sample", "100%"),
    ("data.reserve", "0"),
    ("hashing.timeout", "60s"),
];

/// Opens a server in memory that shares nothing with this one.
fn inner(clock: Clock, policy: HashPolicy) -> Boxed<'static, Result<Inner>> {
    Box::pin(async move {
        let app = open_inner(clock, policy).await;
        let app = app.map_err(|error| Error::unavailable("the tour's server could not be opened", error))?;
        Ok(Inner { router: routes::alone(&app), app })
    })
}

async fn open_inner(clock: Clock, policy: HashPolicy) -> Result<App, OpenError> {
    let mut values = Values::default();
    for (key, value) in INNER {
        values.set(key, value, Origin::Code)?;
    }
    let settings = Settings::read(&values)?;
    let root = RootSecret::new(&Secret::new(random::bytes::<32>()));
    let root_source = RootSource::Variable;
    let opening = Opening {
        settings,
        policy,
        database: Database::Memory,
        secrets: Secrets {
            root,
            other_root: None,
            root_source,
            jwt: None,
            feed: None,
            otel_headers: http::HeaderMap::new(),
            warnings: Vec::new(),
        },
        clock,
        hooks: Hooks::new(),
        algorithms: Algorithms::AsSet,
        contributions: contributions(),
    };
    Box::pin(App::assemble(opening)).await
}

/// Plays a script of the tour against a server of its own.
///
/// # Errors
/// [`Error::Overloaded`] if the machine is too busy; [`Error::Unavailable`] if the server could not be opened.
#[cfg(feature = "internals")]
pub async fn play(script: &'static Script, broken: Option<Break>) -> Result<Played> {
    let policy = Settings::read(&Values::default()).and_then(|settings| settings.hash_policy());
    let policy =
        policy.map_err(|error| Error::unavailable("the tour's server could not be opened", error))?;
    tour::play(inner, policy, script, broken).await
}
