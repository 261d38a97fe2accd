//! A device's proof of earlier sign-ins, in its cookie or field.

use doorward_core::OpaqueSecret;
use zeroize::Zeroizing;

/// For how many accounts a device keeps a secret.
pub(crate) const ACCOUNTS: usize = 5;

/// The device's secrets, that of the last sign-in first.
#[derive(Debug, Clone, Default)]
pub(crate) struct Device(Vec<OpaqueSecret>);

impl Device {
    /// Parses the texts of a request. An unreadable text is ignored.
    pub(crate) fn read<'a>(texts: impl IntoIterator<Item = &'a str>) -> Self {
        // Cut first, so a long text costs no more than a full one.
        let parts = texts.into_iter().flat_map(|text| text.splitn(ACCOUNTS + 1, '.').take(ACCOUNTS));
        Self(parts.take(ACCOUNTS).filter_map(OpaqueSecret::parse).collect())
    }

    /// Whether it has no secret.
    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The text that the client keeps.
    pub(crate) fn to_text(&self) -> Zeroizing<String> {
        let secrets: Vec<_> = self.0.iter().map(OpaqueSecret::to_text).collect();
        Zeroizing::new(secrets.iter().map(|secret| secret.as_str()).collect::<Vec<_>>().join("."))
    }

    /// Its secrets, that of the last sign-in first.
    pub(crate) fn secrets(&self) -> &[OpaqueSecret] {
        &self.0
    }

    /// The same device after a sign-in that gave it this secret.
    pub(crate) fn with_first(&self, first: OpaqueSecret) -> Self {
        let others =
            self.0.iter().filter(|secret| secret.hash() != first.hash()).cloned().collect::<Vec<_>>();
        Self(std::iter::once(first).chain(others).take(ACCOUNTS).collect())
    }
}
