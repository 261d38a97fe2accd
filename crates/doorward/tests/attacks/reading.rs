//! The state of the database after an attack, and what an act on it needs.

use doorward::internals::accounts::{Actor, Admin, Confirmation};
use doorward::internals::audit::By;
use doorward::internals::store::{Column, Row, Value};
use doorward::testing::{Site, Visitor};
use doorward_core::password::Password;
use doorward_core::password_hash::{self, Argon2Params, HashAlgorithm, HashPolicy, Scratch};
use doorward_core::role::RoleName;
use doorward_core::{SessionId, UserId};

/// All rows of a query.
pub(crate) async fn rows(site: &Site, sql: &'static str, values: Vec<Value>) -> Vec<Row> {
    site.app.store.list(sql, values).await.unwrap()
}

/// The one number, text or time that a query gives.
pub(crate) async fn one<T: Column>(site: &Site, sql: &'static str, values: Vec<Value>) -> T {
    rows(site, sql, values).await.first().expect("a row").only().unwrap()
}

/// How often the audit log has this action, repetitions counted.
pub(crate) async fn audited(site: &Site, action: &str) -> i64 {
    let sum = "SELECT CAST(COALESCE(SUM(occurrences), 0) AS BIGINT) FROM audit_log WHERE action = $1";
    one(site, sum, vec![Value::Text(action.into())]).await
}

/// The id of the visitor's session, as queries want it.
pub(crate) async fn session_of(visitor: &Visitor) -> Value {
    session(&visitor.session_id().await)
}

/// An id of a session, as queries want it.
pub(crate) fn session(id: &str) -> Value {
    id.parse::<SessionId>().unwrap().into()
}

/// An id of a user, as acts want it.
pub(crate) fn user(id: &str) -> UserId {
    id.parse().unwrap()
}

/// This admin, who acts in this session and gave the password.
pub(crate) async fn admin(site: &Site, user: UserId, session: Option<SessionId>) -> Actor {
    let found = rows(site, "SELECT credentials_version FROM users WHERE id = $1", vec![user.into()]).await;
    let proved = |row: &Row| Confirmation::Proved(row.get("credentials_version").unwrap());
    let confirmation = found.first().map_or(Confirmation::None, proved);
    let (role, ip) = (RoleName::ADMIN, [192, 0, 2, 1].into());
    Actor::Admin(Admin { user, session, role, ip, confirmation })
}

/// The stored password hash of `NAME@example.org`.
pub(crate) async fn stored_hash(site: &Site, name: &str) -> String {
    let email = Value::Text(format!("{name}@example.org"));
    let hash =
        "SELECT a.data FROM authenticators a JOIN emails e ON e.user_id = a.user_id WHERE e.address = $1";
    one(site, hash, vec![email]).await
}

/// Gives a user who was written into the table the primary address.
pub(crate) async fn add_email(site: &Site, user: UserId, address: &str) {
    let insert = "INSERT INTO emails (address, user_id, folded, is_primary) VALUES ($1, $2, $1, 1)";
    site.app.store.execute(insert, vec![address.into(), user.into()]).await.unwrap();
}

/// Stores this text as somebody's password hash, as an import would.
pub(crate) async fn store_hash(site: &Site, id: &str, hash: &str) {
    site.app.accounts.set_password(user(id), hash.into(), By::CommandLine).await.unwrap();
}

/// A bcrypt hash of this cost, which a server in tests would never make.
pub(crate) fn bcrypt(password: &str, cost: u32) -> String {
    let policy = HashPolicy::new(HashAlgorithm::Bcrypt, cost, Argon2Params::default()).unwrap();
    let password = Password::new(password).unwrap();
    password_hash::hash(&password, &policy, [7; 16], &mut Scratch::default()).unwrap()
}
