//! The program as its operator uses it: the real binary, its files, its signals, its output.
//!
//! On SQLite; if `DOORWARD_TEST_POSTGRES` names a PostgreSQL server, tests that need no file run there instead.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

mod accounts;
#[cfg(feature = "sqlite")]
mod backup;
mod beside;
mod development;
mod disk;
mod doctor;
#[cfg(feature = "sqlite")]
mod drawings;
#[cfg(feature = "sqlite")]
mod hostile_exports;
mod import;
mod keys;
mod kill;
mod log;
#[cfg(feature = "sqlite")]
mod moving;
mod output;
mod pooler;
mod postgres;
mod restore_guide;
mod restored;
#[cfg(feature = "sqlite")]
mod root_secret;
mod secrecy;
mod secrets;
mod settings;
mod start;
mod stop;
mod support;
mod token;
#[cfg(feature = "sqlite")]
mod tour;
#[cfg(not(feature = "pages"))]
mod without_pages;
