//! The account page: the signed-in user, and a card of each feature that has one.

use doorward_core::Refusal;
use doorward_core::role::permission;
use doorward_guard::Identity;

use crate::app::App;
use crate::error::Result;
use crate::wire::page::{Serde, Value, context};

/// The template of the account page.
pub(crate) const ACCOUNT_PAGE: &str = "home.html";

/// The data of the account page: the cards of all features. `typed` is the content of its fields.
pub(crate) async fn account_page(app: &App, identity: &Identity, typed: Value) -> Result<Value> {
    let cached = app.users.cached(identity.user).await?.ok_or(Refusal::SessionEnded)?;
    let user = Value::from(Serde(cached.user.shown()));
    let cards: Vec<_> = app.contributions.cards.iter().map(|card| card.template).collect();
    let mut shown =
        context! { user, cards, typed, may => may_see(app, identity), now => app.now().as_secs() };
    for context in app.contributions.cards.iter().filter_map(|card| card.context) {
        shown = context! { ..context(app, identity).await?, ..shown };
    }
    Ok(shown)
}

/// Which admin pages this caller may see, whose account the page shows, and the ticket with which every page signs out
/// of the session that it shows. The cookie that proved it here may not be sent to other paths (attacks X02, X03).
pub(crate) fn may_see(app: &App, caller: &Identity) -> Value {
    let sees = |permission| app.settings.roles.grants(caller.role, permission);
    context! {
        account => caller.user.to_string(),
        sign_out => app.sessions.ticket(&[caller.session]),
        see_users => sees(permission::USERS_READ), see_sessions => sees(permission::SESSIONS_READ),
        see_clients => sees(permission::CLIENTS_READ), see_audit => sees(permission::AUDIT_READ),
        see_flows => sees(permission::FLOW_READ),
    }
}
