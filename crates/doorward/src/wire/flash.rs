//! What a page says after a redirect, such as "Name changed."

/// One such text. Its feature lists it: a page says what is on the list and nothing else, so that no link puts words on
/// our pages.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Flash {
    /// How the URL says it.
    pub(crate) code: &'static str,
    /// How the page says it.
    pub(crate) text: &'static str,
}

impl Flash {
    pub(crate) const fn new(code: &'static str, text: &'static str) -> Self {
        Self { code, text }
    }

    /// This path, with the text on its page.
    pub(crate) fn at(self, path: &str) -> String {
        format!("{path}?done={}", self.code)
    }
}
