//! What goes over the wire, in both directions. It knows the settings but no `App`: cookies, headers, origins, pages,
//! the client and its device, the shapes of JSON, and the forms of a refusal.

pub(crate) mod assets;
pub(crate) mod client;
pub(crate) mod cookies;
pub(crate) mod device;
pub(crate) mod done;
pub(crate) mod flash;
pub(crate) mod headers;
pub(crate) mod media_type;
pub(crate) mod oauth;
pub(crate) mod origins;
pub(crate) mod page;
pub(crate) mod problem;
pub(crate) mod query;
pub(crate) mod reader;
pub(crate) mod return_to;
pub(crate) mod shape;
mod words;
