//! The name that a user shows to others.

use std::fmt;
use std::str::FromStr;

use serde::Serialize;
use unicode_normalization::UnicodeNormalization;

use crate::message::{Message, error_with_message};

const MAX_CHARS: usize = 200;
/// No text of 200 characters is longer before NFC (4 bytes each, at most tripled); a longer one is not normalised.
const MAX_RAW_BYTES: usize = 4 * 3 * MAX_CHARS;

/// Why a text is not a display name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum NameError {
    /// Nothing visible is left after trimming.
    Empty,
    /// More than 200 characters.
    TooLong,
    /// A control character, a line separator, or one that changes the direction of the text around it.
    Forbidden,
}

impl NameError {
    /// What it says.
    pub fn message(self) -> Message {
        match self {
            Self::Empty => Message::new("name-empty"),
            Self::TooLong => Message::new("name-too-long").with("most", MAX_CHARS),
            Self::Forbidden => Message::new("name-forbidden"),
        }
    }
}

error_with_message!(NameError);

/// A display name: 1 to 200 characters (Unicode scalar values) in NFC, trimmed, at least one of them visible.
///
/// Any script, emoji and punctuation is allowed, since people choose their names. Refused are control characters, line
/// and paragraph separators, and bidirectional controls, which would turn the text around the name (attacks I02, I03,
/// I05). Two users may have the same name: it identifies nobody.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize)]
#[serde(transparent)]
pub struct DisplayName(String);

impl DisplayName {
    /// Reads a name as somebody typed it.
    ///
    /// # Errors
    /// [`NameError`] says what to change.
    pub fn parse(text: &str) -> Result<Self, NameError> {
        let trimmed = text.trim();
        if trimmed.len() > MAX_RAW_BYTES {
            return Err(NameError::TooLong);
        }
        let name: String = trimmed.nfc().collect();
        if name.chars().any(is_forbidden) {
            return Err(NameError::Forbidden);
        }
        if name.chars().all(|c| is_invisible(c) || c.is_whitespace()) {
            return Err(NameError::Empty);
        }
        if name.chars().count() > MAX_CHARS {
            return Err(NameError::TooLong);
        }
        Ok(Self(name))
    }

    /// The name.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for DisplayName {
    type Err = NameError;

    fn from_str(text: &str) -> Result<Self, NameError> {
        Self::parse(text)
    }
}

impl fmt::Display for DisplayName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for DisplayName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&self.0, f)
    }
}

fn is_forbidden(c: char) -> bool {
    c.is_control() || matches!(c, '\u{2028}' | '\u{2029}' | '\u{202A}'..='\u{202E}' | '\u{2066}'..='\u{2069}')
}

/// Whether a character is invisible: Default_Ignorable_Code_Point of Unicode 16 (DerivedCoreProperties.txt), and the
/// empty braille pattern.
pub(crate) fn is_invisible(c: char) -> bool {
    matches!(c,
        '\u{AD}' | '\u{34F}' | '\u{61C}' | '\u{115F}'..='\u{1160}' | '\u{17B4}'..='\u{17B5}'
        | '\u{180B}'..='\u{180F}' | '\u{200B}'..='\u{200F}' | '\u{202A}'..='\u{202E}'
        | '\u{2060}'..='\u{206F}' | '\u{2800}' | '\u{3164}' | '\u{FE00}'..='\u{FE0F}' | '\u{FEFF}'
        | '\u{FFA0}' | '\u{FFF0}'..='\u{FFF8}' | '\u{1BCA0}'..='\u{1BCA3}'
        | '\u{1D173}'..='\u{1D17A}' | '\u{E0000}'..='\u{E0FFF}')
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_name_is_what_people_say_it_is() {
        for (typed, kept) in [
            ("  Ada Lovelace\t", "Ada Lovelace"),
            ("Zoe\u{308}", "Zo\u{EB}"),
            ("O'Brien, J. <jr>", "O'Brien, J. <jr>"),
            ("\u{627}\u{62F}\u{627}", "\u{627}\u{62F}\u{627}"),
            ("\u{1F469}\u{200D}\u{1F52C}", "\u{1F469}\u{200D}\u{1F52C}"),
            ("X", "X"),
        ] {
            assert_eq!(typed.parse::<DisplayName>().unwrap().as_str(), kept);
        }
    }

    #[test]
    fn a_name_that_nobody_can_see_is_refused() {
        for bad in ["", "   ", "\u{200B}\u{200D}", "\u{3164}", "\u{2800} \u{AD}", "\u{3000}"] {
            assert_eq!(DisplayName::parse(bad), Err(NameError::Empty), "{bad:?}");
        }
    }

    #[test]
    fn a_name_that_breaks_lines_or_turns_the_text_around_it_is_refused() {
        for bad in ["a\0b", "a\nb", "a\u{85}b", "a\u{2028}b", "\u{202E}nimda", "a\u{2067}b", "\u{1B}[31mred"]
        {
            assert_eq!(DisplayName::parse(bad), Err(NameError::Forbidden), "{bad:?}");
        }
    }

    #[test]
    fn two_hundred_characters_of_any_size_are_taken_and_one_more_is_not() {
        for one in ["a", "\u{EB}", "e\u{308}", "\u{1F600}", "\u{1112}\u{1161}\u{11AB}"] {
            assert!(DisplayName::parse(&one.repeat(200)).is_ok(), "{one:?}");
            assert_eq!(DisplayName::parse(&one.repeat(201)), Err(NameError::TooLong), "{one:?}");
        }
        assert_eq!(DisplayName::parse(&"a".repeat(100 << 20)), Err(NameError::TooLong));
    }

    proptest! {
        #[test]
        fn reading_a_name_twice_changes_nothing(text in "\\PC{0,40}|.{0,40}") {
            if let Ok(name) = DisplayName::parse(&text) {
                prop_assert_eq!(DisplayName::parse(name.as_str()), Ok(name.clone()));
                prop_assert_eq!(serde_json::to_value(&name).unwrap(), name.as_str());
            }
        }
    }
}
