//! What must hold for every parser of core, whatever the bytes: no panic, one spelling, and what is read is written
//! back unchanged. Shared with the targets of cargo-fuzz.

use std::sync::LazyLock;
use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use doorward_core::email::Email;
use doorward_core::name::DisplayName;
use doorward_core::password::{self, Password};
use doorward_core::password_hash::{self, Scratch};
use doorward_core::refresh::{RefreshKey, RefreshToken};
use doorward_core::role::RoleName;
use doorward_core::token::{self, Algorithm, Claims, Expected, KeySet, SigningKey, VerifyingKey, jws};
use doorward_core::{Mode, OpaqueSecret, Secret, SessionId, Timestamp, UserId};

const NOW: Timestamp = Timestamp::from_secs(1_800_000_000);

/// Keys, and one token of each.
struct Signed {
    keys: KeySet,
    each: Vec<(VerifyingKey, String)>,
}

fn expected() -> Expected {
    Expected {
        issuer: "doorward".into(),
        audience: "doorward".into(),
        max_ttl: Duration::from_secs(900),
        former_issuer: None,
    }
}

static SIGNED: LazyLock<Signed> = LazyLock::new(|| {
    let keys = [Algorithm::Es256, Algorithm::EdDsa].map(|algorithm| SigningKey::generate(algorithm).unwrap());
    let (user, session) = (UserId::new(NOW, [1; 10]), SessionId::new(NOW, [2; 10]));
    let expires_at = NOW + expected().max_ttl;
    let claims = Claims::new(user, session, NOW, expires_at, [3; 16]);
    let token = |key: &SigningKey| (key.verifying_key(), token::issue(key, &expected(), &claims).unwrap());
    let keys_only = keys.iter().map(SigningKey::verifying_key).collect();
    Signed { each: keys.iter().map(token).collect(), keys: KeySet::new(keys_only).unwrap() }
});

/// Tokens to begin with.
pub(crate) fn tokens() -> Vec<String> {
    SIGNED.each.iter().map(|(_, token)| token.clone()).collect()
}

/// Key sets to begin with.
pub(crate) fn key_sets() -> Vec<String> {
    let mut sets = vec![SIGNED.keys.to_jwks(), r#"{"keys":[]}"#.into()];
    sets.extend(SIGNED.each.iter().filter_map(|(key, _)| key.to_jwk().map(str::to_owned)));
    sets
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

/// Only the issued tokens are accepted, in their one spelling; and the explanation agrees with the check.
pub(crate) fn access_token(bytes: &[u8]) {
    let (text, signed, expected) = (text(bytes), &*SIGNED, expected());
    let verified = token::verify(&text, &signed.keys, &expected, NOW);
    assert_eq!(verified.is_ok(), signed.each.iter().any(|(_, token)| *token == text));
    assert_eq!(verified, token::explain(&text, &signed.keys, &expected, NOW).outcome);
    assert_eq!(verified, token::verify_ignoring_expiry(&text, &signed.keys, &expected, NOW));
    let late = NOW + expected.max_ttl;
    assert!(token::verify(&text, &signed.keys, &expected, late).is_err());
    token::decode(&text);
}

/// Under one key only that key's token has a good signature.
pub(crate) fn jws(bytes: &[u8]) {
    let text = text(bytes);
    for (key, token) in &SIGNED.each {
        assert_eq!(jws::verify(&text, key).is_ok(), text == *token);
    }
}

/// Whatever is read from a set is published, and whatever is published is read again as the same.
pub(crate) fn jwks(bytes: &[u8]) {
    let text = text(bytes);
    if let Ok(set) = KeySet::from_jwks(&text) {
        let published = set.to_jwks();
        assert_eq!(KeySet::from_jwks(&published).unwrap().to_jwks(), published);
    }
    if let Ok(key) = VerifyingKey::from_jwk(&text) {
        let published = key.to_jwk().unwrap();
        assert_eq!(VerifyingKey::from_jwk(published).unwrap().to_jwk(), Some(published));
    }
}

static REFRESH_KEY: LazyLock<RefreshKey> = LazyLock::new(|| RefreshKey::new(&Secret::new([7; 32])));

/// A refresh token to begin with.
pub(crate) static REFRESH_TOKEN: LazyLock<String> =
    LazyLock::new(|| REFRESH_KEY.issue(UserId::new(NOW, [1; 10]), SessionId::new(NOW, [2; 10]), 7, b"salt"));

/// A token has one spelling, and only what was issued is verified.
pub(crate) fn refresh_token(bytes: &[u8]) {
    let text = text(bytes);
    let Some(token) = RefreshToken::parse(&text) else { return };
    let encoded = text.strip_prefix(if token.user.is_some() { "dr2." } else { "dr1." }).unwrap();
    assert_eq!(URL_SAFE_NO_PAD.encode(URL_SAFE_NO_PAD.decode(encoded).unwrap()), encoded);
    let issued = token.user.map(|user| REFRESH_KEY.issue(user, token.session, token.generation, b"salt"));
    assert_eq!(REFRESH_KEY.verify(&token, b"salt"), issued == Some(text));
    assert!(!REFRESH_KEY.verify(&token, b"other"));
}

/// A secret has one spelling.
pub(crate) fn opaque_secret(bytes: &[u8]) {
    let text = text(bytes);
    if let Some(secret) = OpaqueSecret::parse(&text) {
        assert_eq!(secret.to_text().as_str(), text);
        assert!(!format!("{secret:?}").contains(&text));
    }
}

/// The canonical form is canonical.
pub(crate) fn email(bytes: &[u8]) {
    let Ok(email) = Email::parse(&text(bytes)) else { return };
    assert_eq!(Email::parse(email.as_str()), Ok(email.clone()));
    assert!(email.as_str().len() <= 254 && email.as_str().matches('@').count() == 1);
    assert!(!email.as_str().chars().any(|c| c.is_control() || c.is_whitespace()));
    assert!(
        email.domain().bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b"-.".contains(&b)),
        "{email:?}"
    );
    assert_eq!(email.as_str(), format!("{}@{}", email.local_part(), email.domain()));
}

/// A name is shown unchanged.
pub(crate) fn display_name(bytes: &[u8]) {
    let Ok(name) = DisplayName::parse(&text(bytes)) else { return };
    assert_eq!(DisplayName::parse(name.as_str()), Ok(name.clone()));
    assert!((1..=200).contains(&name.as_str().chars().count()));
    assert!(!name.as_str().chars().any(char::is_control) && name.as_str().trim() == name.as_str());
}

/// A hash that cannot be described is not verified either, and costs nothing.
pub(crate) fn password_hash(bytes: &[u8]) {
    let text = text(bytes);
    let password = Password::new("a door is a promise").unwrap();
    match password_hash::describe(&text) {
        // Its work is bounded by ceilings that have their own tests: too much for here.
        Ok(description) => assert!(description.to_string().len() < 100),
        Err(error) => {
            assert_eq!(password_hash::verify(&password, &text, &mut Scratch::default()), Err(error));
        }
    }
}

/// Passwords on one line each, hashed side by side, have the hashes that another library gives them.
pub(crate) fn bcrypt_beside(bytes: &[u8]) {
    let mut batch = bcrypt_lanes::Batch::new();
    for (n, line) in (0..).zip(bytes.split(|byte| *byte == b'\n')).take(2 * bcrypt_lanes::MOST_LANES) {
        let (salt, password): ([u8; 16], _) = match line.split_first_chunk() {
            Some((salt, password)) => (*salt, password),
            None => ([n; 16], line),
        };
        let mut key: Vec<u8> = password.iter().copied().take(72).collect();
        key.push(0);
        key.truncate(72);
        let expected = bcrypt::bcrypt(4, salt, &key);
        let job = bcrypt_lanes::Job::new(password, salt, 4).unwrap();
        while batch.len() == bcrypt_lanes::MOST_LANES {
            compare(batch.turn());
        }
        batch.add(job, expected).ok().unwrap();
    }
    while !batch.is_empty() {
        compare(batch.turn());
    }
    fn compare(done: Option<([u8; 24], bcrypt_lanes::Digest)>) {
        if let Some((expected, digest)) = done {
            assert_eq!(digest, expected[..23]);
        }
    }
}

/// A password, a name and an address on one line each: the password that is set is neither of the two, ignoring case.
pub(crate) fn password_policy(bytes: &[u8]) {
    let text = text(bytes);
    let mut lines = text.splitn(3, '\n');
    let (typed, name, address) =
        (lines.next().unwrap_or(""), lines.next().unwrap_or(""), lines.next().unwrap_or(""));
    let Ok(password) = Password::new(typed) else { return };
    assert!(typed.is_empty() || !format!("{password:?}").contains(typed) || "Password(…)".contains(typed));
    let (Ok(name), Ok(email)) = (DisplayName::parse(name), Email::parse(address)) else { return };
    if password::check_policy(&password, &name, &email).is_ok() {
        assert!(typed.chars().count() >= 8 || typed.len() > typed.chars().count());
        assert_ne!(typed.to_lowercase(), name.as_str().to_lowercase());
        assert_ne!(Email::parse(typed).as_ref(), Ok(&email));
    }
}

/// Ids, role names and modes have one spelling each.
pub(crate) fn ids(bytes: &[u8]) {
    let text = text(bytes);
    if let Ok(id) = text.parse::<UserId>() {
        assert_eq!(id.to_string(), text);
        assert_eq!(text.parse::<SessionId>().unwrap().as_bytes(), id.as_bytes());
    }
    if let Ok(role) = text.parse::<RoleName>() {
        assert_eq!(role.as_str(), text);
    }
    if let Ok(mode) = text.parse::<Mode>() {
        assert_eq!(mode.as_str(), text);
    }
}
