#![doc = include_str!("../README.md")]
#![cfg_attr(
    not(all(feature = "pages", feature = "serve")),
    allow(unused, unreachable_pub, reason = "the program, with its pages, uses all of it")
)]

#[cfg(not(any(feature = "sqlite", feature = "postgres")))]
compile_error!("doorward needs a database: turn on the feature \"sqlite\" or \"postgres\"");

mod accounts;
mod actors;
mod acts;
mod agreed;
mod app;
mod assertions;
mod audit;
mod authenticators;
mod challenges;
mod clients;
mod clock;
mod counters;
mod disk;
mod embed;
mod error;
mod explain;
mod features;
mod feed;
mod flow;
mod hashing;
pub mod hooks;
#[cfg(feature = "internals")]
#[doc(hidden)]
pub mod internals;
mod invitations;
mod keys;
mod known_devices;
mod look;
mod metrics;
mod next_look;
#[cfg(not(feature = "otel"))]
mod no_otel;
mod open;
#[cfg(feature = "otel")]
mod otel;
mod passwords;
mod posts;
mod private_file;
mod pulse;
mod random;
mod request_id;
mod revocations;
mod root_rotation;
mod roots;
mod routes;
mod seldom;
#[cfg(feature = "serve")]
mod serve;
mod sessions;
mod settings;
mod sign_ins;
mod store;
mod sweeps;
#[cfg(feature = "testing")]
#[doc(hidden)]
pub mod testing;
mod texts;
mod throttle;
mod tour;
mod transfer;
mod users;
mod web;
mod wire;

#[cfg(not(feature = "otel"))]
use no_otel as otel;

pub use app::OpenError;
pub use doorward_guard as guard;
pub use doorward_guard::{Claims, Guard, Identity};
pub use embed::{Builder, Doorward};
