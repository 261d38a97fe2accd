//! Doorward inside another axum application, as its users and its author see it.
#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing)]

mod before;
mod hooks;
mod router;
