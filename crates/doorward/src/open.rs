//! Opening the application, with what all features contribute.

use doorward_core::password_hash::HashPolicy;

use crate::app::{App, OpenError, Opening};
use crate::clock::Clock;
use crate::features::contributions;
use crate::hooks::Hooks;
use crate::keys::Algorithms;
use crate::settings::{Secrets, Settings};

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
        let policy = settings.hash_policy()?;
        let (hooks, algorithms, contributions) = (Hooks::new(), Algorithms::AsStored, contributions());
        Self::assemble(Opening { settings, secrets, clock, policy, hooks, algorithms, contributions }).await
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
        let (algorithms, contributions) = (Algorithms::AsSet, contributions());
        Self::assemble(Opening { settings, secrets, clock, policy, hooks, algorithms, contributions }).await
    }
}
