#![doc = include_str!("../README.md")]

mod claims_version;
mod deletion_clock;
pub mod device;
pub mod email;
pub mod feed;
mod ids;
mod lifetime;
pub mod message;
mod mode;
pub mod name;
mod opaque;
pub mod password;
pub mod password_hash;
pub mod refresh;
mod refusal;
pub mod revocation;
pub mod role;
mod root;
mod secret;
pub mod seldom;
pub mod session;
pub mod sign_in;
pub mod throttle;
pub mod ticket;
mod timestamp;
pub mod token;

pub use claims_version::ClaimsVersion;
pub use deletion_clock::DeletionClock;
pub use ids::{ClientId, IdError, LinkId, SessionId, UserId};
pub use lifetime::Lifetimes;
pub use mode::{Mode, ModeError};
pub use opaque::OpaqueSecret;
pub use refusal::Refusal;
pub use root::{Purpose, RootSecret, SealError};
pub use secret::{Secret, SecretError};
pub use timestamp::Timestamp;
