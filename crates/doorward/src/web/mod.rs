//! What all doors share: reading requests, writing answers, cookies, pages.

pub(crate) mod api;
pub(crate) mod assets;
pub(crate) mod caller;
pub(crate) mod client;
pub(crate) mod confirm;
pub(crate) mod cookies;
pub(crate) mod credential;
pub(crate) mod detour;
pub(crate) mod done;
pub(crate) mod front;
pub(crate) mod headers;
pub(crate) mod home;
pub(crate) mod input;
pub(crate) mod media_type;
pub(crate) mod notice;
pub(crate) mod oauth;
pub(crate) mod origins;
pub(crate) mod page;
pub(crate) mod proof;
pub(crate) mod query;
pub(crate) mod reader;
pub(crate) mod registered;
pub(crate) mod return_to;
mod words;
