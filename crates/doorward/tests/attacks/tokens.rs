//! Section J of the attack list: tokens. `crates/doorward-core/src/token/tests` tests the same rows with the verifying
//! function. Here they arrive over HTTP, on every kind of route, in the header and in the cookie.

mod claims;
mod form;
mod headers;
mod keys;
mod kinds;
mod rotation;
mod signatures;
mod time;
mod transport;

use aws_lc_rs::hmac;

use crate::support::{Target, encode, part};

const SECRET: &str = "T9k2vQ8xW4mZ7rB1nL6cH3yJ5dF0gS-p";
/// What the clock of a new site says: 2027-01-15T08:00:00Z.
const NOW: i64 = 1_800_000_000;

/// An attacker who knows the secret that tokens are signed with, and makes tokens like the admin's own. The worst case:
/// what is refused here is refused because of the token's content.
struct Forger {
    header: Vec<(String, String)>,
    payload: Vec<(String, String)>,
}

/// A server that signs with a secret which the forger knows.
async fn known_secret() -> (Target, Forger) {
    let target = Target::with(&[("JWT_SECRET", SECRET)]).await;
    let forger = Forger::after(&target.admin.token().unwrap());
    (target, forger)
}

impl Forger {
    fn after(token: &str) -> Self {
        Self { header: part(token, 0), payload: part(token, 1) }
    }

    /// A header as the server's own, with one member replaced, added, or (`None`) left out. Values are JSON text.
    fn header(&self, name: &str, value: Option<&str>) -> String {
        object(&self.header, name, value)
    }

    /// A payload as the admin's own, changed in the same way.
    fn payload(&self, name: &str, value: Option<&str>) -> String {
        object(&self.payload, name, value)
    }

    fn own_header(&self) -> String {
        self.header("", None)
    }

    fn own_payload(&self) -> String {
        self.payload("", None)
    }

    /// The JSON text of a member of the header or of the payload.
    fn member(&self, name: &str) -> &str {
        let mut members = self.header.iter().chain(&self.payload);
        members.find(|(known, _)| known == name).map(|(_, value)| value.as_str()).unwrap()
    }

    /// A token with this header, usual in everything else, and correctly signed.
    fn with_header(&self, header: impl AsRef<[u8]>) -> String {
        maced(SECRET, header, self.own_payload())
    }

    /// A token with this payload, usual in everything else, and correctly signed.
    fn with_payload(&self, payload: impl AsRef<[u8]>) -> String {
        maced(SECRET, self.own_header(), payload)
    }

    /// A token with one claim changed, and correctly signed.
    fn with_claim(&self, name: &str, value: Option<&str>) -> String {
        self.with_payload(self.payload(name, value))
    }

    /// A token with these members in front of the header's own, and correctly signed.
    fn with_parameters(&self, members: &str) -> String {
        self.with_header(self.own_header().replacen('{', &format!("{{{members},"), 1))
    }
}

fn object(usual: &[(String, String)], name: &str, value: Option<&str>) -> String {
    let kept = usual.iter().filter(|(known, _)| known != name).map(|(name, value)| (&**name, &**value));
    let members = kept.chain(value.map(|value| (name, value)));
    let members: Vec<_> = members.map(|(name, value)| format!("\"{name}\":{value}")).collect();
    format!("{{{}}}", members.join(","))
}

/// A JWS whose signature is HMAC-SHA256 under any bytes.
fn maced(secret: impl AsRef<[u8]>, header: impl AsRef<[u8]>, payload: impl AsRef<[u8]>) -> String {
    maced_text(hmac::HMAC_SHA256, secret, &format!("{}.{}", encode(header), encode(payload)))
}

/// The same from an unchanged signing input.
fn maced_text(algorithm: hmac::Algorithm, secret: impl AsRef<[u8]>, signed: &str) -> String {
    let tag = hmac::sign(&hmac::Key::new(algorithm, secret.as_ref()), signed.as_bytes());
    format!("{signed}.{}", encode(tag))
}

/// The three parts of a token.
fn parts(token: &str) -> [String; 3] {
    let parts: Vec<_> = token.split('.').map(str::to_owned).collect();
    parts.try_into().unwrap()
}

#[tokio::test]
async fn what_the_forger_signs_is_as_good_as_the_servers_own() {
    let (target, forger) = known_secret().await;
    for token in [
        forger.with_payload(forger.own_payload()),
        forger.with_parameters("\"x\":1"),
        forger.with_claim("name", Some("\"x\"")),
    ] {
        for path in ["/profile", "/dashboard", "/sessions", "/admin/users"] {
            target.ask("GET", path, "authorization", format!("Bearer {token}").as_bytes()).await.is_ok();
            target.ask("GET", path, "cookie", format!("__Host-token={token}").as_bytes()).await.is_ok();
        }
    }
    target.stands().await;
}
