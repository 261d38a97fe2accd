//! Checks requests for Doorward's credentials and hands the [`Identity`] on to the handler.
//!
//! A check is one function, [`Guard::check`]: pick the one credential of the request, verify it with the keys in
//! memory, look it up in the revocations in memory. It does no I/O, takes no lock that a writer holds, and on the usual
//! way allocates nothing. Only a session secret that memory doesn't know is asked for at the [`Lookup`], once.
//!
//! In axum, write [`Identity`] among a handler's arguments, and the handler runs for signed-in callers only:
//!
//! ```
//! use axum::extract::FromRef;
//! use doorward_guard::{Guard, Identity};
//!
//! #[derive(Clone)]
//! struct App {
//!     guard: Guard,
//! }
//! # impl FromRef<App> for Guard { fn from_ref(app: &App) -> Guard { app.guard.clone() } }
//!
//! async fn profile(identity: Identity) -> String {
//!     format!("You are user {}", identity.user)
//! }
//!
//! let routes = axum::Router::<App>::new().route("/profile", axum::routing::get(profile));
//! ```

mod credential;
mod guard;
mod identity;
mod verifier;

pub use credential::{CookieNames, Credential, cookies_named, credential};
pub use guard::{Guard, Lookup, LookupFuture};
pub use identity::{Denied, Identity, challenge};
pub use verifier::{Verifier, Verifying};
