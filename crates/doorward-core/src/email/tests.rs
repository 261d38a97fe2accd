use std::collections::HashSet;

use proptest::prelude::*;

use super::*;

fn canonical(typed: &str) -> String {
    Email::parse(typed).unwrap_or_else(|error| panic!("{typed:?}: {error}")).to_string()
}

#[test]
fn an_address_has_one_canonical_form() {
    for (typed, kept) in [
        ("ada@example.com", "ada@example.com"),
        ("  Ada.LOVELACE@Example.COM \n", "ada.lovelace@example.com"),
        ("ada@localhost", "ada@localhost"),
        ("ada+tag@example.com", "ada+tag@example.com"),
        ("a.d.a@example.com", "a.d.a@example.com"),
        ("o'brien!#$%&*/=?^_`{|}~-@example.com", "o'brien!#$%&*/=?^_`{|}~-@example.com"),
        ("ada@B\u{FC}cher.example", "ada@xn--bcher-kva.example"),
        ("ada@XN--BCHER-KVA.example", "ada@xn--bcher-kva.example"),
        ("ada@\u{FF45}xample\u{3002}com", "ada@example.com"),
        ("ada@exam\u{AD}ple.com", "ada@example.com"),
        ("ada@1and1.com", "ada@1and1.com"),
        ("JOSE\u{301}@example.com", "jos\u{E9}@example.com"),
        ("\u{418}\u{432}\u{430}\u{43D}@example.com", "\u{438}\u{432}\u{430}\u{43D}@example.com"),
        ("\u{7528}\u{6237}@example.com", "\u{7528}\u{6237}@example.com"),
    ] {
        assert_eq!(canonical(typed), kept);
    }
    let email: Email = "Ada@Example.com".parse().unwrap();
    assert_eq!((email.local_part(), email.domain()), ("ada", "example.com"));
    assert_eq!(serde_json::to_string(&email).unwrap(), r#""ada@example.com""#);
    assert_eq!(format!("{email:?}"), "ada@example.com");
}

#[test]
fn what_is_no_address_is_refused_with_what_to_do() {
    use EmailError::{At, Domain, LocalPart};
    for (typed, error) in [
        ("", At),
        ("ada", At),
        ("ada@b@example.com", At),
        ("\"ada@home\"@example.com", At),
        ("@example.com", LocalPart),
        (".ada@example.com", LocalPart),
        ("ada.@example.com", LocalPart),
        ("a..da@example.com", LocalPart),
        ("ada @example.com", LocalPart),
        ("\"ada\"@example.com", LocalPart),
        ("ada,bob@example.com", LocalPart),
        ("Ada<ada@example.com", LocalPart),
        ("a(d)a@example.com", LocalPart),
        ("a\\da@example.com", LocalPart),
        ("a;da:x@example.com", LocalPart),
        ("ada\r\nBcc: bob@example.com", LocalPart),
        ("a\0da@example.com", LocalPart),
        ("ada@", Domain),
        ("ada@example.com.", Domain),
        ("ada@.example.com", Domain),
        ("ada@example..com", Domain),
        ("ada@-example.com", Domain),
        ("ada@example-.com", Domain),
        ("ada@exa mple.com", Domain),
        ("ada@exa_mple.com", Domain),
        ("ada@example.com>", Domain),
        ("ada@example.com\r\nBcc: bob", Domain),
        ("ada@127.0.0.1", Domain),
        ("ada@[127.0.0.1]", Domain),
        ("ada@[IPv6:::1]", Domain),
        ("ada@xn--zzzzzzz-.com", Domain),
        ("ada@exam\u{202E}ple.com", Domain),
    ] {
        assert_eq!(Email::parse(typed), Err(error), "{typed:?}");
    }
}

#[test]
fn lengths_are_those_of_the_canonical_form() {
    let label = "a".repeat(63);
    let domain = format!("{label}.{label}.{}", "a".repeat(61));
    assert_eq!(domain.len(), 189);
    assert_eq!(canonical(&format!("{}@{domain}", "\u{FF41}".repeat(64))).len(), 254);
    assert_eq!(Email::parse(&format!("{}@{domain}a", "a".repeat(64))), Err(EmailError::TooLong));
    assert_eq!(Email::parse(&format!("{}@example.com", "a".repeat(65))), Err(EmailError::TooLong));
    assert_eq!(Email::parse(&format!("ada@{}.com", "a".repeat(64))), Err(EmailError::Domain));
    assert_eq!(Email::parse(&"@".repeat(1_000_000)), Err(EmailError::TooLong));
}

#[test]
fn p07_spellings_of_one_address_are_one_address() {
    let spellings = [
        "ada.byron@b\u{FC}cher.example",
        "ADA.BYRON@B\u{DC}CHER.EXAMPLE",
        "ada.byron@bu\u{308}cher.example",
        "\u{FF21}\u{FF44}\u{FF41}.byron@b\u{FC}cher.example",
        "ada\u{FF0E}byron@b\u{FC}cher\u{FF0E}example",
        "\u{A0}ada.byron@xn--bcher-kva.example\u{3000}",
    ];
    let forms: HashSet<_> = spellings.into_iter().map(canonical).collect();
    assert_eq!(forms.len(), 1, "{forms:?}");
    // Different mailboxes to most providers, and no two look the same: not folded.
    let others = ["adabyron@b\u{FC}cher.example", "ada.byron+x@b\u{FC}cher.example"];
    assert!(others.into_iter().all(|other| !forms.contains(&canonical(other))));
}

#[test]
fn p07_a_second_address_that_displays_the_same_is_refused() {
    for typed in [
        "\u{430}da@example.com",               // Cyrillic a beside Latin letters
        "ad\u{3B1}@example.com",               // Greek alpha
        "\u{430}\u{441}\u{435}@example.com",   // Cyrillic from end to end, reads "ace"
        "\u{440}\u{430}\u{443}.1@example.com", // reads "pay.1"
        "ad\u{251}@example.com",               // Latin alpha of phonetics
        "\u{131}da@example.com",               // dotless i
        "\u{130}da@example.com",               // I with dot: lower-cased, an i and a mark
        "i\u{307}da@example.com",              // the same, already lower-cased
        "a\u{335}da@example.com",              // an overlay mark
        "\u{FB01}ne@example.com",              // ligature fi
        "\u{1D41A}da@example.com",             // mathematical bold a
        "ad\u{AA}@example.com",                // feminine ordinal
        "\u{1D41A}\u{1D41B}@example.com",      // mathematical throughout
        "ada\u{B2}@example.com",               // superscript two
        "ada\u{661}@example.com",              // Arabic one
    ] {
        assert_eq!(Email::parse(typed), Err(EmailError::LookAlike), "{typed:?}");
    }
    for invisible in [
        '\u{200B}',
        '\u{200D}',
        '\u{200F}',
        '\u{202E}',
        '\u{2066}',
        '\u{AD}',
        '\u{34F}',
        '\u{FE0F}',
        '\u{3164}',
        '\u{FFA0}',
        '\u{E0061}',
    ] {
        let typed = format!("a{invisible}da@example.com");
        assert_eq!(Email::parse(&typed), Err(EmailError::LocalPart), "{typed:?}");
    }
    // A look-alike domain is another domain, and is shown as such.
    assert_eq!(canonical("ada@ex\u{430}mple.com"), "ada@xn--exmple-4nf.com");
}

fn interesting() -> impl Strategy<Value = String> {
    let pieces = prop::sample::select(vec![
        "a",
        "Z",
        "0",
        ".",
        "@",
        "+",
        "-",
        " ",
        "\u{DF}",
        "\u{1E9E}",
        "\u{130}",
        "\u{131}",
        "\u{307}",
        "\u{301}",
        "\u{3A3}",
        "\u{3C2}",
        "\u{430}",
        "\u{416}",
        "\u{FF21}",
        "\u{FF0E}",
        "\u{FF20}",
        "\u{FF9E}",
        "\u{FF76}",
        "\u{3099}",
        "\u{AD}",
        "\u{200D}",
        "\u{212A}",
        "\u{1C4}",
        "\u{345}",
        "\u{1F82}",
        "\u{AC00}",
        "\u{11A8}",
        "\u{5D0}",
        "\u{661}",
        "\u{1D41A}",
        "xn--",
        "example.com",
    ]);
    prop::collection::vec(pieces, 0..12).prop_map(|pieces| pieces.concat())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2_000))]

    #[test]
    fn parsing_twice_changes_nothing(text in prop_oneof![
        "\\PC{1,20}@\\PC{1,20}",
        "[a-zA-Z0-9._+-]{1,70}@[a-zA-Z0-9.-]{1,200}",
        (interesting(), interesting()).prop_map(|(local, domain)| format!("{local}@{domain}")),
        interesting().prop_map(|local| format!("{local}@example.com")),
    ]) {
        if let Ok(email) = Email::parse(&text) {
            prop_assert_eq!(Email::parse(email.as_str()), Ok(email.clone()));
            let shouted = format!("  {}@{}", email.local_part(), email.domain().to_uppercase());
            prop_assert_eq!(Email::parse(&shouted), Ok(email.clone()));
            prop_assert!(email.as_str().len() <= 254 && (1..=64).contains(&email.local_part().len()));
            let plain = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b".-".contains(&b);
            prop_assert!(email.domain().bytes().all(plain));
            let breaks = |c: char| c.is_control() || c.is_whitespace() || "\"(),:;<>@[\\]".contains(c);
            prop_assert!(!email.local_part().chars().any(|c| breaks(c) || is_invisible(c)));
            prop_assert_eq!(email.as_str().matches('@').count(), 1);
        }
    }

    #[test]
    fn ascii_addresses_ignore_case(text in "[a-z0-9._+-]{1,12}@[a-z0-9-]{1,8}\\.[a-z]{2,4}") {
        prop_assert_eq!(Email::parse(&text.to_uppercase()), Email::parse(&text));
    }
}
