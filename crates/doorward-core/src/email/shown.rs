//! The domain of an address as people write it.

use idna::AsciiDenyList;
use idna::uts46::{Hyphens, Uts46};
use unicode_security::{RestrictionLevel, RestrictionLevelDetection};

use super::Email;
use super::lookalikes::LOOKALIKES;

impl Email {
    /// The address for display: with `bücher` in place of `xn--bcher-kva`. A label that could be mistaken for another
    /// stays in its stored form (UTS 39: single script, identifier profile, skeleton). That is a label of several
    /// scripts, one with letters that no living language uses, or one whose letters all look like ASCII.
    pub fn shown(&self) -> String {
        self.with_domain(|label| {
            let label: String = label.iter().collect();
            label.as_str().check_restriction_level(RestrictionLevel::SingleScript)
                && !label.chars().all(|c| c.is_ascii() || LOOKALIKES.binary_search(&c).is_ok())
        })
    }

    /// The address for the search: with every label in its own script.
    pub fn searched(&self) -> String {
        self.with_domain(|_| true)
    }

    fn with_domain(&self, is_shown: impl Fn(&[char]) -> bool) -> String {
        let domain = self.domain();
        if !domain.contains("xn--") {
            return self.0.clone();
        }
        let (shown, read) = Uts46::new().to_user_interface(
            domain.as_bytes(),
            AsciiDenyList::STD3,
            Hyphens::Allow,
            |label, _, _| is_shown(label),
        );
        if read.is_ok() { format!("{}@{shown}", self.local_part()) } else { self.0.clone() }
    }
}

#[cfg(test)]
mod tests {
    use unicode_security::{GeneralSecurityProfile, skeleton};

    use super::*;

    /// The program doesn't need the rest of the UTS 39 table, which is 0.4 MB.
    #[test]
    fn the_lookalikes_are_all_letters_of_the_unicode_table_that_are_drawn_like_ascii() {
        let is_one = |c: &char| {
            !c.is_ascii()
                && c.identifier_allowed()
                && skeleton(c.encode_utf8(&mut [0; 4])).all(|c| c.is_ascii())
        };
        let expected: Vec<char> = ('\0'..=char::MAX).filter(is_one).collect();
        let escaped: Vec<_> = expected.iter().map(|c| format!("'{}',", c.escape_unicode())).collect();
        assert_eq!(LOOKALIKES, expected, "the table should be {}", escaped.join(" "));
    }

    #[track_caller]
    fn shown(typed: &str) -> String {
        Email::parse(&format!("ada@{typed}")).unwrap().shown().split_off("ada@".len())
    }

    #[test]
    fn a_domain_is_shown_as_people_write_it() {
        for domain in [
            "bücher.example",
            "münchen.de",
            "straße.example",
            "þór.is",
            "παράδειγμα.example",
            "яндекс.рф",
            "例え.jp",
            "한국.kr",
            "مثال.example",
            "भारत.example",
            "shop.bücher.example",
            "bu\u{308}cher.example",
            "example.org",
            "localhost",
        ] {
            use unicode_normalization::UnicodeNormalization;
            assert_eq!(shown(domain), domain.nfc().collect::<String>());
        }
    }

    #[test]
    fn p07_a_label_that_could_be_taken_for_another_stays_in_ascii() {
        for domain in [
            // Cyrillic and Armenian throughout, and yet they read as Latin.
            "аррӏе.com",
            "сахар.ru",
            "ооо.com",
            "օօօ.am",
            "1а2.com",
            // Two scripts in one label.
            "gооgle.com",
            "paypaӏ.com",
            "bücheр.example",
            "例-a.jp",
            "αpple.example",
            // Latin, and drawn like ASCII.
            "ıbm.com",
            "þaypal.com",
            "microsoƒt.com",
            "œuvre.example",
            // No letters of a living language.
            "ɢoogle.com",
            "ꓮꓑꓑꓡꓰ.com",
            "ᎪᏢᏢᏞᎬ.com",
            "ഠഠഠ.com",
        ] {
            let shown = shown(domain);
            assert!(shown.starts_with("xn--") && shown.is_ascii(), "{domain}: {shown}");
        }
        // Each label is judged by itself.
        assert_eq!(shown("gооgle.bücher.example"), "xn--ggle-55da.bücher.example");
    }

    #[test]
    fn what_is_shown_is_read_as_the_same_address() {
        for typed in
            ["ada@bücher.example", "ada@аррӏе.com", "ada@straße.de", "ada@مثال.example", "ada@例え.jp"]
        {
            let email = Email::parse(typed).unwrap();
            for text in [email.shown(), email.searched(), email.as_str().to_owned()] {
                assert_eq!(Email::parse(&text).as_ref(), Ok(&email), "{text}");
            }
        }
        assert_eq!(Email::parse("ada@xn--80ak6aa92e.com").unwrap().searched(), "ada@аррӏе.com");
    }
}
