//! The features: what Doorward does, one folder each.

pub mod admin_users;
pub(crate) mod confirm;
pub(crate) mod dashboard;
pub(crate) mod devices;
pub(crate) mod docs;
pub(crate) mod feed;
pub(crate) mod forward_auth;
pub(crate) mod health;
pub(crate) mod introspect;
pub(crate) mod jwks;
pub(crate) mod login;
pub(crate) mod logout;
pub(crate) mod password_reset;
pub(crate) mod profile;
pub(crate) mod refresh;
pub(crate) mod register;
pub(crate) mod revoke;
pub(crate) mod style;
