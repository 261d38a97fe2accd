//! What a page says after a redirect, such as "Name changed."

/// One such text. Its feature lists it: a page shows only texts of the list, so that no link can put words on our
/// pages.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Flash {
    /// Its code in the URL, which is also that of its text.
    pub(crate) code: &'static str,
}

impl Flash {
    pub(crate) const fn new(code: &'static str) -> Self {
        Self { code }
    }

    /// A redirect to this path, whose page shows the text.
    pub(crate) fn at(self, path: &str) -> String {
        format!("{path}?done={}", self.code)
    }
}
