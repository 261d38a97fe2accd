use std::fmt;

use serde::{Serialize, Serializer};
use serde_json::Value;

/// Which state of a user's claims a token was made from (the claim `ver`). It rises with a new role, a new password and
/// the end of many sessions at once; a token of a lower version is stale.
///
/// From 0 to 2^53 - 1: the integers that every JSON reader represents exactly.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct ClaimsVersion(i64);

impl ClaimsVersion {
    /// The version of a new user, and of a token without `ver`.
    pub const ZERO: Self = Self(0);
    /// The greatest version.
    pub const MAX: Self = Self((1 << 53) - 1);

    /// The version with this number; `None` if it is out of range.
    pub const fn new(number: i64) -> Option<Self> {
        if number >= 0 && number <= Self::MAX.0 { Some(Self(number)) } else { None }
    }

    /// Its number.
    pub const fn get(self) -> i64 {
        self.0
    }
}

impl fmt::Display for ClaimsVersion {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl Serialize for ClaimsVersion {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_i64(self.0)
    }
}

/// 2^53: the first integer that JSON readers may confuse with its neighbour.
const LIMIT: f64 = (1_i64 << 53) as f64;

/// A whole number from 0 to 2^53 - 1, in any JSON spelling: most readers take `60`, `60.0` and `6e1` for one number.
pub(crate) fn whole(value: &Value) -> Option<i64> {
    let whole = |number: f64| (number.fract() == 0.0 && number.abs() < LIMIT).then_some(number as i64);
    let number = value.as_i64().or_else(|| value.as_f64().and_then(whole))?;
    ClaimsVersion::new(number).map(ClaimsVersion::get)
}
