//! What a page says after a redirect, such as "Name changed."

/// One such text. Its feature lists it: a page shows only texts of the list, so that no link can put words on our
/// pages.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Flash {
    /// Its code in the URL.
    pub(crate) code: &'static str,
    /// Its text on the page.
    pub(crate) text: &'static str,
}

impl Flash {
    pub(crate) const fn new(code: &'static str, text: &'static str) -> Self {
        Self { code, text }
    }

    /// A redirect to this path, whose page shows the text.
    pub(crate) fn at(self, path: &str) -> String {
        format!("{path}?done={}", self.code)
    }
}
