//! The data of the admin pages.

use doorward_core::UserId;
use doorward_core::role::permission;
use doorward_guard::Identity;

use super::{ListedUser, Search, list_users};
use crate::app::App;
use crate::error::{Error, Result};
use crate::web::account_page::may_see;
use crate::wire::page::{Serde, Value, context};

pub(super) const LIST: &str = "users.html";
pub(super) const USER: &str = "user.html";

/// A page of users, and a form for a new one.
pub(super) async fn list(
    app: &App,
    caller: &Identity,
    search: &Search,
    limit: u32,
    typed: Value,
) -> Result<Value> {
    let (users, next) = list_users(app, search, limit, Some(caller.user)).await?;
    let text = search.text.clone().unwrap_or_default();
    let role = search.role.map(|role| role.to_string()).unwrap_or_default();
    let has_more = next.is_some();
    let next = next.map(|after| {
        let mut query = url::form_urlencoded::Serializer::new(self::next(after, limit));
        query
            .extend_pairs([("search", &text), ("role", &role)].iter().filter(|(_, value)| !value.is_empty()))
            .finish()
    });
    let write = app.settings.roles.grants(caller.role, permission::USERS_WRITE);
    Ok(context! {
        query => context! { search => text, role, later => search.after.is_some() },
        users => Value::from(Serde(users)), has_more, next, typed, may => context! { write, ..may_see(app, caller) },
        all_roles => names(app, None), roles => names(app, Some(caller)),
    })
}

/// One user, and the forms for what the caller may do with them.
pub(super) async fn user(app: &App, caller: &Identity, id: UserId, typed: Value) -> Result<Value> {
    let account = app.users.find(id).await?.ok_or(Error::NotFound)?;
    let (user, has_password) = (&account.user, account.has_password());
    let (roles, own) = (&app.settings.roles, caller.user == id);
    let over = |permission: &str| {
        !own && roles.grants(caller.role, permission) && roles.covers(caller.role, user.role)
    };
    let may = context! {
        write => over(permission::USERS_WRITE),
        end => over(permission::SESSIONS_END),
        ..may_see(app, caller)
    };
    let sessions = match roles.grants(caller.role, permission::SESSIONS_READ) {
        true => app.sessions.list(id, own.then_some(caller.session), Some(caller.user)).await?,
        false => Vec::new(),
    };
    Ok(context! {
        user => Value::from(Serde(ListedUser::from(user))), has_password, own, may, typed,
        sessions => Value::from(Serde(sessions)), roles => names(app, Some(caller)), link => (),
        now => app.now().as_secs(),
    })
}

/// The query of the page that begins after this row.
pub(super) fn next(after: impl std::fmt::Display, limit: u32) -> String {
    format!("after={after}&limit={limit}")
}

/// The existing roles, and those that this caller may give.
pub(super) fn names(app: &App, caller: Option<&Identity>) -> Vec<String> {
    let roles = &app.settings.roles;
    let may_give = |role: &_| caller.is_none_or(|caller| roles.covers(caller.role, *role));
    roles.names().filter(may_give).map(|role| role.to_string()).collect()
}
