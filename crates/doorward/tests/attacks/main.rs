//! The attack list over HTTP: one test for each row, named after its id. `docs/coverage/attacks.md` says which tests
//! cover which row, and which rows wait for a later part.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "all of it is tests; clippy sees only the functions that are marked so"
)]

mod acts;
mod admins;
mod asvs;
mod authorisation;
mod browsers;
mod cookies;
mod cross_site;
mod development;
mod enumeration;
mod faults;
mod fields;
mod forgotten;
mod forward_auth;
mod known_devices;
mod nodes;
mod outages;
mod passwords;
mod reading;
mod refresh;
mod rewound;
mod sign_in;
mod support;
mod tokens;
mod twice;
mod verdicts;
