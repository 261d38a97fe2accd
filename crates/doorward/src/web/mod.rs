//! What all doors share: reading requests, writing answers, cookies, pages.

pub(crate) mod api;
pub(crate) mod caller;
pub(crate) mod client;
pub(crate) mod confirm;
pub(crate) mod credential;
pub(crate) mod detour;
pub(crate) mod front;
pub(crate) mod home;
pub(crate) mod input;
pub(crate) mod notice;
pub(crate) mod proof;
pub(crate) mod registered;
