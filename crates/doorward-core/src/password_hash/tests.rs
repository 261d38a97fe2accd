use std::time::{Duration, Instant};

use proptest::prelude::*;
use serde_json::Value;

use super::*;

const BCRYPT: HashPolicy = HashPolicy::for_tests(HashAlgorithm::Bcrypt);
const ARGON2ID: HashPolicy = HashPolicy::for_tests(HashAlgorithm::Argon2id);
const SALT: [u8; 16] = *b"sixteen bytes ok";

fn password(text: &str) -> Password {
    Password::new(text).unwrap()
}

fn hashed(text: &str, policy: &HashPolicy) -> String {
    hash(&password(text), policy, SALT, &mut Scratch::default()).unwrap()
}

fn matches(text: &str, stored: &str) -> bool {
    verify(&password(text), stored, &mut Scratch::default()).unwrap()
}

fn bcrypt_policy(cost: u32) -> HashPolicy {
    HashPolicy::new(HashAlgorithm::Bcrypt, cost, Argon2Params::default()).unwrap()
}

fn argon2_policy(m_kib: u32, t: u32) -> HashPolicy {
    HashPolicy::new(HashAlgorithm::Argon2id, 10, Argon2Params::new(m_kib, t, 1).unwrap()).unwrap()
}

/// The vectors of a file, each with its password, its hash and the expected result.
fn vectors(file: &str, hash: &str) -> Vec<(Vec<u8>, String, String)> {
    let file: Value = serde_json::from_str(file).unwrap();
    let text = |test: &Value, key: &str| test[key].as_str().map(ToOwned::to_owned);
    let read = |test: &Value| {
        let password = match text(test, "password_hex") {
            Some(hex) => unhex(&hex),
            None => text(test, "password").unwrap().into_bytes(),
        };
        Some((password, text(test, hash)?, text(test, "result").unwrap()))
    };
    file["tests"].as_array().unwrap().iter().filter_map(read).collect()
}

fn unhex(hex: &str) -> Vec<u8> {
    (0..hex.len()).step_by(2).map(|at| u8::from_str_radix(&hex[at..at + 2], 16).unwrap()).collect()
}

/// Verifies raw bytes: not every vector is UTF-8 or in NFC.
fn verify_raw(password: &[u8], stored: &str, scratch: &mut Scratch) -> Result<bool, HashError> {
    verify_bytes(password, &Stored::parse(stored)?, scratch)
}

#[test]
fn bcrypt_agrees_with_every_known_answer() {
    let vectors = vectors(include_str!("../../tests/data/bcrypt_kat.json"), "hash");
    let mut scratch = Scratch::default();
    let mut counts = [0; 3];
    for (password, stored, result) in &vectors {
        let answer = verify_raw(password, stored, &mut scratch);
        if result == "valid" {
            counts[0] += 1;
            let Ok(Stored::Bcrypt(parsed)) = Stored::parse(stored) else { panic!("{stored}") };
            assert_eq!(bcrypt_digest(password, &parsed), parsed.digest, "{stored}");
            assert_eq!(Stored::Bcrypt(parsed).to_string(), *stored);
            // The primitive cuts at 72 bytes; we don't allow that (attacks P01 and P02).
            assert_eq!(answer, Ok(fits_bcrypt(password)), "{stored}");
        } else {
            counts[if result == "invalid" { 1 } else { 2 }] += 1;
            assert_ne!(answer, Ok(true), "{stored}");
        }
    }
    assert_eq!(counts, [403, 21, 7]);
}

#[test]
fn argon2_agrees_with_every_known_answer() {
    let vectors = vectors(include_str!("../../tests/data/argon2_kat.json"), "encoded");
    let mut scratch = Scratch::default();
    let mut counts = [0; 2];
    for (password, stored, result) in &vectors {
        let answer = verify_raw(password, stored, &mut scratch);
        if result == "valid" {
            counts[0] += 1;
            assert_eq!(answer, Ok(true), "{stored}");
            assert_eq!(Stored::parse(stored).unwrap().to_string(), *stored);
        } else {
            counts[1] += 1;
            assert_ne!(answer, Ok(true), "{stored}");
        }
    }
    assert_eq!(counts, [vectors.len() - 16, 16]);
    assert_eq!(format!("{scratch:?}"), "Scratch(65536 KiB)");
}

#[test]
fn argon2_agrees_with_rfc_9106() {
    let file: Value = serde_json::from_str(include_str!("../../tests/data/argon2_kat.json")).unwrap();
    let mut seen = 0;
    for test in file["tests"].as_array().unwrap().iter().filter(|test| test["secret_hex"].is_string()) {
        let (hex, number) =
            (|key: &str| unhex(test[key].as_str().unwrap()), |key: &str| test[key].as_u64().unwrap() as u32);
        let mut params = argon2::ParamsBuilder::new();
        params.m_cost(number("m")).t_cost(number("t")).p_cost(number("p"));
        params.data(argon2::AssociatedData::new(&hex("ad_hex")).unwrap());
        let variant = Algorithm::new(test["type"].as_str().unwrap()).unwrap();
        let secret = hex("secret_hex");
        let argon2 =
            argon2::Argon2::new_with_secret(&secret, variant, Version::V0x13, params.build().unwrap())
                .unwrap();
        let mut tag = vec![0; number("taglen") as usize];
        argon2.hash_password_into(&hex("password_hex"), &hex("salt_hex"), &mut tag).unwrap();
        assert_eq!(tag, hex("tag_hex"));
        seen += 1;
    }
    assert!(seen > 0);
}

#[test]
fn what_was_hashed_verifies_and_nothing_else_does() {
    for policy in [BCRYPT, ARGON2ID] {
        for text in [
            "correct horse",
            "пароль и ещё",
            "\u{1F511}\u{1F511}",
            &"x".repeat(72),
            &"x".repeat(1_024),
            "nul\0inside",
        ] {
            let stored = hashed(text, &policy);
            assert!(matches(text, &stored), "{text:?} {stored}");
            for other in ["", &text.chars().skip(1).collect::<String>(), &format!("{text} ")] {
                if let Ok(other) = Password::new(other) {
                    assert_eq!(
                        verify(&other, &stored, &mut Scratch::default()),
                        Ok(false),
                        "{text:?} {stored}"
                    );
                }
            }
        }
    }
    assert!(hashed("correct horse", &BCRYPT).starts_with("$2b$04$"));
    assert!(hashed("correct horse", &ARGON2ID).starts_with("$argon2id$v=19$m=64,t=1,p=1$"));
}

#[test]
fn p01_what_bcrypt_would_cut_is_argon2id_and_counts_to_its_last_byte() {
    let (head, tail) = ("h".repeat(72), "registered tail");
    let stored = hashed(&format!("{head}{tail}"), &BCRYPT);
    assert!(stored.starts_with("$argon2id$"), "{stored}");
    assert!(matches(&format!("{head}{tail}"), &stored));
    assert!(!matches(&head, &stored));
    assert!(!matches(&format!("{head}another tail"), &stored));

    let exact = hashed(&head, &BCRYPT);
    assert!(exact.starts_with("$2b$") && matches(&head, &exact));
    assert!(!matches(&format!("{head}x"), &exact));
    // Made elsewhere, by a bcrypt that cut 80 bytes to 72: nobody can say which 80 they were.
    let cut = bcrypt::hash_with_salt("p".repeat(80), 4, SALT).unwrap().to_string();
    assert!(matches(&"p".repeat(72), &cut) && !matches(&"p".repeat(80), &cut));
}

#[test]
fn p01_the_limit_counts_bytes_after_nfc() {
    assert!(hashed(&"e\u{301}".repeat(36), &BCRYPT).starts_with("$2b$"));
    assert!(hashed(&"e\u{301}".repeat(37), &BCRYPT).starts_with("$argon2id$"));
}

#[test]
fn p02_a_nul_ends_no_password() {
    let stored = hashed("abc\0defgh", &BCRYPT);
    assert!(stored.starts_with("$argon2id$") && matches("abc\0defgh", &stored));
    assert!(!matches("abc\0xyzuv", &stored) && !matches("abc", &stored) && !matches("abc\0", &stored));
    // No password with a NUL matches a bcrypt hash, ours or another's.
    let plain = hashed("abc", &BCRYPT);
    assert!(matches("abc", &plain) && !matches("abc\0", &plain) && !matches("abc\0abc", &plain));
}

#[test]
fn p03_bcrypt_sees_the_password_itself_and_no_digest_of_it() {
    for text in ["correct horse battery", "пароль и ещё", &"x".repeat(71), &"x".repeat(72)] {
        let stored = hashed(text, &BCRYPT);
        assert!(bcrypt::verify(text, &stored).unwrap(), "{stored}");
    }
}

#[test]
fn p04_sign_extension_hashes_and_malformed_ones_are_errors() {
    let good = hashed("correct horse", &BCRYPT);
    for same in ["$2a$", "$2y$"] {
        assert!(matches("correct horse", &good.replace("$2b$", same)), "{same}");
    }
    assert_eq!(Stored::parse(&good.replace("$2b$", "$2x$")), Err(HashError::Unsupported));
    let argon2 = hashed("correct horse", &ARGON2ID);
    for malformed in [
        "",
        "$",
        "$$",
        "$2",
        "$2b$",
        "$2b$04$",
        "*0",
        "x",
        "$argon2",
        "$argon2id$",
        "$argon2id$v=19$m=64,t=1,p=1$$",
        "$2b$+4$CCCCCCCCCCCCCCCCCCCCC.h87NWu/js59XXaIj1hDyHxnjw7MJ5K6",
        "$2b$ 4$CCCCCCCCCCCCCCCCCCCCC.h87NWu/js59XXaIj1hDyHxnjw7MJ5K6",
        "$2b$04$CCCCCCCCCCCCCCCCCCCCC/h87NWu/js59XXaIj1hDyHxnjw7MJ5K6", // stray bits after the salt
        "$2b$04$CCCCCCCCCCCCCCCCCCCCC.h87NWu/js59XXaIj1hDyHxnjw7MJ5K7", // stray bits after the digest
        "$2b$04$CCCCCCCCCCCCCCCCCCCCC.h87NWu/js59XXaIj1hDyHxnjw7MJ5K\u{E9}",
        &"\u{20AC}".repeat(20),
        &good[1..],
        &format!("{good} "),
        &format!(" {good}"),
        &format!("{good}\0"),
        &argon2.replace("$v=19", "$v=018"),
        &argon2.replace("m=64", "m=064"),
        &argon2.replace("m=64", "m=+64"),
        &argon2.replace("m=64", "m=7"),
        &argon2.replace("t=1", "t=0"),
        &argon2.replace("p=1", "p=0"),
        &argon2.replace("p=1", "p=9"),
        &argon2.replace("t=1,p=1", "p=1,t=1"),
        &argon2.replace("p=1", "p=1,keyid=AA"),
        &argon2.replace("m=64", "m=99999999999999999999"),
        &format!("{argon2}$"),
        &format!("{argon2}="),
        &format!("{argon2}{}", "A".repeat(1 << 20)),
    ] {
        assert_eq!(Stored::parse(malformed), Err(HashError::Malformed), "{malformed}");
        assert_eq!(
            verify(&password("correct horse"), malformed, &mut Scratch::default()),
            Err(HashError::Malformed)
        );
    }
}

#[test]
fn p05_a_password_at_the_limit_is_hashed_whole() {
    let long = "x".repeat(1_023);
    let stored = hashed(&format!("{long}1"), &BCRYPT);
    assert!(matches(&format!("{long}1"), &stored) && !matches(&format!("{long}2"), &stored));
}

#[test]
fn p06_a_password_typed_in_another_normal_form_signs_in() {
    for policy in [BCRYPT, ARGON2ID] {
        let stored = hashed("\u{C5}ngstr\u{F6}m", &policy);
        assert!(matches("A\u{30A}ngstro\u{308}m", &stored) && !matches("Angstrom", &stored));
    }
}

#[test]
fn p09_a_bomb_is_refused_before_work_and_memory() {
    let (bcrypt, argon2) = (hashed("correct horse", &BCRYPT), hashed("correct horse", &ARGON2ID));
    let mut scratch = Scratch::default();
    let start = Instant::now();
    for bomb in [
        bcrypt.replace("$04$", "$17$"),
        bcrypt.replace("$04$", "$31$"),
        argon2.replace("m=64", "m=4194304"),
        argon2.replace("m=64", "m=4294967295"),
        argon2.replace("m=64", "m=262145"),
        argon2.replace("t=1", "t=17"),
        argon2.replace("t=1", "t=4294967295"),
        argon2.replace("m=64", "m=262144").replace("p=1", "p=17"),
    ] {
        assert_eq!(
            verify(&password("correct horse"), &bomb, &mut scratch),
            Err(HashError::TooExpensive),
            "{bomb}"
        );
        assert!(describe(&bomb).is_err() && !needs_rehash(&bomb, &password("correct horse"), &ARGON2ID));
    }
    assert!(start.elapsed() < Duration::from_millis(500));
    assert_eq!(format!("{scratch:?}"), "Scratch(0 KiB)");
    for at_the_ceiling in
        [bcrypt.replace("$04$", "$16$"), argon2.replace("m=64,t=1,p=1", "m=262144,t=16,p=16")]
    {
        assert!(Stored::parse(&at_the_ceiling).is_ok(), "{at_the_ceiling}");
    }
}

#[test]
fn p10_a_scratch_gives_the_same_hash_again_and_keeps_no_more_than_64_mib() {
    let mut scratch = Scratch::default();
    let big = "$argon2id$v=19$m=69632,t=1,p=4$c29tZXNhbHQ$CTFhFdXPJO1aFaMaO6Mm5c8y7cJHAph8ArZWb2GRPPc";
    for text in ["correct horse", "another horse"] {
        let used = hash(&password(text), &ARGON2ID, SALT, &mut scratch).unwrap();
        assert_eq!(used, hashed(text, &ARGON2ID));
        assert_eq!(verify(&password(text), big, &mut scratch), Ok(false));
        assert_eq!(format!("{scratch:?}"), "Scratch(65536 KiB)");
        assert_eq!(verify(&password(text), &used, &mut scratch), Ok(true));
    }
}

#[test]
fn p17_a_hash_is_renewed_upwards_only() {
    let short = password("correct horse");
    let renews = |from: HashPolicy, to: HashPolicy| needs_rehash(&dummy_hash(&from), &short, &to);
    assert!(renews(bcrypt_policy(10), bcrypt_policy(12)) && !renews(bcrypt_policy(12), bcrypt_policy(10)));
    assert!(!renews(bcrypt_policy(10), bcrypt_policy(10)));
    assert!(
        renews(bcrypt_policy(12), argon2_policy(19_456, 2))
            && !renews(argon2_policy(19_456, 2), bcrypt_policy(12))
    );
    assert!(renews(argon2_policy(19_456, 2), argon2_policy(65_536, 3)));
    assert!(!renews(argon2_policy(65_536, 3), argon2_policy(19_456, 2)));
    // More passes for less memory, or more memory for less work, is not an upgrade.
    assert!(!renews(argon2_policy(47_104, 1), argon2_policy(19_456, 3)));
    assert!(!renews(argon2_policy(12_288, 4), argon2_policy(47_104, 1)));

    let renews = |stored: &str, policy: &HashPolicy| needs_rehash(stored, &short, policy);
    let older = dummy_hash(&argon2_policy(19_456, 2)).replace("$v=19", "$v=16");
    let variant = dummy_hash(&argon2_policy(19_456, 2)).replace("argon2id", "argon2i");
    for stored in [older, variant] {
        assert!(
            renews(&stored, &argon2_policy(19_456, 2)) && !renews(&stored, &argon2_policy(12_288, 3)),
            "{stored}"
        );
    }
    // Foreign and weaker than anything that we would make: bcrypt is an upgrade.
    assert!(renews(&dummy_hash(&ARGON2ID), &bcrypt_policy(10)));
    assert!(
        !renews("*0", &bcrypt_policy(10))
            && !renews(&dummy_hash(&BCRYPT).replace("$2b$", "$2x$"), &bcrypt_policy(10))
    );
    // A long password stays argon2id under the bcrypt policy.
    let long = password(&"x".repeat(73));
    let stored = dummy_hash(&argon2_policy(19_456, 2));
    assert!(!needs_rehash(&stored, &long, &bcrypt_policy(16)));
}

#[test]
fn e01_a_dummy_costs_what_the_policy_costs_and_matches_nobody() {
    assert_eq!(describe(&dummy_hash(&HashPolicy::default())).unwrap().to_string(), "bcrypt $2b$, cost 10");
    assert_eq!(
        describe(&dummy_hash(&argon2_policy(19_456, 2))).unwrap().to_string(),
        "argon2id v=19, 19456 KiB, 2 passes, 1 lane"
    );
    for policy in [BCRYPT, ARGON2ID] {
        let dummy = dummy_hash(&policy);
        assert_eq!(dummy.len(), hashed("correct horse", &policy).len());
        for guess in ["", "correct horse", "nobody's account", "nul\0inside", &"x".repeat(100)] {
            assert!(!matches(guess, &dummy), "{guess:?}");
        }
    }
}

#[test]
fn e01_a_guess_that_bcrypt_would_cut_takes_as_long_as_any() {
    let stored = hashed("correct horse", &BCRYPT).replace("$04$", "$09$");
    let once = |guess: &Password| {
        let start = Instant::now();
        assert_eq!(verify(guess, &stored, &mut Scratch::default()), Ok(false));
        start.elapsed()
    };
    let short = password("a wrong guess");
    for long in ["x".repeat(100), "x".repeat(1_024), "nul\0inside".to_owned()] {
        // A refusal without the work is thousands of times faster, so it never comes near this; a busy machine
        // sometimes does.
        let long = password(&long);
        assert!((0..20).any(|_| 2 * once(&long) > once(&short)));
    }
}

#[test]
fn a_policy_is_within_the_ceilings_and_not_below_the_floor() {
    assert_eq!(HashPolicy::default(), bcrypt_policy(10));
    for cost in [0, 4, 9, 17, 31] {
        let policy = HashPolicy::new(HashAlgorithm::Bcrypt, cost, Argon2Params::default());
        assert_eq!(policy, Err(PolicyError::BcryptCost), "{cost}");
    }
    for (m, t, p) in
        [(7_168, 5, 1), (9_216, 4, 1), (12_288, 3, 1), (19_456, 2, 1), (47_104, 1, 1), (262_144, 16, 16)]
    {
        let params = Argon2Params::new(m, t, p).unwrap();
        assert_eq!((params.m_kib(), params.t(), params.p()), (m, t, p));
    }
    for (m, t, p) in [
        (7_167, 16, 1),
        (7_168, 4, 1),
        (19_456, 1, 1),
        (19_456, 0, 1),
        (19_456, 2, 0),
        (19_456, 2, 17),
        (19_456, 17, 1),
        (262_145, 2, 1),
    ] {
        assert_eq!(Argon2Params::new(m, t, p), Err(PolicyError::Argon2), "{m} {t} {p}");
    }
    assert_eq!("bcrypt".parse(), Ok(HashAlgorithm::Bcrypt));
    assert_eq!(HashAlgorithm::Argon2id.to_string().parse(), Ok(HashAlgorithm::Argon2id));
    assert!("Argon2i".parse::<HashAlgorithm>().is_err());
}

fn any_policy() -> impl Strategy<Value = HashPolicy> {
    let argon2 = (7_168..=262_144_u32, 1..=16_u32, 1..=16_u32)
        .prop_filter_map("below the floor", |(m, t, p)| Argon2Params::new(m, t, p).ok());
    let algorithm = prop::sample::select(vec![HashAlgorithm::Bcrypt, HashAlgorithm::Argon2id]);
    (algorithm, 10..=16_u32, argon2)
        .prop_map(|(algorithm, cost, argon2)| HashPolicy::new(algorithm, cost, argon2).unwrap())
}

proptest! {
    #[test]
    fn p04_no_stored_text_is_a_panic(text in "\\PC{0,80}|.{0,80}|\\$2[abxy]\\$[0-9]{2}\\$[./A-Za-z0-9\u{E9}]{50,54}|\\$argon2(id|i|d)(\\$v=[0-9]{1,3})?\\$m=[0-9]{1,2},t=[0-3],p=[0-2]\\$[A-Za-z0-9+/=]{0,90}\\$[A-Za-z0-9+/]{0,90}") {
        if let Ok(stored) = Stored::parse(&text) {
            let written = stored.to_string();
            prop_assert_eq!(Stored::parse(&written), Ok(stored));
        }
    }

    #[test]
    fn p04_a_changed_character_never_matches(at in 0..200_usize, by in any::<char>(), argon2 in any::<bool>()) {
        let good = hashed("correct horse", if argon2 { &ARGON2ID } else { &BCRYPT });
        let at = at % good.len();
        let mut changed: Vec<char> = good.chars().collect();
        changed[at] = by;
        let changed: String = changed.into_iter().collect();
        let version = changed.starts_with("$2") && at == 2;
        if changed != good && !version {
            prop_assert_ne!(verify(&password("correct horse"), &changed, &mut Scratch::default()), Ok(true));
        }
    }

    #[test]
    fn p17_two_policies_never_undo_each_other(one in any_policy(), other in any_policy(), text in "x{8,100}") {
        let password = password(&text);
        let made = |policy: &HashPolicy| blank(policy.algorithm_for(&password), policy, SALT).to_string();
        prop_assert!(!needs_rehash(&made(&one), &password, &one));
        prop_assert!(!(needs_rehash(&made(&one), &password, &other) && needs_rehash(&made(&other), &password, &one)));
    }
}

#[test]
fn p01_an_adopted_hash_matches_what_the_old_system_cut() {
    let long = "x".repeat(100);
    let foreign = bcrypt::hash_with_salt(&long, 4, [7; 16]).unwrap().to_string();
    let adopted = adopt(&foreign).unwrap();
    assert!(!matches(&long, &foreign) && matches(&long, &adopted));
    assert!(!matches(&"x".repeat(71), &adopted));
    assert!(!matches(&format!("{long}\0"), &adopted), "a NUL matches no hash of bcrypt");
    assert!(needs_rehash(&adopted, &password(&long), &BCRYPT), "it is replaced at once");
    assert_eq!(settle(&adopted, &password(&long)), None);
    assert_eq!(settle(&adopted, &password(&"x".repeat(72))), Some(foreign.clone()));
    assert_eq!(settle(&foreign, &password("short")), None);
}

#[test]
fn p09_what_is_adopted_is_within_the_ceilings() {
    let good = hashed("correct horse", &BCRYPT);
    assert_eq!(adopt(&good.replace("$04$", "$17$")), Err(HashError::TooExpensive));
    assert_eq!(adopt(&good.replace("$2b$", "$2x$")), Err(HashError::Unsupported));
    assert_eq!(adopt(&good.replace("$2b$", "$2$")), Err(HashError::Unsupported));
    assert_eq!(adopt(&adopt(&good).unwrap()), Err(HashError::Malformed), "the mark is ours to give");
    for variant in [Algorithm::Argon2d, Algorithm::Argon2i, Algorithm::Argon2id] {
        let Stored::Argon2(mut hash) = Stored::parse(&hashed("correct horse", &ARGON2ID)).unwrap() else {
            panic!()
        };
        hash.variant = variant;
        hash.tag = Scratch::default().argon2_tag(b"correct horse", &hash).unwrap();
        let text = Stored::Argon2(hash).to_string();
        assert_eq!(adopt(&text).as_ref(), Ok(&text));
        assert!(matches("correct horse", &text) && !matches("wrong horse", &text), "{text}");
    }
}
