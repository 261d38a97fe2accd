//! The guard's decisions, as steps of the current request.

use std::sync::Arc;

use doorward_core::revocation::RevocationCheck;
use doorward_core::token::{AccessToken, Check, decode};
use doorward_core::{Mode, Refusal, SessionId, UserId};
use doorward_guard::Identity;
use doorward_guard::internals::{Credential, Credentials, Observer};
use serde_json::Value;

use super::recording::{Recording, current};
use super::{ClaimsFact, Fact, Foreign, Label, Seen, Step, Verb};

/// The observer of the request that this task answers, if it is recorded. A request has one credential: what checks it
/// again isn't shown again.
pub(crate) fn observer() -> Option<Box<dyn Observer>> {
    let recording = current().filter(|recording| !recording.has(Verb::PickCredential))?;
    Some(Box::new(Steps { recording, checks: Vec::new(), verb: None }))
}

/// Gathers the checks of a token: those of one verb are one step.
struct Steps {
    recording: Arc<Recording>,
    verb: Option<Verb>,
    checks: Vec<Fact>,
}

impl Steps {
    /// Records the checks that were gathered.
    fn write(&mut self, passed: bool, more: impl IntoIterator<Item = Fact>) {
        let Some(verb) = self.verb.take() else { return };
        let step = Step::check(verb, passed);
        let facts = self.checks.drain(..).chain(more);
        self.recording.push(facts.fold(step, Step::fact));
    }

    fn belongs_to(&self, user: UserId, session: SessionId) {
        self.recording.tell(|story| {
            (story.user, story.session) = (Some(user), Some(session));
        });
    }
}

impl Observer for Steps {
    fn picked(&mut self, picked: Result<&Credentials<'_>, Refusal>) {
        let found = |text| Fact::text(Label::Where, text);
        let step = match picked {
            Ok(Credentials::One(one)) => Step::check(Verb::PickCredential, true).fact(found(place(one))),
            Ok(Credentials::Several(all)) => Step::check(Verb::PickCredential, true)
                .fact(found("several cookies, of which one may be alive"))
                .fact(Fact::count(Label::Count, all.len())),
            Err(refusal) => {
                let text = match refusal {
                    Refusal::TokenMissing => "neither the Authorization header nor a cookie",
                    Refusal::TooManyCookies => "too many cookies of one name",
                    _ => "an Authorization header that is not one Bearer token",
                };
                Step::check(Verb::PickCredential, false).fact(found(text))
            }
        };
        self.recording.push(step);
    }

    fn checked(&mut self, check: Check, passed: bool, found: Option<String>) {
        let verb = verb(check);
        if self.verb.is_some_and(|before| before != verb) {
            self.write(true, None);
        }
        self.verb = Some(verb);
        let found = found.map(|text| Seen::new(&text));
        self.checks.push(Fact::Check { check: check.name(), passed, found });
    }

    fn verified(&mut self, token: &str, verdict: Result<&AccessToken, Refusal>) {
        match verdict {
            Ok(verified) => {
                self.belongs_to(verified.user, verified.session);
                self.write(true, Some(claims(token, verified)));
            }
            Err(_) => {
                // Once the signature held, nothing in the token is a stranger's.
                let is_ours = matches!(self.verb, Some(Verb::CheckClaims | Verb::CheckTimes));
                self.write(false, (!is_ours).then(|| foreign(token)));
            }
        }
    }

    fn remembered(&mut self, token: &AccessToken, is_live: bool) {
        self.belongs_to(token.user, token.session);
        let ends_at = Fact::At { label: Label::EndsAt, at: token.expires_at };
        let step = Step::check(Verb::RememberedToken, is_live);
        self.recording.push(step.fact(ends_at).fact(Fact::seen(Label::Role, token.role.as_str())));
    }

    fn looked_up(&mut self, answer: Option<&Result<Identity, Refusal>>) {
        let step = match answer {
            None => Step::of(Verb::LookUpSecret)
                .fact(Fact::text(Label::Found, "nothing, so the database is asked")),
            Some(Ok(identity)) => {
                self.belongs_to(identity.user, identity.session);
                Step::check(Verb::LookUpSecret, true).fact(Fact::session(identity.session))
            }
            Some(Err(refusal)) => {
                Step::check(Verb::CheckSession, false).fact(Fact::text(Label::Code, refusal.code()))
            }
        };
        self.recording.push(step);
    }

    fn revocations(&mut self, user: UserId, session: SessionId, mode: Mode, answer: RevocationCheck) {
        self.belongs_to(user, session);
        let (passed, found) = match answer {
            RevocationCheck::Good => (true, "neither the session nor the user's claims version"),
            RevocationCheck::Ended => (false, "the session has ended"),
            RevocationCheck::Stale => (false, "the user's claims have changed since: the client refreshes"),
            RevocationCheck::Unknown => {
                (true, "memory does not hold all revocations, so the database is asked")
            }
        };
        let step = Step::check(Verb::CheckRevocations, passed);
        self.recording.push(step.fact(Fact::text(Label::Found, found)).fact(Fact::mode(mode)));
    }
}

fn place(credential: &Credential<'_>) -> &'static str {
    match credential {
        Credential::BearerToken(_) => "the Authorization header",
        Credential::CookieToken(_) => "the cookie of the access token",
        Credential::SessionSecret(_) => "the cookie of the session id",
    }
}

fn verb(check: Check) -> Verb {
    match check {
        Check::Length | Check::Form | Check::Header => Verb::ReadToken,
        Check::Key | Check::Algorithm | Check::Type => Verb::FindKey,
        Check::Signature => Verb::VerifySignature,
        Check::IssuedAt | Check::NotBefore | Check::Lifetime | Check::Expiry => Verb::CheckTimes,
        _ => Verb::CheckClaims,
    }
}

/// The claims of a verified token.
fn claims(token: &str, verified: &AccessToken) -> Fact {
    let Foreign { algorithm, key, .. } = header(token);
    Fact::Claims(Box::new(ClaimsFact {
        algorithm: algorithm.unwrap_or_else(|| Seen::new("")),
        key: key.unwrap_or_else(|| Seen::new("")),
        user: verified.user,
        session: verified.session,
        role: verified.role,
        version: verified.version,
        signed_in_at: verified.authentication.at,
        issued_at: verified.issued_at,
        expires_at: verified.expires_at,
    }))
}

/// What is said of a token that is not ours.
fn foreign(token: &str) -> Fact {
    Fact::Foreign(header(token))
}

fn header(token: &str) -> Foreign {
    let header = decode(token).header.and_then(|json| serde_json::from_str::<Value>(&json).ok());
    let member = |name: &str| Some(Seen::clipped(header.as_ref()?.get(name)?.as_str()?, 24));
    Foreign { algorithm: member("alg"), key: member("kid"), length: token.len() }
}
