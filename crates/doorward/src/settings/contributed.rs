//! Settings that a feature adds, so that row, type and reader are in its folder.

use std::marker::PhantomData;

use super::parse::FromText;
use super::{Setting, Settings};

/// A setting of a feature, of this type.
pub(crate) struct Own<T> {
    row: Setting,
    kind: PhantomData<fn() -> T>,
}

/// Its row in the table of all settings, and the check that refuses a wrong value at the start.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Contributed {
    pub(crate) row: Setting,
    pub(super) check: fn(&str) -> Result<(), String>,
}

impl<T: FromText> Own<T> {
    /// A setting by its key in `doorward.toml`, its default as written there, and its description.
    pub(crate) const fn new(key: &'static str, default: &'static str, doc: &'static str) -> Self {
        Self { row: Setting { key, default, doc }, kind: PhantomData }
    }

    /// An entry for the feature's list of settings.
    pub(crate) const fn contributed(&self) -> Contributed {
        Contributed { row: self.row, check: check::<T> }
    }
}

fn check<T: FromText>(text: &str) -> Result<(), String> {
    T::from_text(text).map(drop)
}

impl Settings {
    /// The value of a feature's setting. The start has checked it.
    pub(crate) fn get<T: FromText + Default>(&self, own: &Own<T>) -> T {
        let text = self.contributed.get(own.row.key).map_or(own.row.default, String::as_str);
        T::from_text(text).unwrap_or_default()
    }
}
