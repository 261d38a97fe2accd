#![doc = include_str!("../README.md")]
#![cfg_attr(
    not(feature = "serve"),
    allow(dead_code, unused_imports, reason = "the listener alone reads what is counted")
)]

#[cfg(not(any(feature = "sqlite", feature = "postgres")))]
compile_error!("doorward needs a database: turn on the feature \"sqlite\" or \"postgres\"");

pub mod accounts;
mod actors;
mod acts;
mod app;
pub mod audit;
pub mod clients;
mod clock;
mod counters;
pub mod disk;
mod error;
pub mod features;
mod feed;
pub mod hashing;
pub mod hooks;
pub mod keys;
mod known_devices;
mod library;
mod links;
mod metrics;
mod open;
pub mod passwords;
mod posts;
mod random;
mod request_id;
pub mod revocations;
mod routes;
mod seldom;
#[cfg(feature = "serve")]
mod serve;
pub mod sessions;
pub mod settings;
mod sign_ins;
pub mod store;
#[cfg(feature = "testing")]
pub mod testing;
mod texts;
pub mod throttle;
pub mod users;
mod web;
mod wire;

pub use app::{App, OpenError, Parts};
pub use clock::Clock;
pub use doorward_guard::{Claims, Guard, Identity};
pub use error::{Error, FieldError, Result};
pub use features::actions;
pub use hooks::Hooks;
pub use library::{Builder, Doorward};
#[doc(hidden)]
pub use metrics::LOG_LINES_DROPPED;
#[doc(hidden)]
pub use request_id::current as current_request_id;
pub use routes::{openapi, router};
#[cfg(feature = "serve")]
pub use serve::{Certificate, Listening, serve};
pub use texts::english;
