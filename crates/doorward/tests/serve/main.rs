//! The server over real sockets: what clients may send, how long they may take, and how it ends.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

mod client;
mod disconnect;
mod end;
mod feed;
mod follower;
mod form;
mod memory;
mod metrics;
mod places;
mod round_trips;
mod scans;
mod size;
mod store;
mod time;
mod tls;
