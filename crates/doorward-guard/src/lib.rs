#![doc = include_str!("../README.md")]
// The documentation is built with every feature; with fewer, a linked item may be missing.
#![cfg_attr(not(all(feature = "axum", feature = "remote")), allow(rustdoc::broken_intra_doc_links))]

mod build_error;
mod builder;
mod claims;
mod clock;
mod credential;
mod denied;
#[cfg(feature = "axum")]
mod extract;
mod guard;
mod health;
mod identity;
mod layer;
mod observer;
#[cfg(feature = "outgoing")]
#[doc(hidden)]
pub mod outgoing;
#[cfg(feature = "remote")]
mod remote;
mod requirement;
mod verifier;

pub use build_error::BuildError;
pub use builder::Builder;
pub use claims::Claims;
pub use credential::CookieNames;
pub use denied::Denied;
pub use doorward_core::revocation::{Least, RevocationSet};
pub use doorward_core::role::RoleName;
pub use doorward_core::sign_in::{Authentication, Method, Methods};
pub use doorward_core::{ClaimsVersion, Mode, Refusal, SessionId, Timestamp, UserId};
#[cfg(feature = "axum")]
pub use extract::Require;
pub use guard::Guard;
pub use health::Health;
pub use identity::Identity;
pub use layer::{GuardLayer, Guarded};
#[cfg(feature = "remote")]
pub use remote::WhenStale;
pub use requirement::{Admin, Needs, Requirement};

/// What the server itself is built from. No part of the contract: anything here may change in any release.
#[doc(hidden)]
pub mod internals {
    pub use crate::credential::{Credential, Credentials, MOST_COOKIES, credentials, distinct};
    pub use crate::denied::challenge;
    pub use crate::guard::{Lookup, LookupFuture};
    pub use crate::observer::{Observer, Observers};
    pub use crate::verifier::{VerificationKeys, Verifier};
}
