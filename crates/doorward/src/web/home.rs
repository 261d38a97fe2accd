//! The signed-in home: who I am, my devices, and the forms that change my account.

use doorward_core::Refusal;
use doorward_core::role::permission;
use doorward_guard::Identity;
use minijinja::context;
use minijinja::value::{Serde, Value};

use crate::app::App;
use crate::error::Result;

/// The template of the home.
pub(crate) const HOME: &str = "home.html";

/// What the home shows; `typed` is what stands in its fields.
pub(crate) async fn home(app: &App, identity: &Identity, typed: Value) -> Result<Value> {
    let cached = app.users.cached(identity.user).await?.ok_or(Refusal::SessionEnded)?;
    let sessions = app.sessions.list(identity.user, Some(identity.session)).await?;
    let see_users = app.settings.roles.grants(identity.role, permission::USERS_READ);
    let (user, sessions) = (Value::from(Serde(cached.user.shown())), Value::from(Serde(sessions)));
    Ok(context! { user, sessions, typed, may => context! { see_users }, now => app.now().as_secs() })
}
