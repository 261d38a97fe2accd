//! Every secret that a visitor sends or receives is a canary: no flow that was recorded meanwhile may contain it.

use std::collections::{BTreeSet, HashSet};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use doorward_core::SessionId;
use http::{HeaderMap, Uri, header};
use serde_json::Value;

use super::Answer;
use crate::app::App;
use crate::clock::Clock;
use crate::flow::{Flows, Frame, Reader};

/// The members and fields that are secrets.
const SECRET: [&str; 13] = [
    "password",
    "current_password",
    "new_password",
    "token",
    "access_token",
    "refresh_token",
    "device",
    "secret",
    "client_secret",
    "invite",
    "handle",
    "link",
    "confirm_password",
];
/// A shorter text may be in a flow by chance. Of a longer token the beginning is looked for, as a clipped text shows it.
const LEAST: usize = 12;

/// The planted secrets of a site, and its recorded flows.
pub(super) struct Canaries {
    /// On PostgreSQL nobody looks for secrets: flows are the same there.
    looks: bool,
    flows: Arc<Flows>,
    clock: Clock,
    inner: Mutex<Inner>,
}

struct Inner {
    reader: Option<Reader>,
    passwords: BTreeSet<String>,
    tokens: HashSet<[u8; LEAST]>,
}

impl Canaries {
    pub(super) fn of(app: &App) -> Arc<Self> {
        let looks = std::env::var_os("DOORWARD_TEST_POSTGRES").is_none();
        let inner =
            Inner { reader: Some(app.flows.read()), passwords: BTreeSet::new(), tokens: HashSet::new() };
        let (flows, clock) = (app.flows.clone(), app.clock.clone());
        Arc::new(Self { looks, flows, clock, inner: Mutex::new(inner) })
    }

    /// Stops watching.
    pub(super) fn stop(&self) {
        self.inner.lock().unwrap().reader = None;
    }

    /// Plants what a request sends.
    pub(super) fn sends(&self, uri: &Uri, headers: &HeaderMap, body: &[u8]) {
        let mut inner = self.inner.lock().unwrap();
        inner.fields(uri.query().unwrap_or_default().as_bytes());
        match serde_json::from_slice(body) {
            Ok(json) => inner.json(&json),
            Err(_) => inner.fields(body),
        }
        let text = |name| headers.get_all(name).iter().filter_map(|line| line.to_str().ok());
        for line in text(header::AUTHORIZATION) {
            inner.plant(line.split_once(' ').map_or(line, |(_, secret)| secret));
        }
        for pair in text(header::COOKIE).flat_map(|line| line.split(';')) {
            inner.cookie(pair);
        }
    }

    /// Plants what an answer hands out, and looks for everything in the flows until now.
    #[track_caller]
    pub(super) fn receives(&self, answer: &Answer) {
        let mut inner = self.inner.lock().unwrap();
        for line in answer.set_cookies() {
            inner.cookie(line.split(';').next().unwrap());
        }
        if let Some((_, query)) = answer.header("location").and_then(|place| place.split_once('?')) {
            inner.fields(query.as_bytes());
        }
        if let Ok(json) = serde_json::from_slice(&answer.body) {
            inner.json(&json);
        }
        let Some(mut reader) = inner.reader.take() else { return };
        self.flows.tick(self.clock.now(), Duration::from_secs(1));
        while let Some(frame) = reader.ready() {
            if self.looks
                && let Frame::Flow(flow) = frame
            {
                let text = serde_json::to_string(&*flow).unwrap();
                let leaked = inner.found_in(&text);
                assert!(leaked.is_empty(), "secrets in a recorded flow: {leaked:?} in {text}");
            }
        }
        inner.reader = Some(reader);
    }
}

impl Inner {
    fn json(&mut self, json: &Value) {
        match json {
            Value::Object(members) => {
                for (name, value) in members {
                    match value {
                        Value::String(text) if SECRET.contains(&name.as_str()) => self.field(name, text),
                        value => self.json(value),
                    }
                }
            }
            Value::Array(all) => all.iter().for_each(|one| self.json(one)),
            _ => {}
        }
    }

    fn fields(&mut self, form: &[u8]) {
        for (name, value) in url::form_urlencoded::parse(form) {
            if SECRET.contains(&&*name) {
                self.field(&name, &value);
            }
        }
    }

    fn field(&mut self, name: &str, text: &str) {
        match name.contains("password") {
            true if text.len() >= LEAST => drop(self.passwords.insert(text.to_owned())),
            true => {}
            // A link's secret is behind its path.
            false => self.plant(text.rsplit('=').next().unwrap_or(text)),
        }
    }

    fn cookie(&mut self, pair: &str) {
        if let Some((_, value)) = pair.split_once('=') {
            self.plant(value.trim());
        }
    }

    /// The beginning of each part of a token, but for the public header.
    fn plant(&mut self, secret: &str) {
        // Tests also plant public ids as credentials.
        if secret.parse::<SessionId>().is_ok() {
            return;
        }
        // A broken cookie may have a cookie's name in its value.
        let is_secret = |part: &&str| !part.starts_with("eyJhbGci") && !part.starts_with("__");
        let parts = secret.split('.').filter(is_secret);
        self.tokens.extend(parts.filter_map(|part| part.as_bytes().first_chunk()));
    }

    /// A debug build searches a text slowly, so tokens are found by their hash, at every place of a long word.
    fn found_in(&self, flow: &str) -> Vec<String> {
        let passwords = self.passwords.iter().filter(|password| flow.contains(password.trim())).cloned();
        let ends = |byte: &u8| !byte.is_ascii_alphanumeric() && !matches!(byte, b'-' | b'_');
        let words = flow.as_bytes().split(ends).filter(|word| word.len() >= LEAST);
        let tokens = words.flat_map(<[u8]>::array_windows).filter(|start| self.tokens.contains(*start));
        passwords.chain(tokens.map(|token| String::from_utf8_lossy(token).into_owned())).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::super::{PASSWORD, Site};
    use crate::flow::{Answered, Fact, Label, Sender, Step, Verb};
    use crate::request_id::RequestId;

    /// Leaks by a step that records what nobody may.
    async fn leaks(site: &Site, leak: impl Fn(&super::super::Visitor) -> String) {
        let ada = site.logged_in("ada").await;
        let recording = site.app.flows.begin(&http::Method::GET).unwrap();
        recording.push(Step::of(Verb::Call).fact(Fact::seen(Label::Found, &leak(&ada))));
        let (id, at, sender) = (RequestId::next(), site.app.now(), Sender::Program);
        let (first, last) = (Verb::Call, Step::of(Verb::Answer));
        let (method, route) = ("GET", "/");
        let (code, traced) = (None, None);
        let planted = Answered { id, at, sender, method, route, status: 200, code, first, last, traced };
        site.app.flows.finish(&recording, planted);
        ada.get("/healthz").await;
    }

    #[tokio::test]
    #[should_panic(expected = "secrets in a recorded flow")]
    async fn a_planted_password_is_found() {
        leaks(&Site::new().await, |_| PASSWORD.to_owned()).await;
    }

    #[tokio::test]
    #[should_panic(expected = "secrets in a recorded flow")]
    async fn the_beginning_of_a_planted_refresh_token_is_found() {
        leaks(&Site::new().await, |ada| ada.refresh_token().unwrap()).await;
    }

    #[tokio::test]
    #[should_panic(expected = "secrets in a recorded flow")]
    async fn the_signature_of_a_planted_token_is_found() {
        leaks(&Site::new().await, |ada| ada.token().unwrap().rsplit('.').next().unwrap().to_owned()).await;
    }
}
