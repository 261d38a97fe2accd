//! Email addresses in one canonical form, for uniqueness, look-up, rate limits and mail.

mod lookalikes;
mod shown;

use std::fmt;
use std::str::FromStr;

use serde::Serialize;
use unicode_normalization::UnicodeNormalization;
use unicode_normalization::char::is_combining_mark;

use crate::message::{Message, error_with_message};
use crate::name::is_invisible;

const MAX_BYTES: usize = 254;
const MAX_LOCAL_BYTES: usize = 64;
/// Room for any spelling of 254 canonical bytes that people type; a longer text is not even normalised.
const MAX_RAW_BYTES: usize = 1024;

/// Why Doorward refuses a text as an email address.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum EmailError {
    /// More than 254 bytes in canonical form (RFC 5321 section 4.5.3.1.3), or more than 64 before the `@`.
    TooLong,
    /// No `@`, or more than one.
    At,
    /// The part before the `@` is empty, or holds a character that needs quotes.
    LocalPart,
    /// The part before the `@` would look like another address.
    LookAlike,
    /// The part after the `@` is not a domain.
    Domain,
}

impl EmailError {
    /// What it says.
    pub fn message(self) -> Message {
        match self {
            Self::TooLong => {
                Message::new("email-too-long").with("most", MAX_BYTES).with("most_before", MAX_LOCAL_BYTES)
            }
            Self::At => Message::new("email-at"),
            Self::LocalPart => Message::new("email-local-part"),
            Self::LookAlike => Message::new("email-look-alike"),
            Self::Domain => Message::new("email-domain"),
        }
    }
}

error_with_message!(EmailError);

/// An email address in the one canonical form.
///
/// - Trimmed; exactly one `@`; at most 254 bytes.
/// - Domain: UTS 46 strict (IDNA) to lower-case ASCII, so that a look-alike shows as `xn--…`. One label (`localhost`)
///   is enough; no trailing dot, no address literal, no IP address.
/// - Local part: 1 to 64 bytes, an RFC 5321 dot-string that may hold letters, digits and marks of any script (RFC
///   6531). Full-width forms become plain ones, then lower case, then NFC (the steps of RFC 8265 section 3.3). Dots and
///   `+tags` are kept: to most providers they make different mailboxes.
///
/// Text that [NFKC](https://www.unicode.org/reports/tr15/) would change further is refused, not folded: folding could
/// send a mail to a mailbox that was not typed. Invisible characters and foreign look-alikes of ASCII letters are
/// refused too, so no second account displays the same (attack P07).
///
/// ```
/// use doorward_core::email::Email;
/// let email: Email = " Ada.Lovelace@B\u{DC}CHER.example ".parse()?;
/// assert_eq!(email.as_str(), "ada.lovelace@xn--bcher-kva.example");
/// # Ok::<(), doorward_core::email::EmailError>(())
/// ```
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize)]
#[serde(transparent)]
pub struct Email(String);

impl Email {
    /// Reads an address as somebody typed it. An address in canonical form stays as it is.
    ///
    /// # Errors
    /// [`EmailError`] says what to change.
    pub fn parse(text: &str) -> Result<Self, EmailError> {
        let typed = text.trim();
        if typed.len() > MAX_RAW_BYTES {
            return Err(EmailError::TooLong);
        }
        let (local, domain) = typed.split_once('@').ok_or(EmailError::At)?;
        if domain.contains('@') {
            return Err(EmailError::At);
        }
        let email = format!("{}@{}", parse_local_part(local)?, parse_domain(domain)?);
        if email.len() > MAX_BYTES { Err(EmailError::TooLong) } else { Ok(Self(email)) }
    }

    /// The address in canonical form.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The part before the `@`.
    pub fn local_part(&self) -> &str {
        self.0.split_once('@').map_or("", |(local, _)| local)
    }

    /// The part after the `@`: lower-case ASCII.
    pub fn domain(&self) -> &str {
        self.0.split_once('@').map_or("", |(_, domain)| domain)
    }
}

fn parse_domain(typed: &str) -> Result<String, EmailError> {
    let domain = idna::domain_to_ascii_strict(typed).map_err(|_| EmailError::Domain)?;
    let last = domain.rsplit('.').next().unwrap_or_default();
    // 127.0.0.1 is not a domain; no top-level domain is a number (RFC 3696 section 2).
    if last.bytes().all(|byte| byte.is_ascii_digit()) { Err(EmailError::Domain) } else { Ok(domain) }
}

fn parse_local_part(typed: &str) -> Result<String, EmailError> {
    let local = fold(typed);
    if local.split('.').any(|atom| atom.is_empty() || !atom.chars().all(is_atom_char)) {
        return Err(EmailError::LocalPart);
    }
    if local.len() > MAX_LOCAL_BYTES {
        return Err(EmailError::TooLong);
    }
    // Folding again must change nothing, or one address would have two canonical forms.
    if fold(&local) != local || local.nfkc().ne(local.chars()) || looks_like_another(&local) {
        return Err(EmailError::LookAlike);
    }
    Ok(local)
}

/// Full-width forms to plain ones, lower case, NFC: differences that people type without meaning them.
fn fold(typed: &str) -> String {
    let mut narrow = String::with_capacity(typed.len());
    for c in typed.nfc() {
        if matches!(c, '\u{FF01}'..='\u{FFEE}') {
            narrow.extend(std::iter::once(c).nfkc());
        } else {
            narrow.push(c);
        }
    }
    narrow.to_lowercase().nfc().collect()
}

fn is_atom_char(c: char) -> bool {
    if c.is_ascii() {
        // `atext` of RFC 5322 section 3.2.3: characters that need no quotes and break no header.
        c.is_ascii_alphanumeric() || "!#$%&'*+-/=?^_`{|}~".contains(c)
    } else {
        (c.is_alphanumeric() || is_combining_mark(c)) && !is_invisible(c)
    }
}

/// Whether a folded local part looks like one of other characters: a coarse form of UTS 39 without its tables.
fn looks_like_another(local: &str) -> bool {
    let letters = || local.chars().filter(|c| c.is_alphabetic());
    let mut alphabets = letters().map(alphabet);
    let first = alphabets.next();
    let mixed = alphabets.any(|one| Some(one) != first);
    // `асе` is Cyrillic throughout, and still reads `ace`.
    let twin = !local.is_ascii() && letters().all(|c| FOREIGN_TWINS.contains(c));
    let phonetic = letters().any(|c| {
        LATIN_TWINS.contains(c)
            || matches!(c, '\u{250}'..='\u{2AF}' | '\u{1D00}'..='\u{1DBF}' | '\u{A720}'..='\u{AB6F}')
                && alphabet(c) == Alphabet::Latin
    });
    // Every accented letter in use has a character of its own. A separate mark on an ASCII letter hides or imitates
    // something, such as the dot on an `i`.
    let before = std::iter::once('.').chain(local.chars());
    let stray_mark = before.zip(local.chars()).any(|(base, c)| base.is_ascii() && is_combining_mark(c));
    let foreign_digit = local.chars().any(|c| c.is_numeric() && !c.is_ascii() && !c.is_alphabetic());
    mixed || twin || phonetic || stray_mark || foreign_digit
}

#[derive(PartialEq, Eq)]
enum Alphabet {
    Latin,
    Greek,
    Cyrillic,
    Armenian,
    Other,
}

const fn alphabet(c: char) -> Alphabet {
    match c {
        '\0'..='\u{2AF}' | '\u{1D00}'..='\u{1DBF}' | '\u{1E00}'..='\u{1EFF}' => Alphabet::Latin,
        '\u{2C60}'..='\u{2C7F}' | '\u{A720}'..='\u{A7FF}' | '\u{AB30}'..='\u{AB6F}' => Alphabet::Latin,
        '\u{370}'..='\u{3FF}' | '\u{1F00}'..='\u{1FFF}' => Alphabet::Greek,
        '\u{400}'..='\u{52F}' | '\u{1C80}'..='\u{1C8F}' | '\u{A640}'..='\u{A69F}' => Alphabet::Cyrillic,
        '\u{530}'..='\u{58F}' => Alphabet::Armenian,
        _ => Alphabet::Other,
    }
}

/// Cyrillic, Greek and Armenian letters that are drawn like ASCII ones.
const FOREIGN_TWINS: &str = "\u{430}\u{441}\u{501}\u{435}\u{4BB}\u{456}\u{458}\u{4CF}\u{43E}\u{440}\u{51B}\u{455}\u{51D}\u{445}\
    \u{443}\u{475}\u{4AF}\u{3B1}\u{3B9}\u{3BD}\u{3BF}\u{3C1}\u{3C5}\u{3B3}\u{585}\u{578}\u{57D}\u{570}\u{581}\u{566}\u{575}";
/// Latin letters outside ASCII that are drawn like ASCII ones: dotless i and j, tone six, clicks, wynn.
const LATIN_TWINS: &str = "\u{131}\u{237}\u{185}\u{1A8}\u{1BD}\u{1BF}\u{1C0}\u{1C1}\u{1C3}";

impl FromStr for Email {
    type Err = EmailError;

    fn from_str(text: &str) -> Result<Self, EmailError> {
        Self::parse(text)
    }
}

impl fmt::Display for Email {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for Email {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests;
