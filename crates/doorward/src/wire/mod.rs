//! What goes over the wire, in both directions. It knows the settings but no `App`: cookies, headers, origins, pages,
//! the client and its device, the shapes of JSON, and the forms of a refusal.

pub(crate) mod ack;
pub(crate) mod assets;
pub(crate) mod client_kind;
pub(crate) mod cookies;
pub(crate) mod device;
pub(crate) mod events;
pub(crate) mod flash;
pub(crate) mod headers;
pub(crate) mod media_type;
#[cfg(not(feature = "pages"))]
pub(crate) mod no_pages;
pub(crate) mod oauth;
pub(crate) mod origins;
#[cfg(feature = "pages")]
pub(crate) mod page;
pub(crate) mod peer;
pub(crate) mod problem;
pub(crate) mod query;
pub(crate) mod return_to;
pub(crate) mod shape;
#[cfg(feature = "pages")]
mod words;

#[cfg(not(feature = "pages"))]
pub(crate) use no_pages as page;

/// Whether there are pages. Without them browsers are answered as programs are.
pub(crate) const PAGES: bool = cfg!(feature = "pages");

/// The English texts that all pages share.
pub(crate) const TEXTS: &str = if PAGES { include_str!("en.ftl") } else { "" };
