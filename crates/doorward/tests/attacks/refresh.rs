//! Section R: refresh, logout, lifecycle.

mod cross_site;
mod ends;
mod last_use;
mod logout;
mod races;
mod renewal;
mod roles;
mod rotation;
mod session_mode;
mod store_down;
