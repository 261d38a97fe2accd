//! Every parser against hostile bytes: see runner.rs for how, properties.rs for what must hold.
//!
//! `FUZZ_SECONDS=60 cargo test -p doorward-core --test fuzz` runs each for a minute instead of a second. The same
//! properties are targets of cargo-fuzz in `fuzz/`.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

mod properties;
mod runner;

use runner::{fuzz, hostile_strings};

#[test]
fn access_tokens() {
    fuzz(properties::tokens(), properties::access_token);
}

#[test]
fn signatures() {
    fuzz(properties::tokens(), properties::jws);
}

#[test]
fn key_sets() {
    fuzz(properties::key_sets(), properties::jwks);
}

#[test]
fn refresh_tokens() {
    fuzz(vec![properties::REFRESH_TOKEN.clone(), "dr1.".into(), "dr2.".into()], properties::refresh_token);
}

#[test]
fn opaque_secrets() {
    fuzz(vec!["A".repeat(43), "_-_-9zZ".repeat(6) + "w"], properties::opaque_secret);
}

#[test]
fn email_addresses() {
    let seeds =
        ["ada@example.org", " Ada.Lovelace@B\u{dc}CHER.example ", "a@xn--bcher-kva.de", "\"a b\"@c.d"];
    fuzz(hostile_strings(&seeds), properties::email);
}

#[test]
fn display_names() {
    fuzz(hostile_strings(&["Ada", " Ada \u{301}", "\u{202e}Ada", "\u{200b}"]), properties::display_name);
}

#[test]
fn passwords_side_by_side() {
    let seeds = ["one\ntwo\nthree\nfour\nfive".into(), "0123456789abcdef".repeat(6), "\0\n\0\0".into()];
    fuzz(seeds.to_vec(), properties::bcrypt_beside);
}

#[test]
fn password_hashes() {
    let seeds = [
        "$2b$10$N9qo8uLOickgx2ZMRZoMyeIjZAgcfl7p92ldGxad68LJZdL17lhWy",
        "$argon2id$v=19$m=19456,t=2,p=1$c29tZXNhbHRzb21lc2FsdA$RdescudvJCsgt3ub+b+dWRWJTmaaaabcdefghijklmn",
        "$argon2i$m=4294967295,t=4294967295,p=16777215$$",
        "$2y$31$",
    ];
    fuzz(hostile_strings(&seeds), properties::password_hash);
}

#[test]
fn passwords() {
    let seeds = [
        "password1\nAda\nada@example.org",
        "ada@example.org\nAda\nADA@example.org",
        "Ada Byron\nADA BYRON\na@b.c",
    ];
    fuzz(hostile_strings(&seeds), properties::password_policy);
}

#[test]
fn ids_roles_and_modes() {
    fuzz(hostile_strings(&["0190163d-8694-739b-aea5-966c26f8ad91", "admin", "bearer"]), properties::ids);
}
