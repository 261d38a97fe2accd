//! Steps and facts in words.

use doorward_core::Timestamp;
use http::StatusCode;
use uuid::Uuid;

use super::plain::{clip, plain};
use crate::flow::{ClaimsFact, CookieFact, Fact, Flow, Foreign, Label, Step, Verb, Verdict};

/// How long a label is at most.
pub(super) const MOST_LABEL: usize = 28;

/// The names of sessions and users in a drawing: their order.
#[derive(Default)]
pub(super) struct Names {
    sessions: Vec<Uuid>,
    users: Vec<Uuid>,
}

impl Names {
    fn name(&mut self, label: Label, id: Uuid) -> String {
        let known = if label == Label::User { &mut self.users } else { &mut self.sessions };
        let at = known.iter().position(|known| *known == id).unwrap_or_else(|| {
            known.push(id);
            known.len() - 1
        });
        format!("{} {}", label.name(), at + 1)
    }
}

/// What the arrow of a step says.
pub(super) fn label(step: &Step, flow: &Flow) -> String {
    let label = match step.verdict {
        Verdict::Failed => step.verb.failed_label(),
        Verdict::Done | Verdict::Passed => step.verb.label(),
    };
    let label = match (step.verb, cookie(step)) {
        (Verb::SetCookie | Verb::ClearCookie, Some(cookie)) => format!("{label}: {}", short_name(cookie)),
        (Verb::Refuse, _) => match flow.code {
            Some(code) => format!("{} {code}", flow.status),
            None => reason(flow.status),
        },
        (Verb::Answer | Verb::Redirect, _) => reason(flow.status),
        _ => label.to_owned(),
    };
    clip(&label, MOST_LABEL)
}

/// The status with its usual words, such as `200 OK`.
pub(super) fn reason(status: u16) -> String {
    match StatusCode::from_u16(status).ok().and_then(|status| status.canonical_reason()) {
        Some(words) => format!("{status} {words}"),
        None => status.to_string(),
    }
}

fn cookie(step: &Step) -> Option<&CookieFact> {
    step.facts.iter().find_map(|fact| match fact {
        Fact::Cookie(cookie) => Some(&**cookie),
        _ => None,
    })
}

/// The cookie's name without its prefix.
fn short_name(cookie: &CookieFact) -> &str {
    let name = cookie.name.as_str();
    name.strip_prefix("__Host-").or_else(|| name.strip_prefix("__Secure-")).unwrap_or(name)
}

/// The particulars of a step in one line, without its label.
pub(super) fn detail(step: &Step, flow: &Flow, names: &mut Names) -> String {
    let facts = step.facts.iter().filter_map(|fact| of_fact(fact, step, flow, names));
    let parts: Vec<String> = step.took_us.map(span).into_iter().chain(facts).collect();
    plain(&parts.join(", "))
}

fn of_fact(fact: &Fact, step: &Step, flow: &Flow, names: &mut Names) -> Option<String> {
    Some(match fact {
        Fact::Text { label, text } => labelled(*label, text, step)?,
        Fact::Seen { label, text } => labelled(*label, text.as_str(), step)?,
        Fact::Count { label: Label::Status, .. } => match step.verb {
            Verb::Answer | Verb::Redirect | Verb::Refuse => return None,
            _ => reason(flow.status),
        },
        Fact::Count { label: Label::Count, count } => format!("{count} of them"),
        Fact::Count { label: Label::Ended | Label::Stale, count: 0 } => return None,
        Fact::Count { label, count } => format!("{} {count}", label.name()),
        Fact::Id { label, id } => names.name(*label, *id),
        // The bar under the drawing has these.
        Fact::Span { label: Label::Waited | Label::Worked, .. } => return None,
        Fact::Span { label, us } => format!("{} {}", label.name(), span(*us)),
        Fact::At { label: Label::EndsAt, at } if *at > flow.at => format!("ends {}", relative(*at, flow.at)),
        Fact::At { label: Label::EndsAt, at } => format!("ended {}", relative(*at, flow.at)),
        Fact::At { label, at } => format!("{} {}", label.name(), relative(*at, flow.at)),
        Fact::Check { passed: true, .. } => return None,
        Fact::Check { check, found: Some(found), .. } => format!("{check}: {}", found.as_str()),
        Fact::Check { check, .. } => format!("{check} is wrong"),
        Fact::Claims(claims) => of_claims(claims, flow.at),
        Fact::Foreign(foreign) => of_foreign(foreign),
        Fact::Cookie(cookie) => of_cookie(cookie),
        Fact::Hash { algorithm, cost } => format!("{algorithm} {cost}"),
    })
}

/// A text with what it is about, if that is not plain from the text.
fn labelled(label: Label, text: &str, step: &Step) -> Option<String> {
    match label {
        Label::Code if step.verb == Verb::Refuse => None,
        Label::Advice => None,
        Label::Site | Label::Origin if step.verdict != Verdict::Failed => None,
        Label::Where
        | Label::Found
        | Label::Limit
        | Label::Check
        | Label::Code
        | Label::Field
        | Label::Reason => Some(text.to_owned()),
        _ => Some(format!("{} {text}", label.name())),
    }
}

fn of_claims(claims: &ClaimsFact, now: Timestamp) -> String {
    let ends = if claims.expires_at > now { "expires" } else { "expired" };
    format!(
        "role {}, issued {}, {ends} {}",
        claims.role.as_str(),
        relative(claims.issued_at, now),
        relative(claims.expires_at, now)
    )
}

fn of_foreign(foreign: &Foreign) -> String {
    match &foreign.algorithm {
        Some(algorithm) => format!("alg {}, {} bytes", algorithm.as_str(), foreign.length),
        None => format!("{} bytes", foreign.length),
    }
}

fn of_cookie(cookie: &CookieFact) -> String {
    let attributes = [
        cookie.http_only.then(|| "HttpOnly".to_owned()),
        cookie.secure.then(|| "Secure".to_owned()),
        (!cookie.same_site.is_empty()).then(|| format!("SameSite={}", cookie.same_site)),
        cookie.domain.as_ref().map(|domain| format!("Domain={}", domain.as_str())),
        match cookie.max_age {
            None => Some("until the browser closes".to_owned()),
            Some(0) => None,
            Some(age) => {
                Some(format!("for {}", span(u64::try_from(age).unwrap_or(0).saturating_mul(1_000_000))))
            }
        },
    ];
    attributes.into_iter().flatten().collect::<Vec<_>>().join(", ")
}

/// A moment, from the flow's own: `in 15 min`, `2 min ago`.
fn relative(at: Timestamp, now: Timestamp) -> String {
    let micros = |span: std::time::Duration| u64::try_from(span.as_micros()).unwrap_or(u64::MAX);
    match (micros(at.since(now)), micros(now.since(at))) {
        (0, 0) => "now".to_owned(),
        (0, ago) => format!("{} ago", span(ago)),
        (ahead, _) => format!("in {}", span(ahead)),
    }
}

/// A span in words, rounded: `940 µs`, `1.5 ms`, `15 min`, `7 days`.
pub(super) fn span(us: u64) -> String {
    const SECOND: u64 = 1_000_000;
    const UNITS: [(u64, u64, &str); 5] = [
        (1_000, 1, "µs"),
        (SECOND, 1_000, "ms"),
        (120 * SECOND, SECOND, "s"),
        (120 * 60 * SECOND, 60 * SECOND, "min"),
        (48 * 3_600 * SECOND, 3_600 * SECOND, "h"),
    ];
    let (unit, name) = UNITS
        .into_iter()
        .find(|(below, ..)| us < *below)
        .map_or((86_400 * SECOND, "days"), |(_, unit, name)| (unit, name));
    let tenths = us.saturating_add(unit / 20) / (unit / 10).max(1);
    match (unit, tenths / 10, tenths % 10) {
        (1, ..) => format!("{us} {name}"),
        (_, whole, tenth) if whole < 10 && tenth != 0 => format!("{whole}.{tenth} {name}"),
        _ => format!("{} {name}", us.saturating_add(unit / 2) / unit),
    }
}
