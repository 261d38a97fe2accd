//! Passwords: what may be typed, and what may be set.

use std::fmt;
use std::sync::LazyLock;

use unicode_normalization::UnicodeNormalization;
use zeroize::Zeroizing;

use crate::email::Email;
use crate::message::{Message, error_with_message};
use crate::name::DisplayName;

const MIN_CHARS: usize = 8;
const MAX_BYTES: usize = 1024;
/// NFC shrinks no text to less than a third, so a longer text can't fit and is not even normalised.
const MAX_RAW_BYTES: usize = 3 * MAX_BYTES;

/// Why a password is refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum PasswordError {
    /// More than 1,024 bytes after NFC.
    TooLong,
    /// Fewer than 8 characters (Unicode scalar values) after NFC.
    TooShort,
    /// One of the 10,000 most common.
    Common,
    /// The user's name.
    Name,
    /// The user's email address, or what stands before its `@`.
    Email,
}

impl PasswordError {
    /// What it says.
    pub fn message(self) -> Message {
        match self {
            Self::TooLong => Message::new("password-too-long").with("most", MAX_BYTES),
            Self::TooShort => Message::new("password-too-short").with("least", MIN_CHARS),
            Self::Common => Message::new("password-common"),
            Self::Name => Message::new("password-name"),
            Self::Email => Message::new("password-email"),
        }
    }
}

error_with_message!(PasswordError);

/// A password as it was typed, in NFC: wiped when dropped, never printed, never serialised.
///
/// NFC and nothing else (attack P06, NIST SP 800-63B-4 section 3.1.1.2): `é` typed as one character or as two is one
/// password. Spaces, zero-width characters and case count. It is applied here, so it applies to every route and
/// command.
#[derive(Clone)]
pub struct Password(Zeroizing<String>);

impl Password {
    /// Takes what was typed. Only its size is checked, so that every password that was ever set can be tried. A new one
    /// also goes through [`check_policy`].
    ///
    /// # Errors
    /// [`PasswordError::TooLong`], found before the text is processed (attack P05).
    pub fn new(typed: impl Into<String>) -> Result<Self, PasswordError> {
        let typed = Zeroizing::new(typed.into());
        if typed.len() > MAX_RAW_BYTES {
            return Err(PasswordError::TooLong);
        }
        // NFC at most triples a text, so the buffer never moves and leaves no copy behind.
        let mut normal = Zeroizing::new(String::with_capacity(3 * typed.len()));
        normal.extend(typed.nfc());
        if normal.len() > MAX_BYTES { Err(PasswordError::TooLong) } else { Ok(Self(normal)) }
    }

    /// The bytes to hash. Don't keep or print them.
    pub(crate) fn expose(&self) -> &[u8] {
        self.0.as_bytes()
    }
}

impl fmt::Debug for Password {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Password(…)")
    }
}

/// Decides whether `password` may be set for the user with this name and email. Every path that sets a password calls
/// this (attack P08); signing in does not.
///
/// It must not equal the whole name, the email in any spelling, the email's local part, or one of the 10,000 most
/// common passwords. Case is ignored. There are no composition rules (NIST SP 800-63B-4 section 3.1.1.2).
///
/// # Errors
/// [`PasswordError`] says what is wrong with it.
pub fn check_policy(password: &Password, name: &DisplayName, email: &Email) -> Result<(), PasswordError> {
    check_alone(password)?;
    let text = password.0.as_str();
    if fold_case(text).eq(fold_case(name.as_str())) {
        return Err(PasswordError::Name);
    }
    let spells_email = Email::parse(text).is_ok_and(|spelt| spelt == *email);
    if spells_email || fold_case(text).eq(fold_case(email.local_part())) {
        return Err(PasswordError::Email);
    }
    Ok(())
}

/// The part of [`check_policy`] that needs no name and no email, for a form in which those are wrong too.
///
/// # Errors
/// [`PasswordError`] says what is wrong with it.
pub fn check_alone(password: &Password) -> Result<(), PasswordError> {
    let text = password.0.as_str();
    if text.chars().count() < MIN_CHARS {
        return Err(PasswordError::TooShort);
    }
    if COMMON.binary_search_by(|common| common.chars().cmp(fold_case(text))).is_ok() {
        return Err(PasswordError::Common);
    }
    Ok(())
}

/// The characters with their case folded. Upper case first: it joins `ß` with `SS` and both small sigmas.
fn fold_case(text: &str) -> impl Iterator<Item = char> {
    text.chars().flat_map(char::to_uppercase).flat_map(char::to_lowercase)
}

/// The most common passwords of 8 characters and more, lower-case ASCII, sorted by bytes; see common_passwords.md.
static COMMON: LazyLock<Vec<&str>> = LazyLock::new(|| include_str!("common_passwords.txt").lines().collect());

#[cfg(test)]
mod tests;
