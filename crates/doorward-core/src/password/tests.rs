use std::time::{Duration, Instant};

use proptest::prelude::*;
use unicode_normalization::UnicodeNormalization;

use super::*;

fn judge(password: &str) -> Result<(), PasswordError> {
    let name = DisplayName::parse("Ada M\u{FC}ller").unwrap();
    let email = Email::parse("ada.mueller@b\u{FC}cher.example").unwrap();
    check_policy(&Password::new(password)?, &name, &email)
}

#[test]
fn eight_characters_are_enough_in_any_script() {
    assert_eq!(judge("q7!xkz9"), Err(PasswordError::TooShort));
    assert_eq!(judge("q7!xkz9w"), Ok(()));
    assert_eq!(
        judge("\u{1F600}\u{1F601}\u{1F602}\u{1F603}\u{1F604}\u{1F605}\u{1F606}"),
        Err(PasswordError::TooShort)
    );
    assert_eq!(judge("\u{1F600}\u{1F601}\u{1F602}\u{1F603}\u{1F604}\u{1F605}\u{1F606}\u{1F607}"), Ok(()));
    // Four letters, each typed as two characters, are four.
    assert_eq!(judge(&"e\u{301}".repeat(4)), Err(PasswordError::TooShort));
    assert_eq!(judge("correct horse battery staple"), Ok(()));
    assert_eq!(judge("        q"), Ok(()));
}

#[test]
fn a_password_does_not_print_itself() {
    assert_eq!(format!("{:?}", Password::new("hunter2 hunter2").unwrap()), "Password(…)");
}

#[test]
fn p05_over_1024_bytes_is_refused_before_any_work() {
    assert!(Password::new("x".repeat(1_024)).is_ok());
    assert_eq!(Password::new("x".repeat(1_025)).unwrap_err(), PasswordError::TooLong);
    // 512 letters of two bytes, typed as three: NFC comes before the limit.
    assert!(Password::new("e\u{301}".repeat(512)).is_ok());
    assert_eq!(Password::new("e\u{301}".repeat(513)).unwrap_err(), PasswordError::TooLong);
    // Grows in NFC.
    assert!(Password::new("\u{FB2C}".repeat(170)).is_ok());
    assert_eq!(Password::new("\u{FB2C}".repeat(171)).unwrap_err(), PasswordError::TooLong);
    let marks = "\u{301}\u{323}".repeat(1 << 19);
    let start = Instant::now();
    assert_eq!(Password::new(marks).unwrap_err(), PasswordError::TooLong);
    assert!(start.elapsed() < Duration::from_millis(500), "{:?}", start.elapsed());
}

#[test]
fn p06_nfc_and_nothing_else() {
    let same = |one: &str, other: &str| {
        Password::new(one).unwrap().expose() == Password::new(other).unwrap().expose()
    };
    assert!(same("\u{C5}ngstr\u{F6}m 1", "A\u{30A}ngstro\u{308}m 1"));
    assert!(same("\u{212B}ngstrom 1", "\u{C5}ngstrom 1"));
    for (one, other) in [
        ("\u{FF41}bcdefgh", "abcdefgh"),
        ("\u{FB01}sh & chips", "fish & chips"),
        ("abcd\u{200B}efgh", "abcdefgh"),
        ("abcd\u{200F}efgh", "abcdefgh"),
        ("abcdefgh ", "abcdefgh"),
        ("Abcdefgh", "abcdefgh"),
        ("abcd\0efgh", "abcdefgh"),
    ] {
        assert!(!same(one, other), "{one:?}");
    }
}

#[test]
fn p06_no_normalisation_leaves_its_buffer_or_outgrows_its_bound() {
    for c in '\0'..=char::MAX {
        let (composed, decomposed): (String, String) =
            (c.to_string().nfc().collect(), c.to_string().nfd().collect());
        assert!(composed.len() <= 3 * c.len_utf8() && composed.len() <= 3 * decomposed.len(), "{c:?}");
        assert!(3 * composed.len() >= c.len_utf8() && 3 * composed.len() >= decomposed.len(), "{c:?}");
    }
}

#[test]
fn p08_common_passwords_name_and_email_are_refused_in_any_case() {
    for common in
        ["password", "PASSWORD", "PassWord", "12345678", "iloveyou", "Qwertyuiop", "pa\u{17F}\u{17F}word"]
    {
        assert_eq!(judge(common), Err(PasswordError::Common), "{common:?}");
    }
    for name in ["Ada M\u{FC}ller", "ADA M\u{DC}LLER", "ada mu\u{308}ller"] {
        assert_eq!(judge(name), Err(PasswordError::Name), "{name:?}");
    }
    for email in
        ["ada.mueller@xn--bcher-kva.example", "Ada.Mueller@B\u{FC}cher.Example", "ada.mueller", "ADA.Mueller"]
    {
        assert_eq!(judge(email), Err(PasswordError::Email), "{email:?}");
    }
    // Equal, not contained: a longer password that contains a common word is not a common password.
    assert_eq!(judge("password of ada.mueller"), Ok(()));
}

#[test]
fn p08_names_of_other_scripts_are_compared_without_case_too() {
    let name = DisplayName::parse("\u{39F}\u{394}\u{3A5}\u{3A3}\u{3A3}\u{395}\u{3A5}\u{3A3}").unwrap();
    let email = Email::parse("o@example.com").unwrap();
    let lower = Password::new("\u{3BF}\u{3B4}\u{3C5}\u{3C3}\u{3C3}\u{3B5}\u{3C5}\u{3C2}").unwrap();
    assert_eq!(check_policy(&lower, &name, &email), Err(PasswordError::Name));
}

#[test]
fn p08_every_common_password_is_found() {
    assert_eq!(COMMON.len(), 10_000);
    assert!(COMMON.windows(2).all(|pair| pair[0] < pair[1]), "searched by halving, so sorted");
    for common in COMMON.iter() {
        assert!(
            common.len() >= 8 && common.bytes().all(|b| b.is_ascii_graphic() && !b.is_ascii_uppercase()),
            "{common}"
        );
        assert_eq!(judge(common), Err(PasswordError::Common), "{common}");
        assert_eq!(judge(&common.to_uppercase()), Err(PasswordError::Common), "{common}");
    }
}

proptest! {
    #[test]
    fn p06_every_canonically_equal_spelling_is_one_password(text in "\\PC{0,60}|.{0,60}") {
        let typed = Password::new(text.clone()).unwrap();
        let composed: String = text.nfc().collect();
        prop_assert_eq!(typed.expose(), composed.as_bytes());
        for other in [text.nfd().collect(), composed] {
            let other = Password::new(other).unwrap();
            prop_assert_eq!(typed.expose(), other.expose());
        }
    }
}
