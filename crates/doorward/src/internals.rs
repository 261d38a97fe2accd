//! What the program `doorward` and the tests use. This is no part of the contract: anything here may change in any
//! release.

pub use crate::app::{App, Parts, Restored};
pub use crate::clock::Clock;
pub use crate::error::{Error, Explanation, FieldError, Pending, Result};
pub use crate::features::{actions, admin_users};
pub use crate::metrics::LOG_LINES_DROPPED;
pub use crate::open::play;
pub use crate::request_id::current as current_request_id;
pub use crate::routes::{openapi, router};
#[cfg(feature = "serve")]
pub use crate::serve::{Certificate, Health, Listening, serve};
pub use crate::texts::english;

macro_rules! whole {
    ($($module:ident)+) => {
        $(
            #[allow(missing_docs)]
            pub mod $module {
                pub use crate::$module::*;
            }
        )+
    };
}
whole!(accounts audit explain flow hashing keys revocations root_rotation roots sessions settings store tour transfer users);
