use std::fmt;

use doorward_core::sign_in::Methods;
use serde::{Serialize, Serializer};
use zeroize::Zeroizing;

/// What a sign-in still needs.
#[derive(Clone, PartialEq, Eq, Serialize)]
pub struct Pending {
    /// Opens nothing; names the sign-in to whatever finishes it.
    #[serde(serialize_with = "as_text")]
    pub(crate) handle: Zeroizing<String>,
    /// One of these is needed, by the names of RFC 8176; an empty list if this program can ask for none of them.
    pub(crate) factors: Methods,
}

fn as_text<S: Serializer>(handle: &Zeroizing<String>, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(handle)
}

impl Pending {
    /// One to describe.
    pub(crate) fn example() -> Self {
        Self { handle: String::new().into(), factors: Methods::of(doorward_core::sign_in::Method::Otp) }
    }
}

impl fmt::Debug for Pending {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Pending({})", self.factors)
    }
}
