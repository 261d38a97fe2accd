//! From a flow to its spans: one for the request, and below it one for each step that took time. A step that only
//! happened is an event. Nothing personal is among the attributes, unless the settings allow it.

use super::messages::{
    Event, FAILED, INTERNAL, KeyValue, REMOTE_PARENT, SAMPLED, SERVER, Span, Status, Value,
};
use crate::flow::{ClaimsFact, CookieFact, Fact, Flow, Foreign, Label, Step, Verdict};
use crate::random;

/// How flows become spans.
#[derive(Debug, Clone, Copy)]
pub(super) struct Conversion {
    /// Text from outside and the ids of users are among the attributes.
    pub(super) is_personal: bool,
    /// How many traces are sent, of 2^63; those that a trusted proxy began are all sent, or none, as it says.
    pub(super) share: u64,
    /// Browsers reach the server by https.
    pub(super) is_https: bool,
}

/// The ids that a span needs.
struct Ids {
    trace: Vec<u8>,
    server: Vec<u8>,
}

impl Conversion {
    /// The spans of a flow, the request's first; none if its trace is not sampled.
    pub(super) fn spans(self, flow: &Flow) -> Vec<Span> {
        let parent = flow.traced.as_ref().and_then(|traced| traced.parent);
        let trace = parent.map_or_else(random::bytes, |parent| parent.trace);
        let is_sampled = match parent {
            Some(parent) => parent.is_sampled,
            // The random half of the id decides, as OpenTelemetry's own sampler does.
            None => u64::from_be_bytes(*trace.last_chunk().unwrap_or(&[0; 8])) >> 1 < self.share,
        };
        if !is_sampled {
            return Vec::new();
        }
        let ids = Ids { trace: trace.to_vec(), server: random::bytes::<8>().to_vec() };
        let mut server = self.server(flow, &ids);
        if let Some(parent) = parent {
            server.parent_span_id = parent.span.to_vec();
            server.flags |= REMOTE_PARENT;
        }
        let mut inner = Vec::new();
        for step in &flow.steps {
            let attributes = self.attributes(step);
            match step.took_us {
                Some(took_us) => inner.push(span(flow, step, took_us, attributes, &ids)),
                None => server.events.push(Event {
                    time_unix_nano: nanos(flow, step.at_us),
                    name: step.verb.name().to_owned(),
                    attributes,
                }),
            }
        }
        inner.insert(0, server);
        inner
    }

    fn server(self, flow: &Flow, ids: &Ids) -> Span {
        let has_route = flow.route != "other";
        let (method, verb) =
            if flow.method == "other" { ("_OTHER", "HTTP") } else { (flow.method, flow.method) };
        let mut attributes = vec![
            KeyValue::new("http.request.method", method),
            KeyValue::new("http.response.status_code", u64::from(flow.status)),
            KeyValue::new("url.scheme", if self.is_https { "https" } else { "http" }),
            KeyValue::new("doorward.request.id", flow.id.as_str()),
        ];
        let mut also = |key: &str, value: Option<Value>| {
            attributes.extend(value.map(|value| KeyValue::new(key, value)));
        };
        also("http.route", has_route.then(|| flow.route.into()));
        also("error.type", flow.code.map(Into::into));
        also("session.id", flow.story.session.map(|id| id.to_string().into()));
        if self.is_personal {
            also("user.id", flow.story.user.map(|id| id.to_string().into()));
            let origin = flow.traced.as_ref().and_then(|traced| traced.origin.as_ref());
            also("client.address", origin.map(|origin| origin.ip.to_string().into()));
            also(
                "user_agent.original",
                origin.and_then(|origin| origin.user_agent.as_deref()).map(Into::into),
            );
        }
        Span {
            trace_id: ids.trace.clone(),
            span_id: ids.server.clone(),
            name: if has_route { format!("{verb} {}", flow.route) } else { verb.to_owned() },
            kind: SERVER,
            start_time_unix_nano: nanos(flow, 0),
            end_time_unix_nano: nanos(flow, flow.total_us),
            attributes,
            dropped_events_count: flow.cut,
            status: (flow.status >= 500).then_some(Status { code: FAILED }),
            flags: SAMPLED,
            ..Span::default()
        }
    }

    fn attributes(self, step: &Step) -> Vec<KeyValue> {
        let mut attributes = vec![
            KeyValue::new("doorward.from", step.verb.from().name()),
            KeyValue::new("doorward.to", step.verb.to().name()),
        ];
        match step.verdict {
            Verdict::Done => {}
            Verdict::Passed => attributes.push(KeyValue::new("doorward.verdict", "passed")),
            Verdict::Failed => attributes.push(KeyValue::new("doorward.verdict", "failed")),
        }
        for fact in &step.facts {
            self.fact(fact, &mut attributes);
        }
        attributes
    }

    /// Adds a fact. What a visitor chose, or what names a person, is left out unless the settings allow it.
    fn fact(self, fact: &Fact, into: &mut Vec<KeyValue>) {
        let mut add = |label: Label, value: Value| into.push(KeyValue::new(key(label), value));
        match fact {
            Fact::Text { label, text } => add(*label, (*text).into()),
            Fact::Seen { label, text } if self.is_personal => add(*label, text.as_str().into()),
            Fact::Seen { .. } => {}
            Fact::Count { label, count } => add(*label, (*count).into()),
            Fact::Id { label: Label::User, .. } if !self.is_personal => {}
            Fact::Id { label, id } => add(*label, id.to_string().into()),
            Fact::Span { label, us } => into.push(KeyValue::new(format!("{}_us", key(*label)), *us)),
            Fact::At { label, at } => add(*label, at.as_secs().into()),
            Fact::Check { check, passed, found } => {
                into.push(KeyValue::new(format!("doorward.check.{}", snake(check)), *passed));
                let found = found.as_ref().filter(|_| self.is_personal);
                into.extend(found.map(|found| KeyValue::new(key(Label::Found), found.as_str())));
            }
            Fact::Claims(claims) => self.claims(claims, into),
            Fact::Foreign(token) => self.foreign(token, into),
            Fact::Cookie(cookie) => add_cookie(cookie, into),
            Fact::Hash { algorithm, cost } => {
                into.push(KeyValue::new("doorward.hash.algorithm", *algorithm));
                into.push(KeyValue::new("doorward.hash.cost", cost.as_str()));
            }
        }
    }

    fn claims(self, claims: &ClaimsFact, into: &mut Vec<KeyValue>) {
        into.extend([
            KeyValue::new("doorward.token.alg", claims.algorithm.as_str()),
            KeyValue::new("doorward.token.kid", claims.key.as_str()),
            KeyValue::new("doorward.token.sid", claims.session.to_string()),
            KeyValue::new("doorward.token.role", claims.role.as_str()),
            KeyValue::new("doorward.token.auth_time", claims.signed_in_at.as_secs()),
            KeyValue::new("doorward.token.iat", claims.issued_at.as_secs()),
            KeyValue::new("doorward.token.exp", claims.expires_at.as_secs()),
        ]);
        if self.is_personal {
            into.push(KeyValue::new("doorward.token.sub", claims.user.to_string()));
        }
    }

    fn foreign(self, token: &Foreign, into: &mut Vec<KeyValue>) {
        into.push(KeyValue::new("doorward.token.length", token.length as u64));
        for (key, seen) in [("doorward.token.alg", &token.algorithm), ("doorward.token.kid", &token.key)] {
            let seen = seen.as_ref().filter(|_| self.is_personal);
            into.extend(seen.map(|seen| KeyValue::new(key, seen.as_str())));
        }
    }
}

/// The span of a step that took time.
fn span(flow: &Flow, step: &Step, took_us: u64, attributes: Vec<KeyValue>, ids: &Ids) -> Span {
    Span {
        trace_id: ids.trace.clone(),
        span_id: random::bytes::<8>().to_vec(),
        parent_span_id: ids.server.clone(),
        name: step.verb.name().to_owned(),
        kind: INTERNAL,
        start_time_unix_nano: nanos(flow, step.at_us),
        end_time_unix_nano: nanos(flow, step.at_us.saturating_add(took_us)),
        attributes,
        flags: SAMPLED,
        ..Span::default()
    }
}

fn add_cookie(cookie: &CookieFact, into: &mut Vec<KeyValue>) {
    into.extend([
        KeyValue::new("doorward.cookie.name", cookie.name.as_str()),
        KeyValue::new("doorward.cookie.http_only", cookie.http_only),
        KeyValue::new("doorward.cookie.secure", cookie.secure),
        KeyValue::new("doorward.cookie.same_site", cookie.same_site),
    ]);
    into.extend(cookie.max_age.map(|max_age| KeyValue::new("doorward.cookie.max_age", max_age)));
}

fn key(label: Label) -> String {
    format!("doorward.{}", snake(label.name()))
}

fn snake(name: &str) -> String {
    name.to_lowercase().replace(|c: char| !c.is_ascii_alphanumeric(), "_")
}

/// So long after the arrival of the request, in nanoseconds since 1970. The flow knows when it was answered.
fn nanos(flow: &Flow, later_us: u64) -> u64 {
    let answered_us = u64::try_from(flow.at.as_micros()).unwrap_or_default();
    answered_us.saturating_sub(flow.total_us).saturating_add(later_us).saturating_mul(1_000)
}
#[cfg(test)]
mod tests {
    use std::net::Ipv4Addr;
    use std::time::Duration;

    use doorward_core::role::RoleName;
    use doorward_core::{ClaimsVersion, SessionId, Timestamp, UserId};
    use prost::Message;

    use super::*;
    use crate::flow::{Lane, Seen, Sender, Story, TraceOrigin, TraceParent, Traced, Verb};

    const QUIET: Conversion = Conversion { is_personal: false, share: 1 << 63, is_https: true };
    const PERSONAL: Conversion = Conversion { is_personal: true, ..QUIET };

    fn user() -> UserId {
        UserId::new(Timestamp::from_secs(1_800_000_000), [7; 10])
    }

    fn session() -> SessionId {
        SessionId::new(Timestamp::from_secs(1_800_000_000), [9; 10])
    }

    /// A fact of each kind; each text from outside, and each user, is a canary.
    fn facts() -> Vec<Fact> {
        let canary = |text: &str| Seen::new(&format!("canary-{text}"));
        let version = ClaimsVersion::new(0).unwrap();
        vec![
            Fact::text(Label::Reason, "a text of ours"),
            Fact::seen(Label::Name, "canary-name"),
            Fact::count(Label::Count, 3),
            Fact::user(user()),
            Fact::session(session()),
            Fact::span(Label::Waited, Duration::from_millis(5)),
            Fact::At { label: Label::EndsAt, at: Timestamp::from_secs(1_800_000_900) },
            Fact::Check { check: "not before", passed: false, found: Some(canary("found")) },
            Fact::Foreign(Foreign { algorithm: Some(canary("alg")), key: Some(canary("kid")), length: 99 }),
            Fact::Claims(Box::new(ClaimsFact {
                algorithm: Seen::new("ES256"),
                key: Seen::new("of-ours"),
                user: user(),
                session: session(),
                role: RoleName::USER,
                version,
                signed_in_at: Timestamp::from_secs(1_800_000_000),
                issued_at: Timestamp::from_secs(1_800_000_000),
                expires_at: Timestamp::from_secs(1_800_000_900),
            })),
            Fact::Cookie(Box::new(CookieFact {
                name: Seen::new("__Host-token"),
                path: Seen::new("/"),
                domain: None,
                max_age: Some(900),
                http_only: true,
                secure: true,
                same_site: "Strict",
            })),
            Fact::Hash { algorithm: "bcrypt", cost: "10".into() },
        ]
    }

    fn flow(traced: Option<Traced>) -> Flow {
        let step = |verb, took_us| Step { at_us: 100, took_us, facts: facts(), ..Step::check(verb, true) };
        Flow {
            id: "0123".into(),
            at: Timestamp::from_secs(1_800_000_001),
            sender: Sender::Browser,
            method: "POST",
            route: "/login",
            status: 401,
            code: Some("invalid_credentials"),
            total_us: 1_000_000,
            story: Story { user: Some(user()), session: Some(session()), ..Story::default() },
            steps: vec![step(Verb::FindUser, Some(40)), step(Verb::JudgeProof, None)],
            cut: 2,
            traced: traced.map(Box::new),
        }
    }

    fn from(parent: Option<TraceParent>) -> Option<Traced> {
        let origin = TraceOrigin {
            ip: Ipv4Addr::new(203, 0, 113, 77).into(),
            user_agent: Some("canary-agent".into()),
        };
        Some(Traced { parent, origin: Some(origin) })
    }

    fn bytes(spans: &[Span]) -> Vec<u8> {
        spans.iter().flat_map(Message::encode_to_vec).collect()
    }

    fn has(bytes: &[u8], text: &str) -> bool {
        bytes.windows(text.len()).any(|part| part == text.as_bytes())
    }

    #[test]
    fn a_request_is_a_span_with_its_slow_steps_below_it_and_the_others_as_events() {
        let spans = QUIET.spans(&flow(None));
        let [server, find] = spans.as_slice() else { panic!("{spans:?}") };
        assert_eq!((server.name.as_str(), server.kind), ("POST /login", SERVER));
        assert_eq!(server.start_time_unix_nano, 1_800_000_000_000_000_000);
        assert_eq!(server.end_time_unix_nano, 1_800_000_001_000_000_000);
        assert_eq!((server.events.len(), server.dropped_events_count), (1, 2));
        assert_eq!(server.events[0].name, "JudgeProof");
        assert_eq!((find.name.as_str(), &find.parent_span_id), ("FindUser", &server.span_id));
        assert_eq!(find.start_time_unix_nano, 1_800_000_000_000_100_000);
        assert_eq!(find.end_time_unix_nano - find.start_time_unix_nano, 40_000);
        assert_eq!(find.trace_id, server.trace_id);
        assert!(server.parent_span_id.is_empty() && server.status.is_none());
    }

    #[test]
    fn nothing_of_a_person_or_a_stranger_is_in_a_span_unless_it_is_allowed() {
        let flow = flow(from(None));
        let (quiet, personal) = (bytes(&QUIET.spans(&flow)), bytes(&PERSONAL.spans(&flow)));
        let user = user().to_string();
        let canaries = [
            "canary-name",
            "canary-found",
            "canary-alg",
            "canary-kid",
            "canary-agent",
            "203.0.113.77",
            &user,
        ];
        for canary in canaries {
            assert!(!has(&quiet, canary), "{canary}");
            assert!(has(&personal, canary), "{canary}");
        }
        for ours in ["a text of ours", "of-ours", "__Host-token", "bcrypt", "doorward.check.not_before"] {
            assert!(has(&quiet, ours), "{ours}");
        }
    }

    #[test]
    fn a_trace_is_continued_if_its_proxy_records_it() {
        let parent = |is_sampled| TraceParent { trace: [1; 16], span: [2; 8], is_sampled };
        let nothing = Conversion { share: 0, ..QUIET };
        let spans = nothing.spans(&flow(from(Some(parent(true)))));
        assert_eq!((&spans[0].trace_id, &spans[0].parent_span_id), (&vec![1; 16], &vec![2; 8]));
        assert_eq!(spans[0].flags, SAMPLED | REMOTE_PARENT);
        assert_eq!(QUIET.spans(&flow(from(Some(parent(false))))), []);
    }

    #[test]
    fn about_the_set_share_of_the_other_traces_is_sent() {
        let (all, none, half) =
            (QUIET, Conversion { share: 0, ..QUIET }, Conversion { share: 1 << 62, ..QUIET });
        let sent =
            |conversion: Conversion| (0..400).filter(|_| !conversion.spans(&flow(None)).is_empty()).count();
        assert_eq!((sent(all), sent(none)), (400, 0));
        // Ten standard deviations on both sides.
        assert!((100..300).contains(&sent(half)));
    }

    #[test]
    fn a_failure_of_the_server_is_an_error_and_a_foreign_method_is_no_name() {
        let refused = Flow { status: 503, method: "other", route: "other", ..flow(None) };
        let spans = QUIET.spans(&refused);
        assert_eq!(spans[0].status, Some(Status { code: FAILED }));
        assert_eq!(spans[0].name, "HTTP");
        assert!(!spans[0].attributes.iter().any(|one| one.key == "http.route"));
        assert!(spans[0].attributes.contains(&KeyValue::new("http.request.method", "_OTHER")));
    }

    #[test]
    fn verbs_labels_and_lanes_are_usable_as_names() {
        let is_plain =
            |key: &str| key.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'_');
        for label in Label::ALL {
            assert!(is_plain(&snake(label.name())), "{label:?}");
        }
        let names: std::collections::BTreeSet<_> = Label::ALL.iter().map(|label| key(*label)).collect();
        assert_eq!(names.len(), Label::ALL.len());
        assert!(Lane::ALL.iter().all(|lane| !lane.name().is_empty()));
    }
}
