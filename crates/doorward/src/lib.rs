//! Doorward as a library: accounts, sessions, tokens, and the HTTP routes over them.
//!
//! ```no_run
//! # async fn run() -> Result<(), Box<dyn std::error::Error>> {
//! use doorward::{App, Clock, settings::{Secrets, Settings, Values}};
//!
//! let settings = Settings::read(&Values::default())?;
//! let secrets = Secrets::read(&settings, |name| std::env::var(name).ok())?;
//! let app = App::open(settings, secrets, Clock::system()).await?;
//! let keeping_up = app.keep_up(); // follows what other processes write, and forgets what is over
//! let router = doorward::router(&app);
//! # Ok(())
//! # }
//! ```

pub mod accounts;
mod actors;
mod app;
pub mod audit;
mod client;
mod clock;
mod error;
pub mod features;
pub mod hashing;
pub mod keys;
mod links;
mod metrics;
pub mod passwords;
mod random;
pub mod revocations;
mod routes;
mod serve;
pub mod sessions;
pub mod settings;
mod shape;
pub mod store;
#[cfg(feature = "testing")]
pub mod testing;
pub mod throttle;
pub mod users;
mod web;

pub use app::{App, OpenError, Parts};
pub use clock::Clock;
pub use error::{Error, FieldError, Result};
pub use routes::{openapi, router};
pub use serve::{Certificate, Listening, serve};
